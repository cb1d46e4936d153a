"""The pieces that figures are drawn from: tidy tables, curves with intervals, and their axes.

A curve table has a row for each point: `x`, `accuracy` and, with an interval, `low` and `high`
(fractions between 0 and 1, shown in percent). Further columns have defaults: `series` (an ink),
`name` (written beside the curve), `marker`, `hollow` (the paper's, or the unforced half of a pair),
`dashed` (0 for a whole line, then other dashes), `faint` (a thin line without marks, to compare
with), `joined` (False for marks alone), `label` (written at the point). `fewest` and `most` are an
interval of `x`; `seeds` are (x, accuracy) that are drawn small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.errors import InputError
from s1lab.figures.labels import Line
from s1lab.figures.style import INKS, ink

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from s1lab.evaluation import Interval

Table = Any  # anything that pandas.DataFrame accepts
DASHES = ("", (4, 2), (1, 1.6), (5, 1.5, 1, 1.5))
LOOK = {"hollow": False, "dashed": 0, "faint": False, "joined": True, "label": "", "low": math.nan}
PAPER = {"series": "paper", "hollow": True}


def tidy(rows: Table, *columns: str, **defaults: Any) -> pandas.DataFrame:
    """A copy as a data frame that has `columns`, other columns filled with defaults.

    Raises:
        InputError: there are no rows, or a column is missing.
    """
    import pandas as pd

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
    name: str | Sequence[str],
    series: str,
    x: Sequence[float],
    accuracies: Sequence[Interval],
    **look: Any,
) -> pandas.DataFrame:
    """The table of one curve, from measured accuracies; `look` sets further columns."""
    import pandas as pd

    ends = {"accuracy": "estimate", "low": "low", "high": "high"}
    measured = {key: [getattr(a, end) for a in accuracies] for key, end in ends.items()}
    measured["percent"] = [accuracy.percent() for accuracy in accuracies]
    return pd.DataFrame({"name": name, "series": series, "x": list(x), **measured, **look})


def in_words(table: pandas.DataFrame, form: str) -> str:
    """A sentence for every curve with a name: `"{first[name]}: {first[percent]}, {last[x]}"`."""
    named = tidy(table[table["name"] != ""], panel="").groupby(["panel", "name"], sort=False)
    return " ".join(form.format(first=rows.iloc[0], last=rows.iloc[-1]) for _, rows in named)


def curve_table(rows: Table, **defaults: Any) -> pandas.DataFrame:
    """A complete curve table, accuracies in percent (see the module)."""
    table = tidy(rows, "x", "accuracy", **{"series": "ours", **LOOK, **defaults})
    of = table["series"]
    names, markers = of.map(lambda s: INKS[s].name), of.map(lambda s: INKS[s].marker)
    table = tidy(table, name=names, marker=markers, high=table["low"])
    for column in ("accuracy", "low", "high"):
        table[column] = 100 * table[column].astype(float)
    return table.astype({"x": float, "hollow": bool, "faint": bool, "joined": bool})


def draw_curves(panel: Axes, table: pandas.DataFrame) -> list[Line]:
    """Draw a curve table; returns the lines for `labels.label_lines`."""
    import seaborn as sns

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
    panel: Axes, table: pandas.DataFrame, x: str = "x", y: str = "accuracy", *, size: float = 6.5
) -> None:
    """A mark for each row in its ink and shape, filled with the page's colour where hollow."""
    import seaborn as sns

    if table.empty:
        return
    shapes = {shape: shape for shape in table["marker"]}
    sns.scatterplot(
        table, x=x, y=y, style="marker", markers=shapes, s=size**2, legend=False, zorder=5, ax=panel
    )
    panel.set(xlabel="", ylabel="")
    marks, colours = panel.collections[-1], [ink(series) for series in table["series"]]
    hollow = list(zip(colours, table["hollow"], strict=True))
    marks.set(
        edgecolors=colours,
        facecolors=[ink("page") if empty else colour for colour, empty in hollow],
        linewidths=[1.6 if empty else 0.6 for _, empty in hollow],
    )


def label_points(panel: Axes, rows: pandas.DataFrame, colour: str) -> None:
    """Labels beside points: above the first, left of one from which the line rises, else right."""
    rows = rows.sort_values("x")
    follows = [*rows["accuracy"].iloc[1:], -math.inf]
    for x, y, label, after in zip(rows["x"], rows["accuracy"], rows["label"], follows, strict=True):
        if label:
            beside = {"xytext": (6, 5)}
            if after > y:
                beside = {"xytext": (-7, 3), "ha": "right"}
            elif x == rows["x"].iloc[0]:
                beside = {"ha": "center"}
            note(panel, str(label), (x, y), color=colour, **beside)


def note(panel: Axes, text: str, place: tuple[float, float], **options: Any) -> None:
    """Small text beside a place in the panel, `xytext` points away from it."""
    panel.annotate(
        text, place, **{"textcoords": "offset points", "fontsize": 10, "xytext": (0, 7), **options}
    )


def token_axis(panel: Axes, values: Sequence[float]) -> None:
    """A log2 axis of tokens with a few powers of two, and room beside the outermost marks."""
    from matplotlib.ticker import NullLocator

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


def accuracy_axis(panel: Axes, table: pandas.DataFrame) -> None:
    """From zero where the curves begin low, so that heights mean something."""
    ends = table[["accuracy", "low", "high"]]
    low, high = ends.min().min(), ends.max().max()
    room = 0.08 * max(high - low, 5)
    panel.set_ylim(-2 if low < 35 else low - room, min(high + room, 102))


def thousands(value: float, _: Any = None) -> str:
    """Axis text: `0.5 -> "0.5"`, `512 -> "512"`, `4096 -> "4k"`, `48000 -> "48k"`."""
    if value >= 1000:
        return f"{value / 1024 if value % 1024 == 0 else value / 1000:g}k"
    return f"{value:g}"
