"""Figures of accuracy against what it costs, and of what happens along a training or a trace.

Accuracies come as curve tables (see `s1lab.figures.panels`): what we measured is filled; the
paper's is hollow and grey, in a panel of its own, since it is another task.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from s1lab.audit import published
from s1lab.figures import panels as draw
from s1lab.figures.panels import PAPER, Line, Table, curve_table, label_lines, tidy
from s1lab.figures.style import STYLE, ink, on_phone, styled, thousands, width

BENCHMARKS = ("MATH500", "GPQA Diamond", "AIME24")
PAPER_TITLE = "The paper: s1-32B"
THINKING = "average thinking tokens"
STROKES = ("-", "--", ":", "-.")
GROUPS = STYLE["groups"]
UNITS = {"entropy": "entropy (bits)", "varentropy": "varentropy (bits²)"}


@styled
def scaling_curve(points: Table, paper: Table | None = None, *, across: str = THINKING) -> Figure:
    """Accuracy against tokens on a log2 axis (Figures 1 and 4 of the paper).

    Both are curve tables with `x` in tokens; `across` says which tokens are counted. Many curves
    get the whole width, and the paper's panel stands below.
    """
    tables = {"Ours": curve_table(points)}
    if paper is not None:
        tables[PAPER_TITLE] = curve_table(paper, **PAPER)
    return _side_by_side(tables, across, row=1 if tables["Ours"]["name"].nunique() > 3 else 2)


@styled
def headline(ours: Mapping[str, Sequence[Any]]) -> Figure:
    """Our curves with intervals, by title, beside the paper's Figure 1: the figure of the book.

    Of each its points (`measure.Point`); capping and "Wait" are two series that meet at the stop.
    """
    tables = {}
    for title, points in ours.items():
        looks = [(p, {"series": "capping"}) for p in points if p.kind != "wait"]
        looks.sort(key=lambda look: look[0].thinking_tokens)
        for p in (p for kind in ("natural", "wait") for p in points if p.kind == kind):
            label = f"{p.waits}x" if p.waits else ""
            looks.append((p, {"series": "wait", "dashed": 1, "label": label}))
        rows = [p.accuracy.row("accuracy", x=p.thinking_tokens, **look) for p, look in looks]
        tables[title] = curve_table(rows)
    figure = published.published()["figure1"]["points"]
    paper = [
        {"x": tokens, "accuracy": percent / 100, "name": name, "dashed": number}
        for number, name in enumerate(BENCHMARKS)
        for tokens, percent in sorted(figure[name])
    ]
    tables[PAPER_TITLE] = curve_table(paper, **PAPER)
    return _side_by_side(tables, THINKING, widths=(1.75 if len(ours) == 1 else 1, 1))


@styled
def method_panels(table: Table) -> Figure:
    """Accuracy against average thinking tokens, one small panel per family of methods (Table 3).

    `table` is a curve table with a further column `panel`. All share axes, so that they compare.
    """
    every = curve_table(tidy(table, "panel"))
    tables = dict(iter(every.groupby("panel", sort=False)))
    return _side_by_side(tables, THINKING, widths=(1, 1), shared=every)


@styled
def waits_curve(ours: Table, paper: Table) -> Figure:
    """Accuracy against the number of Waits (`x`), 0 being the natural stop."""
    tables = {"Ours": curve_table(ours, series="wait", name="")}
    tables["Released logs: AIME24"] = curve_table(paper, name="", **PAPER)
    fig = _side_by_side(tables, "Waits allowed", log=False, widths=(1, 1))
    for panel, table in zip(fig.axes, tables.values(), strict=True):
        start = table["accuracy"].iloc[0]
        panel.axhline(start, color=ink("muted"), linewidth=0.8, linestyle=":", zorder=0)
        panel.set_xticks(table["x"])
    return fig


@styled
def repetition_panels(traces: Table, waits: Table) -> Figure:
    """Left: share of repeated steps by number of Waits. Right: Waits that bring a new step.

    Curve tables, whose `accuracy` is the share; `x` is the number of Waits, and which Wait it is.
    """
    shown = {"Steps written before": traces, "Waits that bring a new step": waits}
    tables = {title: curve_table(rows, series="wait", name="") for title, rows in shown.items()}
    fig = _side_by_side(tables, "Waits forced", log=False, widths=(1, 1))
    for panel, table in zip(fig.axes, tables.values(), strict=True):
        panel.set_ylim(0, table["high"].max() * 1.15)
        panel.set_xticks(table["x"])
        natural = table[table["x"] == 0].assign(series="capping", marker="o")
        draw.draw_marks(panel, natural)  # before any Wait: in the colour of ours
    fig.axes[0].set(xlabel="Waits forced", ylabel="share of a trace's steps (%)")
    fig.axes[1].set(xlabel="which Wait of the trace", ylabel="share of Waits (%)")
    return fig


@styled
def sample_efficiency(ours: Table, paper: Table) -> Figure:
    """Accuracy against the number of training examples (Figure 2, right).

    Curve tables with `name`, and the examples as `x`: 0 is the base model, NaN is not stated.
    """
    tables = {"Ours": curve_table(ours), "The paper: MATH500": curve_table(paper, **PAPER)}
    columns = []
    # Evenly spaced columns, one per size: names need the room, and 0 has no logarithm.
    for table in tables.values():
        known = sorted(table["x"].dropna().unique())
        place = table["x"].map({size: i for i, size in enumerate(known)}).fillna(len(known))
        column = table.groupby(place)["accuracy"]
        number = column.rank(method="first", ascending=False) - 1
        table["x"] = place + 0.26 * (number - (column.transform("size") - 1) / 2)
        table["joined"] = False
        unstated = ["not\nstated"] if place.max() == len(known) else []
        columns.append([f"{size:,.0f}" for size in known] + unstated)
    fig = _side_by_side(tables, "training examples", log=False, widths=(1, 1.3))
    for panel, names in zip(fig.axes, columns, strict=True):
        panel.set_xticks(range(len(names)), names)
    return fig


@styled
def cost_and_accuracy(ours: Table, paper: Table) -> Figure:
    """Accuracy against what training cost, as multiples of the reference (Section 5.1).

    Rows of `_by_benchmark`, the cheapest first, with `cost`, 1 for the reference.
    """
    theirs = _by_benchmark(paper, "cost", **PAPER)
    tables = {"Ours, in FLOPs": _by_benchmark(ours, "cost"), "The paper, in H100-hours": theirs}
    if tables["Ours, in FLOPs"]["name"].nunique() == 1:  # training sets are no sequence
        tables["Ours, in FLOPs"]["joined"] = False
    fig = _side_by_side(tables, "cost of training, in multiples of s1's")
    for panel in fig.axes:
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    return fig


@styled
def tokens_and_accuracy(ours: Table, paper: Table) -> Figure:
    """Where each sequence length of training ends up: thinking tokens and accuracy (Table 8).

    Rows of `_by_benchmark` with `thinking_tokens`, named by their length; optionally `fewest`,
    `most` (the interval of the tokens) and `seeds`, a list of (thinking tokens, accuracy) that are
    drawn small. The last row of a benchmark, the longest length, is a circle; others are squares.
    """
    spent = "thinking_tokens"
    theirs = _by_benchmark(paper, spent, **PAPER)
    tables = {"Ours": _by_benchmark(ours, spent), PAPER_TITLE: theirs}
    for table in tables.values():
        shorter = table.duplicated("benchmark", keep="last")
        table["marker"] = shorter.map({True: "s", False: "o"})
    fig = _side_by_side(tables, THINKING)
    for panel in fig.axes:
        low, high = panel.get_xlim()
        if high < 4 * low:  # powers of two are too few to read a value from
            panel.xaxis.set_major_locator(MaxNLocator(4))
    return fig


@styled
def loss_curve(log: Table, *, title: str = "") -> Figure:
    """Training loss with the learning rate below it (Appendix D of the paper).

    `log` has rows of a training log with `step`, `loss`, `lr` and, for its ends, `epoch`. The thin
    line is the loss as logged, the bold one averages over 5% of the run.
    """
    table = tidy(log, "step", "loss", "lr")
    # Centred, so that the bold line does not lag behind a falling loss.
    window = max(1, round(0.05 * len(table)))
    table["smooth"] = table["loss"].rolling(window, center=True, min_periods=1).mean()
    shape = {"figsize": (width(), 4.0), "height_ratios": [4, 1]}
    fig, (top, bottom) = plt.subplots(2, 1, sharex=True, **shape)
    line = {"data": table, "x": "step", "color": ink("ours"), "estimator": None, "errorbar": None}
    sns.lineplot(**line, y="loss", linewidth=0.8, alpha=0.35, ax=top)
    sns.lineplot(**line, y="smooth", ax=top)
    sns.lineplot(**line, y="lr", linewidth=1.5, ax=bottom)
    epochs = table["epoch"].astype(int) if "epoch" in table else table["step"] * 0
    for start in table.loc[epochs.diff() > 0, "step"]:
        top.axvline(start, color=ink("rule"), linewidth=0.8, zorder=0)
    end = table.iloc[-1]
    look = {"va": "center", "fontweight": "semibold", "annotation_clip": False, "xytext": (9, 0)}
    draw.note(top, f"{end['smooth']:.3f}", (end["step"], end["smooth"]), color=ink("ours"), **look)
    peak = table["lr"].max()
    bottom.set_ylim(0, peak * 1.15)
    bottom.set_yticks([0, peak], ["0", f"{peak:.0e}".replace("e-0", "e\N{MINUS SIGN}")])
    bottom.xaxis.set_major_formatter(thousands)
    top.set(title=title, ylabel="loss per supervised token")
    bottom.set(xlabel="step", ylabel="learning\nrate")
    return fig


@styled
def still_thinking(table: Table, *, cuts: Sequence[tuple[float, str]] = ()) -> Figure:
    """Share of generations that are still thinking after so many tokens.

    `table` has `name`, `seed` and thinking `tokens`, a row for each generation; a seed is a thin
    line, all together a bold one. `cuts` are tokens to mark, with what happens there.
    """
    table = tidy(table, "name", "seed", "tokens").astype({"tokens": float})
    fig, panel = plt.subplots(figsize=(width(), 3.6))
    lines = []
    share = {"complementary": True, "stat": "percent", "color": ink("ours"), "ax": panel}
    for number, (name, rows) in enumerate(table.groupby("name", sort=False)):
        for _, seed in rows.groupby("seed"):
            sns.ecdfplot(seed, x="tokens", linewidth=0.7, alpha=0.4, **share)
        sns.ecdfplot(rows, x="tokens", linestyle=STROKES[number % len(STROKES)], **share)
        places = np.linspace(0, table["tokens"].max(), 26)[1:-1]
        points = [(place, 100 * float((rows["tokens"] > place).mean())) for place in places]
        lines.append(Line(str(name), ink("ours"), tuple(points)))
    for line in panel.lines:  # everyone thinks at 0 tokens; an infinite place is not drawn
        line.set_xdata([0, *line.get_xdata()[1:]])
    panel.set(xlim=(0, 1.02 * table["tokens"].max()), ylim=(0, 103))
    panel.xaxis.set_major_formatter("{x:,.0f}")
    # Where nobody thinks for so long there is nothing to mark.
    for place, text in (cut for cut in cuts if cut[0] <= table["tokens"].max()):
        panel.axvline(place, color=ink("muted"), linewidth=1, linestyle=(0, (3, 3)))
        where = {"xycoords": ("data", "axes fraction"), "xytext": (5, -2), "va": "top"}
        draw.note(panel, text, (place, 1), color=ink("muted"), **where)
    panel.set(xlabel="thinking tokens", ylabel="still thinking (%)")
    label_lines(panel, lines)
    some = {line.name: [f"{y:.0f}% at {x:,.0f}" for x, y in line.points[2::7]] for line in lines}
    fig.in_words = "; ".join(f"{name}: {', '.join(said)}" for name, said in some.items()) + "."
    return fig


@styled
def around_waits(rows: Table) -> Figure:
    """Mean uncertainty by distance from the first token of a step, with 95% intervals.

    `rows` are of `s1lab.traces.uncertainty.around_waits`; numbers may be text, as in a CSV file.
    """
    table = tidy(rows, "group", "measure", "offset", "mean", "low", "high")
    table = table.astype({"offset": int, "mean": float, "low": float, "high": float})
    groups = [group for group in GROUPS if (table["group"] == group).any()]
    names, inks, dashes, markers = zip(*(GROUPS[group] for group in groups), strict=True)
    fig, panels = plt.subplots(2, 1, figsize=(width(), 5.0), sharex=True)
    for panel, (measure, unit) in zip(panels, UNITS.items(), strict=True):
        found = table[table["measure"] == measure]
        sns.lineplot(
            found, x="offset", y="mean", hue="group", style="group", hue_order=groups,
            style_order=groups, palette=[ink(name) for name in inks], dashes=list(dashes),
            markers=list(markers), markersize=4.5, markeredgewidth=0, estimator=None,
            errorbar=None, legend=False, ax=panel,
        )  # fmt: skip
        for group, name in zip(groups, inks, strict=True):
            band = found[found["group"] == group]
            ends = (band["offset"], band["low"], band["high"])
            panel.fill_between(*ends, color=ink(name), alpha=0.25, linewidth=0)
        panel.axvline(0, color=ink("muted"), linewidth=0.8, zorder=0)
        panel.set_ylabel(unit)
        panel.set_ylim(bottom=0)
    above = {"loc": "lower left", "bbox_to_anchor": (-0.01, 0.98), "ncols": 1 if on_phone() else 3}
    panels[0].legend(panels[0].lines[: len(names)], names, frameon=False, **above)
    panels[1].set_xlabel("tokens from the first token of a step")
    return fig


def _by_benchmark(rows: Table, x: str, **look: Any) -> pd.DataFrame:
    """A curve table with a line for each `benchmark`; points of the highest have their `name`."""
    table = tidy(rows, "benchmark", "name", x)
    highest = table["benchmark"] == table["benchmark"][table["accuracy"].idxmax()]
    named = table["name"].where(highest, "")
    name = table["benchmark"] if look or not highest.all() else "ours"
    return curve_table(table.assign(label=named, name=name, x=table[x]), **look)


def _side_by_side(
    tables: Mapping[str, pd.DataFrame], across: str, *, log: bool = True,
    widths: Sequence[float] = (1.55, 1), shared: pd.DataFrame | None = None, row: int = 2,
) -> Figure:  # fmt: skip
    """A panel for each complete curve table, by title, `row` in a row or stacked on a phone, curves
    named. `shared` has the rows of all panels, where they share their axes."""
    same, row = shared is not None, 1 if on_phone() else min(len(tables), row)
    down = math.ceil(len(tables) / row)
    high = (2.9 if same or row == 1 else 3.8) * down
    fig, axes = plt.subplots(
        down, row, figsize=(width(), high), squeeze=False,
        width_ratios=widths[:row], sharex=same, sharey=same,
    )  # fmt: skip
    for panel, (heading, table) in zip(axes.flat, tables.items(), strict=False):
        lines = draw.draw_curves(panel, table)
        draw.accuracy_axis(panel, shared if same else table)
        if log:
            draw.token_axis(panel, (shared if same else table)["x"])
        under = across if panel in axes[-1] or not same else ""
        panel.set(title=heading, xlabel=under, ylabel="accuracy (%)" if panel in axes[:, 0] else "")
        label_lines(panel, lines)
    for panel in axes.flat[len(tables) :]:
        panel.set_visible(False)
    fig.in_words = " ".join(f"{t} {draw.spoken(of, at='x')}" for t, of in tables.items())
    return fig
