"""What selection works on: a pool example with the annotations the paper computed for it.

Nothing here knows how these annotations were made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from s1core.records import Example, to_json

Partition = tuple[list["Candidate"], list["Dropped"]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pool example and its annotations (Section 2.2, Appendix C.4).

    Attributes:
        example: the problem (with `source` and `domain`) and the teacher's trace.
        thinking_tokens: length of `example.trace.thinking` in tokens of the model to be trained.
        small_correct, large_correct: whether the small and the large grader model (the paper:
            Qwen2.5-7B-Instruct and 32B) solve it; None when it was not graded, here and below.
        trace_correct: whether the teacher's own attempt is correct.
        error: what went wrong while annotating, e.g. an API error; "" when nothing did.
    """

    example: Example
    thinking_tokens: int
    small_correct: bool | None = None
    large_correct: bool | None = None
    trace_correct: bool | None = None
    error: str = ""

    @property
    def key(self) -> str:
        """`Problem.key` of the question; `question`, `source` and `domain` are its fields."""
        return self.example.problem.key

    @property
    def question(self) -> str:
        return self.example.problem.question

    @property
    def source(self) -> str:
        return self.example.problem.source

    @property
    def domain(self) -> str:
        return self.example.problem.domain


@dataclass(frozen=True, slots=True)
class Dropped:
    """A candidate that a stage dropped: a short label that is counted, and what triggered it."""

    candidate: Candidate
    reason: str
    detail: str = ""


def partition(
    candidates: Iterable[Candidate], reason_of: Callable[[Candidate], tuple[str, str] | None]
) -> Partition:
    """Split candidates, in order; `reason_of` gives (reason, detail) for one to drop, else None."""
    kept: list[Candidate] = []
    dropped: list[Dropped] = []
    for candidate in candidates:
        if (verdict := reason_of(candidate)) is None:
            kept.append(candidate)
        else:
            dropped.append(Dropped(candidate, *verdict))
    return kept, dropped


def deduplicate(candidates: Iterable[Candidate]) -> Partition:
    """Keep one candidate per question key (Section 2.1: "deduplicate the data").

    Of several candidates with one question the smallest in JSON order is kept, so that the
    result does not depend on the order of the rows. Kept candidates stay in input order.
    """
    pool = list(candidates)
    best: dict[str, int] = {}
    for place, candidate in enumerate(pool):
        other = best.setdefault(candidate.key, place)
        if other != place and to_json(candidate) < to_json(pool[other]):
            best[candidate.key] = place
    kept, order = set(best.values()), itertools.count()
    return partition(pool, lambda c: None if next(order) in kept else ("duplicate question", c.key))
