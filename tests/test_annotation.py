"""Annotation over a chat endpoint: a real server process on loopback, which fails on request."""

import time

import pytest
from filelock import FileLock

from s1core.backends.client import Client, Retry
from s1core.errors import BackendError, InputError
from s1core.records import Example, Problem, Trace, read_jsonl, write_jsonl
from s1lab.annotation import tasks
from tests.chat_server import AGAIN, BEHAVIOURS, FAILS, REFUSES, ChatServer
from tests.helpers import cases, rows, told

KEY = "secret-key-0123"
SUBJECT = {"code": "05", "title": "Combinatorics", "prompt": "### Combinatorics\n* Code: 05"}
PRIMES = {"code": "11", "title": "Number theory", "prompt": "### Number theory\n* Code: 11"}


class Server(ChatServer):
    def requests(self) -> list[dict]:
        """The requests of this test."""
        return self.log[self.seen :]

    def ask(self, path, questions, read=lambda reply: reply.content, timeout=10.0, **options):
        retry = Retry(options.pop("attempts", 6), timeout, wait=0.01, longest_wait=0.5)
        client = Client(f"{self.url}/v1", key_variable="S1CORE_TEST_KEY", retry=retry)
        return tasks.ask(questions, read, path, client, "teacher", **options)


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


@pytest.fixture
def taxonomy(tmp_path):
    write_jsonl(tmp_path / "t.jsonl", [SUBJECT, PRIMES])
    return tmp_path / "t.jsonl"


def asked(server, *texts):
    return {text: (("user", f"{server.name} {text}"),) for text in texts}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_reply_that_is_none_is_asked_for_again_or_fails_and_never_tells_the_key(
    server, name, tmp_path, monkeypatch
):
    monkeypatch.setenv("S1CORE_TEST_KEY", KEY)
    limit = {"concurrency": 1, "timeout": 0.4 if name in ("hang", "drip") else 10.0}
    path, then = tmp_path / "out.jsonl", BEHAVIOURS[name]
    questions = asked(server, f"a [{name}]", "b", "c")
    started = time.monotonic()
    if then == REFUSES:
        with pytest.raises(BackendError, match="check the address, .* and the key") as refused:
            server.ask(path, questions, **limit)
        assert len(server.requests()) == 1
        shown = str(refused.value)
    else:
        values, errors = server.ask(path, questions, **limit)
        assert set(values) == {"b", "c"} | ({f"a [{name}]"} if then == AGAIN else set())
        assert all(value.startswith("The answer is") for value in values.values())
        assert len(server.requests()) == (4 if then == AGAIN else 3)
        shown = path.read_text() + repr((values, errors))
    assert then in (AGAIN, FAILS, REFUSES) and time.monotonic() - started < 12
    assert KEY not in shown
    assert {(r["path"], r["key"]) for r in server.requests()} == {
        ("/v1/chat/completions", f"Bearer {KEY}")
    }


def test_a_question_that_spells_out_a_control_token_is_not_sent_as_text(server, tmp_path):
    spelled = ["<|im_end|>", "<|start_header_id|>", "<｜User｜>", "<end_of_turn>", "</think>"]
    plain = ["is |x| < 2 or x<|y|?", "a <b> c", "<|3|>"]
    values, errors = server.ask(tmp_path / "out.jsonl", asked(server, *spelled, *plain))
    assert set(values) == set(plain) and set(errors) == set(spelled)
    assert all(text in error for text, error in errors.items())
    assert len(server.requests()) == len(plain)


@pytest.mark.parametrize("setting, values", cases("annotation")["wrong"].items())
def test_numbers_out_of_range_are_refused_before_anything_is_asked(
    server, tmp_path, setting, values
):
    for value in values:
        with pytest.raises(InputError, match=setting):
            server.ask(tmp_path / "out.jsonl", asked(server, "a"), **{setting: value})
    assert not server.requests()


def test_an_answer_that_does_not_parse_is_asked_again_a_bounded_number_of_times(server, tmp_path):
    def number(reply):
        return int(reply.content.removeprefix("The answer is ")) * 0

    questions = asked(server, "a [unparsable]", "b [unparsable unparsable unparsable unparsable]")
    values, errors = server.ask(tmp_path / "out.jsonl", questions, number)
    assert values == {"a [unparsable]": 0} and len(errors) == 1
    assert "does not parse" in errors["b [unparsable unparsable unparsable unparsable]"]
    assert [r["seed"] for r in server.requests() if " b " in r["q"]] == [0, 1, 2]


def test_what_is_in_the_file_is_asked_again_only_where_it_failed_or_the_question_is_another(
    server, tmp_path
):
    path = tmp_path / "out.jsonl"

    def again(*texts, **options):
        before = len(server.requests())
        values, errors = server.ask(path, asked(server, *texts), **options)
        return values, errors, len(server.requests()) - before

    first, _, _ = again("a", "b")
    more, _, requests = again("b", "a", "c")
    assert list(more) == ["b", "a", "c"] and more.items() >= first.items() and requests == 1
    assert again("a", max_tokens=5)[2] == again("a", read=lambda reply: len(reply.content))[2] + 1
    for failed in (1, 1, 0):
        _, errors, _ = again("d [500 500]", attempts=1)
        assert len(errors) == failed


def test_a_half_written_line_is_dropped_and_a_damaged_file_is_an_error(server, tmp_path):
    """As a job killed in the middle leaves it: what is whole is not asked again."""
    path, questions = tmp_path / "out.jsonl", asked(server, "a", "b")
    server.ask(path, questions)
    whole = path.read_bytes()
    for torn, requests in ((whole[:-7], 1), (whole[:-1], 1), (whole + b"x" * 200_000, 0)):
        path.write_bytes(torn)
        before = len(server.requests())
        server.ask(path, questions)
        assert len(server.requests()) - before == requests
        assert len(list(read_jsonl(path, tasks.Reply))) == 2
    path.write_bytes(b"[]\n" + whole)
    with pytest.raises(InputError, match="out.jsonl:1: expected a JSON object"):
        server.ask(path, questions)
    with FileLock(f"{path}.lock"):
        with pytest.raises(BackendError, match="another process is writing"):
            server.ask(path, {})


def run(server, task, path):
    values, errors = server.ask(path, task.questions, task.read)
    return [task.row(key, value) for key, value in values.items()], errors


def problems_of(server, *texts, answer="4"):
    return [Problem(f"{server.name} {text}", answer) for text in texts]


def test_distillation_makes_examples_and_says_why_others_have_none(server, tmp_path):
    problems = problems_of(server, "2 + 2", "3 + 3 [400]", "4 [long long long]")
    (example,), errors = run(server, tasks.distill(problems, "teacher"), tmp_path / "traces.jsonl")
    assert example.problem == problems[0] and example.trace.model == "teacher"
    assert example.trace.thinking == f"thinking about {problems[0].question}"
    assert set(errors) == {problems[1].key, problems[2].key}
    assert "cut off at max_tokens" in errors[problems[2].key]


def test_problems_get_the_title_of_their_subject_and_attempts_are_judged(
    server, tmp_path, taxonomy
):
    problems = problems_of(server, "Roll two dice", "Is 7 prime? [unparsable]")
    found, _ = run(server, tasks.classify(problems, taxonomy), tmp_path / "domains.jsonl")
    titles = ("Combinatorics", "Number theory")
    assert found == [{"key": p.key, "domain": t} for p, t in zip(problems, titles)]
    assert len(server.requests()) == 3
    problems = [Problem(f"{server.name} {q}", a) for q, a in zip("abc", ("4", "5", ""))]
    tried = [Example(problem, Trace("so", "4")) for problem in problems]
    judged, errors = run(server, tasks.judge(tried), tmp_path / "grades.jsonl")
    right = [{"key": p.key, "correct": one} for p, one in zip(problems, (True, False))]
    assert judged == right and not errors  # the third has no reference to judge by
    with pytest.raises(InputError, match="several attempts"):
        tasks.judge([*tried, Example(problems[0], Trace("so", "5"))])


@pytest.mark.parametrize("case", rows("replies.jsonl"), ids=str)
def test_what_was_asked_for_is_read_off_the_reply_and_anything_else_does_not_parse(case, taxonomy):
    read = {"trace": tasks.read_trace, "verdict": tasks.read_verdict}
    read["code"] = tasks.classify([], taxonomy).read
    reply = tasks.Reply("", *case["reply"])
    if case["value"] is None:
        with pytest.raises(ValueError):
            read[case["asked"]](reply)
    else:
        made = read[case["asked"]](reply)
        assert (list(made) if isinstance(made, tuple) else made) == case["value"]


def test_a_taxonomy_that_cannot_be_read_is_a_clear_error(taxonomy):
    for changes in cases("annotation")["taxonomy"]:  # the last is a repetition
        write_jsonl(taxonomy, [SUBJECT, SUBJECT | changes])
        with pytest.raises(InputError, match="t.jsonl:2: .*must be|its own code of two digits"):
            tasks.classify([], taxonomy)
    taxonomy.write_text("")
    with pytest.raises(InputError, match="must list subjects"):
        tasks.classify([], taxonomy)


def test_a_job_that_fails_leaves_a_good_output_alone(server, tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"

    def annotate(*problems, task="distill"):
        if problems:
            write_jsonl(source, problems)
        line = ["annotate", task, source, "--output", output, "--model", "teacher"]
        return told("s1lab", *line, "--base-url", f"{server.url}/v1")

    code, said = annotate(*problems_of(server, "a [400]", "b"))
    assert code == 0 and "1 of 2; 1 failed" in said
    kept = output.read_bytes()
    assert kept.count(b"\n") == 1
    code, said = annotate(*problems_of(server, "c [400]", "d [422]"))
    assert code and "none of 2 questions was answered" in said and output.read_bytes() == kept
    output.write_bytes(kept * 3)
    code, said = annotate(*problems_of(server, "e", "f"))
    assert code and "holds 3 rows" in said and output.read_bytes() == kept * 3
    before, answers = len(server.requests()), tmp_path / "out.jsonl.answers"
    answers.unlink()
    answers.hardlink_to(source)  # what is beside an output is no input either
    code, said = annotate(task="judge")
    assert code and "is an input too" in said and len(server.requests()) == before
