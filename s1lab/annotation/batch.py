"""Many questions to a chat endpoint: concurrent, resumable, cached by content, priced beforehand.

Every answer is appended to a JSONL file as it comes in, fsynced, under the hash of what determines
the question (model, messages, sampling): a changed prompt is asked anew, two rows with one text
once. Answers that do not parse are asked for again a bounded number of times, then they failed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.backends.client import RequestFailed
from s1core.errors import BackendError
from s1core.records import Journal, read_recoverable
from s1lab.annotation.chat import ChatClient, ChatConfig, ChatReply, Message

Parse = Callable[[ChatReply], Any]
"""A reply as a JSON value; ValueError where it is none."""
Valid = Callable[[Any], bool]
"""Whether a kept value is still one."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask about one problem: its key and the conversation."""

    key: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A line of the file: a value, or the error that was left; counts are over all attempts."""

    key: str
    request: str
    value: Any
    error: str = ""
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job took, or is expected to take; `cached` questions need no asking."""

    questions: int
    cached: int
    failed: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float

    def __str__(self) -> str:
        asked = f"{self.questions} questions, {self.cached} known, {self.requests} requests"
        tokens = f"{self.prompt_tokens:,} + {self.completion_tokens:,} tokens"
        return f"{asked}, {tokens}, cost {self.cost:.2f}"


@dataclass(frozen=True, slots=True)
class Answers:
    """What a job gave: values by problem key, why others have none, and what this call took."""

    values: dict[str, Any]
    errors: dict[str, str]
    usage: Usage


def request_hash(config: ChatConfig, question: Question) -> str:
    """Hash of all that determines the question; not of speed, price or retries."""
    identity = [config.model, config.temperature, config.max_tokens, question.messages]
    return hashlib.sha256(json.dumps(identity).encode("utf-8")).hexdigest()[:32]


def _plan(
    questions: Iterable[Question], config: ChatConfig, path: Path, valid: Valid | None = None
) -> tuple[list[tuple[str, str]], dict[str, Any], dict[str, Question]]:
    """Keys with request hashes in order, values in the file by request, what is left to ask."""
    notes = [note for _, note in read_recoverable(path, Annotation)[0]] if path.exists() else []
    kept = (n for n in notes if not n.error and (valid is None or valid(n.value)))
    known = {note.request: note.value for note in kept}
    asked = [(request_hash(config, question), question) for question in questions]
    missing = {request: question for request, question in asked if request not in known}
    return [(question.key, request) for request, question in asked], known, missing


def estimate(
    questions: Iterable[Question], config: ChatConfig, path: str | Path, completion_tokens_each: int
) -> Usage:
    """A dry run: what `annotate` would ask and cost, with a token for every four characters."""
    order, _, missing = _plan(questions, config, Path(path))
    prompt = sum(max(1, len(text) // 4) for q in missing.values() for _, text in q.messages)
    completion = len(missing) * completion_tokens_each
    cached, cost = len(order) - len(missing), config.cost(prompt, completion)
    return Usage(len(order), cached, 0, len(missing), prompt, completion, cost)


def annotate(
    questions: Sequence[Question],
    config: ChatConfig,
    path: str | Path,
    parse: Parse,
    valid: Valid | None = None,
) -> Answers:
    """Ask all questions that have no answer in the file at `path` yet, or none that is `valid`.

    Raises:
        BackendError: the endpoint refuses all, `max_cost` was reached, or the file is in use.
        InputError: the file cannot be read; move it away to start over.
    """
    import filelock

    path, chat = Path(path), ChatClient(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(f"{path}.lock", timeout=0).acquire()
    except filelock.Timeout:
        raise BackendError(f"another process is writing {path}: wait for it to end") from None
    with lock:
        journal = Journal(path)
        if path.is_file():
            journal.mend()
        order, values, missing = _plan(questions, config, path, valid)
        errors: dict[str, str] = {}
        prompt = completion = 0

        def affordable() -> bool:
            return config.max_cost is None or config.cost(prompt, completion) < config.max_cost

        for note in _ask_all(chat, missing, parse, affordable):
            journal.append([note])
            (errors if note.error else values)[note.request] = note.error or note.value
            prompt, completion = prompt + note.prompt_tokens, completion + note.completion_tokens
        cost, cached = config.cost(prompt, completion), len(order) - len(missing)
        if left := sum(request not in values and request not in errors for request in missing):
            raise BackendError(
                f"{cost:.2f} was spent and the limit is {config.max_cost:.2f}: {left} questions "
                f"are left; what was answered is in {path}, raise max_cost to go on"
            )
        found = {key: values[request] for key, request in order if request in values}
        failed = {key: errors[request] for key, request in order if request in errors}
        took = (chat.requests, prompt, completion, cost)
        return Answers(found, failed, Usage(len(order), cached, len(errors), *took))


def _ask_all(
    chat: ChatClient, missing: dict[str, Question], parse: Parse, go_on: Callable[[], bool]
) -> Iterator[Annotation]:
    """Annotations as they come in; what is under way when it must stop still comes out."""
    waiting = iter(missing.items())
    running: set[Future[Annotation]] = set()
    refused: BackendError | None = None
    executor = ThreadPoolExecutor(chat.config.concurrency, thread_name_prefix="chat")
    try:
        while True:
            room = chat.config.concurrency - len(running)
            while room and not refused and go_on() and (item := next(waiting, None)):
                running.add(executor.submit(_ask, chat, *item, parse))
                room -= 1
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    yield future.result()
                except BackendError as error:
                    refused = error
        if refused:
            raise refused
    finally:
        chat.stop()
        executor.shutdown(wait=False, cancel_futures=True)


def _ask(chat: ChatClient, request: str, question: Question, parse: Parse) -> Annotation:
    error, value, prompt, completion = "", None, 0, 0
    for attempt in range(1, chat.config.max_attempts + 1):
        try:
            reply = chat.ask(question.messages, seed=attempt - 1)
            prompt, completion = prompt + reply.prompt_tokens, completion + reply.completion_tokens
            value, error = parse(reply), ""
            break
        except RequestFailed as failure:
            error = str(failure)
            break
        except ValueError as problem:
            error = chat.scrub(f"the answer does not parse: {problem}")
    return Annotation(question.key, request, value, error, attempt, prompt, completion)
