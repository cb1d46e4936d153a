"""What selection works on, and which questions are worth training on (Section 2.2).

Quality drops rows with a missing field or an API error, then questions with one of four string
patterns. Difficulty keeps what neither grader model solves. The length of the trace, the paper's
second measure of difficulty, is no filter: it weighs the draw in `diversity`.
"""

import itertools
import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Literal

from s1core.jsonl import from_dict, read_yaml, to_json
from s1core.records import Example

Partition = tuple[list["Candidate"], list["Dropped"]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pool example and its annotations (Section 2.2, Appendix C.4); None: was not graded."""

    example: Example
    thinking_tokens: int  # length of its thinking in tokens of the model to be trained
    small_correct: bool | None = None  # by the small grader model (the paper: Qwen2.5-7B-Instruct)
    large_correct: bool | None = None  # by the large one (32B)
    trace_correct: bool | None = None  # the teacher's own attempt
    error: str = ""  # what went wrong while annotating, e.g. an API error

    key = property(attrgetter("example.problem.key"))
    question = property(attrgetter("example.problem.question"))
    source = property(attrgetter("example.problem.source"))
    domain = property(attrgetter("example.problem.domain"))
    thinking = property(attrgetter("example.trace.thinking"))
    attempt = property(attrgetter("example.trace.attempt"))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A candidate that a stage dropped, and why: a short label, which is counted."""

    candidate: Candidate
    reason: str


def partition(candidates: Iterable[Candidate], reason_of: Callable[[Candidate], str]) -> Partition:
    """Split candidates, in order; `reason_of` says why one is dropped, "" of one that is kept."""
    judged = [(candidate, reason_of(candidate)) for candidate in candidates]
    dropped = [Dropped(candidate, reason) for candidate, reason in judged if reason]
    return [candidate for candidate, reason in judged if not reason], dropped


def deduplicate(candidates: Iterable[Candidate]) -> Partition:
    """Keep one candidate per question key (Section 2.1: "deduplicate the data"): the smallest in
    JSON order, so that the result does not depend on the order of the rows."""
    pool = list(candidates)
    best: dict[str, int] = {}
    for place, candidate in enumerate(pool):
        other = best.setdefault(candidate.key, place)
        if other != place and to_json(candidate) < to_json(pool[other]):
            best[candidate.key] = place
    kept, order = set(best.values()), itertools.count()
    return partition(pool, lambda _: "" if next(order) in kept else "duplicate question")


@dataclass(frozen=True, slots=True)
class StringPattern:
    """A sign of bad formatting, searched in one field of a candidate. One whose source contains
    `unless_source` is kept (as the official notebook does for `[asy]` and AIME)."""

    name: str
    regex: str
    field: Literal["question", "thinking", "attempt"] = "question"
    unless_source: str = ""


_TABLES = read_yaml(Path(__file__).with_name("criteria.yaml"))
ANNOTATIONS: dict[str, str] = _TABLES["annotations"]
PAPER_PATTERNS = tuple(from_dict(StringPattern, row) for row in _TABLES["patterns"])


def check_fields(
    candidates: Iterable[Candidate], required: Container[str] = ANNOTATIONS
) -> Partition:
    """Drop candidates with an API error or without a text or a `required` annotation."""

    def reason(candidate: Candidate) -> str:
        if candidate.error:
            return "API error"
        for name in ("question", "thinking", "attempt"):
            if not getattr(candidate, name).strip():
                return f"missing {name}"
        for name, label in ANNOTATIONS.items():
            if name in required and getattr(candidate, name) in (None, ""):
                return f"missing {label}"
        return ""

    return partition(candidates, reason)


def check_format(
    candidates: Iterable[Candidate], patterns: Sequence[StringPattern] = PAPER_PATTERNS
) -> Partition:
    """Drop candidates that match a string pattern; the reason is the first pattern that matched."""
    compiled = [(pattern, re.compile(pattern.regex)) for pattern in patterns]

    def reason(candidate: Candidate) -> str:
        found = [p for p, regex in compiled if regex.search(getattr(candidate, p.field))]
        if any(p.unless_source and p.unless_source in candidate.source for p in found):
            return ""
        return found[0].name if found else ""

    return partition(candidates, reason)


def difficulty(candidates: Iterable[Candidate]) -> Partition:
    """Drop candidates that either grader solves; an ungraded one (None) counts as not solved."""

    def reason(candidate: Candidate) -> str:
        small, large = candidate.small_correct, candidate.large_correct
        if small and large:
            return "solved by both models"
        return f"solved by the {'small' if small else 'large'} model only" if small or large else ""

    return partition(candidates, reason)
