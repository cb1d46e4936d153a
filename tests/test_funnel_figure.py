"""The funnel's figure shows every stage with its count, and the paper's share beside it."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from s1lab.figures.funnel import funnel


def test_every_stage_is_a_bar_with_its_count_and_the_papers_share():
    rows = [
        {"stage": "pool", "kept": 5900, "paper": 59_029},
        {"stage": "deduplicate", "kept": 5800, "paper": None},
        {"stage": "diversity", "kept": 1000, "paper": 1_000},
    ]
    (panel,) = funnel(rows).axes
    assert [t.get_text() for t in panel.get_yticklabels()] == [
        "diversity", "deduplicate", "pool",
    ]  # fmt: skip
    assert [t.get_text() for t in panel.texts] == ["1,000", "5,800", "5,900"]
    assert [round(bar.get_width(), 2) for bar in panel.patches] == [16.95, 98.31, 100.0]
    points = [line.get_xdata()[0] for line in panel.lines]
    assert points == pytest.approx([100 * 1_000 / 59_029, 100])


def test_an_empty_pool_has_no_funnel():
    with pytest.raises(ValueError, match="not empty"):
        funnel([])
