"""What the chapter on reading traces counts: answers along a trace, uncertainty around Waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from s1lab.evaluation import Interval

Rows = Sequence[Mapping[str, Any]]
"""Traces as `s1lab.traces.steps.read_traces` writes them, or rows of `contrasts.csv`."""


def arrivals(traces: Rows) -> list[dict[str, Any]]:
    """When an answer, asked for at every step, is first right, and how often a step loses it."""
    rows = []
    for trace in traces:
        right = [answer["status"] == "correct" for answer in trace["answers"]]
        places = [a["thinking_tokens"] for a, ok in zip(trace["answers"], right, strict=True) if ok]
        rows.append(
            {
                "question": trace["question"],
                "thinking tokens": trace["thinking_tokens"],
                "first right at": places[0] if places else "never",
                "lost again": sum(a and not b for a, b in pairwise(right)),
                "in the end": "right" if trace["status"] == "correct" else "wrong",
            }
        )
    return rows


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


def contrasts(rows: Rows, n: int) -> list[dict[str, Any]]:
    """Steps after a forced Wait beside all others, in bits, over `n` traces."""
    return [
        {
            "measure": row["measure"],
            "where": row["where"],
            "forced Wait": float(row["forced"]),
            "other steps": float(row["plain"]),
            "difference": Interval(*(float(row[c]) for c in ("difference", "low", "high")), n),
        }
        for row in rows
    ]
