"""Figures of the methods chapter: every way to spend test-time compute, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1lab.evaluation import Interval
from s1lab.figures.curves import Curve, accuracy_axis, draw_curve, token_axis
from s1lab.figures.labels import label_lines
from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def method_panels(panels: Sequence[tuple[str, Sequence[Curve]]], *, across: int = 2) -> Figure:
    """Accuracy against average thinking tokens, one small panel per family of methods (Table 3).

    All panels share their axes, so that heights and costs compare across them. A curve that is
    `faint` is there for comparison only and is not labelled.
    """
    import matplotlib.pyplot as plt

    down = math.ceil(len(panels) / across)
    fig, axes = plt.subplots(
        down, across, figsize=(WIDTH, 2.9 * down), squeeze=False, sharex=True, sharey=True
    )
    every = [curve for _, curves in panels for curve in curves]
    for panel, (heading, curves) in zip(axes.flat, panels, strict=False):
        lines = [(curve, draw_curve(panel, curve)) for curve in curves]
        token_axis(panel, every, "")
        accuracy_axis(panel, every)
        panel.set_title(heading)
        label_lines(panel, [line for curve, line in lines if curve.name and not curve.faint])
    for panel in list(axes.flat)[len(panels) :]:
        panel.set_visible(False)
    for panel in axes[-1]:
        panel.set_xlabel("average thinking tokens")
    for row in axes:
        row[0].set_ylabel("accuracy (%)")
    return fig


@styled
def differences(
    rows: Sequence[tuple[str, str, Interval, float | None]], *, title: str = "", metric: str
) -> Figure:
    """Differences against one thing, with their intervals and a line at zero (Table 4).

    Args:
        rows: (name, ink, difference, the paper's difference or None), fractions; first on top.
        title: title of the figure.
        metric: what is compared with what; "points" is added.
    """
    import matplotlib.pyplot as plt

    fig, panel = plt.subplots(figsize=(WIDTH, 1.1 + 0.52 * len(rows)))
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", visible=True)
    panel.axvline(0, color=ink("muted"), linewidth=1)
    for place, (_, name, gap, paper) in enumerate(reversed(rows)):
        colour = ink(name)
        panel.plot([100 * gap.low, 100 * gap.high], [place] * 2, color=colour)
        panel.plot(100 * gap.estimate, place, "o", color=colour)
        panel.annotate(
            f"{100 * gap.estimate:+.1f}",
            (100 * gap.estimate, place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            color=colour,
        )
        if paper is not None:
            panel.plot(
                100 * paper,
                place - 0.24,
                "o",
                markerfacecolor=ink("page"),
                markeredgecolor=ink("paper"),
                markeredgewidth=1.6,
            )
    if any(row[3] is not None for row in rows):
        panel.annotate(
            "hollow: the paper",
            (1, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            fontsize=10,
            color=ink("paper"),
        )
    panel.set_yticks(range(len(rows)), [row[0] for row in reversed(rows)], color=ink("text"))
    panel.set_ylim(-0.6, len(rows) - 0.3)
    panel.spines["left"].set_visible(False)
    panel.set_xlabel(f"{metric} (points)")
    panel.set_title(title)
    return fig
