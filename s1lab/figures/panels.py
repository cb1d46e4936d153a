"""The pieces that figures are drawn from: tidy tables, curves with intervals, axes, and names.

A curve table has a row for each point: `x`, `accuracy` and, with an interval, `low` and `high`
(fractions between 0 and 1, shown in percent). Further columns have defaults: `series` (an ink),
`name` (written beside the curve), `marker`, `hollow` (the paper's, or the unforced half of a pair),
`dashed` (0 for a whole line, then other dashes), `faint` (a thin line without marks, to compare
with), `joined` (False for marks alone), `label` (written at the point). `fewest` and `most` are an
interval of `x`; `seeds` are (x, accuracy) that are drawn small.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from s1core.errors import InputError
from s1lab.figures.style import INKS, ink, thousands

Table = Any  # anything that pandas.DataFrame accepts
DASHES = ("", (4, 2), (1, 1.6), (5, 1.5, 1, 1.5))
LOOK = {"hollow": False, "dashed": 0, "faint": False, "joined": True, "label": "", "low": math.nan}
PAPER = {"series": "paper", "hollow": True}
PAD = 9.0  # pixels between a line's point and its name
NOTHING = np.full((1, 2), -1e9)


class Line(NamedTuple):
    """A drawn line: its name, its colour, and its points in data coordinates."""

    name: str
    colour: str
    points: tuple[tuple[float, float], ...]


def tidy(rows: Table, *columns: str, **defaults: Any) -> pd.DataFrame:
    """A data frame that has `columns` (InputError: not all, or no rows), others with defaults."""
    table = pd.DataFrame(rows).reset_index(drop=True)
    missing = [column for column in columns if column not in table]
    if table.empty or missing:
        lacks = f"no column {', '.join(missing)}" if missing else "no rows"
        raise InputError(f"nothing to draw: the data has {lacks}.")
    for column, value in defaults.items():
        given = table[column] if column in table else pd.Series(None, table.index, dtype=object)
        table[column] = given.where(given.notna(), value)
    return table


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
    """Draw a curve table; returns the lines for `label_lines`."""
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
    usual = {"textcoords": "offset points", "fontsize": 10, "xytext": (0, 7)}
    panel.annotate(text, place, **usual | options)


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


def label_lines(panel: Axes, lines: Sequence[Line]) -> None:
    """Write each line's name inside `panel`, next to one of its points (a legend makes a reader
    match colours): where it would cover the least, in pixels of the finished layout."""
    if len(lines) < 2 and all(line.name == "ours" for line in lines):
        return  # the title says whose line it is
    panel.figure.draw_without_rendering()  # positions are known once the layout is
    fixed, frame = _obstacles(panel), panel.get_window_extent().extents
    drawn = {line.name: _pixels(panel, line) for line in lines}
    placed: list[np.ndarray] = []
    for line in sorted(lines, key=lambda line: -len(line.points)):
        text = panel.text(0, 0, line.name, color=line.colour, fontweight="semibold", va="bottom")
        text.set_in_layout(False)
        near = np.vstack([fixed, drawn[line.name]])
        far = np.vstack([NOTHING, *(pixels for n, pixels in drawn.items() if n != line.name)])
        costs = [
            # Near another line a name would seem to be that line's.
            (_covered(box, near, 3) + _covered(box, far, 13) + _misplaced(box, placed, frame), box)
            for box in _candidates(panel, line, *text.get_window_extent().size)
        ]
        best = min(costs, key=lambda choice: choice[0])[1]  # the first of equals
        placed.append(best)
        text.set_position(panel.transData.inverted().transform(best[:2]))


def _candidates(panel: Axes, line: Line, width: float, height: float) -> Iterator[np.ndarray]:
    """Places (left, bottom, right, top) beside the line's points, the best one first."""
    right, left, middle = PAD, -PAD - width, -width / 2
    across = [right, left, middle, middle, left, right]
    up = [-height / 2, -height / 2, PAD, -PAD - height, PAD / 2, -PAD / 2 - height]
    for place in panel.transData.transform(line.points)[::-1]:
        for corner in place + np.column_stack([across, up]):
            yield np.concatenate([corner, corner + [width, height]])


def _pixels(panel: Axes, line: Line) -> np.ndarray:
    """Pixels along a line; its marks count three times, since a covered mark is worse."""
    corners = panel.transData.transform(line.points)
    along = corners[:-1] + np.diff(corners, axis=0) * np.linspace(0, 1, 13)[:, None, None]
    return np.vstack([along.reshape(-1, 2), *[corners] * 3])


def _obstacles(panel: Axes) -> np.ndarray:
    """Pixels along the intervals, and the corners of labels at points."""
    pixels = [NOTHING, *(text.get_window_extent().corners() for text in panel.texts)]
    for collection in panel.collections:
        for segment in getattr(collection, "get_segments", list)():
            start, *_, end = panel.transData.transform(segment)
            pixels.append(np.linspace(start, end, 7))
    return np.vstack(pixels)


def _covered(box: np.ndarray, pixels: np.ndarray, margin: float) -> int:
    return int(((pixels > box[:2] - margin) & (pixels < box[2:] + margin)).all(axis=1).sum())


def _misplaced(box: np.ndarray, placed: Sequence[np.ndarray], frame: np.ndarray) -> float:
    """How badly a label would overlap earlier ones or leave the panel."""
    over = sum(((box[:2] < other[2:] + 2) & (other[:2] < box[2:] + 2)).all() for other in placed)
    outside = np.maximum([frame[:2] - box[:2], box[2:] - frame[2:]], 0).sum()
    return float(80 * over + outside)
