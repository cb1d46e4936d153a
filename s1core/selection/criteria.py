"""Quality and difficulty: which questions are worth training on (Section 2.2).

Quality drops rows with a missing field or an API error, then questions with one of four string
patterns: ASCII-art diagrams, references to images that do not exist, two kinds of leftover
numbering. Difficulty keeps what neither grader model solves. The length of the trace, the paper's
second measure of difficulty, is no filter: it weighs the draw in `diversity`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from s1core.selection.candidate import Candidate, Partition, partition

ANNOTATIONS = {
    "domain": "domain",
    "small_correct": "grade of the small model",
    "large_correct": "grade of the large model",
    "trace_correct": "grade of the trace",
}
"""What a candidate needs beside its texts before the later stages can decide about it."""


@dataclass(frozen=True, slots=True)
class StringPattern:
    """A sign of bad formatting: a regular expression searched in one field of a candidate.

    A candidate whose source contains `unless_source` is kept when it matches, whatever else it
    matches (as the official notebook does for `[asy]` and AIME).
    """

    name: str
    regex: str
    field: Literal["question", "thinking", "attempt"] = "question"
    unless_source: str = ""


PAPER_PATTERNS: tuple[StringPattern, ...] = (
    StringPattern("[asy] diagram", r"\[asy\]", unless_source="AIME"),
    StringPattern("image reference", r"!\[Image\]"),
    # The notebook tests "p1." ... "p999." one by one; this is the same set.
    StringPattern("leftover numbering p1.", r"p[1-9][0-9]{0,2}\."),
    StringPattern("leftover numbering **1**", r"\*\*(?=.*\d)[^\s\]]*\*\*"),
)
"""The four string patterns of the official `data/filter.ipynb`, with the AIME exception."""


def check_fields(
    candidates: Iterable[Candidate], required: Container[str] = ANNOTATIONS
) -> Partition:
    """Drop candidates with an API error or without a text or a `required` annotation."""

    def reason(candidate: Candidate) -> tuple[str, str] | None:
        if candidate.error:
            return "API error", candidate.error
        trace = candidate.example.trace
        texts = {
            "question": candidate.question,
            "thinking": trace.thinking,
            "attempt": trace.attempt,
        }
        missing = [name for name, text in texts.items() if not text.strip()]
        needed = [name for name in ANNOTATIONS if name in required]
        missing += [ANNOTATIONS[n] for n in needed if getattr(candidate, n) in (None, "")]
        return (f"missing {missing[0]}", ", ".join(missing)) if missing else None

    return partition(candidates, reason)


def check_format(
    candidates: Iterable[Candidate], patterns: Sequence[StringPattern] = PAPER_PATTERNS
) -> Partition:
    """Drop candidates that match a string pattern; the reason is the first pattern that matched."""
    compiled = [(pattern, re.compile(pattern.regex)) for pattern in patterns]

    def reason(candidate: Candidate) -> tuple[str, str] | None:
        first: tuple[str, str] | None = None
        for pattern, regex in compiled:
            holder = candidate if pattern.field == "question" else candidate.example.trace
            found = regex.search(getattr(holder, pattern.field))
            if not found:
                continue
            if pattern.unless_source and pattern.unless_source in candidate.source:
                return None
            first = first or (pattern.name, found.group(0)[:80])
        return first

    return partition(candidates, reason)


def difficulty(candidates: Iterable[Candidate]) -> Partition:
    """Drop candidates that either grader solves; an ungraded one (None) counts as not solved."""

    def reason(candidate: Candidate) -> tuple[str, str] | None:
        small, large = candidate.small_correct, candidate.large_correct
        if not (small or large):
            return None
        one = f"the {'small' if small else 'large'} model only"
        return f"solved by {'both models' if small and large else one}", ""

    return partition(candidates, reason)
