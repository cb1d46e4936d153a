"""Figures of the results chapter: equal compute, Waits, and how few examples it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1lab.evaluation import Interval
from s1lab.figures.curves import Curve, Mark, accuracy_axis, draw_curve, token_axis
from s1lab.figures.labels import label_lines
from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def equal_compute(
    ours: Sequence[Curve], paper: Sequence[Curve] = (), *, title: str = "", paper_title: str = ""
) -> Figure:
    """Accuracy against all tokens spent per question (Figure 4b): what does a token buy where?

    Args:
        ours: sequential and parallel curves on one task.
        paper: the paper's, in a panel of its own.
    """
    import matplotlib.pyplot as plt

    panels = [(title, ours)] + ([(paper_title, paper)] if paper else [])
    fig, axes = plt.subplots(
        1,
        len(panels),
        figsize=(WIDTH, 4.1),
        squeeze=False,
        width_ratios=[1.55, 1][: len(panels)],
    )
    for panel, (heading, curves) in zip(axes[0], panels, strict=True):
        lines = [draw_curve(panel, curve) for curve in curves]
        token_axis(panel, curves, "tokens per question")
        accuracy_axis(panel, curves)
        panel.set_title(heading)
        label_lines(panel, lines)
    axes[0][0].set_ylabel("accuracy (%)")
    return fig


@styled
def waits_curve(
    ours: Sequence[tuple[int, Interval]],
    paper: Sequence[tuple[int, Interval]],
    *,
    title: str = "",
    paper_title: str = "",
) -> Figure:
    """Accuracy against the number of Waits, ours and the paper's, 0 being the natural stop."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    for panel, points, colour, hollow, heading in (
        (axes[0], ours, "wait", False, title),
        (axes[1], paper, "paper", True, paper_title),
    ):
        marks = tuple(Mark(waits, accuracy) for waits, accuracy in points)
        curve = Curve("", colour, marks, marker="^" if not hollow else "o", hollow=hollow)
        draw_curve(panel, curve)
        panel.axhline(
            100 * points[0][1].estimate, color=ink("muted"), linewidth=0.8, linestyle=":", zorder=0
        )
        panel.set_xticks([waits for waits, _ in points])
        panel.set_xlabel("Waits allowed")
        panel.set_title(heading)
        accuracy_axis(panel, [curve])
    axes[0].set_ylabel("accuracy (%)")
    return fig


@styled
def sample_efficiency(
    ours: Sequence[tuple[str, float | None, Interval]],
    paper: Sequence[tuple[str, float | None, Interval]],
    *,
    title: str = "",
    paper_title: str = "",
) -> Figure:
    """Accuracy against the number of training examples (Figure 2, right).

    Args:
        ours: (name, examples, accuracy); 0 examples is the base model.
        paper: the same; None where the number is not stated, drawn in a column of its own.
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.6), width_ratios=[1, 1.3])
    _examples(axes[0], ours, "ours", hollow=False)
    _examples(axes[1], paper, "paper", hollow=True)
    axes[0].set_ylabel("accuracy (%)")
    for panel, heading in zip(axes, (title, paper_title), strict=True):
        panel.set_title(heading)
        panel.set_xlabel("training examples")
    return fig


def _examples(
    panel: Axes, rows: Sequence[tuple[str, float | None, Interval]], colour: str, hollow: bool
) -> None:
    """Evenly spaced columns, one per size: names need the room, and 0 has no logarithm."""
    sizes = sorted({size for _, size, _ in rows if size is not None})
    places: dict[float | None, float] = {size: float(i) for i, size in enumerate(sizes)}
    if any(size is None for _, size, _ in rows):
        places[None] = float(len(sizes))
    shifted: list[tuple[float, str, Interval]] = []
    for size, place in places.items():
        column = sorted(
            ((name, accuracy) for name, other, accuracy in rows if other == size),
            key=lambda row: -row[1].estimate,
        )
        for number, (name, accuracy) in enumerate(column):
            shifted.append((place + 0.26 * (number - (len(column) - 1) / 2), name, accuracy))
    curves = []
    for x, name, accuracy in shifted:
        curve = Curve("", colour, (Mark(x, accuracy),), hollow=hollow)
        draw_curve(panel, curve)
        curves.append(curve)
        panel.annotate(
            name,
            (x, 100 * accuracy.high),
            xytext=(0, 4),
            textcoords="offset points",
            rotation=90 if hollow else 0,
            ha="center",
            va="bottom",
            fontsize=10,
            color=ink(colour),
        )
    names = [f"{size:,.0f}" if size is not None else "not\nstated" for size in places]
    panel.set_xticks(list(places.values()), names)
    panel.set_xlim(-0.6, max(places.values()) + 0.6)
    accuracy_axis(panel, curves)
    low, high = panel.get_ylim()
    panel.set_yticks([tick for tick in panel.get_yticks() if low <= tick <= 100])
    panel.set_ylim(low, high + (0.45 if hollow else 0.1) * (high - low))
