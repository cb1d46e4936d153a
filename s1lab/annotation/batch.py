"""Many questions to a chat endpoint: concurrent, resumable, cached by content, priced beforehand.

Every answer is appended to a JSONL file as it comes in, fsynced, under the hash of what determines
the question (model, messages, sampling): a changed prompt is asked anew, two rows with one text
once. Answers that do not parse are asked for again a bounded number of times, then they failed.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def _plan(
    questions: Iterable[Question], config: ChatConfig, path: Path, valid: Valid | None = None
) -> tuple[list[tuple[str, str]], dict[str, Any], dict[str, Question]]:
    """Keys with request hashes in order, values in the file by request, what is left to ask."""
    notes = [note for _, note in read_recoverable(path, Annotation)[0]] if path.exists() else []
    kept = (n for n in notes if not n.error and (valid is None or valid(n.value)))
    known = {note.request: note.value for note in kept}
    order, missing = [], {}
    for question in questions:
        identity = [config.model, config.temperature, config.max_tokens, question.messages]
        request = hashlib.sha256(json.dumps(identity).encode("utf-8")).hexdigest()[:32]
        order.append((question.key, request))
        if request not in known:
            missing[request] = question
    return order, known, missing


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
    Raises BackendError: the endpoint refuses all, `max_cost` was reached, or the file is in use.
    InputError: the file cannot be read; move it away to start over."""
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
        spent, refused, writing = [0, 0], [], threading.Lock()

        def ask(item: tuple[str, Question]) -> None:
            """Ask, unless it must stop; what is under way by then is kept."""
            if refused or config.max_cost is not None and config.cost(*spent) >= config.max_cost:
                return
            try:
                note = _ask(chat, *item, parse)
            except BackendError as error:
                refused.append(error)
                return
            with writing:
                journal.append([note])
                (errors if note.error else values)[note.request] = note.error or note.value
                spent[0] += note.prompt_tokens
                spent[1] += note.completion_tokens

        with ThreadPoolExecutor(config.concurrency) as pool:
            try:
                list(pool.map(ask, missing.items()))
            finally:
                chat.stop()
        if refused:
            raise refused[0]
        cost = config.cost(*spent)
        if left := len(missing.keys() - values.keys() - errors.keys()):
            raise BackendError(
                f"{cost:.2f} was spent and the limit is {config.max_cost:.2f}: {left} questions "
                f"are left; what was answered is in {path}, raise max_cost to go on"
            )
        found, failed = ({k: of[r] for k, r in order if r in of} for of in (values, errors))
        known = (len(order), len(order) - len(missing), len(errors))
        return Answers(found, failed, Usage(*known, chat.requests, *spent, cost))


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
