"""Figures of what happens along a training, along a trace, and until thinking ends."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from s1lab.figures.labels import Line, label_lines
from s1lab.figures.panels import Table, note, tidy
from s1lab.figures.style import ink, on_phone, styled, thousands, width

DASHES = ("-", "--", ":", "-.")
GROUPS = {
    "forced": ("Wait, forced", "wait", "", "^"),
    "own": ("Wait, the model's own", "ours", (4, 2), "o"),
    "plain": ("any other step", "muted", (1, 1.6), "s"),
}
UNITS = {"entropy": "entropy (bits)", "varentropy": "varentropy (bits²)"}


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
    fig, (top, bottom) = plt.subplots(
        2, 1, figsize=(width(), 4.0), sharex=True, height_ratios=[4, 1]
    )
    line = {"data": table, "x": "step", "color": ink("ours"), "estimator": None, "errorbar": None}
    sns.lineplot(**line, y="loss", linewidth=0.8, alpha=0.35, ax=top)
    sns.lineplot(**line, y="smooth", ax=top)
    sns.lineplot(**line, y="lr", linewidth=1.5, ax=bottom)
    epochs = table["epoch"].astype(int) if "epoch" in table else table["step"] * 0
    for start in table.loc[epochs.diff() > 0, "step"]:
        top.axvline(start, color=ink("rule"), linewidth=0.8, zorder=0)
    end = table.iloc[-1]
    look = {"va": "center", "fontweight": "semibold", "annotation_clip": False, "xytext": (9, 0)}
    note(top, f"{end['smooth']:.3f}", (end["step"], end["smooth"]), color=ink("ours"), **look)
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
        sns.ecdfplot(rows, x="tokens", linestyle=DASHES[number % len(DASHES)], **share)
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
        note(panel, text, (place, 1), color=ink("muted"), **where)
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
