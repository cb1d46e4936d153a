"""The records that travel along the pipeline; `s1core.jsonl` reads and writes them. What a field
holds is declared here, once, and checked whenever a record is read from a file."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from s1core.errors import utf8
from s1core.jsonl import (  # noqa: F401 - a record and its file are imported together
    Journal,
    from_dict,
    parse_json,
    read_jsonl,
    read_recoverable,
    to_json,
    write_atomically,
    write_jsonl,
)

Origin = Literal["sampled", "forced"]
Phase = Literal["thinking", "answer"]
Outcome = Literal["ended", "truncated", "context"]
Status = Literal["correct", "wrong", "no_answer", "truncated", "not_compared"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with a known answer (Section 2.1), and its subject (`domain`; "": unknown)."""

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
    """A run of token ids with one phase, written by the model ("sampled") or forced: counts are
    taken from these marks, never by re-tokenizing text."""

    token_ids: tuple[int, ...]
    origin: Origin
    phase: Phase


@dataclass(frozen=True, slots=True)
class Generation:
    """What one budget-forced decoding produced (Section 3.1). Thinking ended by itself ("ended"),
    at `max_thinking` ("truncated"), or because the context had to keep room for the answer."""

    problem_key: str
    sample: int  # index of the sample for this question
    segments: tuple[Segment, ...]  # in order, after the prompt, which holds the think delimiter
    outcome: Outcome
    waits_used: int  # how many times the end of thinking was replaced by the ignore string
    finish_reason: Literal["stop", "length"] = "stop"  # of the answer: "stop" is an end of turn
    thinking: str = ""  # as text, for people and graders
    answer: str = ""  # its sampled tokens as text, without delimiter, cue and stop token

    def token_ids(self, phase: Phase | None = None, origin: Origin | None = None) -> list[int]:
        """Token ids in order, restricted to a phase and/or an origin."""
        chosen = [s for s in self.segments if phase in (None, s.phase)]
        return [t for s in chosen if origin in (None, s.origin) for t in s.token_ids]

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
    """The verdict on one generation: the answer that was `extracted`, and the `method` of it."""

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
    return hashlib.sha256(utf8(question)).hexdigest()[:16]


def printable(text: str) -> str:
    """Text for a terminal: every control or formatting character but line breaks is replaced."""
    replacement = "\N{REPLACEMENT CHARACTER}"
    return "".join(c if c.isprintable() or c in "\n\t" else replacement for c in text)
