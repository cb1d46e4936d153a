"""The pieces that figures are drawn from: tidy tables, curves with intervals, and their axes.

A curve table has a row for each point: `x`, `accuracy` and, with an interval, `low` and `high`
(fractions between 0 and 1, shown in percent). Further columns have defaults: `series` (an ink),
`name` (written beside the curve), `marker`, `hollow` (the paper's, or the unforced half of a pair),
`dashed` (0 for a whole line, then other dashes), `faint` (a thin line without marks, to compare
with), `joined` (False for marks alone), `label` (written at the point). `fewest` and `most` are an
interval of `x`; `seeds` are (x, accuracy) that are drawn small.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from s1core.errors import InputError
from s1lab.evaluation import Interval
from s1lab.figures.labels import Line
from s1lab.figures.style import INKS, ink, thousands

Table = Any  # anything that pandas.DataFrame accepts
DASHES = ("", (4, 2), (1, 1.6), (5, 1.5, 1, 1.5))
LOOK = {"hollow": False, "dashed": 0, "faint": False, "joined": True, "label": "", "low": math.nan}
PAPER = {"series": "paper", "hollow": True}


def tidy(rows: Table, *columns: str, **defaults: Any) -> pd.DataFrame:
    """A copy as a data frame that has `columns`, other columns filled with defaults. InputError:
    there are no rows, or a column is missing."""
    table = pd.DataFrame(rows).reset_index(drop=True)
    missing = [column for column in columns if column not in table]
    if table.empty or missing:
        lacks = f"no column {', '.join(missing)}" if missing else "no rows"
        raise InputError(f"nothing to draw: the data has {lacks}.")
    for column, value in defaults.items():
        given = table[column] if column in table else pd.Series(None, table.index, dtype=object)
        table[column] = given.where(given.notna(), value)
    return table


def curve(
    name: Any, series: str, x: Sequence[float], found: Sequence[Interval], **look: Any
) -> pd.DataFrame:
    """The table of one curve, from measured accuracies; `look` sets further columns."""
    measured = pd.DataFrame([accuracy.row("accuracy") for accuracy in found])
    return measured.assign(name=name, series=series, x=list(x), **look)


def spoken(table: pd.DataFrame, value: str = "accuracy", at: str = "") -> str:
    """The numbers of a drawn table (percent or points) for those who cannot see them, by name."""

    def one(row: pd.Series) -> str:
        ends = f" [{row['low']:.1f}, {row['high']:.1f}]" if row["low"] == row["low"] else ""
        said = f"{row[value]:.1f}{ends}" + (f" at {row[at]:,.0f}" if at else "")
        return said.replace("-", "\N{MINUS SIGN}")

    said = []
    for name, rows in table.groupby("name", sort=False, dropna=False):
        some = rows if len(rows) < 13 else rows.iloc[[0, len(rows) // 2, -1]]
        said.append(f"{name or 'values'}: {', '.join(some.apply(one, axis=1))}")
    return "; ".join(said) + "."


def curve_table(rows: Table, **defaults: Any) -> pd.DataFrame:
    """A complete curve table, accuracies in percent (see the module)."""
    table = tidy(rows, "x", "accuracy", **{"series": "ours", **LOOK, **defaults})
    of = table["series"]
    names, markers = of.map(lambda s: INKS[s].name), of.map(lambda s: INKS[s].marker)
    table = tidy(table, name=names, marker=markers, high=table["low"])
    shares = ["accuracy", "low", "high"]
    table[shares] = 100 * table[shares].astype(float)
    return table.astype({"x": float, "hollow": bool, "faint": bool, "joined": bool})


def draw_curves(panel: Axes, table: pd.DataFrame) -> list[Line]:
    """Draw a curve table; returns the lines for `labels.label_lines`."""
    joined = table[table["joined"]]
    if len(joined):
        looks = joined.drop_duplicates("name")
        sns.lineplot(
            joined, x="x", y="accuracy", hue="name", style="name", size="name",
            palette=[ink(series) for series in looks["series"]],
            dashes=[DASHES[int(number) % len(DASHES)] for number in looks["dashed"]],
            sizes=[1.4 if thin else 2.0 for thin in looks["hollow"] | looks["faint"]],
            sort=False, estimator=None, errorbar=None, legend=False, ax=panel,
        )  # fmt: skip
        for line, faint in zip(panel.lines, looks["faint"], strict=True):
            line.set(alpha=0.45 if faint else 1, zorder=1 if faint else 2)
    shown = table[~table["faint"]]
    thin = {"linewidth": 1.4, "alpha": 0.55}
    known, colours = shown.dropna(subset=["low", "high"]), shown["series"].map(ink)
    panel.vlines(known["x"], known["low"], known["high"], colors=colours[known.index], **thin)
    if "most" in shown:
        panel.hlines(shown["accuracy"], shown["fewest"], shown["most"], colors=colours, **thin)
        seeds = shown.explode("seeds")
        x, y = zip(*seeds["seeds"], strict=True)
        draw_marks(panel, seeds.assign(x=x, accuracy=[100 * value for value in y]), size=3.2)
    draw_marks(panel, shown)
    lines = []
    for name, rows in shown.groupby("name", sort=False):
        colour, places = ink(rows["series"].iloc[0]), rows[["x", "accuracy"]]
        label_points(panel, rows, colour)
        if name:
            lines.append(Line(name, colour, tuple(places.itertuples(index=False, name=None))))
    return lines


def draw_marks(
    panel: Axes, table: pd.DataFrame, x: str = "x", y: str = "accuracy", *, size: float = 6.5
) -> None:
    """A mark for each row in its ink and shape, filled with the page's colour where hollow."""
    if table.empty:
        return
    shapes = {shape: shape for shape in table["marker"]}
    sns.scatterplot(
        table, x=x, y=y, style="marker", markers=shapes, s=size**2, legend=False, zorder=5, ax=panel
    )
    panel.set(xlabel="", ylabel="")
    marks, colours = panel.collections[-1], [ink(series) for series in table["series"]]
    hollow = table["hollow"].astype(bool)
    faces = table["series"].mask(hollow, "page").map(ink)
    marks.set(edgecolors=colours, facecolors=faces, linewidths=hollow.map({True: 1.6, False: 0.6}))


def label_points(panel: Axes, rows: pd.DataFrame, colour: str) -> None:
    """Labels beside points: above the first and a peak, left where the line rises, else right."""
    rows = rows.sort_values("x")
    follows, before = [*rows["accuracy"].iloc[1:], -math.inf], math.inf
    for x, y, label, after in zip(rows["x"], rows["accuracy"], rows["label"], follows, strict=True):
        if label:
            beside = {"xytext": (6, 5)}
            if "seeds" in rows:  # they lie around it
                y, beside = rows["high"][rows["x"] == x].max(), {"ha": "center", "xytext": (0, 4)}
            elif after > y:
                beside = {"xytext": (-7, 3), "ha": "right"}
            elif x == rows["x"].iloc[0]:
                beside = {"ha": "center"}
            elif before < y and after > -math.inf:
                beside = {"ha": "center", "xytext": (-1, 9)}
            note(panel, str(label), (x, y), color=colour, **beside)
        before = y


def note(panel: Axes, text: str, place: tuple[float, float], **options: Any) -> None:
    """Small text beside a place in the panel, `xytext` points away from it."""
    panel.annotate(
        text, place, **{"textcoords": "offset points", "fontsize": 10, "xytext": (0, 7), **options}
    )


def token_axis(panel: Axes, values: Sequence[float]) -> None:
    """A log2 axis of tokens with a few powers of two, and room beside the outermost marks."""
    some = [value for value in values if value > 0]
    if not some:
        return  # nothing was spent, and nothing has no logarithm
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(thousands)
    panel.xaxis.set_minor_locator(NullLocator())
    low, high = min(some), max(some)
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    first = min(first, last - 1)
    panel.set_xticks(2.0 ** np.arange(first, last + 1, max(1, math.ceil((last - first) / 7))))
    room = max(1.25, min(high / low, 8) ** 0.25)
    panel.set_xlim(low / room, high * room)


def accuracy_axis(panel: Axes, table: pd.DataFrame) -> None:
    """From zero where the curves begin low, so that heights mean something."""
    ends = table[["accuracy", "low", "high"]]
    low, high = ends.min().min(), ends.max().max()
    room = 0.08 * max(high - low, 5)
    panel.set_ylim(-2 if low < 35 else low - room, min(high + room, 102))
