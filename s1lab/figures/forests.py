"""Figures that are read from left to right: named values with intervals, and the funnel.

Tidy rows in, one Figure out. The first row is on top; what the paper measured is hollow and grey.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1core.errors import InputError
from s1lab.figures.panels import PAPER, Table, draw_marks, note, tidy
from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

LOOK = {"series": "ours", "hollow": False, "marker": "o", "low": math.nan, "high": math.nan}


@styled
def comparison(
    rows: Table, *, metric: str = "accuracy", title: str = "", gaps: bool = False
) -> Figure:
    """Named results as points with intervals, the paper's beside ours (Tables 1 to 4).

    Args:
        rows: `name`, `accuracy`, and optionally `low`, `high`, `paper` (the paper's value for
            the same row, drawn hollow) and `series` (an ink; "paper" is drawn hollow).
        metric: what the horizontal axis measures.
        title: title of the figure.
        gaps: the values are differences against one thing: signs, and a line at zero.
    """
    import matplotlib.pyplot as plt

    table = tidy(rows, "name", "accuracy", **LOOK)
    table["hollow"] = table["series"] == "paper"
    table[["value", "low", "high"]] = 100 * table[["accuracy", "low", "high"]].astype(float)
    fig, panel = plt.subplots(figsize=(WIDTH, 1.0 + 0.45 * len(table)))
    if gaps:
        panel.axvline(0, color=ink("muted"), linewidth=1)
    names = list(table["name"])
    _draw(panel, table.assign(place=range(len(table))[::-1]), signed=gaps)
    if "paper" in table:
        paper = tidy(table.dropna(subset=["paper"])).assign(**PAPER)
        place = [len(names) - 1.22 - names.index(name) for name in paper["name"]]
        draw_marks(panel, paper.assign(place=place, value=100 * paper["paper"]), "value", "place")
        where = {"xycoords": "axes fraction", "ha": "right", "xytext": (0, 4)}
        note(panel, "hollow: the paper", (1, 1), color=ink("paper"), **where)
    _named(panel, names)
    panel.set(xlabel=f"{metric} ({'points' if gaps else '%'})", title=title)
    return fig


@styled
def differences(ours: Table, paper: Table, *, reference: str = "s1") -> Figure:
    """Differences to a reference with their intervals, one panel for each benchmark (Table 2).

    Args:
        ours, paper: rows with `benchmark`, `name`, and `difference`, `low`, `high` in percentage
            points.
        reference: what all are compared with; the line at zero.
    """
    import matplotlib.pyplot as plt

    tables = [
        tidy(rows, "benchmark", "name", "difference", **{**LOOK, **look}).assign(**look)
        for rows, look in ((ours, {}), (paper, PAPER))
    ]
    heights = [0.85 + 0.34 * table["name"].nunique() for table in tables]
    fig = plt.figure(figsize=(WIDTH, sum(heights) + 0.2))
    upper, lower = fig.subfigures(2, 1, height_ratios=[heights[0], heights[1] + 0.2])
    _benchmarks(upper, tables[0], "Ours: ")
    _benchmarks(lower, tables[1], "Paper: ")
    label = f"difference to {reference} in percentage points"
    lower.supxlabel(label, fontsize=11, color=ink("muted"))
    return fig


@styled
def funnel(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Bars for the share of the pool that each stage of selection leaves, with its count.

    Args:
        rows: `stage`, `kept`, and optionally `paper` (the paper's count, drawn as a hollow point
            at its own share), as `selection.Funnel.rows()` gives them. The first is the pool.
        title: title of the figure.

    Raises:
        InputError: there are no rows, or the pool is empty.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    table = tidy(rows, "stage", "kept", paper=math.nan)
    if not table["kept"][0]:
        raise InputError("a funnel starts with a pool that is not empty.")
    table["share"] = 100 * table["kept"] / table["kept"][0]
    paper = table["paper"].astype(float)
    table["theirs"] = 100 * paper / paper[0]
    fig, panel = plt.subplots(figsize=(WIDTH, 0.9 + 0.38 * len(table)))
    bars = {"width": 0.56, "color": ink("ours"), "saturation": 1, "errorbar": None}
    sns.barplot(table, x="share", y="stage", ax=panel, **bars)
    known = (
        tidy(table.dropna(subset=["theirs"]), marker="o", **PAPER) if paper[0] > 0 else table[:0]
    )
    draw_marks(panel, known, "theirs", "stage")
    for place, (kept, *ends) in enumerate(table[["kept", "share", "theirs"]].to_numpy()):
        at = (max(end for end in ends if end == end), place)
        note(panel, f"{int(kept):,}", at, xytext=(8, 0), va="center", color=ink("text"))
    panel.tick_params(axis="y", labelcolor=ink("text"))
    _across(panel)
    panel.set_xlim(0, 112)
    panel.set_xticks(range(0, 101, 25))
    panel.set(xlabel="share of the pool (%)" + ("; hollow: the paper" if len(known) else ""))
    panel.set(ylabel="", title=title)
    return fig


# ------------------------------------------------------------------------------- details


def _benchmarks(fig: SubFigure, table: pandas.DataFrame, title: str) -> None:
    """A panel for each benchmark, names on the left, one scale for all panels."""
    names = list(dict.fromkeys(table["name"]))
    table = table.assign(
        value=table["difference"], place=[len(names) - 1 - names.index(n) for n in table["name"]]
    )
    groups = list(table.groupby("benchmark", sort=False))
    panels = fig.subplots(1, len(groups), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (benchmark, rows) in zip(panels, groups, strict=True):
        panel.axvline(0, color=ink("muted"), linewidth=1)
        panel.set_title(f"{title}{benchmark}" if panel is panels[0] else benchmark)
        _draw(panel, rows, signed=True)
        _across(panel)
    _named(panels[0], names)
    low, high = panels[0].get_xlim()
    panels[0].set_xlim(min(low, -1), max(high, 1))


def _draw(panel: Axes, table: pandas.DataFrame, *, signed: bool) -> None:
    """Intervals, marks and their values (`value`, `low`, `high` as shown, `place` upwards)."""
    for row in table.itertuples():
        colour = ink(row.series)
        panel.hlines(row.place, row.low, row.high, colour, linewidth=1.8, zorder=4)
        text = f"{row.value:+.1f}" if signed else f"{row.value:.1f}"
        text = text.replace("-", "\N{MINUS SIGN}")
        box = {"facecolor": ink("page"), "edgecolor": "none", "pad": 0.6}
        note(panel, text, (row.value, row.place), ha="center", color=colour, bbox=box)
    draw_marks(panel, table, "value", "place")


def _named(panel: Axes, names: Sequence[str]) -> None:
    panel.set_yticks(range(len(names)), names[::-1], color=ink("text"))
    panel.set_ylim(-0.6, len(names) - 0.25)
    _across(panel)


def _across(panel: Axes) -> None:
    """A grid for values that run from left to right."""
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", visible=True)
    panel.spines["left"].set_visible(False)
