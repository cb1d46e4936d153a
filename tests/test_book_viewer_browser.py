"""The trace viewer and the explorable figure as a reader uses them, in headless Chromium.

One small book holds real generations beside hostile ones, and a curve whose questions, answers and
labels are hostile too.
"""

from __future__ import annotations

import contextlib
import functools
import json
import operator
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("jupyter_book", reason="the book extra is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from s1core.errors import InputError
from s1lab.book.notebooks import execute
from s1lab.book.site import build
from s1lab.figures.trace import viewer_html
from tests.book_fixtures import CHECKOUT, make_project
from tests.browsing import OVERFLOW, Visit, chromium, served
from tests.hostile import BIDI, CLOSING, HANDLER, HOSTILE, ROWS, SCRIPT, paths

pytestmark = pytest.mark.browser

NOTEBOOK = """# %% [markdown]
# # Traces

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import json
from pathlib import Path

from IPython.display import HTML
from s1lab.evaluation import Interval
from s1lab.figures.interactive import interactive_curve
from s1lab.figures.trace import viewer_html
from s1lab.evaluation.measure import Point
from s1core.records import Problem

RUN = "generate-abc123def456"
run = Path("../../results") / PROFILE / RUN / "public"
HTML(viewer_html(json.loads((run / "rows.json").read_text()), "traces", runs=[RUN]))

# %%
curve = json.loads((run / "curve.json").read_text())
points = [
    Point(label, kind, 0, 0, tokens, Interval(share, share - 0.1, share + 0.1, 3), 0, 0, RUN)
    for label, kind, tokens, share in curve["points"]
]
questions = [Problem(text, "1") for text in curve["questions"]]
grades = [
    [
        {"problem_key": problem.key, "status": status, "thinking_tokens": "7", "extracted": said}
        for problem, told, said in zip(questions, statuses, curve["answers"])
        for status in told
    ]
    for statuses in curve["statuses"]
]
HTML(interactive_curve(points, grades, questions, name="explore"))
"""
PLAIN = "Use 3 7 to make 10"
C, W = "correct", "wrong"
# One question that any budget solves, one that half the samples of a larger one do, hostile ones
# that nothing does.
CURVE = {
    "points": [["8 tokens", "budget", 8, 0.3], [SCRIPT, "natural", 100, 0.5]],
    "questions": [PLAIN, HANDLER, CLOSING, BIDI],
    "answers": ["3 + 7", SCRIPT, SCRIPT, SCRIPT],
    "statuses": [[[C, C], [W, W], [W, W], [W, W]], [[C, C], [C, W], [W, W], [W, W]]],
}
REAL = 3
FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e);
    const ring = e.matches('.s1-point') ? getComputedStyle(e.querySelector('.s1-hit')) : null;
    const name = e.querySelector('.s1-number') ?? e;
    return {words: e.getAttribute('aria-label') ?? name.textContent.trim(),
        ring: ring ? parseFloat(ring.strokeWidth) : parseFloat(style.outlineWidth),
        drawn: ring ? ring.stroke !== 'none' : style.outlineStyle !== 'none'};
}"""
SCRIPTS = """text => [...document.scripts].filter(script => script.text.includes(text))
    .map(script => script.type)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the one chapter: the first traces are a committed run's, then hostile ones."""
    (committed,) = (CHECKOUT / "results" / "laptop").glob("reading-*/public/traces.jsonl")
    real = [json.loads(line) for line in committed.read_text(encoding="utf-8").splitlines()]
    project = make_project(tmp_path_factory.mktemp("viewer") / "p", NOTEBOOK)
    run = project / "results" / "laptop" / "generate-abc123def456" / "public"
    (run / "rows.json").write_text(json.dumps([*real[:REAL], *ROWS]))
    (run / "curve.json").write_text(json.dumps(CURVE))
    settings = {"model": HANDLER, "seed": CLOSING, "samples": [SCRIPT], SCRIPT: HANDLER}
    said = {"processor": HANDLER, "cpus": SCRIPT, "finished": CLOSING, "commit": HANDLER}
    manifest = {"kind": "generate", "settings": settings}
    (run.parent / "manifest.json").write_text(json.dumps(manifest))
    (run.parent / "provenance.json").write_text(json.dumps(said))
    built = project / "book" / "notebooks"
    execute(project / "notebooks" / "00_chapter.py", built / "00_chapter.ipynb", "laptop")
    build(project / "book", built, project / "results", project / "site")
    with served(project / "site") as address:
        yield f"{address}/notebooks/00_chapter.html"


@pytest.fixture
def visit(browser: Any, page: str) -> Iterator[Visit]:
    with Visit(browser, page, "light") as opened:
        opened.page.set_default_timeout(5_000)
        yield opened
        assert opened.complaints == []


def shown(visit: Visit) -> list[int]:
    """The places of the traces that can be seen."""
    traces = visit.page.locator(".s1-trace")
    return [place for place in range(traces.count()) if traces.nth(place).is_visible()]


def test_hostile_text_is_text_on_every_trace(browser: Any, page: str) -> None:
    with Visit(browser, page, "phone") as visit:
        visit.page.get_by_role("button", name="Unfold all steps").click()
        for place in range(REAL + len(HOSTILE)):
            assert shown(visit) == [place]
            assert visit.page.evaluate(OVERFLOW) == 0, f"trace {place} is wider than a phone"
            visit.page.get_by_role("button", name="Next").click()
        article = visit.page.locator("article.bd-article")
        for text in (SCRIPT, HANDLER, CLOSING):
            assert article.locator("pre", has_text=text).count() > 0
        assert article.locator(":is(img, h1#owned, iframe), svg[onload]").count() == 0
        assert visit.page.evaluate(SCRIPTS, "alert(1)") == ["application/json"]
        stamp = article.locator("details.s1-provenance").first
        stamp.locator("summary").click()
        assert HANDLER in stamp.inner_text() and SCRIPT in stamp.inner_text()
        assert article.locator("mjx-container").count() == 0
        assert visit.page.title() != "owned" and visit.complaints == []


def test_nothing_runs_whatever_a_field_of_a_row_holds(browser: Any) -> None:
    payloads = [SCRIPT, HANDLER, CLOSING, "'\" onfocus=alert(4) autofocus x='", 7, None, [HANDLER]]
    shown = []
    for place in paths(ROWS[0]):
        for payload in payloads:
            damaged = json.loads(json.dumps(ROWS[0]))
            *way, last = place
            functools.reduce(operator.getitem, way, damaged)[last] = payload
            with contextlib.suppress(InputError):
                shown.append(viewer_html([damaged], f"viewer-{len(shown)}"))
    assert len(shown) > 50
    script = (CHECKOUT / "book/_static/traces.js").read_text()
    view = browser.new_page()
    ran = []
    view.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    view.set_content(f"<title>book</title>{''.join(shown)}<script>{script}</script>")
    view.evaluate("document.querySelectorAll('.s1-bar button').forEach(one => one.click())")
    assert ran == [] and view.title() == "book"
    assert view.locator(".s1-viewer :is(img, svg, iframe, script, [onfocus])").count() == 0
    view.close()


def test_without_scripts_everything_is_on_the_page(browser: Any, page: str) -> None:
    with Visit(browser, page, "light", scripts=False) as visit:
        assert shown(visit) == list(range(REAL + len(HOSTILE)))
        steps = visit.page.locator(".s1-trace details")
        assert steps.count() == visit.page.locator(".s1-trace details[open] > pre:visible").count()
        assert visit.page.locator(".s1-viewer button").count() == 0
        assert visit.page.locator(".s1-curve .s1-point:visible").count() == len(CURVE["points"])
        visit.page.locator(".s1-numbers summary").click()
        assert visit.page.locator(".s1-numbers tbody tr:visible").count() == len(CURVE["points"])


def test_the_keyboard_leafs_and_folds(visit: Visit) -> None:
    press = visit.page.keyboard.press
    visit.page.get_by_role("button", name="Next").focus()
    press("ArrowRight")
    assert shown(visit) == [1]
    press("ArrowLeft")
    assert shown(visit) == [0]
    first = visit.page.locator(".s1-trace").first.locator("details")
    text = first.nth(1).locator("pre")
    press("ArrowDown")
    press("ArrowDown")
    assert not text.is_visible()
    press("Enter")
    assert text.is_visible() and not first.first.locator("pre").is_visible()
    press("Enter")
    assert not text.is_visible()
    press("ArrowRight")  # from a step: to the first step of the next trace
    assert shown(visit) == [1]
    assert visit.page.evaluate("document.activeElement.closest('.s1-trace').hidden") is False


def test_a_step_is_unfolded_from_the_ruler(visit: Visit) -> None:
    trace = visit.page.locator(".s1-trace").first
    trace.locator(".s1-blocks > .s1-block").nth(2).click()
    assert trace.locator("details").nth(2).locator("pre").is_visible()
    assert trace.locator("details[open]").count() == 1


def test_tab_goes_through_the_page_in_reading_order_and_is_always_seen(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Previous").focus()
    steps = visit.page.locator(".s1-trace").first.locator("details").count()
    found = []
    while not found or found[-1]["words"] != "The numbers":
        assert len(found) < steps + 20, "the focus does not come to the end of the figure"
        # `:focus-visible` follows the keyboard, so a key comes before each look.
        visit.page.keyboard.press("Tab")
        found.append(visit.page.evaluate(FOCUSED))
    words = [one["words"] for one in found]
    numbers = [f"step {number}" for number in range(1, steps + 1)]
    assert words[: 2 + steps] == ["Next ›", "Unfold all steps", *numbers]
    chosen, question, table = words[-3:]
    assert chosen.startswith(f"{SCRIPT}: 50.0") and (question, table) == ("Question", "The numbers")
    assert [one for one in found if not one["drawn"] or one["ring"] < 2] == []


def test_pointing_at_a_condition_and_a_question_says_what_is_behind_them(visit: Visit) -> None:
    chosen, asked = visit.page.locator(".s1-chosen"), visit.page.locator(".s1-asked")
    levels = visit.page.locator(".s1-grid-of-questions i")
    levels.first.hover()
    visit.page.locator(".s1-point .s1-dot").first.hover()
    assert chosen.inner_text() == (
        "8 tokens: 30.0 [20.0, 40.0]% at 8 thinking tokens. Of 4 questions 1 always right, 3 never."
    )
    assert asked.inner_text() == (
        f"{PLAIN}: 2 of 2 right, 7 thinking tokens on average, first answer 3 + 7"
    )
    visit.page.locator(".s1-point .s1-dot").last.hover()
    assert chosen.inner_text().startswith(f"{SCRIPT}: 50.0") and "1 always" in chosen.inner_text()
    assert [levels.nth(i).get_attribute("data-level") for i in range(3)] == ["all", "some", "none"]
    levels.nth(1).hover()
    assert asked.inner_text() == (
        f"{HANDLER}: 1 of 2 right, 7 thinking tokens on average, first answer {SCRIPT}"
    )


def test_the_same_is_said_to_the_keyboard(visit: Visit) -> None:
    press, current = visit.page.keyboard.press, visit.page.locator(".s1-point[aria-checked='true']")
    current.focus()
    press("Home")
    assert visit.page.locator(".s1-chosen").inner_text().startswith("8 tokens: 30.0")
    assert current.get_attribute("aria-label").startswith("8 tokens: 30.0")
    press("Tab")
    press("Home")
    press("ArrowRight")
    grid = visit.page.get_by_role("slider", name="Question")
    assert grid.get_attribute("aria-valuenow") == "2"
    assert visit.page.locator(".s1-asked").inner_text() == grid.get_attribute(
        "aria-valuetext"
    ).replace("thinking tokens,", "thinking tokens on average,")
    assert shown(visit) == [0], "the arrow keys of the figure leave the viewer alone"


def test_nothing_serious_stands_in_the_way_of_assistive_software(visit: Visit) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(visit.page).response["violations"]
    visit.complaints.clear()  # axe itself asks for files that are not there
    serious = [rule["id"] for rule in found if rule["impact"] in {"serious", "critical"}]
    assert serious == []
