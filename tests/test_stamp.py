"""A figure of a rehearsal can never be taken for a result."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import replace

import pytest

from s1lab import profiles
from s1lab.figures.display import STAMP_VARIABLE, figure_frame, figure_html, to_pdf, to_svg
from s1lab.figures.style import styled
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore


def test_every_form_of_a_figure_carries_the_word(monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot", reason="the book extra is not installed")
    figure, axes = styled(plt.subplots)()
    axes.plot([1, 2], [1, 2], color="#17549c")
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
