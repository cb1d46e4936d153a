"""Figures: one style, colours that everyone can tell apart, the same bytes every time."""

import base64
import hashlib
import itertools
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="the book extra is not installed")

from s1core.errors import InputError
from s1lab import profiles
from s1lab.analysis import ablations
from s1lab.evaluation import wilson
from s1lab.figures import curves, forests
from s1lab.figures.display import dark_svg, figure_frame, figure_html, to_pdf, to_svg
from s1lab.figures.style import INKS, ink, styled
from s1lab.lab import STAMP_VARIABLE
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from tests.helpers import CHECKOUT, table

TABLES = table("figure_tables.yaml")
THINGS = ("ours", "wait", "parallel", "rejection", "paper")
POINTS, ENDS, ROWS, GAPS = (TABLES[n] for n in ("points", "ends", "comparison", "differences"))
PAPER_POINTS = [{"x": p["x"], "accuracy": p["accuracy"], "name": p["series"]} for p in POINTS]
LOG = [{"step": i, "epoch": i / 10, "loss": 3 / (i + 1), "lr": 1e-3 * i / 30} for i in range(30)]
THINKING = pd.DataFrame(TABLES["thinking"], columns=["name", "seed", "tokens"])
AROUND = [
    {"group": g, "measure": m, "offset": str(o), "mean": "0.5", "low": "0.4", "high": "0.6"}
    for g, m, o in itertools.product(curves.GROUPS, curves.UNITS, (-1, 0, 1))
]
PAGE = ink("page")
ALT = "Accuracy rises with thinking tokens."


def made(name, series: str, start: int, accuracies: list[float], look: dict) -> pd.DataFrame:
    rows = [wilson(round(200 * a), 200).row("accuracy") for a in accuracies]
    places = [start * 2.0**i for i in range(len(accuracies))]
    return pd.DataFrame(rows).assign(name=name, series=series, x=places, **look)


METHODS = pd.concat([made(*row) for row in TABLES["methods"]])
SIZES = made(["base", "s1", "?"], "ours", 1, [0.1, 0.6, 0.45], {}).assign(x=[0, 1000, None])
WAITS = made("", "wait", 1, [0.5, 0.6], {}).assign(x=[0, 2])
DRAWN = {
    "scaling": lambda: curves.scaling_curve(POINTS, PAPER_POINTS),
    "methods": lambda: curves.method_panels(METHODS),
    "waits": lambda: curves.waits_curve(WAITS, WAITS.assign(series="paper")),
    "repetition": lambda: curves.repetition_panels(TABLES["repeated"], TABLES["repeated"]),
    "sizes": lambda: curves.sample_efficiency(SIZES[:2], SIZES.assign(series="paper")),
    "cost": lambda: curves.cost_and_accuracy(ENDS, ablations.paper_cost_rows()),
    "length": lambda: curves.tokens_and_accuracy(ENDS, ablations.paper_length_rows()),
    "comparison": lambda: forests.comparison(ROWS, gaps=True),
    "differences": lambda: forests.differences(GAPS, ablations.paper_difference_rows()),
    "funnel": lambda: forests.funnel(TABLES["stages"]),
    "loss": lambda: curves.loss_curve(LOG, title="Loss"),
    "survival": lambda: curves.still_thinking(THINKING, cuts=[(50, "cut at 50")]),
    "around": lambda: curves.around_waits(AROUND),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB under D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.clip(to_xyz @ np.clip(rgb, 0, 1), 0, None) / [0.9505, 1.0, 1.089]
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_things_drawn_together_can_be_told_apart_and_every_ink_read_on_its_page(theme):
    for seen in TABLES["vision"].values():
        # Grey is also drawn hollow, so only the filled marks must differ by colour alone.
        filled = [lab(seen @ linear(getattr(INKS[n], theme))) for n in THINGS if n != "paper"]
        for one, other in itertools.combinations(filled, 2):
            assert np.linalg.norm(one - other) > 12
    weights = [0.2126, 0.7152, 0.0722]
    for name in INKS.keys() - {"rule", "page"}:
        needed = 4.5 if name in {"text", "muted"} else 3.0  # WCAG AA: text, and graphics
        dim, bright = sorted(weights @ linear(getattr(INKS[n], theme)) for n in (name, "page"))
        assert (bright + 0.05) / (dim + 0.05) >= needed, name


def test_an_ink_is_known_by_its_light_value_and_stands_in_the_style_sheet():
    pairs = {(value.light, value.dark) for value in INKS.values()}
    assert len({light for light, _ in pairs}) == len(pairs)
    css = (CHECKOUT / "book/_static/book.css").read_text()
    for name, value in ((name, INKS[name]) for name in THINGS):
        assert f"--s1-{name}: {value.light}" in css and f"--s1-{name}: {value.dark}" in css
    with pytest.raises(KeyError, match="there are .*capping"):
        ink("mauve")


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_a_dark_variant_with_the_same_shapes_and_its_numbers_in_words(name):
    figure = DRAWN[name]()
    light = to_svg(figure, name)
    dark = dark_svg(light)
    hexes = re.compile(r"#[0-9a-f]{6}\b")
    assert hexes.sub("", light) == hexes.sub("", dark)
    assert {value.light for value in INKS.values()} & set(hexes.findall(dark)) == set()
    if name not in ("loss", "around"):
        assert len(re.findall(r"\d", figure.in_words)) > 5 and figure.in_words.endswith(".")
        assert not re.search(r"(?<!\w)-\d", figure.in_words)


def test_a_figure_on_a_page_describes_itself():
    markup = figure_html(DRAWN["scaling"](), "test-x", ALT + ' It\'s "40%" < 50%.', runs=["sft-1"])
    assert markup.count('alt="Accuracy rises with thinking tokens. It&#39;s &#34;40%') == 2
    assert 'id="fig-test-x"' in markup and 'data-runs="sft-1"' in markup
    pdf = re.search(r"data:application/pdf;base64,([^\"]+)", markup)
    assert pdf and base64.b64decode(pdf.group(1)).startswith(b"%PDF-")


@pytest.mark.parametrize("message", TABLES["unfit"])
def test_a_figure_without_a_name_a_description_or_a_dark_variant_is_refused(message):
    name, alt, colour = TABLES["unfit"][message]
    fig = DRAWN["loss"]()
    fig.axes[0].axhline(1, color=colour)
    with pytest.raises(InputError, match=message):
        figure_html(fig, name, alt)


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
        for drawn in panel.collections
        if isinstance(drawn, PathCollection)
        for place, edge, face in zip(
            drawn.get_offsets(), drawn.get_edgecolor(), drawn.get_facecolor(), strict=True
        )
    ]


def texts(of) -> list[str]:
    return [text.get_text() for text in of]


def test_every_mark_and_interval_stands_where_it_was_measured():
    wanted = sorted((p["x"], 100 * p["low"], 100 * p["high"]) for p in POINTS)
    panel = curves.scaling_curve(POINTS).axes[0]
    np.testing.assert_allclose(segments(panel), wanted)
    low, high = panel.get_ylim()
    assert all(low <= bottom and top <= high for _, bottom, top in wanted)
    places = sorted(place for place, _, _ in marks(panel))
    np.testing.assert_allclose(places, sorted((p["x"], 100 * p["accuracy"]) for p in POINTS))
    assert {"1x", "2x"} <= set(texts(panel.texts))


@pytest.mark.parametrize("name", ["scaling", "waits", "sizes", "cost", "length", "differences"])
def test_the_paper_is_hollow_and_grey_in_panels_of_its_own(name):
    axes = DRAWN[name]().axes
    whose = [{edge == ink("paper") for _, edge, _ in marks(panel)} for panel in axes]
    assert whose[0] == {False} and {True} in whose and {True, False} not in whose
    for _, edge, face in (mark for panel in axes for mark in marks(panel)):
        assert (face == PAGE) == (edge == ink("paper"))


@pytest.mark.parametrize("name", TABLES["beside"])
def test_names_stand_beside_their_lines_inside_the_panel_and_cover_no_mark(name):
    fig = DRAWN[name]()
    fig.draw_without_rendering()
    panel = fig.axes[0]
    found = [text for text in panel.texts if text.get_text() in TABLES["beside"][name]]
    assert len(found) == len(TABLES["beside"][name])
    frame = panel.get_window_extent()
    pixels = panel.transData.transform([place for place, _, _ in marks(panel)] or [(1, 200)])
    for box in (text.get_window_extent() for text in found):
        assert not any(box.contains(x, y) for x, y in pixels)
        assert frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)


@pytest.mark.parametrize("name", TABLES["read"])
def test_what_is_read_from_left_to_right_has_names_numbers_and_intervals(name):
    panel, wanted = DRAWN[name]().axes[0], TABLES["read"][name]
    assert texts(panel.get_yticklabels()) == wanted["ticks"]
    assert texts(panel.texts) == wanted["numbers"]
    assert np.round(segments(panel, upright=False), 9).tolist() == wanted["intervals"]
    hollow = [place[0] for place, _, face in marks(panel) if face == PAGE]
    assert hollow == pytest.approx(wanted["paper"])
    widths = [round(bar.get_width(), 2) for bar in panel.patches]
    assert widths == wanted.get("bars", [])


def test_a_survival_curve_counts_who_still_thinks():
    tokens = np.random.default_rng(0).integers(1, 50, 200)
    table = pd.DataFrame({"name": "all", "seed": 0, "tokens": tokens})
    x, y = curves.still_thinking(table).axes[0].lines[-1].get_data()
    for place in (0.5, 10, 33.3, 49):
        share = 100 * np.mean(tokens > place)
        assert y[np.searchsorted(x, place, side="right") - 1] == pytest.approx(share)


def test_data_that_cannot_be_drawn_is_named():
    for draw, rows, message in (
        (curves.scaling_curve, [], "no column|no rows"),
        (curves.scaling_curve, [{"accuracy": 1}], "no column x"),
        (forests.funnel, [{"stage": "pool", "kept": 0}], "not empty"),
        (curves.loss_curve, [{"step": 1}], "no column loss, lr"),
    ):
        with pytest.raises(InputError, match=message):
            draw(rows)


def digests() -> list[str]:
    """Of the bytes of every fourth figure."""
    some = [*DRAWN.items()][::4]
    return [hashlib.sha256(to_svg(d(), n).encode() + to_pdf(d())).hexdigest() for n, d in some]


def test_equal_figures_give_equal_bytes_in_another_process_and_leave_the_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    program = "from tests.test_figures import digests; print(digests())"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(CHECKOUT)}
    told = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert told == f"{digests()}\n"
    assert dict(matplotlib.rcParams) == before


def test_every_form_of_a_figure_carries_the_word(monkeypatch):
    from matplotlib import pyplot as plt

    figure, axes = styled(plt.subplots)()
    axes.plot([1, 2], [1, 2], color=ink("ours"))
    plain, plain_pdf = to_svg(figure, "a-figure"), to_pdf(figure)
    assert "stamp" not in plain
    monkeypatch.setenv(STAMP_VARIABLE, "rehearsal")
    assert to_pdf(figure) != plain_pdf
    markup = figure_html(figure, "a-figure", "a line that rises")
    assert 'alt="rehearsal, not a result. a line that rises"' in markup
    assert "<strong>rehearsal, not a result.</strong>" in markup
    for image in re.findall(r"base64,([A-Za-z0-9+/=]+)", markup)[:2]:
        assert b'id="stamp-rehearsal"' in base64.b64decode(image)
    assert "not a result" in figure_frame("a-figure", body="any body")
    # Without the word the same figure is what it was, to the byte.
    monkeypatch.delenv(STAMP_VARIABLE)
    assert to_svg(figure, "a-figure") == plain and to_pdf(figure) == plain_pdf


def test_whoever_opens_a_rehearsal_draws_stamped_figures(monkeypatch, tmp_path):
    monkeypatch.setenv(STAMP_VARIABLE, "")
    monkeypatch.delenv(STAMP_VARIABLE)
    smoke = profiles.load("smoke")
    Pipeline(smoke, RunStore(tmp_path))
    assert STAMP_VARIABLE not in os.environ
    Pipeline(replace(smoke, rehearsal=True), RunStore(tmp_path))
    assert os.environ[STAMP_VARIABLE] == "rehearsal"
