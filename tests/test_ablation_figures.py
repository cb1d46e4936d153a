"""Figures of the ablation chapters: intervals drawn, the paper apart, names where there is room."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the book extra is not installed")

from s1lab.analysis import lengths, subsets
from s1lab.figures import ablations as draw
from s1lab.figures import dark_svg, ink, to_svg

GAPS = [
    {"benchmark": b, "name": n, "difference": d, "low": d - 3, "high": d + 4}
    for b in ("countdown", "other")
    for n, d in (("random", -5.0), ("full", 7.0))
]
POINTS = [
    {
        "benchmark": b, "name": n, "cost": c, "thinking_tokens": t, "fewest": t - 9, "most": t + 9,
        "accuracy": a, "low": a - 0.04, "high": a + 0.04, "seeds": [(t - 2, a), (t + 2, a)],
    }
    for b, shift in (("one", 0.0), ("two", 0.2))
    for n, c, t, a in (("112", 0.7, 220, 0.5 + shift), ("1,024", 3.6, 180, 0.6 + shift))
]  # fmt: skip
CURVES = [
    {"name": "trained at 1,024", "seeds": [[10, 20, 30, 40], [10, 10, 30, 80]]},
    {"name": "trained at 112", "seeds": [[10, 40, 90, 120], [20, 40, 120, 120]]},
]
DRAWN = {
    "differences": lambda: draw.differences(GAPS, subsets.paper_difference_rows()),
    "cost": lambda: draw.cost_and_accuracy(POINTS, subsets.paper_cost_rows()),
    "length": lambda: draw.tokens_and_accuracy(POINTS, lengths.paper_rows()),
    "survival": lambda: draw.still_thinking(CURVES, cuts=[(50, "cut at 50")]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_the_same_drawing_in_light_and_dark(name: str) -> None:
    light, hexes = to_svg(DRAWN[name](), name), re.compile(r"#[0-9a-f]{6}\b")
    dark = dark_svg(light)
    assert light != dark and hexes.sub("", light) == hexes.sub("", dark)
    assert light == to_svg(DRAWN[name](), name)


def test_every_difference_is_drawn_with_its_interval_and_its_number() -> None:
    fig = DRAWN["differences"]()
    (panel,) = [axes for axes in fig.axes if "countdown" in axes.get_title("left")]
    ends = [tuple(line.get_xdata()) for line in panel.lines if len(set(line.get_ydata())) == 1]
    assert {(-8.0, -1.0), (4.0, 11.0)} <= set(ends)
    assert [text.get_text() for text in panel.texts] == ["\N{MINUS SIGN}5.0", "+7.0"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["full", "random"]
    assert len(fig.axes) == 2 + 3


@pytest.mark.parametrize("name", ["differences", "cost", "length"])
def test_the_paper_is_hollow_and_what_we_measured_is_filled(name: str) -> None:
    for axes in DRAWN[name]().axes:
        marks = [line for line in axes.lines if line.get_marker() in ("o", "s")]
        fills = {line.get_markerfacecolor() for line in marks}
        assert fills in ({ink("page")}, {ink("ours")})
        edges = {line.get_markeredgecolor() for line in marks}
        assert edges == {ink("paper") if fills == {ink("page")} else ink("ours")}


def test_shorter_lengths_have_a_mark_of_their_own() -> None:
    ours, _ = DRAWN["length"]().axes
    marks = {
        line.get_xdata()[0]: line.get_marker() for line in ours.lines if line.get_marker() in "os"
    }
    assert marks[220] == "s" and marks[180] == "o"


def test_a_survival_curve_counts_who_still_thinks() -> None:
    x, y = draw.survival([2, 2, 4])
    assert x.tolist() == [0, 2, 4]
    assert y.tolist() == pytest.approx([100, 100 / 3, 0])
    tokens = np.random.default_rng(0).integers(0, 50, 200)
    x, y = draw.survival(tokens)
    for place in (0.5, 10, 33.3, 49):
        share = 100 * np.mean(tokens > place)
        assert y[np.searchsorted(x, place, side="right") - 1] == pytest.approx(share)


def test_names_of_curves_stay_inside_the_panel() -> None:
    fig = DRAWN["survival"]()
    fig.draw_without_rendering()
    (panel,) = fig.axes
    frame = panel.get_window_extent()
    named = [text for text in panel.texts if text.get_text().startswith("trained")]
    assert len(named) == 2
    for text in named:
        box = text.get_window_extent()
        assert frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
