"""The records that travel along the pipeline, and how they are read from and written to JSONL.

One record type per arrow of the flow: `Problem` and `Trace` make an `Example` (selection,
fine-tuning); a model answers a `Problem` with a `Generation` (budget forcing); a `Grade` judges it.
This module knows nothing about models, tokenizers or files other than JSONL.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from s1core.errors import InputError

Origin = Literal["sampled", "forced"]
Phase = Literal["thinking", "answer"]
Outcome = Literal["ended", "truncated", "context"]
Status = Literal["correct", "wrong", "no_answer", "truncated", "not_compared"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with a known answer (Section 2.1).

    `domain` is the subject a classifier gave it (Section 2.2, Diversity); "" when unknown.
    """

    question: str
    answer: str
    solution: str = ""
    source: str = ""
    domain: str = ""

    @property
    def key(self) -> str:
        """First 16 hex digits of sha256(question), the identifier that s1 uses."""
        return question_key(self.question)


@dataclass(frozen=True, slots=True)
class Trace:
    """What a teacher produced for a problem: its reasoning and its final attempt (Section 2.1)."""

    thinking: str
    attempt: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One training example: a problem and the trace to imitate."""

    problem: Problem
    trace: Trace

    @property
    def key(self) -> str:
        return self.problem.key


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of token ids with one origin and one phase.

    `origin` says who wrote them: the model ("sampled") or the decoder ("forced").
    Counts are always taken from these marks, never by re-tokenizing text.
    """

    token_ids: tuple[int, ...]
    origin: Origin
    phase: Phase


@dataclass(frozen=True, slots=True)
class Generation:
    """What one budget-forced decoding produced (Section 3.1).

    Attributes:
        problem_key: `Problem.key` of the question.
        sample: index of the sample for this question (0 when there is one).
        segments: token ids in order, after the prompt (the prompt holds the think delimiter).
        outcome: how thinking ended: by itself ("ended"), at `max_thinking` ("truncated"), or
            because the context had to keep room for the answer ("context").
        waits_used: how many times the end of thinking was replaced by the ignore string.
        finish_reason: how the answer ended: "stop" (end of turn) or "length".
        thinking: the thinking tokens as text, for people and graders.
        answer: the sampled answer tokens as text (without delimiter, cue and stop token).
    """

    problem_key: str
    sample: int
    segments: tuple[Segment, ...]
    outcome: Outcome
    waits_used: int
    finish_reason: Literal["stop", "length"] = "stop"
    thinking: str = ""
    answer: str = ""

    def token_ids(self, phase: Phase | None = None, origin: Origin | None = None) -> list[int]:
        """Token ids in order, restricted to a phase and/or an origin."""
        return [
            token
            for segment in self.segments
            if phase in (None, segment.phase) and origin in (None, segment.origin)
            for token in segment.token_ids
        ]

    @property
    def thinking_tokens(self) -> int:
        """Number of thinking tokens, forced ignore strings included."""
        return sum(len(s.token_ids) for s in self.segments if s.phase == "thinking")

    @property
    def answer_tokens(self) -> int:
        """Number of sampled answer tokens (delimiter and cue are not counted)."""
        return len(self.token_ids("answer", "sampled"))


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on one generation: never a bare boolean.

    `extracted` is what the grader took for the answer, `method` how it found and compared it.
    """

    problem_key: str
    sample: int
    status: Status
    extracted: str
    method: str

    @property
    def correct(self) -> bool:
        return self.status == "correct"


def question_key(question: str) -> str:
    """`sha256(question)[:16]`: `question_key("2 + 2 = ?") -> "cc2cbbb5ca6d1de1"`."""
    return hashlib.sha256(question.encode("utf-8")).hexdigest()[:16]


def printable(text: str) -> str:
    """Text with every control or formatting character replaced, line breaks and tabs kept.

    For terminals: a right-to-left override or an escape sequence must not move anything.
    """
    shown = (c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join(shown)


# ---------------------------------------------------------------------------------- JSONL


def to_json(record: Any) -> str:
    """One line of JSON with a stable key order; dataclasses become objects."""
    value = dataclasses.asdict(record) if dataclasses.is_dataclass(record) else record
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def from_dict(kind: type, row: dict[str, Any]) -> Any:
    """Build a record of type `kind` from a parsed JSON object.

    Raises:
        InputError: a field is missing or unknown.
    """
    known = {field.name: field for field in dataclasses.fields(kind)}
    missing = [
        name
        for name, field in known.items()
        if name not in row and field.default is dataclasses.MISSING
    ]
    unknown = sorted(set(row) - set(known))
    if missing or unknown:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(unknown)}"] if unknown else []
        raise InputError(f"not a {kind.__name__}: {'; '.join(parts)}")
    row = dict(row)
    if kind is Example:
        row = {
            "problem": from_dict(Problem, row["problem"]),
            "trace": from_dict(Trace, row["trace"]),
        }
    if kind is Generation:
        row["segments"] = tuple(
            Segment(tuple(s["token_ids"]), s["origin"], s["phase"]) for s in row["segments"]
        )
    return kind(**row)


def read_jsonl(path: str | Path, kind: type | None = None) -> Iterator[Any]:
    """Yield the records of a JSONL file, as dicts or as `kind`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a line is not UTF-8, not JSON, not an object or not a `kind`;
            the message starts with `path:line`.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
                if not isinstance(row, dict):
                    raise InputError(f"expected a JSON object, found {type(row).__name__}")
                yield row if kind is None else from_dict(kind, row)
            except UnicodeDecodeError as error:
                raise InputError(f"{path}:{number}: not UTF-8 ({error.reason})") from error
            except json.JSONDecodeError as error:
                raise InputError(f"{path}:{number}: not JSON ({error.msg})") from error
            except (InputError, TypeError, KeyError) as error:
                raise InputError(f"{path}:{number}: {error}") from error


def read_recoverable(path: str | Path) -> tuple[list[tuple[int, dict[str, Any]]], int | None]:
    """Rows of a JSONL file with their line numbers, and the number of a torn last line.

    A last line that does not parse and does not end in a newline was being written when the
    writer died; it is left out. Anything else that does not parse is an error.

    Raises:
        InputError: a damaged line; the message starts with `path:line`.
    """
    rows: list[tuple[int, dict[str, Any]]] = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
                if not isinstance(row, dict):
                    raise ValueError(f"expected a JSON object, found {type(row).__name__}")
            except ValueError as error:
                if not line.endswith(b"\n"):
                    return rows, number
                reason = getattr(error, "msg", None) or str(error)
                raise InputError(f"{path}:{number}: damaged line ({reason})") from error
            rows.append((number, row))
    return rows, None


def write_jsonl(path: str | Path, records: Iterable[Any]) -> int:
    """Write records to a new file, all or nothing; returns how many.

    The file appears under its name only when it is complete and on disk, so a half-written
    output never looks like a finished one.
    """
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for record in records:
            count += 1
            yield to_json(record) + "\n"

    write_atomically(path, lines())
    return count


def write_atomically(path: str | Path, chunks: Iterable[str]) -> None:
    """Write text to `path` through a temporary file in the same folder and an atomic rename."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Journal:
    """An append-only JSONL file that survives being killed in the middle of a line."""

    path: Path

    def append(self, records: Iterable[Any]) -> int:
        """Add records; they are on disk when this returns. Returns how many."""
        lines = [to_json(record) + "\n" for record in records]
        with open(self.path, "a", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        return len(lines)

    def records(self, kind: type | None = None) -> Iterator[Any]:
        """The records so far; a last line torn by a crash is cut off first.

        Raises:
            InputError: a line that is not the last cannot be read (the message says which).
        """
        if not self.path.exists():
            return iter(())
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            with open(self.path, "r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
        return read_jsonl(self.path, kind)
