"""Figures of the ablation chapters: training sets (Table 2) and sequence lengths (Table 8).

Tidy rows in, one Figure out, as in `plots`. What we measured is blue and filled; the paper's is
grey and hollow, and stands in panels of its own, since it is another task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from s1lab.figures.labels import Line, label_lines
from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Rows = Sequence[Mapping[str, Any]]

DASHES = ("-", (0, (5, 2)), (0, (1, 1.6)), (0, (5, 1.5, 1, 1.5)))


@styled
def differences(ours: Rows, paper: Rows, *, reference: str = "s1") -> Figure:
    """Differences to a reference with their intervals, one panel for each benchmark (Table 2).

    Args:
        ours, paper: rows with `benchmark`, `name`, and `difference`, `low`, `high` in percentage
            points. The first name is on top.
        reference: what all are compared with; the line at zero.
    """
    import matplotlib.pyplot as plt

    heights = [0.85 + 0.34 * len({row["name"] for row in rows}) for rows in (ours, paper)]
    fig = plt.figure(figsize=(WIDTH, sum(heights) + 0.2))
    upper, lower = fig.subfigures(2, 1, height_ratios=[heights[0], heights[1] + 0.2])
    _forest(upper, ours, "Ours: ", hollow=False)
    _forest(lower, paper, "Paper: ", hollow=True)
    lower.supxlabel(
        f"difference to {reference} in percentage points",
        fontsize=11,
        color=ink("muted"),
    )
    return fig


@styled
def cost_and_accuracy(ours: Rows, paper: Rows) -> Figure:
    """Accuracy against what training cost, as multiples of the reference (Section 5.1).

    Args:
        ours, paper: rows with `benchmark`, `name` (drawn at the highest line), `cost` (1 for the
            reference), and `accuracy`, `low`, `high` as fractions; the cheapest first.
    """
    fig, axes = _ours_and_paper(ours, paper, "cost")
    for panel, rows in zip(axes, (ours, paper), strict=True):
        panel.set_xlabel("cost of training, in multiples of s1's")
        costs = [row["cost"] for row in rows]
        ticks = [2.0**power for power in range(-3, 10) if min(costs) <= 1.5 * 2**power]
        ticks = [tick for tick in ticks if tick <= 1.5 * max(costs)]
        panel.set_xticks(ticks[:: 2 if len(ticks) > 5 else 1])
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes[0].set_title("Ours, in FLOPs")
    axes[1].set_title("The paper, in H100-hours")
    return fig


@styled
def tokens_and_accuracy(ours: Rows, paper: Rows) -> Figure:
    """Where each sequence length of training ends up: thinking tokens and accuracy (Table 8).

    Args:
        ours, paper: rows with `benchmark`, `name` (the length; drawn at the point),
            `thinking_tokens`, and `accuracy`, `low`, `high` as fractions; optionally `fewest`,
            `most` (the interval of the tokens) and `seeds`, a list of (thinking tokens, accuracy)
            that are drawn small. The last row of a benchmark, the longest length, is a circle;
            the others are squares. The names stand at the highest line.
    """
    from matplotlib.ticker import MaxNLocator

    from s1lab.figures.plots import _thousands

    fig, axes = _ours_and_paper(ours, paper, "thinking_tokens")
    for panel in axes:
        low, high = panel.get_xlim()
        if high < 4 * low:  # powers of two are too few to read a value from
            panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.set_xlabel("average thinking tokens")
        panel.xaxis.set_major_formatter(_thousands)
    axes[0].set_title("Ours")
    axes[1].set_title("The paper: s1-32B")
    return fig


@styled
def still_thinking(
    curves: Rows, *, cuts: Sequence[tuple[int, str]] = (), title: str = ""
) -> Figure:
    """Share of generations that are still thinking after so many tokens.

    Args:
        curves: rows with `name` and `seeds`: for each seed the thinking tokens of all its
            generations. A seed is a thin line, all together a bold one.
        cuts: thinking tokens to mark, with what happens there.
        title: title of the figure.
    """
    import matplotlib.pyplot as plt

    fig, panel = plt.subplots(figsize=(WIDTH, 3.6))
    colour, lines = ink("ours"), []
    for number, row in enumerate(curves):
        dashes = DASHES[number % len(DASHES)]
        for tokens in row["seeds"]:
            panel.step(*survival(tokens), where="post", color=colour, linewidth=0.7, alpha=0.4)
        x, y = survival([t for tokens in row["seeds"] for t in tokens])
        panel.step(x, y, where="post", color=colour, linestyle=dashes)
        lines.append(Line(row["name"], colour, tuple(zip(x, y, strict=True))))
    panel.set_xlim(0)
    panel.set_ylim(0, 103)
    panel.xaxis.set_major_formatter("{x:,.0f}")
    reach = max((x for line in lines for x, _ in line.points), default=0)
    for place, text in cuts:
        if place > reach:
            continue  # nobody thinks for so long: there is nothing to mark
        panel.axvline(place, color=ink("muted"), linewidth=1, linestyle=(0, (3, 3)))
        panel.annotate(
            text, (place, 1), xytext=(5, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", va="top", fontsize=10, color=ink("muted"),
        )  # fmt: skip
    panel.set_xlabel("thinking tokens")
    panel.set_ylabel("still thinking (%)")
    panel.set_title(title)
    _label_curves(panel, lines)
    return fig


def survival(tokens: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and the percentage longer than each: `[2, 2, 4] -> [0, 2, 4], [100, 33.3, 0]`."""
    lengths, counts = np.unique(np.asarray(tokens), return_counts=True)
    left = 100 * (1 - np.cumsum(counts) / len(tokens))
    return np.concatenate([[0], lengths]), np.concatenate([[100], left])


# ------------------------------------------------------------------------------- details


def _label_curves(panel: Axes, lines: Sequence[Line]) -> None:
    """Name falling curves: the highest to its right, the others under it, where it is empty."""
    span = panel.get_xlim()[1]
    highest, *others = sorted(lines, key=lambda line: -_height(line, 0.3 * span))
    text = {"color": ink("ours"), "fontweight": "semibold"}
    at = (0.3 * span, _height(highest, 0.3 * span))
    panel.annotate(highest.name, at, xytext=(8, 8), textcoords="offset points", **text)
    for number, line in enumerate(others):
        low = max(0.5 * _height(line, 0.32 * span) - 8 * number, 2)
        panel.text(0.135 * span, low, line.name, va="center", **text)


def _height(line: Line, x: float) -> float:
    return next((y for at, y in reversed(line.points) if at <= x), 100.0)


def _forest(fig: SubFigure, rows: Rows, title: str, *, hollow: bool) -> None:
    """A panel for each benchmark, names on the left, one scale for all panels."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    benchmarks = list(dict.fromkeys(row["benchmark"] for row in rows))
    panels = fig.subplots(1, len(benchmarks), sharex=True, sharey=True, squeeze=False)[0]
    colour = ink("paper") if hollow else ink("ours")
    for panel, benchmark in zip(panels, benchmarks, strict=True):
        panel.axvline(0, color=ink("muted"), linewidth=1)
        panel.grid(axis="y", visible=False)
        panel.grid(axis="x", visible=True)
        panel.set_title(f"{title}{benchmark}" if benchmark == benchmarks[0] else benchmark)
        for row in rows:
            if row["benchmark"] == benchmark:
                _difference(panel, row, len(names) - 1 - names.index(row["name"]), colour, hollow)
        panel.spines["left"].set_visible(False)
    panels[0].set_yticks(range(len(names)), names[::-1], color=ink("text"))
    panels[0].set_ylim(-0.5, len(names) - 0.25)
    low, high = panels[0].get_xlim()
    panels[0].set_xlim(min(low, -1), max(high, 1))


def _difference(panel: Axes, row: Mapping[str, Any], place: int, colour: str, hollow: bool) -> None:
    panel.plot([row["low"], row["high"]], [place] * 2, color=colour, linewidth=1.6, zorder=4)
    panel.plot(row["difference"], place, "o", zorder=5, **_mark(colour, hollow))
    text = f"{row['difference']:+.1f}".replace("-", "\N{MINUS SIGN}")
    panel.annotate(
        text, (row["difference"], place), xytext=(0, 6), textcoords="offset points",
        ha="center", fontsize=9.5, color=colour,
        bbox={"facecolor": ink("page"), "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


def _ours_and_paper(ours: Rows, paper: Rows, x: str) -> tuple[Figure, list[Axes]]:
    """Two panels of accuracy against `x` on a log axis; each benchmark's points are joined."""
    import matplotlib.pyplot as plt

    from s1lab.figures.plots import _no_ticks

    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.8), width_ratios=[1.15, 1])
    for panel, rows, hollow in ((axes[0], ours, False), (axes[1], paper, True)):
        panel.set_xscale("log", base=2)
        panel.xaxis.set_minor_locator(_no_ticks())
        lines = [
            _joined(panel, [row for row in rows if row["benchmark"] == benchmark], x, hollow)
            for benchmark in dict.fromkeys(row["benchmark"] for row in rows)
        ]
        if x == "cost" and len(lines) == 1:
            panel.lines[0].remove()  # training sets are no sequence; a line only tells benchmarks
        _margins(panel, [row[x] for row in rows])
        _name_marks(panel, rows, x, ink("paper") if hollow else ink("ours"))
        if hollow or len(lines) > 1:
            label_lines(panel, lines)
    axes[0].set_ylabel("accuracy (%)")
    return fig, list(axes)


def _joined(panel: Axes, rows: Rows, x: str, hollow: bool) -> Line:
    """One benchmark: a mark with its intervals for each row, joined in the order given."""
    colour = ink("paper") if hollow else ink("ours")
    points = [(row[x], 100 * row["accuracy"]) for row in rows]
    panel.plot(*zip(*points, strict=True), color=colour, linewidth=1.2, alpha=0.7)
    interval = {"color": colour, "linewidth": 1.4, "alpha": 0.6}
    for number, (row, (at, accuracy)) in enumerate(zip(rows, points, strict=True)):
        panel.vlines(at, 100 * row["low"], 100 * row["high"], **interval)
        if "most" in row:
            panel.hlines(accuracy, row["fewest"], row["most"], **interval)
        shape = "o" if number == len(rows) - 1 or x == "cost" else "s"
        for tokens, seed in row.get("seeds", ()):
            panel.plot(tokens, 100 * seed, shape, color=colour, markersize=3.2, alpha=0.5)
        panel.plot(at, accuracy, shape, **_mark(colour, hollow))
    return Line(rows[0]["benchmark"], colour, tuple(points))


def _name_marks(panel: Axes, rows: Rows, x: str, colour: str) -> None:
    """Name the marks of the highest line, where there is room above."""
    highest = max(rows, key=lambda row: row["accuracy"])["benchmark"]
    for row in rows:
        if row["benchmark"] == highest:
            panel.annotate(
                row["name"], (row[x], 100 * row["accuracy"]), xytext=(5, 8),
                textcoords="offset points", fontsize=10, color=colour,
            )  # fmt: skip


def _margins(panel: Axes, values: Sequence[float]) -> None:
    """Room for labels beside the outermost points of a log axis."""
    low, high = min(values), max(values)
    room = max(high / low, 2) ** 0.28
    panel.set_xlim(low / room, high * room)


def _mark(colour: str, hollow: bool) -> dict[str, Any]:
    if not hollow:
        return {"color": colour}
    return {
        "markerfacecolor": ink("page"),
        "markeredgecolor": colour,
        "markeredgewidth": 1.6,
    }
