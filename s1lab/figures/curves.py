"""Figures of accuracy: against tokens, Waits, training examples, cost and sequence length.

Curve tables in (see `s1lab.figures.panels`), one Figure out. What we measured is filled; the
paper's is hollow and grey, in a panel of its own, since it is another task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1lab.audit import published
from s1lab.figures.labels import label_lines
from s1lab.figures.panels import (
    PAPER,
    Table,
    accuracy_axis,
    curve_table,
    draw_curves,
    draw_marks,
    note,
    thousands,
    tidy,
    token_axis,
)
from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from s1lab.evaluation.measure import Point

BENCHMARKS = ("MATH500", "GPQA Diamond", "AIME24")


@styled
def scaling_curve(
    points: Table,
    paper_points: Table | None = None,
    *,
    title: str = "",
    paper_title: str = "The paper: s1-32B",
    across: str = "average thinking tokens",
) -> Figure:
    """Accuracy against tokens on a log2 axis (Figures 1 and 4 of the paper).

    Args:
        points, paper_points: curve tables with `x` in tokens.
        title, paper_title: titles of the panels.
        across: which tokens are counted.
    """
    import matplotlib.pyplot as plt

    tables = [curve_table(points)]
    if paper_points is not None:
        tables.append(curve_table(paper_points, **PAPER))
    widths = [1.55, 1][: len(tables)]
    fig, axes = plt.subplots(
        1, len(widths), figsize=(WIDTH, 3.9), squeeze=False, width_ratios=widths
    )
    for panel, table, heading in zip(axes[0], tables, (title, paper_title), strict=False):
        _against_tokens(panel, table, table, heading)
        panel.set_xlabel(across)
    axes[0][0].set_ylabel("accuracy (%)")
    return fig


def headline(points: Sequence[Point], title: str) -> Figure:
    """Our curve with intervals beside the paper's Figure 1: the figure of the introduction."""
    return scaling_curve(curve_rows(points), paper_rows(), title=title)


def curve_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """A row for each point; capping and "Wait" are two series that meet at the natural stop."""
    rows = [_row(p, "capping") for p in points if p.kind != "wait"]
    rows = sorted(rows, key=lambda row: row["x"])
    rows += [_row(p, "wait", dashed=1) for p in points if p.kind == "natural"]
    return rows + [
        _row(p, "wait", dashed=1, label=f"{p.waits}x") for p in points if p.kind == "wait"
    ]


def paper_rows() -> list[dict[str, Any]]:
    """The points of the paper's Figure 1, read off its vector graphic."""
    figure = published.published()["figure1"]["points"]
    return [
        {"x": tokens, "accuracy": percent / 100, "name": name, "dashed": number}
        for number, name in enumerate(BENCHMARKS)
        for tokens, percent in sorted(figure[name])
    ]


@styled
def method_panels(table: Table, *, across: int = 2) -> Figure:
    """Accuracy against average thinking tokens, one small panel per family of methods (Table 3).

    `table` is a curve table with a further column `panel`. All panels share their axes, so that
    heights and costs compare across them.
    """
    import matplotlib.pyplot as plt

    every = curve_table(tidy(table, "panel"))
    families = list(every.groupby("panel", sort=False))
    down = math.ceil(len(families) / across)
    fig, axes = plt.subplots(
        down, across, figsize=(WIDTH, 2.9 * down), squeeze=False, sharex=True, sharey=True
    )
    for panel, (heading, curves) in zip(axes.flat, families, strict=False):
        _against_tokens(panel, curves, every, heading)
    for panel in list(axes.flat)[len(families) :]:
        panel.set_visible(False)
    for panel in axes[-1]:
        panel.set_xlabel("average thinking tokens")
    for row in axes:
        row[0].set_ylabel("accuracy (%)")
    return fig


@styled
def waits_curve(ours: Table, paper: Table, *, title: str = "", paper_title: str = "") -> Figure:
    """Accuracy against the number of Waits (`x`), 0 being the natural stop."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    tables = (curve_table(ours, series="wait"), curve_table(paper, **PAPER))
    for panel, table, heading in zip(axes, tables, (title, paper_title), strict=True):
        draw_curves(panel, table)
        start = table["accuracy"].iloc[0]
        panel.axhline(start, color=ink("muted"), linewidth=0.8, linestyle=":", zorder=0)
        panel.set(title=heading, xticks=table["x"], xlabel="Waits allowed")
        accuracy_axis(panel, table)
    axes[0].set_ylabel("accuracy (%)")
    return fig


@styled
def repetition_panels(traces: Sequence[Mapping[str, Any]], waits: Table) -> Figure:
    """Left: share of repeated steps by number of Waits. Right: Waits that bring a new step.

    Args:
        traces: `waits`, `repeated`, `repeated_low`, `repeated_high`; shares between 0 and 1.
        waits: `wait` (1 for the first), `new`, `new_low`, `new_high`.
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2))
    for panel, rows, x, y, heading, across, up in (
        (axes[0], traces, "waits", "repeated", "Steps written before", "Waits forced",
         "share of a trace's steps (%)"),
        (axes[1], waits, "wait", "new", "Waits that bring a new step", "which Wait of the trace",
         "share of Waits (%)"),
    ):  # fmt: skip
        names = {x: "x", y: "accuracy", f"{y}_low": "low", f"{y}_high": "high"}
        table = curve_table(tidy(rows, *names).rename(columns=names), series="wait", name="")
        draw_curves(panel, table)
        natural = table[table["x"] == 0].assign(series="capping", marker="o")
        draw_marks(panel, natural)  # before any Wait: in the colour of ours
        panel.set(title=heading, xticks=table["x"], xlabel=across, ylabel=up)
        panel.set_ylim(0, table["high"].max() * 1.15)
    return fig


@styled
def sample_efficiency(
    ours: Table, paper: Table, *, title: str = "", paper_title: str = ""
) -> Figure:
    """Accuracy against the number of training examples (Figure 2, right).

    Args:
        ours, paper: curve tables with `name`, and the examples as `x`: 0 is the base model, NaN
            is not stated and has a column of its own.
        title, paper_title: titles of the panels.
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.6), width_ratios=[1, 1.3])
    _examples(axes[0], curve_table(ours))
    _examples(axes[1], curve_table(paper, **PAPER))
    axes[0].set_ylabel("accuracy (%)")
    for panel, heading in zip(axes, (title, paper_title), strict=True):
        panel.set(title=heading, xlabel="training examples")
    return fig


@styled
def cost_and_accuracy(ours: Table, paper: Table) -> Figure:
    """Accuracy against what training cost, as multiples of the reference (Section 5.1).

    Args:
        ours, paper: rows with `benchmark`, `name` (drawn at the highest line), `cost` (1 for the
            reference), and `accuracy`, `low`, `high` as fractions; the cheapest first.
    """
    fig, axes = _by_benchmark(ours, paper, "cost")
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
def tokens_and_accuracy(ours: Table, paper: Table) -> Figure:
    """Where each sequence length of training ends up: thinking tokens and accuracy (Table 8).

    Args:
        ours, paper: rows with `benchmark`, `name` (the length; drawn at the highest line),
            `thinking_tokens`, and `accuracy`, `low`, `high` as fractions; optionally `fewest`,
            `most` (the interval of the tokens) and `seeds`, a list of (thinking tokens, accuracy)
            that are drawn small. The last row of a benchmark, the longest length, is a circle;
            the others are squares.
    """
    from matplotlib.ticker import MaxNLocator

    fig, axes = _by_benchmark(ours, paper, "thinking_tokens")
    for panel in axes:
        low, high = panel.get_xlim()
        if high < 4 * low:  # powers of two are too few to read a value from
            panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.set_xlabel("average thinking tokens")
        panel.xaxis.set_major_formatter(thousands)
    axes[0].set_title("Ours")
    axes[1].set_title("The paper: s1-32B")
    return fig


# ------------------------------------------------------------------------------- details


def _row(point: Point, series: str, **look: Any) -> dict[str, Any]:
    ends = {"accuracy": point.accuracy.estimate, "low": point.accuracy.low}
    return {
        "x": point.thinking_tokens, **ends, "high": point.accuracy.high, "series": series, **look
    }  # fmt: skip


def _against_tokens(
    panel: Axes, table: pandas.DataFrame, every: pandas.DataFrame, title: str
) -> None:
    """Curves in axes that have room for `every` table that shares them."""
    lines = draw_curves(panel, table)
    token_axis(panel, every["x"], "")
    accuracy_axis(panel, every)
    panel.set_title(title)
    label_lines(panel, lines)


def _examples(panel: Axes, table: pandas.DataFrame) -> None:
    """Evenly spaced columns, one per size: names need the room, and 0 has no logarithm."""
    sizes = sorted(table["x"].dropna().unique())
    place = table["x"].map({size: i for i, size in enumerate(sizes)}).fillna(len(sizes))
    column = table.assign(place=place).groupby("place")["accuracy"]
    number, count = column.rank(method="first", ascending=False) - 1, column.transform("size")
    table = table.assign(x=place + 0.26 * (number - (count - 1) / 2))
    draw_curves(panel, table, joined=False)
    hollow = bool(table["hollow"].iloc[0])
    for row in table.itertuples():
        look = {"rotation": 90 if hollow else 0, "ha": "center", "va": "bottom"}
        note(panel, row.name, (row.x, row.high), xytext=(0, 4), color=ink(row.series), **look)
    names = [f"{size:,.0f}" for size in sizes] + ["not\nstated"] * int(place.max() == len(sizes))
    panel.set_xticks(range(len(names)), names)
    panel.set_xlim(-0.6, len(names) - 0.4)
    accuracy_axis(panel, table)
    low, high = panel.get_ylim()
    panel.set_yticks([tick for tick in panel.get_yticks() if low <= tick <= 100])
    panel.set_ylim(low, high + (0.45 if hollow else 0.1) * (high - low))


def _by_benchmark(ours: Table, paper: Table, x: str) -> tuple[Figure, list[Axes]]:
    """Two panels of accuracy against `x` on a log axis; each benchmark's points are joined."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.8), width_ratios=[1.15, 1])
    for panel, rows, look in ((axes[0], ours, {}), (axes[1], paper, PAPER)):
        table = tidy(rows, "benchmark", "name", x)
        highest = table["benchmark"][table["accuracy"].idxmax()]
        last = ~table.duplicated("benchmark", keep="last")
        table = table.assign(
            label=table["name"].where(table["benchmark"] == highest, ""),
            marker=["o" if end or x == "cost" else "s" for end in last],
            name=table["benchmark"],
            x=table[x],
        )
        table = curve_table(table, **look)
        one = table["name"].nunique() == 1
        # Training sets are no sequence: a line only tells benchmarks apart.
        lines = draw_curves(panel, table, joined=not (x == "cost" and one))
        for row in table.itertuples() if "most" in table else ():
            colour = ink(row.series)
            panel.hlines(row.accuracy, row.fewest, row.most, colour, linewidth=1.4, alpha=0.6)
            for tokens, seed in row.seeds:
                panel.plot(tokens, 100 * seed, row.marker, color=colour, markersize=3.2, alpha=0.5)
        token_axis(panel, table["x"], "")
        room = max(table["x"].max() / table["x"].min(), 2) ** 0.28
        panel.set_xlim(table["x"].min() / room, table["x"].max() * room)
        if look or not one:
            label_lines(panel, lines)
    axes[0].set_ylabel("accuracy (%)")
    return fig, list(axes)
