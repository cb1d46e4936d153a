"""The scaling figure to explore: point at a condition or a question and read what is behind it.

The drawing is SVG made here, complete without a script: points, intervals and a table of the same
numbers. `book/_static/curve.js` (a few kilobytes of our own, where a plotting library would be
4 MB) adds the grid of questions and the keys. Data travels as JSON inside the page.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1core.records import Problem, printable
from s1lab.figures.display import figure_frame
from s1lab.figures.plots import _thousands

if TYPE_CHECKING:
    from s1lab.evaluation.measure import Point

WIDTH, HEIGHT = 680, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 18, 46
_SERIES = {"budget": "capping", "natural": "capping", "wait": "wait"}


def interactive_curve(
    points: Sequence[Point],
    grades: Sequence[Sequence[Mapping[str, Any]]],
    questions: Sequence[Problem],
    *,
    name: str = "interactive-scaling",
    caption: str = "",
) -> str:
    """Accuracy against thinking tokens (Figures 1 and 4a), question by question, as HTML.

    Args:
        points: measured conditions, in any order.
        grades: for each point its rows of `grades.csv`.
        questions: those that were asked.
        name: unique in the book; names the anchor.
        caption: plain text below.

    Raises:
        ValueError: no points, as many grades as points are not given, or a point lacks a question.
    """
    if not points or len(points) != len(grades):
        raise ValueError(
            f"interactive curve {name}: {len(points)} points and {len(grades)} tables of grades; "
            "give one table for each of at least one point"
        )
    order = sorted(range(len(points)), key=lambda i: points[i].thinking_tokens)
    points, grades = [points[i] for i in order], [grades[i] for i in order]
    data = _data(points, grades, questions)
    body = (
        f'<div class="s1-curve">{_svg(points, name)}'
        f'<script type="application/json">{embed(data)}</script>'
        f"{_table(points)}</div>"
    )
    return figure_frame(name, body, caption=html.escape(caption), runs=[p.run for p in points])


def embed(value: Any) -> str:
    """JSON that may stand inside a `<script>` element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# ------------------------------------------------------------------------------- details


def _data(
    points: Sequence[Point], grades: Sequence[Sequence[Mapping[str, Any]]], asked: Sequence[Problem]
) -> dict[str, Any]:
    """What the script reads: questions, the easiest first, and each point's results for them."""
    tables = []
    for point, rows in zip(points, grades, strict=True):
        by_question: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_question.setdefault(row["problem_key"], []).append(row)
        if missing := [p.key for p in asked if p.key not in by_question]:
            raise ValueError(
                f"{point.label}: no grade for question {missing[0]} ({len(missing)} missing); "
                "give the questions that were asked"
            )
        tables.append(by_question)

    def right(table: Mapping[str, list[Mapping[str, Any]]], key: str) -> int:
        return sum(row["status"] == "correct" for row in table[key])

    ordered = sorted(asked, key=lambda p: (-sum(right(t, p.key) for t in tables), p.key))
    return {
        "questions": [printable(problem.question[:400]) for problem in ordered],
        "points": [
            {
                "label": point.label,
                "tokens": round(point.thinking_tokens, 1),
                "accuracy": point.accuracy.percent(),
                "samples": max(len(rows) for rows in table.values()),
                "right": [right(table, p.key) for p in ordered],
                "spent": [_mean(table[p.key]) for p in ordered],
                "answers": [printable(table[p.key][0]["extracted"][:80]) for p in ordered],
            }
            for point, table in zip(points, tables, strict=True)
        ],
    }


def _mean(rows: Sequence[Mapping[str, Any]]) -> int:
    return round(sum(int(row["thinking_tokens"]) for row in rows) / len(rows))


class _Scale:
    """Thinking tokens (log2) and accuracy to pixels."""

    def __init__(self, points: Sequence[Point]) -> None:
        tokens = [max(point.thinking_tokens, 1.0) for point in points]
        self.low = math.log2(min(tokens)) - 0.3
        self.high = math.log2(max(tokens)) + 0.3
        highest = 100 * max(point.accuracy.high for point in points)
        self.top = min(100, 10 * math.ceil(highest / 10))

    def x(self, tokens: float) -> float:
        share = (math.log2(max(tokens, 1.0)) - self.low) / (self.high - self.low)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, accuracy: float) -> float:
        return _TOP + (1 - 100 * accuracy / self.top) * (HEIGHT - _TOP - _BOTTOM)


def _svg(points: Sequence[Point], name: str) -> str:
    scale = _Scale(points)
    first, last = points[0], points[-1]
    summary = (
        f"Accuracy against average thinking tokens for {len(points)} conditions: from "
        f"{first.accuracy.percent()} percent at {first.thinking_tokens:.0f} tokens to "
        f"{last.accuracy.percent()} percent at {last.thinking_tokens:.0f}. "
        "The table below has every number."
    )
    marks = "".join(_mark(point, number, scale) for number, point in enumerate(points))
    lines = _line([p for p in points if p.kind != "wait"], "capping", scale)
    lines += _line([p for p in points if p.kind != "budget"], "wait", scale)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-labelledby="{name}-summary">'
        f'<title id="{name}-summary">{html.escape(summary)}</title>'
        f"{_axes(scale)}{lines}{marks}</svg>"
    )


def _axes(scale: _Scale) -> str:
    parts = []
    for percent in range(0, scale.top + 1, 10 if scale.top <= 60 else 20):
        y = scale.y(percent / 100)
        parts.append(
            f'<path class="s1-grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent}</text>'
        )
    powers = range(math.ceil(scale.low), math.floor(scale.high) + 1)
    for power in powers[:: max(1, math.ceil(len(powers) / 9))]:
        x = scale.x(2**power)
        label = _thousands(2**power)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 26}" text-anchor="middle">{label}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">average thinking tokens</text>'
        f'<text transform="translate(12 {HEIGHT / 2 - 16}) rotate(-90)" text-anchor="middle">'
        "accuracy (%)</text>"
    )
    return "".join(parts)


def _line(points: Sequence[Point], series: str, scale: _Scale) -> str:
    if len(points) < 2:
        return ""
    path = "L".join(
        f"{scale.x(p.thinking_tokens):.1f} {scale.y(p.accuracy.estimate):.1f}" for p in points
    )
    if series == "wait":  # above its highest point; capping: below its middle, where it rises
        at = max(points, key=lambda p: p.accuracy.high)
        x, y, label = scale.x(at.thinking_tokens) - 16, scale.y(at.accuracy.high) - 8, "Wait"
    else:
        at = points[len(points) // 2]
        x, y = scale.x(at.thinking_tokens) + 12, scale.y(at.accuracy.estimate) + 24
        label = "capping"
    return (
        f'<path class="s1-line s1-series-{series}" d="M{path}"/>'
        f'<text class="s1-name s1-series-{series}" x="{x:.1f}" y="{y:.1f}">{label}</text>'
    )


def _mark(point: Point, number: int, scale: _Scale) -> str:
    x, y = scale.x(point.thinking_tokens), scale.y(point.accuracy.estimate)
    low, high = scale.y(point.accuracy.low), scale.y(point.accuracy.high)
    label = html.escape(
        f"{point.label}: {point.accuracy.percent()} percent at "
        f"{point.thinking_tokens:.0f} thinking tokens"
    )
    shape = (
        f'<path class="s1-dot" d="M{x:.1f} {y - 6.5:.1f}l6 10.5h-12z"/>'
        if point.kind == "wait"
        else f'<circle class="s1-dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    )
    return (
        f'<g class="s1-point s1-series-{_SERIES.get(point.kind, "capping")}" data-point="{number}"'
        f' role="img" aria-label="{label}"><title>{label}</title>'
        f'<circle class="s1-hit" cx="{x:.1f}" cy="{y:.1f}" r="13"/>'
        f'<path class="s1-interval" d="M{x:.1f} {low:.1f}V{high:.1f}"/>{shape}</g>'
    )


def _table(points: Sequence[Point]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(p.label)}</th><td>{p.thinking_tokens:.1f}</td>"
        f"<td>{p.accuracy.percent()}</td></tr>"
        for p in points
    )
    return (
        "<details class='s1-numbers'><summary>The numbers</summary><table><thead><tr>"
        "<th scope='col'>condition</th><th scope='col'>thinking tokens</th>"
        f"<th scope='col'>accuracy % [95% interval]</th></tr></thead><tbody>{rows}</tbody></table>"
        "</details>"
    )
