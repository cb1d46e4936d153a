"""Figures that compare methods: intervals drawn, themes alike, names beside what they name."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the book extra is not installed")

from s1lab.evaluation import Interval, wilson
from s1lab.figures import INKS, dark_svg, to_pdf, to_svg
from s1lab.figures.curves import Curve, Mark
from s1lab.figures.methods import differences, method_panels
from s1lab.figures.parallel import equal_compute, sample_efficiency, waits_curve


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def curve(name: str, colour: str, start: int, *accuracies: float, **look) -> Curve:
    marks = tuple(
        Mark(start * 2.0**i, wilson(round(200 * a), 200)) for i, a in enumerate(accuracies)
    )
    return Curve(name, colour, marks, **look)


CURVES = [
    curve("capping", "capping", 16, 0.1, 0.3, 0.5, 0.6),
    curve("Wait", "wait", 128, 0.6, 0.63, 0.58, marker="^"),
    curve("vote, base", "base", 8, 0.05, 0.06, 0.1, 0.12, marker="s"),
    curve("vote at 32", "parallel", 32, 0.3, 0.33, 0.45, marker="s", hollow=True, dashed=True),
]
FAINT = curve("", "capping", 16, 0.1, 0.3, 0.5, 0.6, faint=True)
GAPS = [
    ('2x "Wait"', "wait", Interval(0.03, 0.01, 0.05, 320), 0.033),
    ("2x without string", "ours", Interval(-0.02, -0.06, 0.02, 320), 0.0),
]
SIZES = [("base", 0, wilson(20, 200)), ("s1", 1000, wilson(120, 200)), ("?", None, wilson(9, 20))]
DRAWN = {
    "equal-compute": lambda: equal_compute(CURVES, CURVES[2:], title="Ours", paper_title="Paper"),
    "waits": lambda: waits_curve([(0, wilson(5, 9)), (2, wilson(6, 9))], [(0, wilson(1, 2))]),
    "sample-efficiency": lambda: sample_efficiency(SIZES[:2], SIZES),
    "panels": lambda: method_panels([("One", CURVES), ("Two", [FAINT, CURVES[3]]), ("Three", [])]),
    "differences": lambda: differences(GAPS, metric="accuracy"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_figures_have_a_light_and_a_dark_variant_with_the_same_shapes(name: str) -> None:
    light = to_svg(DRAWN[name](), name)
    dark = dark_svg(light)
    hexes = re.compile(r"#[0-9a-f]{6}\b")
    assert hexes.sub("", light) == hexes.sub("", dark)
    assert {value.light for value in INKS.values()} & set(hexes.findall(dark)) == set()
    assert to_svg(DRAWN[name](), name) == light and to_pdf(DRAWN[name]()).startswith(b"%PDF-")


def segments(panel) -> list[tuple[float, float, float]]:
    return sorted(
        (segment[0][0], *sorted(segment[:, 1]))
        for collection in panel.collections
        for segment in collection.get_segments()
    )


def test_every_interval_is_drawn() -> None:
    for panel, curves in zip(
        equal_compute(CURVES, CURVES[:1]).axes, (CURVES, CURVES[:1]), strict=True
    ):
        wanted = sorted(
            (mark.x, 100 * mark.accuracy.low, 100 * mark.accuracy.high)
            for one in curves
            for mark in one.marks
        )
        np.testing.assert_allclose(segments(panel), wanted)
        low, high = panel.get_ylim()
        assert all(low <= bottom and top <= high for _, bottom, top in wanted)


def test_a_curve_for_comparison_has_neither_marks_nor_name() -> None:
    panel = method_panels([("Two", [FAINT, CURVES[3]])], across=1).axes[0]
    assert len(segments(panel)) == len(CURVES[3].marks)
    assert [text.get_text() for text in panel.texts] == ["vote at 32"]


def test_panels_share_their_axes_and_empty_places_are_hidden() -> None:
    axes = DRAWN["panels"]().axes
    assert len({axis.get_xlim() for axis in axes}) == len({axis.get_ylim() for axis in axes}) == 1
    assert [axis.get_visible() for axis in axes] == [True, True, True, False]


def test_names_stand_beside_their_lines_and_cover_no_mark() -> None:
    fig = equal_compute(CURVES)
    fig.draw_without_rendering()
    panel = fig.axes[0]
    marks = panel.transData.transform(
        [(mark.x, 100 * mark.accuracy.estimate) for one in CURVES for mark in one.marks]
    )
    names = [text for text in panel.texts if text.get_text() in {one.name for one in CURVES}]
    assert len(names) == len(CURVES)
    for text in names:
        box = text.get_window_extent()
        assert not any(box.contains(x, y) for x, y in marks)


def test_differences_are_drawn_in_points_with_a_line_at_zero_and_the_paper_hollow() -> None:
    panel = differences(GAPS, metric="accuracy").axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == [g[0] for g in GAPS[::-1]]
    spans = [sorted(line.get_xdata()) for line in panel.lines if len(line.get_xdata()) == 2]
    for _, _, gap, _ in GAPS:
        assert any(np.allclose(span, [100 * gap.low, 100 * gap.high]) for span in spans)
    assert [0, 0] in spans
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == INKS["page"].light]
    assert sorted(line.get_xdata()[0] for line in hollow) == pytest.approx([0.0, 3.3])
    assert "+3.0" in {text.get_text() for text in panel.texts}


def test_sizes_that_are_not_stated_have_a_column_of_their_own() -> None:
    ours, paper = sample_efficiency(SIZES[:2], SIZES).axes
    assert [t.get_text() for t in ours.get_xticklabels()] == ["0", "1,000"]
    assert [t.get_text() for t in paper.get_xticklabels()] == ["0", "1,000", "not\nstated"]
