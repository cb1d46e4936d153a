"""The book as a reader sees it, in headless Chromium: light, dark and on a phone.

One site is the checkout's, one a known chapter, one has the trace viewer and the explorable figure
with real generations beside hostile ones. S1CORE_SCREENSHOTS=folder keeps a picture of every page.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyter_book", reason="the book extra is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from s1lab.book.site import build, pages
from tests.book_fixtures import CHECKOUT, DATA, RUN, make_project, make_site
from tests.browsing import OVERFLOW, VIEWS, Visit, chromium, serious, served
from tests.hostile import BIDI, CLOSING, HANDLER, HOSTILE, ROWS, SCRIPT

pytestmark = pytest.mark.browser

FIGURES, FOCUSED, MARKUP, SCRIPTS, SHARES, CUT = (
    (DATA / f"{name}.js").read_text()
    for name in ("figures", "focused", "markup", "scripts", "shares", "cut")
)
REAL = 3  # traces of a committed run before the hostile ones
PLAIN = "Use 3 7 to make 10"
C, W = "correct", "wrong"
# A question that any budget solves, one that half the samples of the larger do, two for nobody.
CURVE = {
    "points": [["8 tokens", "budget", 8, 0.3], [SCRIPT, "natural", 100, 0.5]],
    "questions": [PLAIN, HANDLER, CLOSING, BIDI],
    "answers": ["3 + 7", SCRIPT, SCRIPT, SCRIPT],
    "statuses": [[[C, C], [W, W], [W, W], [W, W]], [[C, C], [C, W], [W, W], [W, W]]],
}
Book = tuple[str, list[str]]
Tour = dict[tuple[str, str], dict[str, Any]]


browser = pytest.fixture(scope="module")(chromium)


@pytest.fixture(scope="module")
def book(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """The project's own book: its address and its pages."""
    site = tmp_path_factory.mktemp("book") / "html"
    build(CHECKOUT / "book", CHECKOUT / "book" / "notebooks", CHECKOUT / "results", site)
    names = [page.relative_to(site).as_posix() for page in pages(site)]
    with served(site) as address:
        yield address, [name for name in names if name != "search.html"]


@pytest.fixture(scope="module")
def sample(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A book with one known chapter: the chapter's address."""
    with served(make_site(tmp_path_factory.mktemp("sample") / "p") / "site") as address:
        yield f"{address}/notebooks/00_chapter.html"


@pytest.fixture(scope="module")
def viewer(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chapter of traces: the first are a committed run's, the others and the curve hostile."""
    (committed,) = (CHECKOUT / "results" / "laptop").glob("reading-*/public/traces.jsonl")
    real = [json.loads(line) for line in committed.read_text(encoding="utf-8").splitlines()]
    project = make_project(tmp_path_factory.mktemp("viewer") / "p", "traces")
    settings = {"model": HANDLER, "seed": CLOSING, "samples": [SCRIPT], SCRIPT: HANDLER}
    said = {"processor": HANDLER, "cpus": SCRIPT, "finished": CLOSING, "commit": HANDLER}
    files = {"public/rows": [*real[:REAL], *ROWS], "public/curve": CURVE, "provenance": said}
    files["manifest"] = {"kind": "generate", "settings": settings}
    for name, content in files.items():
        (project / RUN / f"{name}.json").write_text(json.dumps(content))
    with served(make_site(project) / "site") as address:
        yield f"{address}/notebooks/00_chapter.html"


@pytest.fixture
def visit(browser: Any, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The chapter that a test names first (`sample` or `viewer`), opened in a light window."""
    chapter = "viewer" if "viewer" in request.fixturenames else "sample"
    with Visit(browser, request.getfixturevalue(chapter), "light") as opened:
        opened.page.set_default_timeout(10_000)
        yield opened
        assert opened.complaints == []


@pytest.fixture(scope="module")
def tour(browser: Any, book: Book, sample: str, viewer: str) -> Tour:
    """Every page of the book (two of the generated reference), both chapters, in every view."""
    reference = sorted(n for n in book[1] if n.startswith("api/"))
    names = [n for n in book[1] if n not in reference[2:]]
    addresses = {"sample": sample, "viewer": viewer, **{n: f"{book[0]}/{n}" for n in names}}
    seen = {}
    for view in VIEWS:
        for name, address in addresses.items():
            with Visit(browser, address, view) as visit:
                visit.keep(f"{name.removesuffix('.html').replace('/', '-')}-{view}")
                light = view == "light"  # the markup is one; colours differ in the dark
                seen[name, view] = {
                    "complaints": list(visit.complaints),  # axe asks for files that are not there
                    "overflow": max(visit.page.evaluate(OVERFLOW), 0),
                    "images": visit.page.evaluate(FIGURES),
                    "barriers": serious(visit.page, view) if view != "phone" else [],
                    "markup": visit.page.evaluate(MARKUP) if light else [],
                    "shares": visit.page.evaluate(SHARES) if light else {},
                }
    return seen


@pytest.mark.parametrize("fault", ["complaints", "overflow", "barriers", "markup"])
def test_every_page_is_without_fault_in_every_view(tour, fault):
    assert {"index.html", "reading.html", "references.html"} <= {name for name, _ in tour}
    assert {page: seen[fault] for page, seen in tour.items() if seen[fault]} == {}


def test_every_figure_is_loaded_described_at_its_natural_size_and_of_the_theme(tour):
    for (name, view), seen in tour.items():
        for image in seen["images"]:
            shrunk = image["shown"] and image["width"] < image["natural"] - 1
            assert image["loaded"] and image["alt"] and not shrunk, (name, view, image)
    for view in VIEWS:
        shown = [image["theme"] for image in tour["sample", view]["images"] if image["shown"]]
        assert shown == ["s1-dark" if view == "dark" else "s1-light"]


def test_code_is_at_most_a_third_of_any_page(tour):
    shares = {name: seen["shares"] for (name, view), seen in tour.items() if view == "light"}
    chapters = {name: s for name, s in shares.items() if name.startswith("notebooks/")}
    assert len(chapters) > 10
    assert [name for name, s in chapters.items() if s["code"] > s["page"] / 3] == []


def test_search_finds_a_word_of_the_book_and_lists_chapters_before_the_reference(browser, book):
    with Visit(browser, f"{book[0]}/search.html?q=capping", "light") as visit:
        results = visit.page.locator("#search-results li a")
        results.first.wait_for(timeout=10_000)
        assert "How to read this book" in results.all_inner_texts() and visit.complaints == []
    with Visit(browser, f"{book[0]}/search.html?q=budget", "light") as visit:
        visit.page.locator("p.search-summary", has_text="found").wait_for(timeout=10_000)
        links = visit.page.locator("#search-results li > a")
        places = [link.get_attribute("href").startswith("api/") for link in links.all()]
        assert places == sorted(places) and set(places) == {False, True}


def test_a_term_and_a_citation_say_what_they_mean_beside_the_word(browser, book):
    with Visit(browser, f"{book[0]}/reading.html", "light") as visit:
        card, page = visit.page.locator("#s1-card"), visit.page
        for link, words in (
            (page.locator("a.s1-term", has_text="AIME 2024"), "The 30 problems"),
            (page.locator("article a[href*='references.html#']").first, "Simple test-time scaling"),
        ):
            link.hover()
            assert words.lower() in card.inner_text().lower() and page.url.endswith("reading.html")
            page.keyboard.press("Escape")
            assert not card.is_visible()
            link.focus()
            assert card.is_visible() and link.get_attribute("aria-describedby") == "s1-card"
            page.keyboard.press("Tab")
        terms = page.locator("a.s1-term").all_inner_texts()
        assert len(terms) == len(set(terms)) > 5 and visit.complaints == []
    with Visit(browser, f"{book[0]}/reading.html", "light", scripts=False) as visit:
        title = visit.page.locator("a.s1-term").first.get_attribute("title")
        assert title and not visit.page.locator("#s1-card").count()


def test_the_sidebar_leads_to_every_page_and_a_verdict_to_its_chapter(browser, book):
    address, names = book
    with Visit(browser, f"{address}/index.html", "light") as visit:
        links = visit.page.eval_on_selector_all("nav.bd-links a", "found => found.map(a => a.href)")
    listed = {link.removeprefix(f"{address}/").partition("#")[0] for link in links}
    # What Sphinx makes besides: its indices, and the page that the search shows.
    assert set(names) - {"genindex.html", "py-modindex.html"} <= listed
    with Visit(browser, f"{address}/claims.html", "light") as visit:
        row = visit.page.locator("table tr", has_text="forced end keeps every generation")
        assert row.locator(".s1-verdict").count() == 1
        row.locator("a").first.click()
        visit.page.wait_for_load_state()
        assert visit.page.url.endswith("notebooks/03_budget_forcing.html")
        assert visit.complaints == []


@pytest.mark.parametrize("view", VIEWS)
def test_two_clicks_lead_from_the_first_page_to_a_wait_of_ones_own(browser, book, view):
    with Visit(browser, f"{book[0]}/index.html", view) as visit:
        visit.page.set_default_timeout(60_000)
        visit.page.get_by_role("link", name="Be the decoder").click()
        visit.page.get_by_role("button", name="Wait", exact=True).click()
        visit.page.locator(".decoder-lines mark", has_text="Wait").wait_for()
        visit.page.locator(".decoder-open").wait_for()  # it wants to stop again
        visit.page.get_by_role("button", name="Sample 16 and vote").click()
        visit.page.locator("[data-part=voted]", has_text="It cost").wait_for()
        visit.keep(f"decoder-{view}")
        assert visit.page.evaluate(OVERFLOW) <= 0
        complaints = list(visit.complaints)  # axe asks for files that are not there
        assert serious(visit.page) == complaints == []


def test_without_scripts_the_recorded_trace_and_the_signatures_of_the_reference_stay(browser, book):
    chapter = f"{book[0]}/notebooks/03_budget_forcing.html"
    with Visit(browser, chapter, "light", scripts=False) as visit:
        assert not visit.page.locator("#try").is_visible()
        assert visit.page.locator(".decoder-without").is_visible()
        assert visit.page.locator(".s1-trace pre mark.s1-forced").first.is_visible()
        visit.page.goto(f"{book[0]}/api/s1core.forcing.budget.html")
        budget = visit.page.locator("dt[id='s1core.forcing.budget.Budget']")
        assert budget.is_visible() and "max_thinking" in budget.inner_text()


def test_the_theme_button_switches_page_and_figure(visit):
    paper = "() => getComputedStyle(document.body).backgroundColor"
    seen = {visit.page.evaluate(paper)}
    for _ in range(3):  # light, dark, automatic
        visit.page.locator("button.theme-switch-button:visible").first.click()
        theme = visit.page.evaluate("document.documentElement.dataset.theme")
        shown = [i["theme"] for i in visit.page.evaluate(FIGURES) if i["shown"]]
        assert shown == [f"s1-{theme}"]
        seen.add(visit.page.evaluate(paper))
    assert len(seen) == 2


def test_a_figure_can_be_downloaded_and_traced_to_its_files(visit):
    with visit.page.expect_download() as download:
        visit.page.locator("figcaption a[download]").click()
    assert download.value.suggested_filename == "chapter-scaling.pdf"
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    visit.page.locator("details.s1-provenance summary").click()
    link = visit.page.locator("details.s1-provenance a", has_text="points.json")
    assert link.is_visible()
    answer = visit.context.request.get(link.evaluate("a => a.href"))
    assert answer.ok and answer.json()[0]["thinking_tokens"] == 8
    visit.page.locator("mjx-container").first.wait_for()  # equations need no network
    assert visit.page.locator("mjx-merror").count() == 0


def shown(visit: Visit) -> list[int]:
    """The places of the traces that can be seen."""
    traces = visit.page.locator(".s1-trace")
    return [place for place in range(traces.count()) if traces.nth(place).is_visible()]


def test_hostile_text_is_text_on_every_trace(browser, viewer):
    with Visit(browser, viewer, "phone") as visit:
        for row in visit.page.locator(".s1-trace").first.locator(".s1-row pre").all():
            assert row.evaluate("e => e.scrollWidth <= e.clientWidth + 1")  # real: read to its end
            assert row.inner_text().strip().endswith(("yes", "no"))
        visit.page.get_by_role("button", name="Unfold all steps").click()
        tall = visit.page.locator(".s1-viewer").bounding_box()["height"]
        for place in range(REAL + len(HOSTILE)):
            assert shown(visit) == [place]
            assert visit.page.locator(".s1-viewer").bounding_box()["height"] == tall, "it jumps"
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


def test_without_scripts_everything_is_on_the_page(browser, viewer):
    with Visit(browser, viewer, "light", scripts=False) as visit:
        assert shown(visit) == list(range(REAL + len(HOSTILE)))
        steps = visit.page.locator(".s1-trace .s1-row")
        assert steps.count() == visit.page.locator(".s1-steps pre:visible").count()
        assert visit.page.locator(".s1-viewer button").count() == 0
        assert visit.page.locator(".s1-curve .s1-point:visible").count() == len(CURVE["points"])
        visit.page.locator(".s1-numbers summary").click()
        assert visit.page.locator(".s1-numbers tbody tr:visible").count() == len(CURVE["points"])


def test_the_keyboard_leafs_and_folds(viewer, visit):
    press = visit.page.keyboard.press
    visit.page.get_by_role("button", name="Next").focus()
    for key, places in (("ArrowRight", [1]), ("ArrowLeft", [0])):
        press(key)
        assert shown(visit) == places
    press("ArrowDown")
    press("ArrowDown")
    assert visit.page.evaluate(FOCUSED)["words"].startswith("step 2")
    press("ArrowRight")  # from a step: to the first step of the next trace
    assert shown(visit) == [1]
    assert visit.page.evaluate("document.activeElement.closest('.s1-away') !== null") is False
    trace = visit.page.locator(".s1-trace:not(.s1-away)")
    trace.locator(".s1-blocks > .s1-block").nth(2).click()  # the ruler leads to a step
    assert visit.page.evaluate(FOCUSED)["words"].startswith("step 3")
    assert visit.page.locator(".s1-steps").evaluate_all(CUT) == 0  # the list ends between two


def test_a_step_with_more_to_say_folds_and_one_that_is_whole_does_not(viewer, visit):
    first = visit.page.locator(".s1-trace").first
    assert first.locator(".s1-whole pre").count() > 5 and first.locator("details").count() == 0
    for _ in range(REAL):
        visit.page.get_by_role("button", name="Next").click()
    step = visit.page.locator(".s1-trace:not(.s1-away) details").first
    for visible in (False, True, False):
        assert step.locator("pre").is_visible() == visible
        step.locator("summary").press("Enter")


def test_tab_goes_through_the_page_in_reading_order_and_is_always_seen(viewer, visit):
    visit.page.get_by_role("button", name="Previous").focus()
    found = []
    while not found or found[-1]["words"] != "The numbers":
        assert len(found) < 20, "the focus does not come to the end of the figure"
        # `:focus-visible` follows the keyboard, so a key comes before each look.
        visit.page.keyboard.press("Tab")
        found.append(visit.page.evaluate(FOCUSED))
    words = [one["words"] for one in found]
    assert words[:2] == ["Next ›", "Unfold all steps"]
    chosen, question, table = words[-3:]
    assert chosen.startswith(f"{SCRIPT}: 50.0") and (question, table) == ("Question", "The numbers")
    assert [one for one in found if not one["drawn"] or one["ring"] < 2] == []


def test_pointing_shows_and_a_click_chooses_a_condition_and_a_question(viewer, visit):
    chosen, asked = visit.page.locator(".s1-chosen"), visit.page.locator(".s1-asked")
    levels, spent = visit.page.locator(".s1-grid-of-questions i"), "7 thinking tokens on average"
    levels.first.click()
    visit.page.locator(".s1-point .s1-dot").first.hover()
    assert chosen.inner_text() == (
        "8 tokens: 30.0 [20.0, 40.0]% at 8 thinking tokens. Of 4 questions 1 always right, "
        f"3 never. Against {SCRIPT} 0 gained, 1 lost."
    )
    assert asked.inner_text() == f"{PLAIN}: 2 of 2 right, {spent}, first answer 3 + 7"
    assert [levels.nth(i).get_attribute("data-change") for i in range(3)] == ["", "lost", ""]
    levels.nth(1).hover()  # the pointer leaves: back to what is chosen
    assert chosen.inner_text().startswith(f"{SCRIPT}: 50.0") and "1 always" in chosen.inner_text()
    assert [levels.nth(i).get_attribute("data-level") for i in range(3)] == ["all", "some", "none"]
    assert asked.inner_text() == f"{HANDLER}: 1 of 2 right, {spent}, first answer {SCRIPT}"
    visit.page.locator(".s1-strip button").first.click()
    visit.page.locator(".s1-point .s1-dot").last.hover()
    asked.hover()
    assert chosen.inner_text().startswith("8 tokens: 30.0"), "what was clicked stays"
    assert asked.inner_text().startswith(PLAIN)


def test_the_same_is_said_to_the_keyboard(viewer, visit):
    press, current = visit.page.keyboard.press, visit.page.locator(".s1-point[aria-checked='true']")
    current.focus()
    press("Home")
    assert visit.page.locator(".s1-chosen").inner_text().startswith("8 tokens: 30.0")
    assert current.get_attribute("aria-label").startswith("8 tokens: 30.0")
    for key in ("Tab", "Home", "ArrowRight", "ArrowDown"):  # one row has them all: down stays
        press(key)
    grid = visit.page.get_by_role("slider", name="Question")
    assert grid.get_attribute("aria-valuenow") == "2"
    said = grid.get_attribute("aria-valuetext").replace("tokens,", "tokens on average,")
    assert visit.page.locator(".s1-asked").inner_text() == said
    assert shown(visit) == [0], "the arrow keys of the figure leave the viewer alone"
