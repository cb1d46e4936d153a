"""The trace viewer and the explorable figure as markup: complete, escaped, and without a script."""

import functools
import json
import operator
import re

import numpy as np
import pytest

from s1core.errors import InputError
from s1core.records import Generation, Grade, Problem, Segment, printable
from s1core.templates import encode
from s1lab.evaluation import Interval
from s1lab.evaluation.measure import Point, Samples
from s1lab.figures.display import first_line, visible
from s1lab.figures.interactive import embed, interactive_curve
from s1lab.figures.trace import MOST_STEPS, trace_html, viewer_html
from tests.helpers import DATA, cases, tiny_tokenizer
from tests.hostile import BIDI, HANDLER, HOSTILE, SCRIPT, Page, paths

ROW, TABLES = (DATA / "trace_row.json").read_text(encoding="utf-8"), cases("trace_viewer")
PROBLEM = Problem("Use 3 7 to make 10", "3 + 7")
LOADS = {"script", "link", "style", "img", "svg", "iframe", "h1"}  # no element of the viewer's


def test_nothing_invisible_gets_through_and_ordinary_text_of_any_language_stays_as_it_is():
    shown = visible(f"{BIDI}\x1b[0m\x00\ud800\u2028\r")
    for code in ("U+202E", "U+2066", "U+200F", "U+001B", "U+0000", "U+D800", "U+2028", "U+000D"):
        assert code in shown
    assert 'title="right-to-left override"' in shown
    assert all(c.isprintable() for c in shown)
    assert printable(BIDI).count("\N{REPLACEMENT CHARACTER}") == 3
    for text in ("3 * 7 = 21\n\tyes", "naïve 数学 עברית", "\N{NO-BREAK SPACE}\N{THIN SPACE}x²"):
        assert visible(text) == text
    assert visible('a < b & "c"\r\nd') == "a &lt; b &amp; &quot;c&quot;\nd"
    assert first_line("\n \n  first\nsecond") == "first" and len(first_line("x" * 500)) == 90


def row(**changes) -> dict:
    return {**json.loads(ROW), **changes}


def test_forced_tokens_are_marks_that_say_so_in_words():
    markup = viewer_html([row()], "viewer")
    marks = re.findall(r"<mark[^>]*>(.*?)</mark>", markup, re.DOTALL)
    assert sum("forced: </span><bdi>Wait</bdi>" in mark for mark in marks) == 1
    assert any("&lt;|im_start|&gt;answer\nFinal Answer:" in mark for mark in marks)
    assert markup.count('<em class="s1-own">Wait</em>') == 3  # key, preview, step
    assert "<bdi>3 + 7</bdi>" in markup  # sampled: no mark


def test_the_ruler_is_to_scale_and_told_in_words():
    page = Page(viewer_html([row()], "viewer"))
    (ruler,) = page.having("s1-ruler")
    assert ruler["aria-label"] == TABLES["ruler"]
    blocks = [b for b in page.having("s1-block") if "style" in b]
    assert [b["style"] for b in blocks] == ["flex:8 0 0", "flex:1 0 0", "flex:2 0 0"]
    assert [b["class"].split()[1] for b in blocks] == ["s1-correct", "s1-wrong", "s1-truncated"]
    (wait,) = [a for tag, a in page.elements if tag == "b"]
    assert wait["style"] == f"left:{800 / 11:.2f}%"


def test_every_step_says_what_would_be_answered_there_and_unfolds_only_what_its_row_lacks():
    page = Page(viewer_html([row()], "viewer"))
    text, long = page.text, {"text": "3 + 7\n= 10", "origin": "sampled", "tokens": 8}
    assert page.tags.count("details") == 1  # the answer that was cut off
    steps = row()["steps"]
    steps[0]["pieces"] = [long]
    assert Page(viewer_html([row(steps=steps)], "viewer")).tags.count("details") == 2
    for line in TABLES["steps"]:
        assert line in text


def test_an_endless_trace_ends_on_the_page():
    piece = {"text": "a\n", "origin": "sampled", "tokens": 1}
    steps = [{"start": i, "end": i + 1, "pieces": [piece]} for i in range(50_000)]
    markup = viewer_html([row(steps=steps, thinking_tokens=50_000, answers=[])], "viewer")
    page = Page(markup)
    assert len(page.having("s1-row")) == MOST_STEPS and page.tags.count("details") == 1
    assert len(markup) < 200_000 and "more characters are not shown" in page.text
    blocks = [b["style"] for b in page.having("s1-block") if "style" in b]
    assert sum(int(style[5:].split()[0]) for style in blocks) == 50_000


def test_a_single_generation_is_shown_with_its_verdict():
    tokenizer = tiny_tokenizer()
    written = [("3 + 7\n", "sampled", "thinking"), ("Wait", "forced", "thinking")]
    written += [("<|im_start|>answer\n", "forced", "answer"), ("3 + 7", "sampled", "answer")]
    segments = tuple(Segment(tuple(encode(tokenizer, t)), *how) for t, *how in written)
    generation = Generation(PROBLEM.key, 0, segments, "ended", 1, answer="3 + 7")
    verdict = Grade(PROBLEM.key, 0, "correct", "3 + 7", "exact")
    page = Page(trace_html(generation, tokenizer, PROBLEM, verdict, separator="\n"))
    assert len(page.having("s1-forced")) == 2  # the Wait, the delimiter
    assert "✓ right" in page.text and "Stopped" not in page.text


VALUES = [HANDLER, SCRIPT, "1", -1, 1.5, float("nan"), float("inf"), 10**30, None, True, [HANDLER]]
VALUES += [{"a": HANDLER}, BIDI, "\x1b]0;owned\x07", "'\" onfocus=alert(4) autofocus x='"]


@pytest.mark.parametrize("place", paths(row()), ids=str)
def test_a_field_of_another_type_is_refused_or_is_text(place):
    for value in VALUES:
        damaged, (*way, last) = row(), place
        within = functools.reduce(operator.getitem, way, damaged)
        of_its_type = isinstance(value, str) and isinstance(within[last], str)
        within[last] = value
        try:
            markup = viewer_html([damaged], "viewer")
        except InputError as refusal:
            assert str(refusal).startswith("viewer viewer, trace 1: ")
            assert str(last) in str(refusal) or "pieces" in str(refusal)
            continue
        assert of_its_type, (place, value)
        assert not LOADS & set(Page(markup).tags)


QUESTIONS = [Problem(text.replace("\ud800", ""), "1") for text in HOSTILE]
POINTS = [
    Point(label, kind, 0, 0, tokens, Interval(a, a - 0.05, a + 0.05, 2), 0.0, "generate-1")
    for label, kind, tokens, a in [
        ("Wait 1x", "wait", 200, 0.6),
        ("8 tokens", "budget", 8, 0.1),
        ("no <b>budget</b>", "natural", 100, 0.5),
    ]
]


def grades(right: int) -> Samples:
    """Of each question's two samples; the first `right` questions are solved by both."""
    n, texts = len(QUESTIONS), np.array([[problem.question] * 2 for problem in QUESTIONS])
    correct = np.array([[number < right] * 2 for number in range(n)], float)
    thinking = 10.0 * np.arange(n)[:, None] + [0, 1]
    keys = tuple(problem.key for problem in QUESTIONS)
    return Samples(keys, correct, 0 * correct, thinking, thinking, 0 * correct, texts, texts)


GRADES = [grades(3), grades(1), grades(2)]


@pytest.fixture(scope="module")
def curve() -> str:
    return interactive_curve(POINTS, GRADES, QUESTIONS, caption="A <caption>.")


def test_the_curve_carries_each_questions_results_easiest_first(curve):
    (found,) = re.findall(r'<script type="application/json">(.*?)</script>', curve, re.S)
    data = json.loads(found)
    assert [p["label"] for p in data["points"]] == ["8 tokens", "no <b>budget</b>", "Wait 1x"]
    assert [p["right"][:4] for p in data["points"]] == [[2, 0, 0, 0], [2, 2, 0, 0], [2, 2, 2, 0]]
    assert data["questions"][0] == printable(HOSTILE[0])
    assert {p["samples"] for p in data["points"]} == {2}
    assert sorted(data["points"][0]["spent"]) == [10 * n for n in range(len(QUESTIONS))]


def test_without_a_script_the_curve_is_a_drawing_to_scale_and_a_table(curve):
    page = Page(curve)
    labels = [a["aria-label"] for tag, a in page.elements if tag == "g"]
    assert labels[0] == "8 tokens: 10.0 [5.0, 15.0] percent at 8 thinking tokens"
    assert page.tags.count("tr") == 1 + len(POINTS) and "A <caption>." in page.text
    assert not {"caption", "h1", "img", "iframe"} & set(page.tags)
    hits = re.findall(r'<circle class="s1-hit" cx="([\d.]+)" cy="([\d.]+)"', curve)
    (x8, y8), (x100, y100), (x200, y200) = [(float(x), float(y)) for x, y in hits]
    # One doubling is one width; a point of accuracy is one height, downwards.
    assert x200 - x100 == pytest.approx((x100 - x8) / 3.6439, abs=0.2)
    assert (y8 - y100) / 0.4 == pytest.approx((y100 - y200) / 0.1, abs=1)


def test_embedded_data_cannot_end_its_script():
    text = embed({"x": "</script><!--<script>&\u2028"})
    assert "<" not in text and ">" not in text and "\u2028" not in text
    assert json.loads(text) == {"x": "</script><!--<script>&\u2028"}


def test_what_does_not_fit_together_is_refused():
    hostile = Generation(PROBLEM.key, 0, (), "ended", waits_used=HANDLER)
    for message, make, *given in (
        ("no traces", viewer_html, [], "viewer"),
        ("lower-case words", viewer_html, [row()], "The Viewer"),
        ("must be a whole number", trace_html, hostile, tiny_tokenizer(), PROBLEM),
        ("3 points and 1 tables", interactive_curve, POINTS, GRADES[:1], QUESTIONS),
        ("no grade for question", interactive_curve, POINTS, GRADES, [PROBLEM]),
    ):
        with pytest.raises(InputError, match=message):
            make(*given)
