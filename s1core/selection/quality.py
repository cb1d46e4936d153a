"""Quality: drop what failed to be annotated and what is badly formatted (Section 2.2, Quality).

First rows with a missing field or an API error (59,029 -> 54,116 in the paper), then questions with
one of four string patterns: ASCII-art diagrams, references to images that do not exist, two kinds
of leftover numbering (54,116 -> 51,581; the official notebook's run kept 51,607). An AIME question
may hold `[asy]`: those diagrams are part of the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from s1core.selection.candidate import Candidate, Partition, partition

STAGE_FIELDS = "missing or failed"
STAGE_FORMAT = "format"

Field = Literal["question", "thinking", "attempt"]


@dataclass(frozen=True, slots=True)
class StringPattern:
    """A sign of bad formatting: a regular expression searched in one field of a candidate.

    Attributes:
        name: the label counted in the funnel.
        regex: searched with `re.search`.
        field: which text is searched.
        unless_source: a candidate whose source contains this is kept when it matches, whatever
            other pattern it matches (as the official notebook does for `[asy]` and AIME).
    """

    name: str
    regex: str
    field: Field = "question"
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
    candidates: Iterable[Candidate], require_trace_grade: bool = True, require_domain: bool = True
) -> Partition:
    """Drop candidates with an API error or without a field that later stages need.

    Args:
        require_trace_grade: `trace_correct` has to be known (Algorithm 1 uses it).
        require_domain: `domain` has to be known.
    """

    def reason(candidate: Candidate) -> tuple[str, str] | None:
        if candidate.error:
            return "API error", candidate.error
        missing = [
            name
            for name, absent in (
                ("question", not candidate.question.strip()),
                ("thinking", not candidate.example.trace.thinking.strip()),
                ("attempt", not candidate.example.trace.attempt.strip()),
                ("domain", require_domain and not candidate.domain),
                ("grade of the small model", candidate.small_correct is None),
                ("grade of the large model", candidate.large_correct is None),
                ("grade of the trace", require_trace_grade and candidate.trace_correct is None),
            )
            if absent
        ]
        return (f"missing {missing[0]}", ", ".join(missing)) if missing else None

    return partition(candidates, STAGE_FIELDS, reason)


def check_format(
    candidates: Iterable[Candidate], patterns: Sequence[StringPattern] = PAPER_PATTERNS
) -> Partition:
    """Drop candidates that match a string pattern; the reason is the first pattern that matched."""
    compiled = [(pattern, re.compile(pattern.regex)) for pattern in patterns]

    def reason(candidate: Candidate) -> tuple[str, str] | None:
        texts = {
            "question": candidate.question,
            "thinking": candidate.example.trace.thinking,
            "attempt": candidate.example.trace.attempt,
        }
        first: tuple[str, str] | None = None
        for pattern, regex in compiled:
            found = regex.search(texts[pattern.field])
            if not found:
                continue
            if pattern.unless_source and pattern.unless_source in candidate.source:
                return None
            first = first or (pattern.name, found.group(0)[:80])
        return first

    return partition(candidates, STAGE_FORMAT, reason)
