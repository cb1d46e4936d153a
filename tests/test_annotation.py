"""Annotation over a chat endpoint: a real server process on loopback, which fails on request."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from s1core.errors import BackendError, InputError
from s1core.records import Problem
from s1lab.annotation.batch import Question, annotate, estimate, read_annotations
from s1lab.annotation.chat import ChatClient, ChatConfig, ChatFailure, ChatReply
from s1lab.annotation.classify import Subject, classify, parse_code, read_taxonomy
from s1lab.annotation.distill import distill, parse_trace
from s1lab.annotation.judge import judge, parse_verdict
from s1lab.annotation.offline import (
    NaiveBayes,
    classify_offline,
    cross_validated_accuracy,
    theoremqa_training_set,
)
from s1lab.data.mirror import read_rows

ROOT = Path(__file__).resolve().parents[1]
TAXONOMY = {
    "05": Subject("05", "Combinatorics", ("Graph theory",)),
    "11": Subject("11", "Number theory", ("Primes",)),
}


class Server:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "requests.jsonl"
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "chat_server.py"), str(self.log)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/v1"

    def requests(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def config(self, **changes) -> ChatConfig:
        settings = {"timeout": 10.0, "backoff": 0.01, "key_variable": "S1CORE_TEST_KEY"} | changes
        return ChatConfig(self.url, settings.pop("model", "teacher"), **settings)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.delenv("S1CORE_TEST_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = Server(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait()


def ask(*texts):
    return [Question(text, (("user", text),)) for text in texts]


def content(reply):
    return reply.content


# ----------------------------------------------------------------------------- one question


@pytest.mark.parametrize("trouble", ["500", "429", "503 502", "garbage", "nochoices", "hangup"])
def test_passing_trouble_is_retried_until_there_is_an_answer(server, trouble):
    reply = ChatClient(server.config()).ask((("user", f"x [{trouble}]"),))
    assert reply.content.startswith("The answer is")
    assert reply.requests == 1 + len(trouble.split())
    assert (reply.prompt_tokens, reply.completion_tokens) == (10, 5)


def test_retries_are_bounded(server):
    client = ChatClient(server.config(max_retries=2))
    with pytest.raises(ChatFailure, match="gave up after 3 requests; last: HTTP 500"):
        client.ask((("user", "x [500 500 500 500]"),))
    with pytest.raises(ChatFailure, match="last: not a chat completion"):
        client.ask((("user", "y [garbage garbage garbage]"),))
    assert len(server.requests()) == 6


def test_a_bad_request_fails_alone_and_at_once(server):
    with pytest.raises(ChatFailure, match="HTTP 400"):
        ChatClient(server.config()).ask((("user", "x [400]"),))
    assert len(server.requests()) == 1


@pytest.mark.parametrize(
    "model, says",
    [
        ("401", "refuses the key in S1CORE_TEST_KEY"),
        ("404", "has no model '404'"),
        ("307", "is not an OpenAI-compatible address"),
    ],
)
def test_an_endpoint_that_refuses_everything_is_not_asked_twice(server, model, says, tmp_path):
    config = server.config(model=model, concurrency=1)
    with pytest.raises(BackendError, match=says):
        annotate(ask("a", "b", "c"), config, tmp_path / "out.jsonl", content)
    assert len(server.requests()) == 1


def test_no_server_is_a_failure_that_names_the_reason():
    config = ChatConfig("http://127.0.0.1:9/v1", "m", max_retries=1, backoff=0.01)
    with pytest.raises(ChatFailure, match="gave up after 2 requests; last: URLError"):
        ChatClient(config).ask((("user", "x"),))
    with pytest.raises(BackendError, match="is not an address"):
        ChatClient(ChatConfig("127.0.0.1:9", "m"))


def test_the_key_comes_from_the_environment_and_is_written_nowhere(server, tmp_path, monkeypatch):
    monkeypatch.setenv("S1CORE_TEST_KEY", "secret-key")
    config = server.config()
    annotate(ask("a", "b [400]"), config, tmp_path / "out.jsonl", content)
    assert {r["key"] for r in server.requests()} == {"Bearer secret-key"}
    assert "secret-key" not in (tmp_path / "out.jsonl").read_text() + repr(config)


def test_requests_are_spaced_by_the_rate_limit(server, tmp_path):
    config = server.config(requests_per_minute=600, concurrency=4)
    annotate(ask(*"abcdef"), config, tmp_path / "out.jsonl", content)
    times = sorted(r["at"] for r in server.requests())
    assert times[-1] - times[0] >= 5 * 0.1 - 0.05


def test_a_429_holds_back_every_thread_for_as_long_as_it_asks(server, tmp_path):
    config = server.config(concurrency=1)
    started = time.monotonic()
    annotate(ask("a [429]", "b"), config, tmp_path / "out.jsonl", content)
    assert time.monotonic() - started >= 0.3


# ---------------------------------------------------------------------------- many questions


def test_answers_come_back_in_the_order_of_the_questions(server, tmp_path):
    questions = ask("a [slow]", "b", "cc [500]", "ddd")
    answers, usage = annotate(questions, server.config(), tmp_path / "out.jsonl", content)
    assert [a.key for a in answers] == [q.key for q in questions]
    assert [a.value for a in answers] == [f"The answer is {len(q.key)}" for q in questions]
    assert (usage.questions, usage.requests, usage.failed) == (4, 5, 0)


def test_an_answer_that_does_not_parse_is_asked_again_a_bounded_number_of_times(server, tmp_path):
    def number(reply):
        return int(reply.content.removeprefix("The answer is "))

    questions = ask("a [unparsable]", "b [unparsable unparsable unparsable unparsable]")
    config = server.config(max_attempts=3)
    (one, other), usage = annotate(questions, config, tmp_path / "out.jsonl", number)
    assert (one.ok, one.attempts, one.value) == (True, 2, 14)
    assert (other.ok, other.attempts) == (False, 3) and "does not parse" in other.error
    assert usage.failed == 1
    seeds = [r["seed"] for r in server.requests() if r["q"].startswith("b")]
    assert seeds == [0, 1, 2]


def test_what_is_in_the_file_is_not_asked_again(server, tmp_path):
    path = tmp_path / "out.jsonl"
    first, _ = annotate(ask("a", "b"), server.config(), path, content)
    again, usage = annotate(ask("b", "a", "c"), server.config(concurrency=2), path, content)
    assert [a.value for a in again][:2] == [first[1].value, first[0].value]
    assert (usage.cached, usage.requests) == (2, 1)
    assert len(server.requests()) == 3


def test_another_model_or_prompt_is_asked_anew_and_one_text_is_asked_once(server, tmp_path):
    path = tmp_path / "out.jsonl"
    annotate(ask("a"), server.config(), path, content)
    annotate(ask("a"), server.config(temperature=0.5), path, content)
    same = [Question("one", (("user", "z"),)), Question("two", (("user", "z"),))]
    answers, usage = annotate(same, server.config(), path, content)
    assert [a.key for a in answers] == ["one", "two"] and usage.requests == 1
    assert len(server.requests()) == 3


def test_failures_are_asked_again_in_the_next_call(server, tmp_path):
    path, questions = tmp_path / "out.jsonl", ask("a [500 500]")
    config = server.config(max_retries=0)
    for ok in (False, False, True):
        (answer,), _ = annotate(questions, config, path, content)
        assert answer.ok is ok
    assert sum(1 for _ in read_annotations(path)) == 3


def test_tokens_and_cost_are_counted_with_every_attempt(server, tmp_path):
    config = server.config(prompt_price=2.0, completion_price=8.0)

    def never(reply):
        raise ValueError("no")

    _, usage = annotate(ask("a", "b"), config, tmp_path / "out.jsonl", never)
    assert (usage.prompt_tokens, usage.completion_tokens) == (60, 30)
    assert usage.cost == pytest.approx((60 * 2 + 30 * 8) / 1e6)


def test_spending_stops_at_the_limit_and_goes_on_when_it_is_raised(server, tmp_path):
    path = tmp_path / "out.jsonl"
    config = server.config(prompt_price=1e5, concurrency=1, max_cost=2.5)  # 1.0 a question
    with pytest.raises(BackendError, match=r"3.00 was spent .* 2 questions are left"):
        annotate(ask(*"abcde"), config, path, content)
    assert len(server.requests()) == 3
    _, usage = annotate(ask(*"abcde"), dataclasses.replace(config, max_cost=None), path, content)
    assert (usage.cached, usage.requests) == (3, 2)


def test_a_dry_run_prices_the_job_without_asking(server, tmp_path):
    path = tmp_path / "out.jsonl"
    config = server.config(prompt_price=1.0, completion_price=10.0)
    annotate(ask("abcd"), config, path, content)
    plan = estimate(ask("abcd", "abcdefgh", "abcdefgh"), config, path, completion_tokens_each=100)
    assert (plan.questions, plan.requests, plan.cached) == (3, 1, 2)
    assert (plan.prompt_tokens, plan.completion_tokens) == (2, 100)
    assert plan.cost == pytest.approx((2 * 1 + 100 * 10) / 1e6)
    assert len(server.requests()) == 1


def test_a_half_written_line_is_dropped_and_a_damaged_file_is_an_error(server, tmp_path):
    path = tmp_path / "out.jsonl"
    annotate(ask("a", "b"), server.config(), path, content)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert len(list(read_annotations(path))) == 1
    _, usage = annotate(ask("a", "b"), server.config(), path, content)
    assert usage.requests == 1 and len(list(read_annotations(path))) == 2
    path.write_bytes(whole + b"x" * 200_000)  # longer than one read from the end
    _, usage = annotate(ask("a", "b"), server.config(), path, content)
    assert usage.requests == 0 and path.read_bytes() == whole
    path.write_bytes(b'{"half": \n' + whole)
    with pytest.raises(BackendError, match="out.jsonl:1: not JSON"):
        annotate(ask("a"), server.config(), path, content)


def test_a_second_process_on_the_same_file_is_turned_away(server, tmp_path):
    filelock = pytest.importorskip("filelock")
    with filelock.FileLock(f"{tmp_path / 'out.jsonl'}.lock"):
        code = (
            "import sys; from s1lab.annotation.batch import *\n"
            "from s1lab.annotation.chat import ChatConfig\n"
            "try: annotate([], ChatConfig('http://x', 'm'), sys.argv[1], str)\n"
            "except BackendError as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "out.jsonl")],
            capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
    assert "another process is writing" in done.stdout


def test_a_job_killed_in_the_middle_goes_on_where_it_was(server, tmp_path):
    path = tmp_path / "out.jsonl"
    code = (
        "import sys; from s1lab.annotation.batch import *\n"
        "from s1lab.annotation.chat import ChatConfig\n"
        "questions = [Question(str(i), (('user', f'{i} [slow]'),)) for i in range(12)]\n"
        "annotate(questions, ChatConfig(sys.argv[1], 'teacher', concurrency=2), sys.argv[2],\n"
        "         lambda reply: reply.content)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, server.url, str(path)], cwd=ROOT)
    deadline = time.monotonic() + 20
    while (not path.exists() or path.read_bytes().count(b"\n") < 4) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    before = len(list(read_annotations(path)))
    assert 4 <= before < 12
    questions = [Question(str(i), (("user", f"{i} [slow]"),)) for i in range(12)]
    answers, usage = annotate(questions, server.config(), path, content)
    assert all(a.ok for a in answers) and usage.cached == before
    # What was under way at the kill is asked again, and nothing else.
    repeated = [n for n in Counter(r["q"] for r in server.requests()).values() if n > 1]
    assert len(repeated) <= 2 and max(repeated, default=1) <= 2


# --------------------------------------------------------------- distil, classify, judge


def test_distillation_makes_examples_and_says_why_others_have_none(server, tmp_path):
    problems = [
        Problem("2 + 2", "4"),
        Problem("3 + 3 [400]", "6"),
        Problem("4 [long long long]", ""),
    ]
    made = distill(problems, server.config(), tmp_path / "traces.jsonl")
    (example,) = made.examples
    assert example.problem == problems[0]
    assert (example.trace.thinking, example.trace.model) == ("thinking about 2 + 2", "teacher")
    assert set(made.errors) == {problems[1].key, problems[2].key}
    assert "cut off at max_tokens" in made.errors[problems[2].key]


@pytest.mark.parametrize(
    "reply, expected",
    [
        (ChatReply("a", "t"), {"thinking": "t", "attempt": "a"}),
        (ChatReply("<think>\nt\n</think>\n\na"), {"thinking": "t", "attempt": "a"}),
        (ChatReply("t</think>a"), {"thinking": "t", "attempt": "a"}),
        (ChatReply("a"), None),
        (ChatReply("<think>t</think>"), None),
        (ChatReply("a", "t", "length"), None),
    ],
)
def test_a_trace_is_reasoning_and_an_attempt(reply, expected):
    if expected is None:
        with pytest.raises(ValueError):
            parse_trace(reply)
    else:
        assert parse_trace(reply) == expected


def test_problems_get_the_title_of_their_subject(server, tmp_path):
    problems = [Problem("Roll two dice", ""), Problem("Is 7 prime? [unparsable]", "")]
    found = classify(problems, TAXONOMY, server.config(), tmp_path / "domains.jsonl")
    assert found.domains == {problems[0].key: "Combinatorics", problems[1].key: "Number theory"}
    assert found.usage.requests == 3


@pytest.mark.parametrize("text, code", [("x\n05", "05"), ("**11**", "11"), ("Code: 11.", "11")])
def test_a_code_is_read_off_the_end(text, code):
    assert parse_code(ChatReply(text), TAXONOMY) == code


@pytest.mark.parametrize("text", ["", "99", "five", "05\nor so"])
def test_what_is_no_code_does_not_parse(text):
    with pytest.raises(ValueError, match="no code of the taxonomy"):
        parse_code(ChatReply(text), TAXONOMY)


def test_attempts_are_judged_against_the_reference(server, tmp_path):
    problems = [Problem("a", "4"), Problem("b", "5"), Problem("c", ""), Problem("d", "1")]
    attempts = {p.key: "4" for p in problems[:3]}
    judged = judge(problems, attempts, server.config(), tmp_path / "grades.jsonl")
    assert judged.correct == {problems[0].key: True, problems[1].key: False}
    assert judged.errors == {
        problems[2].key: "there is no reference solution",
        problems[3].key: "there is no attempt",
    }


@pytest.mark.parametrize("text, verdict", [("so\nYes", True), ("No.", False), ("**Yes**", True)])
def test_a_verdict_is_the_last_line(text, verdict):
    assert parse_verdict(ChatReply(text)) is verdict


@pytest.mark.parametrize("text", ["", "Yes\nor rather", "Yes and No"])
def test_what_is_no_verdict_does_not_parse(text):
    with pytest.raises(ValueError, match="not Yes or No"):
        parse_verdict(ChatReply(text))


# ------------------------------------------------------------------------------- offline


def test_naive_bayes_equals_its_formula_by_hand():
    model = NaiveBayes.train(["aa bb", "aa cc", "dd"], ["x", "x", "y"], smoothing=1.0)
    # P(x) P(aa|x) = 2/3 * 3/8 against P(y) P(aa|y) = 1/3 * 1/5
    assert model.predict(["aa", "dd dd", "unseen"]) == ["x", "y", "x"]
    column = model.vocabulary["aa"]
    assert model.scores[0, column] == pytest.approx(-0.9808, abs=1e-4)  # log(3 / 8)
    assert model.scores[1, column] == pytest.approx(-1.6094, abs=1e-4)  # log(1 / 5)


def test_training_needs_texts_and_folds():
    with pytest.raises(ValueError, match="cannot be learnt from"):
        NaiveBayes.train([], [])
    with pytest.raises(ValueError, match="2 texts cannot be split into 5 folds"):
        cross_validated_accuracy(["aa", "bb"], ["x", "y"])


def test_a_taxonomy_that_cannot_be_read_is_a_clear_error(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"code": "05", "title": "Combinatorics"}\n')
    with pytest.raises(InputError, match="row 1: not a subject"):
        read_taxonomy(tmp_path / "t.jsonl")
    (tmp_path / "t.jsonl").write_text("")
    with pytest.raises(InputError, match="lists no subject"):
        read_taxonomy(tmp_path / "t.jsonl")


def test_the_offline_classifier_has_the_accuracy_it_is_said_to_have(data_dir):
    taxonomy = read_taxonomy(data_dir / "s1k" / "msc_domains.jsonl")
    rows = list(read_rows(data_dir / "theoremqa" / "theoremqa_test.jsonl"))
    texts, titles = theoremqa_training_set(rows, taxonomy)
    assert len(taxonomy) == 61
    assert len(texts) == 747 and len(set(titles)) == 22
    correct, n = cross_validated_accuracy(texts, titles)
    assert correct / n == pytest.approx(0.73, abs=0.02)
    problems = [Problem(text, "") for text in texts[:50]]
    guesses = classify_offline(problems, NaiveBayes.train(texts, titles))
    assert set(guesses) == {p.key for p in problems}
    math = [(r["problem"], r["subject"]) for r in read_rows(data_dir / "math500" / "math500.jsonl")]
    math += [
        (r["question"], r["other"]["type"]) for r in read_rows(data_dir / "agieval" / "math.jsonl")
    ]
    correct, n = cross_validated_accuracy(*zip(*math, strict=True))
    assert n == 1500 and correct / n == pytest.approx(0.66, abs=0.02)
