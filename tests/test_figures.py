"""Figures: one style, colours that everyone can tell apart, the same bytes every time."""

from __future__ import annotations

import base64
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="the book extra is not installed")

from s1core.errors import InputError
from s1lab.analysis import lengths, subsets
from s1lab.evaluation import wilson
from s1lab.figures import curves, forests, runs
from s1lab.figures.display import dark_svg, figure_html, to_pdf, to_svg
from s1lab.figures.panels import curve, in_words, tidy
from s1lab.figures.style import INKS, ink

THINGS = ("ours", "wait", "parallel", "rejection", "paper")
POINTS = [
    {"x": x, "accuracy": a, "low": a - 0.05, "high": a + 0.05, "series": series, "label": label}
    for x, a, series, label in [
        (8, 0.1, "capping", ""),
        (64, 0.4, "capping", ""),
        (150, 0.5, "wait", "1x"),
        (300, 0.3, "wait", "2x"),
        (128, 0.45, "parallel", ""),
        (600, 0.55, "parallel", ""),
    ]
]
PAPER_POINTS = [{"x": p["x"], "accuracy": p["accuracy"], "name": p["series"]} for p in POINTS]
LOG = [{"step": i, "epoch": i / 10, "loss": 3 / (i + 1), "lr": 1e-3 * i / 30} for i in range(30)]
NAN = float("nan")
ROWS = [
    {"name": n, "accuracy": a, "low": a - 0.1, "high": a + 0.1, "paper": p}
    for n, a, p in [("s1K", 0.5, 0.567), ("random", -0.3, NAN)]
]
GAPS = [
    {"benchmark": b, "name": n, "difference": d, "low": d - 3, "high": d + 4}
    for b in ("countdown", "other")
    for n, d in (("random", -5.0), ("full", 7.0))
]
ENDS = [
    {
        "benchmark": b, "name": n, "cost": c, "thinking_tokens": t, "fewest": t - 9, "most": t + 9,
        "accuracy": a, "low": a - 0.04, "high": a + 0.04, "seeds": [(t - 2, a), (t + 2, a)],
    }
    for b, shift in (("one", 0.0), ("two", 0.2))
    for n, c, t, a in (("112", 0.7, 220, 0.5 + shift), ("1,024", 3.6, 180, 0.6 + shift))
]  # fmt: skip
THINKING = [
    {"name": name, "seed": seed, "tokens": tokens}
    for name, seeds in (("trained at 1,024", [[10, 20, 30, 40], [10, 10, 30, 80]]),
                        ("trained at 112", [[10, 40, 90, 120], [20, 40, 120, 120]]))
    for seed, all_tokens in enumerate(seeds)
    for tokens in all_tokens
]  # fmt: skip
STAGES = [
    {"stage": "pool", "kept": 5900, "paper": 59_029},
    {"stage": "deduplicate", "kept": 5800, "paper": None},
    {"stage": "diversity", "kept": 1000, "paper": 1_000},
]


def made(name: str, series: str, start: int, *accuracies: float, **look: object) -> pd.DataFrame:
    places = [start * 2.0**i for i in range(len(accuracies))]
    return curve(name, series, places, [wilson(round(200 * a), 200) for a in accuracies], **look)


METHODS = pd.concat(
    [
        made("capping", "capping", 16, 0.1, 0.3, 0.5, 0.6, panel="One"),
        made("Wait", "wait", 128, 0.6, 0.63, 0.58, panel="One"),
        made("vote, base", "base", 8, 0.05, 0.06, 0.1, 0.12, marker="s", panel="One"),
        made("", "capping", 16, 0.1, 0.3, 0.5, 0.6, faint=True, panel="Two"),
        made("vote at 32", "parallel", 32, 0.3, 0.33, hollow=True, dashed=1, panel="Two"),
        made("rejection", "rejection", 32, 0.3, 0.33, panel="Three"),
    ]
)
SIZES = made(["base", "s1", "?"], "ours", 1, 0.1, 0.6, 0.45).assign(x=[0, 1000, None])
WAITS = made("", "wait", 1, 0.5, 0.6).assign(x=[0, 2])
REPEATED = [
    {"waits": w, "wait": w + 1, **{f"{what}{end}": 0.3 for what in ("repeated", "new")
     for end in ("", "_low", "_high")}}
    for w in (0, 1, 2)
]  # fmt: skip
UNSURE = {"entropy": [0.1, 2.0, 0.3], "varentropy": [0.1, 0.0, 0.3], "plain": [1], "own": [0],
          "forced": [2]}  # fmt: skip
AROUND = [
    {"group": g, "measure": m, "offset": str(o), "mean": "0.5", "low": "0.4", "high": "0.6"}
    for g in ("forced", "own", "plain") for m in ("entropy", "varentropy") for o in (-1, 0, 1)
]  # fmt: skip
ALT = "Accuracy rises with thinking tokens."

DRAWN = {
    "scaling": lambda: curves.scaling_curve(POINTS, PAPER_POINTS, title="Ours"),
    "methods": lambda: curves.method_panels(METHODS),
    "waits": lambda: curves.waits_curve(WAITS, WAITS.assign(series="paper")),
    "repetition": lambda: curves.repetition_panels(REPEATED, REPEATED),
    "sizes": lambda: curves.sample_efficiency(SIZES[:2], SIZES.assign(series="paper")),
    "cost": lambda: curves.cost_and_accuracy(ENDS, subsets.paper_cost_rows()),
    "length": lambda: curves.tokens_and_accuracy(ENDS, lengths.paper_rows()),
    "comparison": lambda: forests.comparison(ROWS, title="Table 2", gaps=True),
    "differences": lambda: forests.differences(GAPS, subsets.paper_difference_rows()),
    "funnel": lambda: forests.funnel(STAGES),
    "loss": lambda: runs.loss_curve(LOG, title="Loss"),
    "survival": lambda: runs.still_thinking(THINKING, cuts=[(50, "cut at 50")]),
    "trace": lambda: runs.uncertainty_trace(UNSURE),
    "around": lambda: runs.around_waits(AROUND),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


# -------------------------------------------------------------------------------- colours

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB under D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.clip(to_xyz @ np.clip(rgb, 0, 1), 0, None) / [0.9505, 1.0, 1.089]
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio."""
    weights = [0.2126, 0.7152, 0.0722]
    bright, dim = sorted((weights @ linear(one), weights @ linear(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_things_drawn_together_can_be_told_apart(vision: str, theme: str) -> None:
    seen = {
        name: lab(np.array(VISION[vision]) @ linear(getattr(INKS[name], theme))) for name in THINGS
    }
    # Grey is also drawn hollow, so only the filled marks must differ by colour alone.
    for one, other in itertools.combinations([n for n in THINGS if n != "paper"], 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 12, (one, other)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", [n for n in INKS if n not in {"rule", "page"}])
def test_every_ink_can_be_read_as_text_on_its_page(name: str, theme: str) -> None:
    needed = 4.5 if name in {"text", "muted"} else 3.0  # WCAG AA: text, and graphics
    assert contrast(getattr(INKS[name], theme), getattr(INKS["page"], theme)) >= needed


def test_light_values_determine_dark_values() -> None:
    pairs = {(value.light, value.dark) for value in INKS.values()}
    assert len({light for light, _ in pairs}) == len(pairs)


def test_the_style_sheet_has_the_colours_of_the_figures() -> None:
    css = Path(__file__).resolve().parents[1].joinpath("book/_static/book.css").read_text()
    for name in THINGS:
        assert f"--s1-{name}: {INKS[name].light}" in css
        assert f"--s1-{name}: {INKS[name].dark}" in css


def test_an_unknown_ink_names_those_that_exist() -> None:
    with pytest.raises(KeyError, match="there are .*capping"):
        ink("mauve")


# -------------------------------------------------------------------------------- drawing


@pytest.mark.parametrize("name", DRAWN)
def test_figures_have_a_light_and_a_dark_variant_with_the_same_shapes(name: str) -> None:
    light = to_svg(DRAWN[name](), name)
    dark = dark_svg(light)
    hexes = re.compile(r"#[0-9a-f]{6}\b")
    assert hexes.sub("", light) == hexes.sub("", dark)
    assert {value.light for value in INKS.values()} & set(hexes.findall(dark)) == set()


@pytest.mark.parametrize("name", ["scaling", "loss", "comparison"])
def test_a_figure_on_a_page_describes_itself(name: str) -> None:
    markup = figure_html(DRAWN[name](), f"test-{name}", ALT + ' It\'s "40%" < 50%.', runs=["sft-1"])
    assert markup.count('alt="Accuracy rises with thinking tokens. It&#39;s &#34;40%') == 2
    assert f'id="fig-test-{name}"' in markup and 'data-runs="sft-1"' in markup
    pdf = re.search(r"data:application/pdf;base64,([^\"]+)", markup)
    assert pdf and base64.b64decode(pdf.group(1)).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("name", "alt", "message"),
    [("Bad name", ALT, "lower-case words"), ("good", "scaling", "describe in `alt`")],
)
def test_a_figure_without_a_name_or_description_is_refused(
    name: str, alt: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        figure_html(DRAWN["loss"](), name, alt)


def test_a_colour_that_has_no_dark_value_is_refused() -> None:
    fig = DRAWN["loss"]()
    fig.axes[0].axhline(1, color="#123456")
    with pytest.raises(InputError, match="#123456"):
        to_svg(fig, "loss")


def segments(panel, *, upright: bool = True) -> list[tuple[float, ...]]:
    """Intervals as (place, low, high), upright or lying."""
    across, along = (0, 1) if upright else (1, 0)
    return sorted(
        (segment[0][across], *sorted(segment[:, along]))
        for collection in panel.collections
        for segment in getattr(collection, "get_segments", list)()
        if segment[0][across] == segment[1][across]
    )


def marks(panel) -> list[tuple[tuple[float, float], str, str]]:
    """Where each mark is, with the colours of its edge and its face."""
    from matplotlib.collections import PathCollection
    from matplotlib.colors import to_hex

    return [
        (tuple(place), to_hex(edge), to_hex(face))
        for collection in panel.collections
        if isinstance(collection, PathCollection)
        for place, edge, face in zip(
            collection.get_offsets(),
            collection.get_edgecolor(),
            collection.get_facecolor(),
            strict=True,
        )
    ]


def test_every_interval_is_drawn() -> None:
    wanted = sorted((p["x"], 100 * p["low"], 100 * p["high"]) for p in POINTS)
    panel = curves.scaling_curve(POINTS).axes[0]
    np.testing.assert_allclose(segments(panel), wanted)
    low, high = panel.get_ylim()
    assert all(low <= bottom and top <= high for _, bottom, top in wanted)


@pytest.mark.parametrize("name", ["scaling", "waits", "sizes", "cost", "length", "differences"])
def test_the_paper_is_hollow_and_grey_in_panels_of_its_own(name: str) -> None:
    whose = [{edge == ink("paper") for _, edge, _ in marks(panel)} for panel in DRAWN[name]().axes]
    assert whose[0] == {False} and {True} in whose and {True, False} not in whose
    for panel in DRAWN[name]().axes:
        for _, edge, face in marks(panel):
            assert (face == ink("page")) == (edge == ink("paper"))


def test_marks_stand_where_they_are_measured_and_have_their_names() -> None:
    panel = curves.scaling_curve(POINTS).axes[0]
    np.testing.assert_allclose(
        sorted(place for place, _, _ in marks(panel)),
        sorted((p["x"], 100 * p["accuracy"]) for p in POINTS),
    )
    assert {"1x", "2x"} <= {text.get_text() for text in panel.texts}


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (lambda: curves.scaling_curve(POINTS), {"capping", "Wait", "majority vote"}),
        (DRAWN["methods"], {"capping", "Wait", "vote, base"}),
        (DRAWN["survival"], {"trained at 1,024", "trained at 112"}),
    ],
)
def test_names_stand_beside_their_lines_inside_the_panel_and_cover_no_mark(draw, names) -> None:
    fig = draw()
    fig.draw_without_rendering()
    panel = fig.axes[0]
    found = [text for text in panel.texts if text.get_text() in names]
    assert len(found) == len(names)
    frame = panel.get_window_extent()
    pixels = panel.transData.transform([place for place, _, _ in marks(panel)] or [(1, 200)])
    for text in found:
        box = text.get_window_extent()
        assert not any(box.contains(x, y) for x, y in pixels)
        assert frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)


def test_a_curve_for_comparison_has_neither_marks_nor_name() -> None:
    panel = DRAWN["methods"]().axes[1]
    assert len(marks(panel)) == len(segments(panel)) == 2 and len(panel.lines) == 2
    assert [text.get_text() for text in panel.texts] == ["vote at 32"]


def test_panels_of_methods_share_their_axes_and_empty_places_are_hidden() -> None:
    axes = DRAWN["methods"]().axes
    assert len({axis.get_xlim() for axis in axes}) == len({axis.get_ylim() for axis in axes}) == 1
    assert [axis.get_visible() for axis in axes] == [True, True, True, False]


def test_the_ends_of_named_curves_are_told_in_words() -> None:
    form = "{first[panel]}, {first[name]}: {first[percent]} at {first[x]:.0f}, {last[x]:.0f}."
    told = in_words(METHODS, form)
    assert told.startswith(f"One, capping: {wilson(20, 200).percent()} at 16, 128. One, Wait: ")
    assert told.count(".") > 5 and "Two, :" not in told


def test_sizes_that_are_not_stated_have_a_column_of_their_own() -> None:
    ours, paper = DRAWN["sizes"]().axes
    assert [t.get_text() for t in ours.get_xticklabels()] == ["0", "1,000"]
    assert [t.get_text() for t in paper.get_xticklabels()] == ["0", "1,000", "not\nstated"]


def test_training_sets_are_joined_only_to_tell_benchmarks_apart() -> None:
    assert len(DRAWN["cost"]().axes[0].lines) == 2
    assert len(curves.cost_and_accuracy(ENDS[:2], ENDS).axes[0].lines) == 0


def test_seeds_and_the_interval_of_tokens_are_drawn() -> None:
    panel = DRAWN["length"]().axes[0]
    assert (50.0, 211.0, 229.0) in [tuple(s) for s in segments(panel, upright=False)]
    assert len(marks(panel)) == len(ENDS) * 3


def test_differences_have_an_interval_a_number_and_a_line_at_zero() -> None:
    fig = DRAWN["differences"]()
    (panel,) = [axes for axes in fig.axes if "countdown" in axes.get_title("left")]
    assert segments(panel, upright=False) == [(0, 4, 11), (1, -8, -1)]
    assert [text.get_text() for text in panel.texts] == ["\N{MINUS SIGN}5.0", "+7.0"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["full", "random"]
    assert [0, 0] in [list(line.get_xdata()) for line in panel.lines]
    assert len(fig.axes) == 2 + 3


def test_a_comparison_shows_values_intervals_and_the_papers_point_below() -> None:
    panel = DRAWN["comparison"]().axes[0]
    np.testing.assert_allclose(segments(panel, upright=False), [(0, -40, -20), (1, 40, 60)])
    assert {"+50.0", "\N{MINUS SIGN}30.0"} <= {text.get_text() for text in panel.texts}
    hollow = [place for place, _, face in marks(panel) if face == ink("page")]
    np.testing.assert_allclose(hollow, [(56.7, 0.78)])
    paper = forests.comparison([{**ROWS[0], "series": "paper"}]).axes[0]
    assert marks(paper)[0][1:] == (ink("paper"), ink("page"))


def test_every_stage_of_the_funnel_is_a_bar_with_its_count_and_the_papers_share() -> None:
    (panel,) = DRAWN["funnel"]().axes
    assert [t.get_text() for t in panel.get_yticklabels()] == ["pool", "deduplicate", "diversity"]
    assert [t.get_text() for t in panel.texts] == ["5,900", "5,800", "1,000"]
    assert [round(bar.get_width(), 2) for bar in panel.patches] == [100.0, 98.31, 16.95]
    shares = [place[0] for place, _, _ in marks(panel)]
    assert shares == pytest.approx([100, 100 * 1_000 / 59_029])


def test_a_survival_curve_counts_who_still_thinks() -> None:
    tokens = np.random.default_rng(0).integers(1, 50, 200)
    table = pd.DataFrame({"name": "all", "seed": 0, "tokens": tokens})
    line = runs.still_thinking(table).axes[0].lines[-1]
    x, y = line.get_data()
    for place in (0.5, 10, 33.3, 49):
        share = 100 * np.mean(tokens > place)
        assert y[np.searchsorted(x, place, side="right") - 1] == pytest.approx(share)


@pytest.mark.parametrize(
    ("draw", "rows", "message"),
    [
        (curves.scaling_curve, [], "no column|no rows"),
        (curves.scaling_curve, [{"accuracy": 1}], "no column x"),
        (forests.comparison, [{"accuracy": 1}], "no column name"),
        (forests.funnel, [], "no column|no rows"),
        (forests.funnel, [{"stage": "pool", "kept": 0}], "not empty"),
        (runs.loss_curve, [{"step": 1}], "no column loss, lr"),
        (runs.uncertainty_trace, {"entropy": []}, "no thinking tokens"),
    ],
)
def test_data_that_cannot_be_drawn_is_named(draw, rows: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw(rows)


def test_a_default_fills_what_is_missing_and_nothing_else() -> None:
    table = tidy([{"x": 1, "name": None}, {"x": 2, "name": "b"}], "x", name="a", label="")
    assert table.to_dict("list") == {"x": [1, 2], "name": ["a", "b"], "label": ["", ""]}


# ---------------------------------------------------------------------------- determinism


def test_equal_figures_give_equal_bytes_in_other_processes() -> None:
    program = (
        "import hashlib; from tests.test_figures import DRAWN, to_pdf, to_svg;"
        "print([hashlib.sha256(to_svg(d(), n).encode() + to_pdf(d())).hexdigest()"
        " for n, d in [*DRAWN.items()][::4]])"
    )
    here = Path(__file__).resolve().parents[1]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=here,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(here)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1 and len(digests.pop()) > 150


def test_drawing_leaves_the_settings_of_the_caller_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    to_pdf(DRAWN["loss"]())
    assert dict(matplotlib.rcParams) == before
