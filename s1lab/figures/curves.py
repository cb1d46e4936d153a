"""Curves with intervals: the piece that figures comparing methods are drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1lab.evaluation import Interval
from s1lab.figures.labels import Line
from s1lab.figures.plots import _few_powers_of_two, _no_ticks, _thousands
from s1lab.figures.style import ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Mark:
    """A point: where it lies across, and its accuracy with its interval (fractions)."""

    x: float
    accuracy: Interval


@dataclass(frozen=True, slots=True)
class Curve:
    """The marks of one thing, joined in order.

    Attributes:
        name: written beside the curve; "" for none.
        ink: its colour (`style.INKS`).
        marks: in the order in which they are joined.
        marker: matplotlib's marker.
        hollow: marks without filling: the paper's, or the unforced half of a pair.
        dashed: whether the line is dashed.
        faint: drawn as a thin line without marks, for comparison.
    """

    name: str
    ink: str
    marks: tuple[Mark, ...]
    marker: str = "o"
    hollow: bool = False
    dashed: bool = False
    faint: bool = False


def draw_curve(panel: Axes, curve: Curve) -> Line:
    """Draw one curve; returns the line for `labels.label_lines`."""
    colour = ink(curve.ink)
    x = [mark.x for mark in curve.marks]
    y = [100 * mark.accuracy.estimate for mark in curve.marks]
    if curve.faint:
        panel.plot(x, y, color=colour, linewidth=1.2, alpha=0.45, zorder=1)
        return Line(curve.name, colour, tuple(zip(x, y, strict=True)))
    low = [100 * mark.accuracy.low for mark in curve.marks]
    high = [100 * mark.accuracy.high for mark in curve.marks]
    panel.vlines(x, low, high, color=colour, linewidth=1.4, alpha=0.55)
    style = "--" if curve.dashed else "-"
    panel.plot(x, y, linestyle=style, linewidth=1.4 if curve.hollow else 2, color=colour)
    look: dict[str, Any] = {"color": colour}
    if curve.hollow:
        look |= {"markerfacecolor": ink("page"), "markeredgewidth": 1.6}
    panel.plot(x, y, curve.marker, **look)
    return Line(curve.name, colour, tuple(zip(x, y, strict=True)))


def token_axis(panel: Axes, curves: Sequence[Curve], label: str) -> None:
    """A log2 axis of tokens with a few powers of two, and room for whole accuracies."""
    import pandas as pd

    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(_thousands)
    panel.xaxis.set_minor_locator(_no_ticks())
    values = [mark.x for curve in curves for mark in curve.marks if mark.x > 0]
    if values:
        _few_powers_of_two(panel, pd.Series(values))
        panel.set_xlim(min(values) / 1.3, 1.7 * max(values))  # the last mark's name needs room
    panel.set_xlabel(label)


def accuracy_axis(panel: Axes, curves: Sequence[Curve]) -> None:
    """From zero where the curves begin low, so that heights mean something."""
    ends = [
        100 * end
        for curve in curves
        for mark in curve.marks
        for end in (mark.accuracy.low, mark.accuracy.high)
        if not math.isnan(end)
    ]
    low, high = min(ends, default=0.0), max(ends, default=100.0)
    room = 0.08 * max(high - low, 5)
    panel.set_ylim(-2 if low < 35 else low - room, min(high + room, 102))
