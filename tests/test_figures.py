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
import pytest

pytest.importorskip("matplotlib", reason="the book extra is not installed")

from s1core.errors import InputError

from s1lab import figures
from s1lab.figures import INKS, figure_html, ink, to_pdf, to_svg

THINGS = ("ours", "wait", "parallel", "rejection", "paper")
POINTS = [
    {
        "thinking_tokens": tokens,
        "accuracy": accuracy,
        "low": accuracy - 0.05,
        "high": accuracy + 0.05,
        "series": series,
        "label": label,
    }
    for tokens, accuracy, series, label in [
        (8, 0.1, "capping", ""),
        (64, 0.4, "capping", ""),
        (150, 0.5, "wait", "1×"),
        (300, 0.3, "wait", "2×"),
        (128, 0.45, "parallel", ""),
        (600, 0.55, "parallel", ""),
    ]
]
LOG = [{"step": i, "epoch": i / 10, "loss": 3 / (i + 1), "lr": 1e-3 * i / 30} for i in range(30)]
ROWS = [
    {"name": n, "accuracy": a, "low": a - 0.1, "high": a + 0.1, "paper": p}
    for n, a, p in [("s1K", 0.5, 0.567), ("random", 0.3, float("nan"))]
]
ALT = "Accuracy rises with thinking tokens."

DRAWN = {
    "scaling": lambda: figures.scaling_curve(POINTS, POINTS, title="Ours"),
    "loss": lambda: figures.loss_curve(LOG, title="Loss"),
    "comparison": lambda: figures.comparison(ROWS, title="Table 2"),
}


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
    dark = figures.dark_svg(light)
    hexes = re.compile(r"#[0-9a-f]{6}\b")
    assert hexes.sub("", light) == hexes.sub("", dark)
    assert {value.light for value in INKS.values()} & set(hexes.findall(dark)) == set()


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_on_a_page_describes_itself(name: str) -> None:
    markup = figure_html(DRAWN[name](), f"test-{name}", ALT + ' It\'s "40%" < 50%.', runs=["sft-1"])
    assert markup.count('alt="Accuracy rises with thinking tokens. It&#x27;s &quot;40%') == 2
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


def test_every_interval_is_drawn() -> None:
    panel = figures.scaling_curve(POINTS).axes[0]
    drawn = sorted(
        (segment[0][0], *sorted(segment[:, 1]))
        for collection in panel.collections
        for segment in collection.get_segments()
    )
    wanted = sorted((p["thinking_tokens"], 100 * p["low"], 100 * p["high"]) for p in POINTS)
    np.testing.assert_allclose(drawn, wanted)


def test_the_paper_is_drawn_hollow_in_a_panel_of_its_own() -> None:
    ours, paper = figures.scaling_curve(POINTS[:2], [{**POINTS[0], "series": "AIME24"}]).axes
    assert all(
        line.get_markeredgecolor() == ink("paper")
        for line in paper.lines
        if line.get_marker() == "o"
    )
    assert ink("page") in {line.get_markerfacecolor() for line in paper.lines}
    assert ink("page") not in {line.get_markerfacecolor() for line in ours.lines}


def test_names_stand_beside_their_lines_and_cover_no_mark() -> None:
    fig = figures.scaling_curve(POINTS)
    fig.draw_without_rendering()
    panel = fig.axes[0]
    names = [
        text for text in panel.texts if text.get_text() in {"capping", "Wait", "majority vote"}
    ]
    assert len(names) == 3
    marks = panel.transData.transform([(p["thinking_tokens"], 100 * p["accuracy"]) for p in POINTS])
    for text in names:
        box = text.get_window_extent()
        assert not any(box.contains(x, y) for x, y in marks)
        assert panel.get_window_extent().contains(box.x0, box.y0)


@pytest.mark.parametrize(
    ("rows", "message"), [([], "no column|no rows"), ([{"accuracy": 1}], "thinking_tokens")]
)
def test_data_that_cannot_be_drawn_is_named(rows: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        figures.scaling_curve(rows)


# ---------------------------------------------------------------------------- determinism


def test_equal_figures_give_equal_bytes_in_other_processes() -> None:
    program = (
        "import hashlib; from tests.test_figures import DRAWN; from s1lab.figures import *;"
        "print([hashlib.sha256(to_svg(d(), n).encode() + to_pdf(d())).hexdigest()"
        " for n, d in DRAWN.items()])"
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
