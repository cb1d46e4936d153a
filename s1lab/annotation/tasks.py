"""What a chat model is asked of each question: a trace, its subject, a verdict on an attempt.

Any endpoint can take the place of the models that the paper asked: Gemini 2.0 Flash Thinking (for
s1K-1.1, DeepSeek r1) for traces, Claude for the others. The official prompts are not public.

Any server that speaks OpenAI's protocol is asked side by side; requests, retries, time limits and
the care for the key are `s1core.backends.client`'s. An answer is appended as it comes in, under the
hash of what determines it (model, messages, most tokens): a changed prompt is asked anew.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from s1core.backends.client import Client, RequestFailed
from s1core.errors import BackendError, InputError, check_number
from s1core.records import Example, Journal, Problem, Trace, read_jsonl
from s1lab import packaged

PROMPTS = packaged("annotation/prompts.yaml")
_CONTROL = re.compile(r"<[|｜][A-Za-z_▁][\w▁ ]+[|｜]>|<(?:start|end)_of_turn>|</?think>")
"""Control tokens as models of any family spell them; whose is asked is not known here."""
_NOBODY = {401, 402, 403, 404, 405, 410, *range(300, 400)}  # no question would be answered
_NO_ANSWER = ("content_filter", "tool_calls", "function_call", "abort", "error")
TRIES = 3  # for an answer that can be read, each with another seed

Messages = tuple[tuple[str, str], ...]
"""Pairs of role and content, e.g. (("user", "What is 2 + 2?"),)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A line of the file: what was said, the reasoning that the server kept apart, how it ended."""

    request: str
    content: str
    reasoning: str = ""
    finish_reason: str = "stop"


Read = Callable[[Reply], Any]
"""What a reply says; ValueError where it says nothing."""


class Task(NamedTuple):
    """Conversations by the key of their problem, how a reply is read, and the row made of both."""

    questions: dict[str, Messages]
    read: Read
    row: Callable[[str, Any], Any]


def _shown(task: str, *parts: str) -> Messages:
    prompt = PROMPTS[task]
    return ("system", prompt["system"]), ("user", prompt["user"].format(*parts))


def distill(problems: Iterable[Problem], model: str) -> Task:
    """Ask each question as it is for a trace and an attempt (Section 2.1); rows are examples."""
    asked = {p.key: p for p in problems}
    questions = {key: (("user", p.question),) for key, p in asked.items()}
    return Task(questions, read_trace, lambda key, said: Example(asked[key], Trace(*said, model)))


def read_trace(reply: Reply) -> tuple[str, str]:
    """Thinking and attempt. The reasoning stands apart, or between `<think>` and `</think>`;
    ValueError where one of the two is missing or cut off."""
    thinking, attempt = reply.reasoning, reply.content
    if not thinking and "</think>" in attempt:
        thinking, _, attempt = attempt.partition("</think>")
        thinking = thinking.strip().removeprefix("<think>")
    thinking, attempt = thinking.strip(), attempt.strip()
    if reply.finish_reason == "length":
        raise ValueError("it was cut off at max_tokens")
    if not (thinking and attempt):
        raise ValueError("it has no reasoning, or nothing after it")
    return thinking, attempt


@dataclass(frozen=True, slots=True)
class Subject:
    """A row of a taxonomy (`s1k/msc_domains.jsonl` of a mirror), two digits, shown as `prompt`."""

    code: str
    title: str
    prompt: str
    descriptions: tuple[str, ...] = ()


def classify(problems: Iterable[Problem], taxonomy: Path) -> Task:
    """Ask for one of the 61 upper-level subjects of the Mathematics Subject Classification
    (Section 2.2, Diversity); rows have its title as `domain`. InputError: a row of the taxonomy is
    no `Subject`, or shares its code."""
    subjects = list(read_jsonl(taxonomy, Subject))
    titles = {subject.code: subject.title for subject in subjects}
    if not subjects or len(titles) < len(subjects) or {2} != {*map(len, titles)}:
        raise InputError(f"{taxonomy} must list subjects, each with its own code of two digits")
    listed = "\n\n".join(subject.prompt for subject in subjects)

    def read(reply: Reply) -> str:
        code = reply.content.strip().strip("*` .")[-2:]
        if code not in titles:
            raise ValueError(f"it ends in {code!r}, which is no code of the taxonomy")
        return titles[code]

    questions = {p.key: _shown("classify", p.question, listed) for p in problems}
    return Task(questions, read, lambda key, title: {"key": key, "domain": title})


def judge(examples: Iterable[Example]) -> Task:
    """Have the attempt of each example compared with its reference (Section 2.2, Appendix C.3);
    examples without one are left out. Where a question can be graded exactly, `s1core.grading` does
    it offline. InputError: one question has two attempts."""
    questions: dict[str, Messages] = {}
    for key, problem, attempt in ((e.key, e.problem, e.trace.attempt) for e in examples):
        if reference := problem.solution or problem.answer:
            asked = _shown("judge", problem.question, attempt, reference)
            if questions.setdefault(key, asked) != asked:
                raise InputError(f"there are several attempts at question {key}: judge them apart")
    return Task(questions, read_verdict, lambda key, right: {"key": key, "correct": right})


def read_verdict(reply: Reply) -> bool:
    """True for a last line of Yes, False for No, ValueError for anything else."""
    last = ([""] + reply.content.strip().splitlines())[-1].strip(" .*_`").lower()
    if last not in ("yes", "no"):
        raise ValueError(f"its last line is {last[:40]!r}, not Yes or No")
    return last == "yes"


def ask(
    questions: Mapping[str, Messages],
    read: Read,
    path: Path,
    client: Client,
    model: str,
    max_tokens: int = 4096,
    concurrency: int = 8,
) -> tuple[dict[str, Any], dict[str, str]]:
    """What `read` makes of each reply, by the key of its question, and why others have none.

    BackendError: the server refuses whatever is asked, or another process writes the file.
    InputError: the file is damaged.
    """
    import filelock

    check_number("max_tokens", max_tokens, 1, 2**31)
    check_number("concurrency", concurrency, 1, 1024)
    settings = {"model": model, "temperature": 0.0, "max_tokens": max_tokens}
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(f"{path}.lock", timeout=0).acquire()
    except filelock.Timeout:
        raise BackendError(f"another process is writing {path}: wait for it to end") from None
    with lock, ThreadPoolExecutor(concurrency) as pool:
        journal = Journal(path)
        known = {reply.request: reply for reply in journal.records(Reply)}
        values, errors, asked = {}, {}, {}
        for key, messages in questions.items():
            body = settings | {"messages": [dict(role=r, content=c) for r, c in messages]}
            request = hashlib.sha256(json.dumps(body).encode("utf-8")).hexdigest()[:32]
            try:
                values[key] = read(known[request])
            except (KeyError, ValueError):  # it was not asked, or answers another task
                asked[pool.submit(_answer, client, request, body, read)] = key
        try:
            for done in as_completed(asked):
                try:
                    reply, values[asked[done]] = done.result()
                    journal.append([reply])
                except RequestFailed as failed:
                    if failed.status in _NOBODY:
                        advice = "check the address, the model's name and the key"
                        raise BackendError(f"{failed}; {advice}") from None
                    errors[asked[done]] = str(failed)
        except BaseException:  # Ctrl-C too: nobody waits for what is under way
            client.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {key: values[key] for key in questions if key in values}, errors


def _answer(client: Client, request: str, body: dict[str, Any], read: Read) -> tuple[Reply, Any]:
    """A reply and what is read off it; RequestFailed where none came that can be read."""
    told = ""
    if spelled := _CONTROL.search(" ".join(part["content"] for part in body["messages"])):
        may = "which a chat server may take for the control token; it is not asked"
        raise RequestFailed(f"the question spells out {spelled[0]}, {may}")
    for seed in range(TRIES):
        if client.stopped.is_set():
            raise RequestFailed("it was not asked")
        try:
            asked = body | {"seed": seed}
            reply = client.call("/chat/completions", asked, read=lambda r: _reply(r, request))
            if client.tells_key(f"{reply.content} {reply.reasoning}"):
                raise RequestFailed("the answer repeats the key: it is not kept")
            return reply, read(reply)
        except RequestFailed as failed:
            if failed.status in _NOBODY:
                client.stop()
            raise
        except ValueError as error:
            told = client.scrub(f"the answer does not parse: {error}")
    raise RequestFailed(told)


def _reply(answer: Any, request: str) -> Reply:
    """The reply in a chat completion; raises whatever a list or text in another place leads to."""
    choice = answer["choices"][0]
    message = choice["message"]
    # vLLM and DeepSeek call it reasoning_content, OpenRouter and newer vLLM reasoning.
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    content, finish = message.get("content") or "", choice.get("finish_reason") or "stop"
    (content + reasoning + finish).encode("utf-8")  # half a character could not be written
    if finish in _NO_ANSWER:
        raise RequestFailed(f"the answer ended with {finish!r}")
    return Reply(request, content, reasoning, finish)
