"""Repetition as Waits grow: how much of a trace is not new, and what each Wait still adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]


@styled
def repetition_panels(traces: Rows, waits: Rows) -> Figure:
    """Left: share of repeated steps by number of Waits. Right: Waits that bring a new step.

    Args:
        traces: `waits`, `repeated`, `repeated_low`, `repeated_high`; shares between 0 and 1.
        waits: `wait` (1 for the first), `new`, `new_low`, `new_high`.
    """
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2))
    _points(left, [row["waits"] for row in traces], traces, "repeated")
    left.set_title("Steps written before")
    left.set_xlabel("Waits forced")
    left.set_ylabel("share of a trace's steps (%)")
    left.set_xticks([row["waits"] for row in traces])
    _points(right, [row["wait"] for row in waits], waits, "new")
    right.set_title("Waits that bring a new step")
    right.set_xlabel("which Wait of the trace")
    right.set_ylabel("share of Waits (%)")
    right.set_xticks([row["wait"] for row in waits])
    return fig


def _points(panel: Axes, x: Sequence[float], rows: Rows, name: str) -> None:
    """A line with intervals; the natural stop, before any Wait, in the colour of ours."""
    percent = [[100 * row[f"{name}{end}"] for row in rows] for end in ("", "_low", "_high")]
    panel.plot(x, percent[0], color=ink("wait"), linewidth=1.6)
    for place, value, low, high in zip(x, *percent):
        colour, marker = (ink("ours"), "o") if place == 0 else (ink("wait"), "^")
        panel.plot([place, place], [low, high], color=colour, linewidth=1.4, alpha=0.6)
        panel.plot(place, value, marker, color=colour)
    panel.set_ylim(0, max(percent[2]) * 1.15)
