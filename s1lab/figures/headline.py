"""The figure of the introduction and the README: accuracy against thinking tokens, ours and theirs.

It turns `measure.Point`s and the paper's Figure 1 into the rows that `scaling_curve` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s1lab.audit import published
from s1lab.figures.plots import scaling_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from s1lab.evaluation.measure import Point

BENCHMARKS = ("MATH500", "GPQA Diamond", "AIME24")


def curve_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """One row per point; capping and "Wait" are two series that meet at the natural stop."""
    rows = [_row(p, "capping") for p in points if p.kind != "wait"]
    rows += [_row(p, "wait") for p in points if p.kind == "natural"]
    return rows + [_row(p, "wait", f"{p.waits}x") for p in points if p.kind == "wait"]


def paper_rows() -> list[dict[str, Any]]:
    """The points of the paper's Figure 1, read off its vector graphic."""
    figure = published.published()["figure1"]["points"]
    return [
        {"thinking_tokens": tokens, "accuracy": percent / 100, "series": name}
        for name in BENCHMARKS
        for tokens, percent in figure[name]
    ]


def headline(points: Sequence[Point], title: str) -> Figure:
    """Our curve with intervals beside the paper's Figure 1."""
    return scaling_curve(curve_rows(points), paper_rows(), title=title)


def _row(point: Point, series: str, label: str = "") -> dict[str, Any]:
    return {
        "thinking_tokens": point.thinking_tokens,
        "accuracy": point.accuracy.estimate,
        "low": point.accuracy.low,
        "high": point.accuracy.high,
        "series": series,
        "label": label,
    }
