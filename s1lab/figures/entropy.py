"""Uncertainty along a trace, and around where Waits were forced: tidy data in, one Figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUPS = {
    "forced": ("Wait, forced", "wait", "-", "^"),
    "own": ("Wait, the model's own", "ours", "--", "o"),
    "plain": ("any other step", "muted", ":", "s"),
}
UNITS = {"entropy": "entropy (bits)", "varentropy": "varentropy (bits²)"}


@styled
def uncertainty_trace(row: Mapping[str, Any], *, title: str = "", last: int = 160) -> Figure:
    """Entropy and varentropy at every thinking token of one trace, step starts and Waits marked.

    Args:
        row: from `s1lab.traces.inspection.uncertainty_rows`.
        title: title of the figure.
        last: how many tokens to show, counted from the end of thinking.
    """
    import matplotlib.pyplot as plt

    tokens = len(row["entropy"])
    if not tokens:
        raise ValueError("nothing to draw: the trace has no thinking tokens.")
    shown = range(max(tokens - last, 0), tokens)
    fig, panels = plt.subplots(2, 1, figsize=(WIDTH, 4.2), sharex=True)
    for panel, (measure, unit) in zip(panels, UNITS.items(), strict=True):
        panel.bar(shown, [row[measure][i] for i in shown], width=0.85, color=ink("ours"))
        for place in row["plain"]:
            if place in shown:
                panel.axvline(place - 0.5, color=ink("rule"), linewidth=0.8, zorder=0)
        top = 1.1 * max(max(row[measure][i] for i in shown), 0.1)
        for group in ("own", "forced"):
            places = [i for i in row[group] if i in shown]
            _mark_waits(panel, places, top, group, named=panel is panels[0])
        panel.set_ylim(0, 1.2 * top if panel is panels[0] else 1.1 * top)
        panel.set_ylabel(unit)
        panel.margins(x=0.01)
    panels[0].set_title(title)
    panels[1].set_xlabel("thinking token")
    return fig


@styled
def around_waits(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Mean uncertainty by distance from the first token of a step, with 95% intervals.

    Args:
        rows: from `s1lab.traces.inspection.around_waits`; numbers may be text, as in a CSV file.
        title: title of the figure.
    """
    import matplotlib.pyplot as plt

    fig, panels = plt.subplots(2, 1, figsize=(WIDTH, 5.0), sharex=True)
    for panel, (measure, unit) in zip(panels, UNITS.items(), strict=True):
        for group, (name, colour, dashes, marker) in GROUPS.items():
            found = [r for r in rows if r["group"] == group and r["measure"] == measure]
            if not found:
                continue
            x = [int(r["offset"]) for r in found]
            mean, low, high = ([float(r[key]) for r in found] for key in ("mean", "low", "high"))
            panel.fill_between(x, low, high, color=ink(colour), alpha=0.25, linewidth=0)
            panel.plot(
                x, mean, dashes, marker=marker, markersize=4.5, color=ink(colour), label=name
            )
        panel.axvline(0, color=ink("muted"), linewidth=0.8, zorder=0)
        panel.set_ylabel(unit)
        panel.set_ylim(bottom=0)
    panels[0].set_title(title)
    panels[0].legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.01, 0.98))
    panels[1].set_xlabel("tokens from the first token of a step")
    return fig


def _mark_waits(
    panel: Axes, places: Sequence[int], height: float, group: str, *, named: bool
) -> None:
    name, colour, _, marker = GROUPS[group]
    panel.plot(places, [height] * len(places), marker, linestyle="none", color=ink(colour))
    if places and named:
        forced = group == "forced"  # the last of them are at the end of the trace
        panel.annotate(
            name,
            (places[-1 if forced else 0], height),
            xytext=(6 if forced else -6, 7),
            textcoords="offset points",
            ha="right" if forced else "left",
            fontsize=10,
            color=ink(colour),
        )
