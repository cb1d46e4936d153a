"""Drawing functions: tidy data in, one matplotlib Figure out.

Data is anything `pandas.DataFrame` accepts, usually a list of dicts. Accuracies and intervals are
fractions between 0 and 1 and are shown in percent. Intervals are always drawn when given, and
lines are labelled where they end instead of in a legend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1lab.figures.labels import Line, label_ends, label_lines
from s1lab.figures.style import MARKERS, NAMES, WIDTH, ink, styled

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = Any  # anything that pandas.DataFrame accepts


@styled
def scaling_curve(
    points: Table,
    paper_points: Table | None = None,
    *,
    title: str = "",
    paper_title: str = "The paper: s1-32B",
    metric: str = "accuracy",
) -> Figure:
    """Accuracy against thinking tokens on a log2 axis (Figures 1 and 4 of the paper).

    Args:
        points: one row per measured point: `thinking_tokens` (mean, > 0), `accuracy`, and
            optionally `low`, `high` (the interval), `series` (an ink, default "ours"), `label`
            (drawn at the point, e.g. "2x").
        paper_points: the same columns; `series` names a benchmark. Drawn hollow and grey in a
            panel of its own, since it is another task on another scale of tokens.
        title: title of our panel.
        paper_title: title of the paper's panel.
        metric: what the vertical axis measures.
    """
    import matplotlib.pyplot as plt

    ours = _frame(points, ["thinking_tokens", "accuracy"], series="ours")
    widths = [1] if paper_points is None else [1.55, 1]
    fig, axes = plt.subplots(
        1, len(widths), figsize=(WIDTH, 3.9), squeeze=False, width_ratios=widths
    )
    drawn = [(axes[0][0], title, _curves(axes[0][0], ours, hollow=False))]
    if paper_points is not None:
        paper = _frame(paper_points, ["thinking_tokens", "accuracy"], series="paper")
        drawn.append((axes[0][1], paper_title, _curves(axes[0][1], paper, hollow=True)))
    for panel, heading, _ in drawn:
        panel.set_title(heading)
        panel.set_xlabel("average thinking tokens")
    axes[0][0].set_ylabel(f"{metric} (%)")
    for panel, _, lines in drawn:
        label_lines(panel, lines)
    return fig


@styled
def loss_curve(
    log: Table | Mapping[str, Table], *, x: str = "step", smoothing: float = 0.05, title: str = ""
) -> Figure:
    """Training loss with the learning rate below it (Appendix D of the paper).

    Args:
        log: rows of a training log with `loss`, `lr`, `epoch` and the column `x`; or several
            logs by the name of an ink.
        x: what runs along the horizontal axis: "step", "epoch", "tokens", "supervised_tokens".
        smoothing: share of the run that the bold line averages over; the thin line is as logged.
        title: title of the figure.
    """
    import matplotlib.pyplot as plt

    logs = log if isinstance(log, Mapping) and "loss" not in log else {"ours": log}
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 4.0), sharex=True, height_ratios=[4, 1])
    ends = []
    for name, rows in logs.items():
        frame = _frame(rows, [x, "loss", "lr"])
        colour = ink(name)
        # Centred, so that the bold line does not lag behind a falling loss.
        window = max(1, round(smoothing * len(frame)))
        smooth = frame["loss"].rolling(window, center=True, min_periods=1).mean()
        top.plot(frame[x], frame["loss"], color=colour, linewidth=0.8, alpha=0.35)
        top.plot(frame[x], smooth, color=colour)
        bottom.plot(frame[x], frame["lr"], color=colour, linewidth=1.5)
        label = f"{smooth.iloc[-1]:.3f}" if len(logs) == 1 else f"{NAMES.get(name, name)}"
        ends.append((frame[x].iloc[-1], smooth.iloc[-1], label, colour))
    if len(logs) == 1 and "epoch" in frame:
        _mark_epochs(top, frame, x)
    top.set_title(title)
    top.set_ylabel("loss per supervised token")
    bottom.set_ylabel("learning\nrate")
    bottom.set_xlabel(x.replace("_", " "))
    peak = max(_frame(rows, ["lr"])["lr"].max() for rows in logs.values())
    bottom.set_ylim(0, peak * 1.15)
    bottom.set_yticks([0, peak], ["0", f"{peak:.0e}".replace("e-0", "e-")])
    for panel in (top, bottom):
        panel.xaxis.set_major_formatter(_thousands)
    label_ends(top, ends)
    return fig


@styled
def comparison(rows: Table, *, metric: str = "accuracy", title: str = "") -> Figure:
    """Named results as points with intervals, the paper's beside ours (Tables 1 to 4).

    Args:
        rows: `name`, `accuracy`, and optionally `low`, `high`, `paper` (the paper's value for
            the same row, drawn hollow) and `series` (an ink). The first row is on top.
        metric: what the horizontal axis measures.
        title: title of the figure.
    """
    import matplotlib.pyplot as plt

    frame = _frame(rows, ["name", "accuracy"], series="ours").iloc[::-1].reset_index(drop=True)
    fig, panel = plt.subplots(figsize=(WIDTH, 0.9 + 0.42 * len(frame)))
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", visible=True)
    for place, row in frame.iterrows():
        colour = ink(row["series"])
        if {"low", "high"} <= set(frame) and not math.isnan(row["low"]):
            panel.plot([100 * row["low"], 100 * row["high"]], [place] * 2, color=colour)
        look = _hollow() if row["series"] == "paper" else {"color": colour}
        panel.plot(100 * row["accuracy"], place, "o", **look)
        panel.annotate(
            f"{100 * row['accuracy']:.1f}",
            (100 * row["accuracy"], place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            color=colour,
        )
        if "paper" in frame and not math.isnan(row["paper"]):
            panel.plot(100 * row["paper"], place - 0.22, "o", **_hollow())
    if "paper" in frame:
        _key(panel, "hollow: the paper")
    panel.set_yticks(range(len(frame)), frame["name"], color=ink("text"))
    panel.set_ylim(-0.6, len(frame) - 0.3)
    panel.spines["left"].set_visible(False)
    panel.set_xlabel(f"{metric} (%)")
    panel.set_title(title)
    return fig


# ------------------------------------------------------------------------------- details


def _frame(rows: Table, columns: Sequence[str], series: str | None = None) -> pandas.DataFrame:
    """A copy as a data frame that has `columns`, with a default series.

    Raises:
        ValueError: there are no rows, or a column is missing.
    """
    import pandas as pd

    frame = pd.DataFrame(rows).copy()
    missing = [column for column in columns if column not in frame]
    if frame.empty or missing:
        lacks = f"no column {', '.join(missing)}" if missing else "no rows"
        raise ValueError(f"nothing to draw: the data has {lacks}.")
    if series is not None:
        frame["series"] = frame["series"].fillna(series) if "series" in frame else series
    return frame.reset_index(drop=True)


def _curves(panel: Axes, frame: pandas.DataFrame, *, hollow: bool) -> list[Line]:
    """One line per series, sorted by tokens unless the points are labelled (then in order)."""
    lines = []
    for number, (name, rows) in enumerate(frame.groupby("series", sort=False)):
        labelled = "label" in rows and rows["label"].fillna("").ne("").any()
        if not labelled:
            rows = rows.sort_values("thinking_tokens")
        x, y = rows["thinking_tokens"], 100 * rows["accuracy"]
        colour = ink("paper") if hollow else ink(name)
        if {"low", "high"} <= set(rows):
            panel.vlines(
                x, 100 * rows["low"], 100 * rows["high"], color=colour, linewidth=1.4, alpha=0.6
            )
        dashes = ("-", "--", ":", "-.")[number % 4] if hollow else ("--" if labelled else "-")
        panel.plot(x, y, linestyle=dashes, linewidth=1.2 if hollow else 2, color=colour)
        marks = _hollow() if hollow else {"color": colour}
        panel.plot(x, y, MARKERS.get(name, "o"), **marks)
        if labelled:
            _label_points(panel, rows, colour)
        lines.append(Line(NAMES.get(name, str(name)), colour, tuple(zip(x, y, strict=True))))
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(_thousands)
    panel.xaxis.set_minor_locator(_no_ticks())
    _few_powers_of_two(panel, frame["thinking_tokens"])
    low, high = panel.get_ylim()
    # A curve that begins low is shown from zero, so that its height means something.
    panel.set_ylim(-2 if low < 35 else low, min(high, 102))
    return lines


def _few_powers_of_two(panel: Axes, values: Any) -> None:
    first, last = math.ceil(math.log2(values.min())), math.floor(math.log2(values.max()))
    if last <= first:
        first, last = first - 1, first
    step = max(1, math.ceil((last - first) / 7))
    panel.set_xticks([2**power for power in range(first, last + 1, step)])


def _label_points(panel: Axes, rows: pandas.DataFrame, colour: str) -> None:
    """Labels beside points: left of one from which the line rises, else right."""
    heights = [*rows["accuracy"], -math.inf]
    for (_, row), follows in zip(rows.iterrows(), heights[1:]):
        if row["label"]:
            rises = follows > row["accuracy"]
            panel.annotate(
                str(row["label"]),
                (row["thinking_tokens"], 100 * row["accuracy"]),
                xytext=(-7, 3) if rises else (6, 5),
                textcoords="offset points",
                ha="right" if rises else "left",
                fontsize=10,
                color=colour,
            )


def _mark_epochs(panel: Axes, frame: pandas.DataFrame, x: str) -> None:
    """A thin line where a new epoch begins."""
    starts = frame.loc[frame["epoch"].astype(int).diff() > 0, x]
    for start in starts:
        panel.axvline(start, color=ink("rule"), linewidth=0.8, zorder=0)


def _key(panel: Axes, text: str) -> None:
    panel.annotate(
        text,
        (1, 1),
        xytext=(0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        fontsize=10,
        color=ink("paper"),
    )


def _hollow() -> dict[str, Any]:
    return {
        "markerfacecolor": ink("page"),
        "markeredgecolor": ink("paper"),
        "markeredgewidth": 1.6,
    }


def _thousands(value: float, _: Any = None) -> str:
    """Axis text: `0.5 -> "0.5"`, `512 -> "512"`, `4096 -> "4k"`, `48000 -> "48k"`."""
    if value >= 1000:
        thousands = value / 1024 if value % 1024 == 0 else value / 1000
        return f"{thousands:g}k"
    return f"{value:g}"


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
