"""The scaling figure to explore: point at a condition or a question and read what is behind it.

The drawing is SVG made here (`curve.jinja`), complete without a script: points, intervals and a
table of the same numbers. `book/_static/curve.js` (a few kilobytes of our own, where a plotting
library would be 4 MB) adds the grid of questions, with what a condition gains and loses, and the
keys. Data travels as JSON in the page.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from markupsafe import Markup

from s1core.errors import InputError
from s1core.records import Problem, Status, from_dict, printable
from s1lab.evaluation.measure import Point
from s1lab.figures.display import figure_frame, render
from s1lab.figures.style import thousands

BOX = {"width": 680, "height": 380, "left": 54, "right": 666}
TOP, BOTTOM = 18, 334


@dataclass(frozen=True, slots=True)
class CurveGrade:
    """What the figure reads of a row of `grades.csv`."""

    problem_key: str
    status: Status
    thinking_tokens: int
    extracted: str


def interactive_curve(
    points: Sequence[Point], grades: Sequence[Sequence[Mapping[str, Any]]],
    questions: Sequence[Problem], *, name: str = "interactive-scaling", caption: str = "",
) -> str:  # fmt: skip
    """Accuracy against thinking tokens (Figures 1 and 4a), question by question, as HTML.

    For each point, in any order, `grades` has its rows of `grades.csv`; `questions` are those that
    were asked, `name` and `caption` as in `s1lab.figures.display.figure_html`. InputError: no
    points, not as many tables of grades, a question without a grade, or a field of another kind.
    """
    if not points or len(points) != len(grades):
        told = f"{len(points)} points and {len(grades)} tables of grades"
        raise InputError(f"interactive curve {name}: {told}; give a point, and a table for each.")
    pairs = sorted(zip(points, grades, strict=True), key=lambda pair: pair[0].thinking_tokens)
    found = [(point, _by_question(rows, point.label, questions)) for point, rows in pairs]
    points = [point for point, _ in found]
    body = render("curve", **_drawing(points), name=name, data=_json(found, questions))
    return figure_frame(name, body=body, caption=caption, runs=[p.run for p in points])


def embed(value: Any) -> Markup:
    """JSON that may stand inside a `<script>` element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _by_question(
    rows: Sequence[Mapping[str, Any]], label: str, asked: Sequence[Problem]
) -> dict[str, list[CurveGrade]]:
    """Grades by question; tokens are text in a CSV file."""
    table: dict[str, list[CurveGrade]] = {}
    for number, given in enumerate(rows, 1):
        row = {name: given[name] for name in CurveGrade.__slots__ if name in given}
        if str(row.get("thinking_tokens")).isdecimal():
            row["thinking_tokens"] = int(row["thinking_tokens"])
        try:
            made = from_dict(CurveGrade, row)
        except InputError as error:
            raise InputError(f"{label}, grade {number}: {error}") from error
        table.setdefault(made.problem_key, []).append(made)
    if missing := [p.key for p in asked if p.key not in table]:
        told = f"no grade for question {missing[0]} ({len(missing)} missing)"
        raise InputError(f"{label}: {told}; give the questions that were asked.")
    return table


def _json(
    found: Sequence[tuple[Point, dict[str, list[CurveGrade]]]], asked: Sequence[Problem]
) -> Markup:
    """What the script reads: questions, the easiest first, and each point's results for them."""
    right = [
        {key: sum(row.status == "correct" for row in rows) for key, rows in table.items()}
        for _, table in found
    ]
    ordered = sorted(asked, key=lambda p: (-sum(solved[p.key] for solved in right), p.key))
    results = [
        {
            "label": point.label,
            "tokens": round(point.thinking_tokens, 1),
            "accuracy": point.accuracy.percent(),
            "samples": max(map(len, table.values())),
            "right": [solved[p.key] for p in ordered],
            "spent": [round(mean(r.thinking_tokens for r in table[p.key])) for p in ordered],
            "answers": [printable(table[p.key][0].extracted[:80]) for p in ordered],
        }
        for (point, table), solved in zip(found, right, strict=True)
    ]
    stops = [number for number, (point, _) in enumerate(found) if point.kind == "natural"]
    texts = [printable(p.question[:400]) for p in ordered]
    return embed({"questions": texts, "points": results, "natural": stops[0] if stops else None})


def _drawing(points: Sequence[Point]) -> dict[str, Any]:
    """Pixels of the drawing: thinking tokens (log2) from left to right, accuracy upwards."""
    tokens = [max(point.thinking_tokens, 1.0) for point in points]
    low, high = math.log2(min(tokens)) - 0.3, math.log2(max(tokens)) + 0.3
    top = min(100, 10 * math.ceil(10 * max(point.accuracy.high for point in points)))

    def x(value: float) -> float:
        share = (math.log2(max(value, 1.0)) - low) / (high - low)
        return round(BOX["left"] + share * (BOX["right"] - BOX["left"]), 1)

    def y(accuracy: float) -> float:
        return round(TOP + (1 - 100 * accuracy / top) * (BOTTOM - TOP), 1)

    marks = [
        {
            **{"label": p.label, "accuracy": p.accuracy.percent(), "tokens": p.thinking_tokens},
            **{"series": "wait" if p.kind == "wait" else "capping", "n": p.accuracy.n},
            "x": x(p.thinking_tokens),
            **{name: y(value) for name, value in p.accuracy.row("y").items()},
        }
        for p in points
    ]
    lines = []
    for series, other, label in (("capping", "wait", "capping"), ("wait", "budget", "Wait")):
        shown = [mark for mark, p in zip(marks, points, strict=True) if p.kind != other]
        if len(shown) > 1:
            path = "L".join(f"{mark['x']} {mark['y']}" for mark in shown)
            # Wait: above its highest point; capping: below its middle, where it rises.
            at = shown[len(shown) // 2]
            place = (at["x"] + 12, at["y"] + 24)
            if series == "wait":
                at = min(shown, key=lambda mark: mark["high"])
                place = (at["x"] - 16, at["high"] - 8)
            lines.append((series, path, *place, label))
    powers = range(math.ceil(low), math.floor(high) + 1)[:: max(1, math.ceil((high - low) / 9))]
    percents = range(0, top + 1, 10 if top <= 60 else 20)
    rows = [(y(p / 100), p) for p in percents]
    columns = [(x(2**p), thousands(2**p)) for p in powers]
    return {**BOX, "lines": lines, "points": marks, "rows": rows, "columns": columns}
