"""Many questions to a chat endpoint: concurrent, resumable, cached by content, priced beforehand.

`annotate` appends every answer to a JSONL file as it comes in, fsynced, so that a job can be killed
at any moment and asked for again: what is in the file is not asked twice. An entry is found by the
hash of everything that determines the question (model, messages, sampling), so a changed prompt is
asked anew and two rows with one text are asked once. Answers that do not parse are asked for again
a bounded number of times and then recorded as failures.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from s1core.errors import BackendError, InputError
from s1core.records import read_jsonl, to_json
from s1lab.annotation.chat import ChatClient, ChatConfig, ChatFailure, ChatReply, Message

Parse = Callable[[ChatReply], Any]
"""Reply -> a JSON value; raises ValueError when the reply does not say what was asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask about one problem: its key and the conversation."""

    key: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """The outcome for one question: a parsed value, or the error that was left after all attempts.

    Tokens and requests cover every attempt; both are 0 when the answer came from the file.
    """

    key: str
    request: str
    value: Any
    error: str = ""
    attempts: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return not self.error


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job took, or is expected to take."""

    questions: int
    cached: int
    failed: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


def request_hash(config: ChatConfig, question: Question) -> str:
    """Hash of all that determines the question; not of speed, price or retries."""
    identity = [config.model, config.temperature, config.max_tokens, question.messages]
    return hashlib.sha256(json.dumps(identity).encode("utf-8")).hexdigest()[:32]


def estimate(
    questions: Iterable[Question],
    config: ChatConfig,
    path: str | Path,
    completion_tokens_each: int,
    count_tokens: Callable[[str], int] | None = None,
) -> Usage:
    """A dry run: what `annotate` would ask and cost, without asking anything.

    Args:
        completion_tokens_each: tokens expected per answer (reasoning included).
        count_tokens: length of a text in tokens; by default a quarter of its characters.
    """
    count = count_tokens or (lambda text: max(1, len(text) // 4))
    known = {a.request for a in read_annotations(path) if a.ok}
    asked: dict[str, int] = {}
    total = 0
    for question in questions:
        total += 1
        request = request_hash(config, question)
        if request not in known:
            asked[request] = sum(count(content) for _, content in question.messages)
    prompt, completion = sum(asked.values()), len(asked) * completion_tokens_each
    cost = config.cost(prompt, completion)
    return Usage(total, total - len(asked), 0, len(asked), prompt, completion, cost)


def annotate(
    questions: Sequence[Question],
    config: ChatConfig,
    path: str | Path,
    parse: Parse,
    on_progress: Callable[[Usage], None] | None = None,
) -> tuple[list[Annotation], Usage]:
    """Ask all questions that are not answered in the file at `path` yet.

    Returns:
        One annotation per question, in the order of the questions, and what this call took.
        Questions that failed in an earlier call are asked again.

    Raises:
        BackendError: the endpoint refuses everything, or `max_cost` was reached.
        BackendError: another process writes to the same file, or the file cannot be read.
    """
    import filelock

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BackendError(f"another process is writing {path}: wait for it to end") from None
    try:
        _cut_half_line(path)
        known = {a.request: a for a in read_annotations(path) if a.ok}
        order = [(q, request_hash(config, q)) for q in questions]
        missing = {request: q for q, request in order if request not in known}
        cached = len(order) - len(missing)
        usage = Usage(len(order), cached, 0, 0, 0, 0, 0.0)
        fresh: dict[str, Annotation] = {}
        with open(path, "a", encoding="utf-8", newline="\n") as file:

            def affordable() -> bool:
                return config.max_cost is None or usage.cost < config.max_cost

            for annotation in _ask_all(missing, config, parse, affordable):
                _append(file, annotation)
                fresh[annotation.request] = annotation
                usage = _add(usage, annotation, config)
                if on_progress:
                    on_progress(usage)
        if len(fresh) < len(missing):
            raise BackendError(
                f"{usage.cost:.2f} was spent and the limit is {config.max_cost:.2f}: "
                f"{len(missing) - len(fresh)} questions are left; what was answered is in {path}, "
                "raise max_cost to go on"
            )
        return [_of(q, request, known, fresh) for q, request in order], usage
    finally:
        lock.release()


def read_annotations(path: str | Path) -> Iterator[Annotation]:
    """The annotations in a file, oldest first; nothing when there is no file.

    A last line without an end, as a kill leaves it, is not an annotation and is passed over.

    Raises:
        BackendError: another line cannot be read.
    """
    path = Path(path)
    if not path.exists():
        return
    whole = _end_of_last_line(path) == path.stat().st_size
    try:
        rows = read_jsonl(path, Annotation)
        last: Annotation | None = None
        for row in rows:
            if last is not None:
                yield last
            last = row
        if last is not None:
            yield last
    except InputError as error:
        if whole:
            raise BackendError(f"{error}: move the file away to start over") from error
        if last is not None:
            yield last


def _ask_all(
    missing: dict[str, Question], config: ChatConfig, parse: Parse, go_on: Callable[[], bool]
) -> Iterator[Annotation]:
    """Annotations as they come in; at most `concurrency` questions are under way.

    When the endpoint refuses or `go_on` says no, nothing new is asked; what is under way is paid
    for and still comes out, before the error is raised.
    """
    client = ChatClient(config)
    waiting = iter(missing.items())
    running: set[Future[Annotation]] = set()
    refused: BackendError | None = None
    executor = ThreadPoolExecutor(config.concurrency, thread_name_prefix="chat")
    try:
        while True:
            while not refused and len(running) < config.concurrency and go_on():
                item = next(waiting, None)
                if item is None:
                    break
                running.add(executor.submit(_ask, client, item[1], item[0], parse))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    yield future.result()
                except BackendError as error:
                    refused = error
                    client.stop()
        if refused:
            raise refused
    finally:
        client.stop()
        executor.shutdown(wait=False, cancel_futures=True)


def _ask(client: ChatClient, question: Question, request: str, parse: Parse) -> Annotation:
    error, requests, prompt, completion = "", 0, 0, 0
    for attempt in range(1, client.config.max_attempts + 1):
        try:
            reply = client.ask(question.messages, seed=attempt - 1)
        except ChatFailure as failure:
            requests += failure.requests
            error = str(failure)
            return Annotation(
                question.key, request, None, error, attempt, requests, prompt, completion
            )
        requests += reply.requests
        prompt += reply.prompt_tokens
        completion += reply.completion_tokens
        try:
            value = parse(reply)
            return Annotation(
                question.key, request, value, "", attempt, requests, prompt, completion
            )
        except ValueError as problem:
            error = f"the answer does not parse: {problem}"
    return Annotation(
        question.key, request, None, error, client.config.max_attempts, requests, prompt, completion
    )


def _append(file: IO[str], annotation: Annotation) -> None:
    file.write(to_json(annotation) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _cut_half_line(path: Path) -> None:
    """Remove what a kill left of a line, so that the next record starts on its own."""
    if path.exists() and (end := _end_of_last_line(path)) < path.stat().st_size:
        os.truncate(path, end)


def _end_of_last_line(path: Path) -> int:
    """Position after the last newline of a file; 0 when it has none. Reads from the end."""
    with open(path, "rb") as file:
        position = file.seek(0, os.SEEK_END)
        while position:
            start = max(0, position - 2**16)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            position = start
    return 0


def _add(usage: Usage, annotation: Annotation, config: ChatConfig) -> Usage:
    fields = asdict(usage)
    fields["failed"] += not annotation.ok
    for name in ("requests", "prompt_tokens", "completion_tokens"):
        fields[name] += getattr(annotation, name)
    fields["cost"] = config.cost(fields["prompt_tokens"], fields["completion_tokens"])
    return Usage(**fields)


def _of(
    question: Question, request: str, known: dict[str, Annotation], fresh: dict[str, Annotation]
) -> Annotation:
    found = fresh.get(request)
    if found is not None and found.key == question.key:
        return found
    found = found or known[request]
    return Annotation(question.key, request, found.value, found.error, found.attempts)
