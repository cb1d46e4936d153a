"""What selection works on: a pool example with the annotations the paper computed for it.

Section 2.2 and Appendix C decide on four facts about a question: whether a small and a large
model already solve it, whether the teacher's trace is correct, and how long that trace is in
tokens of the model. `Candidate` holds them; `annotate` builds candidates from examples and tables
of annotations. Nothing here knows how the annotations were made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from s1core.errors import InputError
from s1core.records import Example, to_json

Partition = tuple[list["Candidate"], list["Dropped"]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pool example and its annotations (Section 2.2, Appendix C.4).

    Attributes:
        example: the problem (with `source` and `domain`) and the teacher's trace.
        thinking_tokens: length of `example.trace.thinking` in tokens of the model to be trained.
        small_correct: whether the small grader model solves it (the paper: Qwen2.5-7B-Instruct);
            None when it was not graded.
        large_correct: the same for the large one (the paper: Qwen2.5-32B-Instruct).
        trace_correct: whether the teacher's own attempt is correct; None when not graded.
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
        """`Problem.key` of the question."""
        return self.example.problem.key

    @property
    def question(self) -> str:
        """The question's text."""
        return self.example.problem.question

    @property
    def source(self) -> str:
        """Where the question comes from, e.g. `qq8933/AIME_1983_2024`."""
        return self.example.problem.source

    @property
    def domain(self) -> str:
        """The subject given by the domain classifier, e.g. `Number theory`."""
        return self.example.problem.domain


@dataclass(frozen=True, slots=True)
class Dropped:
    """A candidate that a stage dropped, and why.

    `reason` is a short label that is counted in the funnel; `detail` is what triggered it.
    """

    candidate: Candidate
    stage: str
    reason: str
    detail: str = ""


def partition(
    candidates: Iterable[Candidate],
    stage: str,
    reason_of: Callable[[Candidate], tuple[str, str] | None],
) -> Partition:
    """Split candidates into kept and dropped, in input order.

    `reason_of` returns (reason, detail) for a candidate to drop and None for one to keep.
    """
    kept: list[Candidate] = []
    dropped: list[Dropped] = []
    for candidate in candidates:
        verdict = reason_of(candidate)
        if verdict is None:
            kept.append(candidate)
        else:
            dropped.append(Dropped(candidate, stage, *verdict))
    return kept, dropped


def deduplicate(candidates: Iterable[Candidate]) -> Partition:
    """Keep one candidate per question key (Section 2.1: "deduplicate the data").

    Of several candidates with one question the smallest in JSON order is kept, so that the
    result does not depend on the order of the rows. Kept candidates stay in input order.
    """
    pool = list(candidates)
    positions: dict[str, list[int]] = {}
    for position, candidate in enumerate(pool):
        positions.setdefault(candidate.key, []).append(position)
    winners = {
        key: places[0] if len(places) == 1 else min(places, key=lambda i: (to_json(pool[i]), i))
        for key, places in positions.items()
    }
    kept: list[Candidate] = []
    dropped: list[Dropped] = []
    for position, candidate in enumerate(pool):
        if winners[candidate.key] == position:
            kept.append(candidate)
        else:
            dropped.append(Dropped(candidate, "deduplicate", "duplicate question", candidate.key))
    return kept, dropped


def annotate(
    examples: Iterable[Example],
    count_tokens: Callable[[str], int],
    small_correct: Mapping[str, bool],
    large_correct: Mapping[str, bool],
    trace_correct: Mapping[str, bool],
    errors: Mapping[str, str] | None = None,
) -> Iterator[Candidate]:
    """Yield a `Candidate` per example from tables of annotations keyed by question key.

    An example without an entry in a table is left ungraded there (None), which the quality stage
    reports as a missing field. `count_tokens` is the length of a text under the model's tokenizer,
    e.g. `lambda text: len(tokenizer(text).input_ids)`.

    Raises:
        InputError: a token count is negative or not a number.
    """
    errors = errors or {}
    for example in examples:
        key = example.key
        tokens = count_tokens(example.trace.thinking)
        if not math.isfinite(tokens) or tokens < 0:
            raise InputError(f"question {key}: {tokens!r} is not a number of tokens")
        yield Candidate(
            example,
            int(tokens),
            small_correct.get(key),
            large_correct.get(key),
            trace_correct.get(key),
            errors.get(key, ""),
        )
