"""What the chapter on reading traces counts: answers along a trace, uncertainty around Waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from s1lab.evaluation import Interval
from s1lab.evaluation.report import Row, lines

Rows = Sequence[Mapping[str, Any]]
"""Traces as `s1lab.traces.steps.read_traces` writes them, or rows of `contrasts.csv`."""


def arrivals(traces: Rows) -> list[Row]:
    """When an answer, asked for at every step, is first right, and how often a step loses it."""
    rows = []
    for trace in traces:
        right = [answer["status"] == "correct" for answer in trace["answers"]]
        places = [a["thinking_tokens"] for a, ok in zip(trace["answers"], right, strict=True) if ok]
        lost = sum(a and not b for a, b in pairwise(right))
        end = "right" if trace["status"] == "correct" else "wrong"
        first = places[0] if places else "never"
        rows.append((trace["question"], trace["thinking_tokens"], first, lost, end))
    return lines("question | thinking tokens | first right at | lost again | in the end", rows)


def spared(rows: Rows) -> list[int]:
    """Tokens thought after the first right answer, where the end is right, fewest first."""
    ended = (
        row for row in rows if row["in the end"] == "right" and row["first right at"] != "never"
    )
    return sorted(row["thinking tokens"] - row["first right at"] for row in ended)


def turns(traces: Rows) -> Counter[tuple[bool, bool]]:
    """Steps that a forced Wait opens: was the answer right before the step, is it after?"""
    seen: Counter[tuple[bool, bool]] = Counter()
    for trace in traces:
        right = {a["thinking_tokens"]: a["status"] == "correct" for a in trace["answers"]}
        forced = [s for s in trace["steps"] if s["pieces"][0]["origin"] == "forced"]
        seen.update((right[step["start"]], right[step["end"]]) for step in forced)
    return seen


def cue_costs(traces: Rows) -> tuple[int, int]:
    """Traces that end right by themselves, and those of them that are wrong when asked there."""
    by_itself = [t for t in traces if t["status"] == "correct" and t["outcome"] == "ended"]
    return len(by_itself), sum(t["answers"][-1]["status"] != "correct" for t in by_itself)


def contrasts(rows: Rows, n: int) -> list[Row]:
    """Steps after a forced Wait beside all others, in bits, over `n` traces."""
    ends, cells = ("difference", "low", "high"), []
    for row in rows:
        gap = Interval(*(float(row[name]) for name in ends), n)
        means = (float(row[name]) for name in ("forced", "plain"))
        cells.append((row["measure"], row["where"], *means, gap))
    return lines("measure | where | forced Wait | other steps | difference", cells)
