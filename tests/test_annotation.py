"""Annotation over a chat endpoint: a real server process on loopback, which fails on request."""

import dataclasses
import time

import pytest
from filelock import FileLock

from s1core.backends.client import Retry
from s1core.errors import BackendError, InputError
from s1core.records import Problem, read_jsonl, write_jsonl
from s1lab.annotation.batch import Annotation, Question, annotate
from s1lab.annotation.chat import ChatConfig, ChatReply
from s1lab.annotation.tasks import (
    Subject,
    classify,
    distill,
    judge,
    parse_code,
    parse_trace,
    parse_verdict,
    read_taxonomy,
)
from tests.chat_server import AGAIN, BEHAVIOURS, FAILS, REFUSES, ChatServer
from tests.helpers import cases, rows, told

KEY = "secret-key-0123"
TAXONOMY = {"05": Subject("Combinatorics", ["Graphs"]), "11": Subject("Number theory", ["Primes"])}


class Server(ChatServer):
    def requests(self) -> list[dict]:
        """The requests of this test."""
        return self.log[self.seen :]

    def config(self, attempts=6, timeout=10.0, **changes) -> ChatConfig:
        changes |= {"retry": Retry(attempts, timeout, wait=0.01, longest_wait=0.5)}
        return ChatConfig(f"{self.url}/v1", "teacher", key_variable="S1CORE_TEST_KEY", **changes)


@pytest.fixture(scope="module")
def running():
    return Server()


@pytest.fixture
def server(running, monkeypatch, request):
    for name in ("S1CORE_TEST_KEY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running.seen = len(running.log)
    # A question is answered as its directives say once; texts of other tests are other questions.
    running.name = request.node.name.translate(str.maketrans("[]", "()"))
    return running


def ask(server, *texts):
    return [Question(text, (("user", f"{server.name} {text}"),)) for text in texts]


def content(reply):
    return reply.content


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_reply_that_is_none_is_asked_for_again_or_fails_and_never_tells_the_key(
    server, name, tmp_path, monkeypatch
):
    monkeypatch.setenv("S1CORE_TEST_KEY", KEY)
    config = server.config(concurrency=1, timeout=0.4 if name in ("hang", "drip") else 10.0)
    path, then = tmp_path / "out.jsonl", BEHAVIOURS[name]
    questions = ask(server, f"a [{name}]", "b", "c")
    started = time.monotonic()
    if then == REFUSES:
        with pytest.raises(BackendError, match="refuses the key|has no model") as refused:
            annotate(questions, config, path, content)
        assert len(server.requests()) == 1
        shown = str(refused.value)
    else:
        done = annotate(questions, config, path, content)
        assert set(done.values) == {"b", "c"} | ({f"a [{name}]"} if then == AGAIN else set())
        assert all(value.startswith("The answer is") for value in done.values.values())
        assert len(server.requests()) == done.usage.requests == (4 if then == AGAIN else 3)
        shown = path.read_text() + repr(done) + repr(config)
    assert then in (AGAIN, FAILS, REFUSES) and time.monotonic() - started < 12
    assert KEY not in shown
    assert {(r["path"], r["key"]) for r in server.requests()} == {
        ("/v1/chat/completions", f"Bearer {KEY}")
    }


def test_a_question_that_spells_out_a_control_token_is_not_sent_as_text(server, tmp_path):
    spelled = ["<|im_end|>", "<|start_header_id|>", "<｜User｜>", "<end_of_turn>", "</think>"]
    plain = ["is |x| < 2 or x<|y|?", "a <b> c", "<|3|>"]
    questions = ask(server, *spelled, *plain)
    done = annotate(questions, server.config(), tmp_path / "out.jsonl", content)
    assert set(done.values) == set(plain) and set(done.errors) == set(spelled)
    assert all(text in error for text, error in done.errors.items())
    assert len(server.requests()) == len(plain)


@pytest.mark.parametrize("setting, values", cases("annotation")["wrong"].items())
def test_numbers_out_of_range_are_refused_before_anything_is_asked(setting, values):
    for value in values:
        with pytest.raises(InputError, match=setting):
            ChatConfig("http://127.0.0.1:9/v1", **{"model": "m", setting: value})


def test_an_answer_that_does_not_parse_is_asked_again_a_bounded_number_of_times(server, tmp_path):
    def number(reply):
        return int(reply.content.removeprefix("The answer is ")) * 0

    questions = ask(server, "a [unparsable]", "b [unparsable unparsable unparsable unparsable]")
    done = annotate(questions, server.config(max_attempts=3), tmp_path / "out.jsonl", number)
    assert done.values == {questions[0].key: 0}
    assert "does not parse" in done.errors[questions[1].key] and done.usage.failed == 1
    assert [r["seed"] for r in server.requests() if " b " in r["q"]] == [0, 1, 2]


def test_what_is_in_the_file_is_asked_again_only_where_it_failed_or_the_question_is_another(
    server, tmp_path
):
    path = tmp_path / "out.jsonl"
    first = annotate(ask(server, "a", "b"), server.config(), path, content)
    again = annotate(ask(server, "b", "a", "c"), server.config(), path, content)
    assert list(again.values) == ["b", "a", "c"] and again.values.items() >= first.values.items()
    assert (again.usage.cached, again.usage.requests) == (2, 1)
    assert len(server.requests()) == 3
    other = annotate(ask(server, "a"), server.config(), path, content, lambda value: False)
    hotter = annotate(ask(server, "a"), server.config(temperature=0.5), path, content)
    assert other.usage.requests == hotter.usage.requests == 1
    same = [Question(key, (("user", f"{server.name} z"),)) for key in ("one", "two")]
    done = annotate(same, server.config(), path, content)
    assert list(done.values) == ["one", "two"] and done.usage.requests == 1
    for failed in (1, 1, 0):
        done = annotate(ask(server, "d [500 500]"), server.config(attempts=1), path, content)
        assert done.usage.failed == failed == len(done.errors)


def test_spending_counts_every_attempt_stops_at_the_limit_and_goes_on_when_it_is_raised(
    server, tmp_path
):
    path = tmp_path / "out.jsonl"
    config = server.config(prompt_price=1e5, concurrency=1, max_cost=2.5)  # 1.0 a request
    questions = ask(server, "a [unparsable]", *"bcde")

    def parse(reply):
        return int(reply.content.removeprefix("The answer is "))

    with pytest.raises(BackendError, match=r"3.00 was spent .* 3 questions are left"):
        annotate(questions, config, path, parse)
    assert len(server.requests()) == 3
    done = annotate(questions, dataclasses.replace(config, max_cost=None), path, parse)
    assert (done.usage.cached, done.usage.requests, done.usage.cost) == (2, 3, 3.0)


def test_a_half_written_line_is_dropped_and_a_damaged_file_is_an_error(server, tmp_path):
    """As a job killed in the middle leaves it: what is whole is not asked again."""
    path, questions = tmp_path / "out.jsonl", ask(server, "a", "b")
    annotate(questions, server.config(), path, content)
    whole = path.read_bytes()
    for torn, asked in ((whole[:-7], 1), (whole[:-1], 1), (whole + b"x" * 200_000, 0)):
        path.write_bytes(torn)
        assert annotate(questions, server.config(), path, content).usage.requests == asked
        assert len(list(read_jsonl(path, Annotation))) == 2
    path.write_bytes(b"[]\n" + whole)
    with pytest.raises(InputError, match="out.jsonl:1: damaged line"):
        annotate(questions, server.config(), path, content)
    with FileLock(f"{path}.lock"):
        with pytest.raises(BackendError, match="another process is writing"):
            annotate([], server.config(), path, content)


def problems_of(server, *texts, answer="4"):
    return [Problem(f"{server.name} {text}", answer) for text in texts]


def test_distillation_makes_examples_and_says_why_others_have_none(server, tmp_path):
    problems = problems_of(server, "2 + 2", "3 + 3 [400]", "4 [long long long]")
    made = distill(problems, "teacher").run(server.config(), tmp_path / "traces.jsonl")
    (example,) = made.values.values()
    assert example.problem == problems[0] and example.trace.model == "teacher"
    assert example.trace.thinking == f"thinking about {problems[0].question}"
    assert set(made.errors) == {problems[1].key, problems[2].key}
    assert "cut off at max_tokens" in made.errors[problems[2].key]


def test_problems_get_the_title_of_their_subject_and_attempts_are_judged(server, tmp_path):
    problems = problems_of(server, "Roll two dice", "Is 7 prime? [unparsable]")
    found = classify(problems, TAXONOMY).run(server.config(), tmp_path / "domains.jsonl")
    assert list(found.values.values()) == ["Combinatorics", "Number theory"]
    assert list(found.values) == [p.key for p in problems] and found.usage.requests == 3
    problems = [Problem(f"{server.name} {q}", a) for q, a in zip("abcd", ("4", "5", "", "1"))]
    attempts = {p.key: "4" for p in problems[:3]}
    judged = judge(problems, attempts).run(server.config(), tmp_path / "grades.jsonl")
    assert judged.values == {problems[0].key: True, problems[1].key: False}
    said = ["there is no reference solution", "there is no attempt"]
    assert judged.errors == dict(zip([p.key for p in problems[2:]], said))


PARSE = {"trace": parse_trace, "verdict": parse_verdict}
PARSE["code"] = lambda reply: parse_code(reply, TAXONOMY)


@pytest.mark.parametrize("case", rows("replies.jsonl"), ids=str)
def test_what_was_asked_for_is_read_off_the_reply_and_anything_else_does_not_parse(case):
    if case["value"] is None:
        with pytest.raises(ValueError):
            PARSE[case["asked"]](ChatReply(*case["reply"]))
    else:
        assert PARSE[case["asked"]](ChatReply(*case["reply"])) == case["value"]


SUBJECT = {"code": "05", "title": "Combinatorics", "descriptions": ["Graphs"]}


def test_a_taxonomy_that_cannot_be_read_is_a_clear_error(tmp_path):
    for changes in cases("annotation")["taxonomy"]:  # the last is a repetition
        write_jsonl(tmp_path / "t.jsonl", [SUBJECT, SUBJECT | changes])
        with pytest.raises(InputError, match="row 2: not a subject"):
            read_taxonomy(tmp_path / "t.jsonl")
    (tmp_path / "t.jsonl").write_text("")
    with pytest.raises(InputError, match="lists no subject"):
        read_taxonomy(tmp_path / "t.jsonl")


def test_a_job_is_priced_first_and_one_that_fails_leaves_a_good_output_alone(server, tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"

    def run(*asked, task="distill", say=("--yes",)):
        if asked:
            write_jsonl(source, asked)
        line = ["annotate", task, source, "--output", output, "--model", "teacher"]
        return told("s1lab", *line, "--base-url", f"{server.url}/v1", *say)

    code, said = run(*problems_of(server, "a", "b"), say=())
    assert code == 0 and "2 requests" in said and "nothing was asked" in said
    assert not server.requests() and not output.exists()
    assert run(*problems_of(server, "a [400]", "b"))[0] == 0
    kept = output.read_bytes()
    assert kept.count(b"\n") == 1
    code, said = run(*problems_of(server, "c [400]", "d [422]"))
    assert code and "none of 2 questions was answered" in said and output.read_bytes() == kept
    output.write_bytes(kept * 3)
    code, said = run(*problems_of(server, "e", "f"))
    assert code and "holds 3 rows" in said and output.read_bytes() == kept * 3
    before, answers = len(server.requests()), tmp_path / "out.jsonl.answers"
    answers.unlink()
    answers.hardlink_to(source)  # what is beside an output is no input either
    code, said = run(task="judge")
    assert code and "is an input too" in said and len(server.requests()) == before
