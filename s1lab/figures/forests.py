"""Figures that are read from left to right: named values with intervals, and the funnel.

Tidy rows in, one Figure out. The first row is on top; what the paper measured is hollow and grey.
"""

import math

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from s1core.errors import InputError
from s1lab.figures.panels import PAPER, Table, draw_marks, note, spoken, tidy
from s1lab.figures.style import ink, on_phone, styled, width

LOOK = {"series": "ours", "hollow": False, "marker": "o", "low": math.nan, "high": math.nan}


@styled
def comparison(rows: Table, *, metric: str = "accuracy", gaps: bool = False) -> Figure:
    """Named results as points with intervals, the paper's beside ours (Tables 1 to 4).

    `rows` have `name`, `accuracy`, and optionally `low`, `high`, `paper` (the paper's value for the
    same row, drawn hollow) and `series` (an ink; "paper" is drawn hollow). `metric` is what the
    axis measures; `gaps` are differences against one thing: signs, and a line at zero.
    """
    table = tidy(rows, "name", "accuracy", **LOOK)
    table["hollow"] = table["series"] == "paper"
    table[["value", "low", "high"]] = 100 * table[["accuracy", "low", "high"]].astype(float)
    fig, panel = plt.subplots(figsize=(width(), 1.0 + 0.45 * len(table)))
    table = _forest(panel, table, signed=gaps)
    if "paper" in table:
        paper = table.assign(**PAPER, value=100 * table["paper"], place=table["place"] - 0.22)
        draw_marks(panel, paper.dropna(subset=["value"]), "value", "place")
        where = {"xycoords": "axes fraction", "ha": "right", "xytext": (0, 4)}
        note(panel, "hollow: the paper", (1, 1), color=ink("paper"), **where)
    panel.set(xlabel=f"{metric} ({'points' if gaps else '%'})")
    fig.in_words = spoken(table, "value")
    return fig


@styled
def differences(ours: Table, paper: Table) -> Figure:
    """Differences to s1 with their intervals, one panel for each benchmark (Table 2).

    Rows have `benchmark`, `name`, and `difference`, `low`, `high` in percentage points.
    """
    columns = ("benchmark", "name", "difference")
    tables = [tidy(ours, *columns, **LOOK), tidy(paper, *columns, **{**LOOK, **PAPER})]
    tables = [table.assign(value=table["difference"]) for table in tables]
    panels = (table["benchmark"].nunique() for table in tables)
    shapes = [(n, 1) if on_phone() else (1, n) for n in panels]
    pairs = zip(shapes, tables, strict=True)
    heights = [rows * (0.85 + 0.34 * table["name"].nunique()) for (rows, _), table in pairs]
    fig = plt.figure(figsize=(width(), sum(heights) + 0.2))
    parts = fig.subfigures(2, 1, height_ratios=[heights[0], heights[1] + 0.2])
    words = []
    for part, table, shape, whose in zip(parts, tables, shapes, ("Ours: ", "Paper: "), strict=True):
        axes = list(part.subplots(*shape, sharex=True, sharey=True, squeeze=False).flat)
        groups = table.groupby("benchmark", sort=False)
        for panel, (benchmark, rows) in zip(axes, groups, strict=True):
            _forest(panel, rows, signed=True)
            panel.set_title(f"{whose if panel is axes[0] else ''}{benchmark}")
        low, high = axes[0].get_xlim()
        axes[0].set_xlim(min(low, -1), max(high, 1))
        named = table.assign(name=table["benchmark"] + " " + table["name"])
        words.append(whose + spoken(named, "value"))
    fig.in_words = " ".join(words)
    parts[1].supxlabel("difference to s1 in percentage points", fontsize=11, color=ink("muted"))
    return fig


@styled
def funnel(rows: Table) -> Figure:
    """Bars for the share of the pool that each stage of selection leaves, with its count.

    `rows` have `stage`, `kept`, and optionally `paper` (the paper's count, drawn as a hollow point
    at its own share). The first is the pool; InputError where it is empty.
    """
    table = tidy(rows, "stage", "kept", marker="o", paper=math.nan, **PAPER)
    if not table["kept"][0]:
        raise InputError("a funnel starts with a pool that is not empty.")
    table[["kept", "paper"]] = table[["kept", "paper"]].astype(float)
    table["share"], table["theirs"] = (100 * table[c] / table[c][0] for c in ("kept", "paper"))
    fig, panel = plt.subplots(figsize=(width(), 0.9 + 0.38 * len(table)))
    bars = {"width": 0.56, "color": ink("ours"), "saturation": 1, "errorbar": None}
    sns.barplot(table, x="share", y="stage", ax=panel, **bars)
    known = table.dropna(subset=["theirs"])
    # Below the bar: on it a grey ring would vanish on a dark page.
    draw_marks(panel, known.assign(place=known.index + 0.4), "theirs", "place")
    ends = table[["share", "theirs"]].max(axis=1)
    for place, (kept, end) in enumerate(zip(table["kept"], ends, strict=True)):
        note(panel, f"{kept:,.0f}", (end, place), xytext=(8, 0), va="center", color=ink("text"))
    _across(panel)
    panel.set(xlim=(0, 112), xticks=range(0, 101, 25), ylabel="")
    fig.in_words = ", ".join(f"{r.stage} {r.kept:,.0f}" for r in table.itertuples()) + " questions."
    panel.set_xlabel("share of the pool (%)" + ("; hollow: the paper" if len(known) else ""))
    return fig


def _forest(panel: Axes, table: pd.DataFrame, *, signed: bool) -> pd.DataFrame:
    """Draw `value` with `low` and `high`, the first name on top; returns rows with their place."""
    names = list(dict.fromkeys(table["name"]))[::-1]
    table = table.assign(place=[float(names.index(name)) for name in table["name"]])
    for row in table.itertuples():
        panel.hlines(row.place, row.low, row.high, ink(row.series), linewidth=1.8, zorder=4)
        text = f"{row.value:{'+' if signed else ''}.1f}".replace("-", "\N{MINUS SIGN}")
        box = {"facecolor": ink("page"), "edgecolor": "none", "pad": 0.6}
        place = (row.value, row.place)
        note(panel, text, place, ha="center", color=ink(row.series), bbox=box)
    draw_marks(panel, table, "value", "place")
    if signed:
        panel.axvline(0, color=ink("muted"), linewidth=1)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(-0.6, len(names) - 0.25)
    _across(panel)
    return table


def _across(panel: Axes) -> None:
    """A grid for values that run from left to right, and names in the colour of text."""
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", visible=True)
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", labelcolor=ink("text"))
