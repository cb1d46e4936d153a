"""The scaling figure to explore: point at a condition or a question and read what is behind it.

The drawing is SVG made here (`curve.jinja`), complete without a script: points, intervals and a
table of the same numbers. `book/_static/curve.js` (a few kilobytes of our own, where a plotting
library would be 4 MB) adds the grid of questions, with what a condition gains and loses, and the
keys. Data travels as JSON in the page.
"""

import math
from collections.abc import Sequence
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from s1core.errors import InputError
from s1core.records import Problem, printable
from s1lab.evaluation.measure import Point, Samples
from s1lab.figures.display import figure_frame, render
from s1lab.figures.style import thousands

BOX = {"width": 680, "height": 380, "left": 54, "right": 666}
TOP, BOTTOM = 18, 334


def interactive_curve(
    points: Sequence[Point], samples: Sequence[Samples], questions: Sequence[Problem], *,
    name: str = "interactive-scaling", caption: str = "",
) -> str:  # fmt: skip
    """Accuracy against thinking tokens (Figures 1 and 4a), question by question, as HTML.

    For each point, in any order, `samples` has its graded generations; `questions` are those that
    were asked, `name` and `caption` as in `s1lab.figures.display.figure_html`. InputError: no
    points, not as many samples, or a question without a grade.
    """
    if not points or len(points) != len(samples):
        told = f"{len(points)} points and {len(samples)} tables of grades"
        raise InputError(f"interactive curve {name}: {told}; give a point, and a table for each.")
    pairs = sorted(zip(points, samples, strict=True), key=lambda pair: pair[0].thinking_tokens)
    for point, of in pairs:
        if missing := [p.key for p in questions if p.key not in of.keys]:
            told = f"no grade for question {missing[0]} ({len(missing)} missing)"
            raise InputError(f"{point.label}: {told}; give the questions that were asked.")
    points = [point for point, _ in pairs]
    body = render("curve", **_drawing(points), name=name, data=_json(pairs, questions))
    return figure_frame(name, body=body, caption=caption, runs=[p.run for p in points])


def embed(value: Any) -> Markup:
    """JSON that may stand inside a `<script>` element: nothing in it can end the element."""
    return htmlsafe_json_dumps(value, separators=(",", ":"), allow_nan=False)


def _json(pairs: Sequence[tuple[Point, Samples]], asked: Sequence[Problem]) -> Markup:
    """What the script reads: questions, the easiest first, and each point's results for them."""
    solved = [dict(zip(of.keys, of.correct.sum(axis=1), strict=True)) for _, of in pairs]
    ordered = sorted(asked, key=lambda p: (-sum(right[p.key] for right in solved), p.key))
    places = [[of.keys.index(p.key) for p in ordered] for _, of in pairs]
    results = [
        {
            "label": point.label,
            "tokens": round(point.thinking_tokens, 1),
            "accuracy": point.accuracy.percent(),
            "samples": of.correct.shape[1],
            "right": of.correct.sum(axis=1)[at].astype(int).tolist(),
            "spent": of.thinking.mean(axis=1)[at].round().astype(int).tolist(),
            "answers": [printable(str(text)[:80]) for text in of.stated[at, 0]],
        }
        for (point, of), at in zip(pairs, places, strict=True)
    ]
    stops = [number for number, (point, _) in enumerate(pairs) if point.kind == "natural"]
    texts = [printable(p.question[:400]) for p in ordered]
    return embed({"questions": texts, "points": results, "natural": stops[0] if stops else None})


def _drawing(points: Sequence[Point]) -> dict[str, Any]:
    """What the template draws: the points, where a number of tokens (log2, from left to right) and
    an accuracy (upwards) lie in pixels, and the marks of both axes."""
    tokens = [max(point.thinking_tokens, 1.0) for point in points]
    low, high = math.log2(min(tokens)) - 0.3, math.log2(max(tokens)) + 0.3
    top = min(100, 10 * math.ceil(10 * max(point.accuracy.high for point in points)))

    def x(value: float) -> float:
        share = (math.log2(max(value, 1.0)) - low) / (high - low)
        return round(BOX["left"] + share * (BOX["right"] - BOX["left"]), 1)

    def y(accuracy: float) -> float:
        return round(TOP + (1 - 100 * accuracy / top) * (BOTTOM - TOP), 1)

    powers = range(math.ceil(low), math.floor(high) + 1)[:: max(1, math.ceil((high - low) / 9))]
    columns = [(x(2**p), thousands(2**p)) for p in powers]
    rows = [(y(p / 100), p) for p in range(0, top + 1, 10 if top <= 60 else 20)]
    return {**BOX, "x": x, "y": y, "points": points, "rows": rows, "columns": columns}
