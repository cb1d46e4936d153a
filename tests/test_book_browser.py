"""The book as a reader sees it, in headless Chromium: light, dark and on a phone.

The site is built from the checkout. S1CORE_SCREENSHOTS=folder keeps a picture of every page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyter_book", reason="the book extra is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from s1lab.book.notebooks import execute
from s1lab.book.site import build, pages
from tests.book_fixtures import CHECKOUT, make_project
from tests.browsing import OVERFLOW, VIEWS, Visit, chromium, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def book(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """The project's own book: its address and its pages."""
    site = tmp_path_factory.mktemp("book") / "html"
    build(CHECKOUT / "book", CHECKOUT / "book" / "notebooks", CHECKOUT / "results", site)
    names = [page.relative_to(site).as_posix() for page in pages(site)]
    with served(site) as address:
        yield address, [name for name in names if name != "search.html"]


@pytest.fixture(scope="module")
def sample(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A book with one known chapter: the chapter's address."""
    project = make_project(tmp_path_factory.mktemp("sample") / "p")
    built = project / "book/notebooks"
    execute(project / "notebooks/00_chapter.py", built / "00_chapter.ipynb", "laptop")
    build(project / "book", built, project / "results", project / "site")
    with served(project / "site") as address:
        yield f"{address}/notebooks/00_chapter.html"


FIGURES = """() => [...document.querySelectorAll('article img')].map(image => ({
    name: image.src.slice(0, 40), theme: image.className, alt: image.alt,
    loaded: image.complete && image.naturalWidth > 0,
    shown: getComputedStyle(image).display !== 'none',
    natural: image.naturalWidth, width: image.getBoundingClientRect().width}))"""
# Ids that occur twice, and headings that skip a level; neither is a serious finding of axe's.
MARKUP = """() => {
    const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
    const twice = ids.filter((id, place) => ids.indexOf(id) !== place).map(id => `#${id} twice`);
    const levels = [...document.querySelectorAll('article :is(h1, h2, h3, h4, h5, h6)')]
        .map(heading => Number(heading.tagName[1]));
    const skips = levels.filter((level, place) => level > (levels[place - 1] ?? 0) + 1)
        .map(level => `h${level} after a skipped level`);
    const landmarks = document.querySelectorAll('main').length === 1 ? [] : ['not one main'];
    return [...twice, ...skips, ...landmarks];
}"""


@dataclass(frozen=True)
class Seen:
    """What one page looked like in one view."""

    complaints: list[str]
    overflow: int
    images: list[dict[str, Any]]
    findings: list[str]
    markup: list[str]


@pytest.fixture(scope="module")
def tour(browser: Any, book: tuple[str, list[str]], sample: str) -> dict[tuple[str, str], Seen]:
    """Every page of the book, and the sample chapter, opened once in every view."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    address, names = book
    seen = {}
    for view in VIEWS:
        for page in [*(f"{address}/{name}" for name in names), sample]:
            name = page.rpartition(":")[2].partition("/")[2] if page != sample else "sample"
            with Visit(browser, page, view) as visit:
                visit.keep(f"{name.removesuffix('.html').replace('/', '-')}-{view}")
                complaints = list(visit.complaints)  # axe itself asks for files that are not there
                rules = axe.run(visit.page).response["violations"] if view != "phone" else []
                seen[name, view] = Seen(
                    complaints,
                    visit.page.evaluate(OVERFLOW),
                    visit.page.evaluate(FIGURES),
                    [
                        f"{rule['id']} at {[node['target'][0] for node in rule['nodes']][:3]}"
                        for rule in rules
                        if rule["impact"] in {"serious", "critical"}
                    ],
                    visit.page.evaluate(MARKUP),
                )
    return seen


Tour = dict[tuple[str, str], Seen]


def test_every_page_opens_without_complaint_and_without_a_network(tour: Tour) -> None:
    assert {"index.html", "reading.html", "references.html"} <= {name for name, _ in tour}
    assert {page: seen.complaints for page, seen in tour.items() if seen.complaints} == {}


def test_no_page_is_wider_than_its_window(tour: Tour) -> None:
    assert {page: seen.overflow for page, seen in tour.items() if seen.overflow > 0} == {}


def test_every_figure_is_loaded_described_and_at_its_natural_size(tour: Tour) -> None:
    faults = []
    for (name, view), seen in tour.items():
        for image in seen.images:
            shrunk = image["shown"] and image["width"] < image["natural"] - 1
            if not image["loaded"] or not image["alt"] or (shrunk and view != "phone"):
                faults.append((name, view, image))
    assert faults == []


def test_no_page_has_serious_accessibility_findings(tour: Tour) -> None:
    assert {page: seen.findings for page, seen in tour.items() if seen.findings} == {}


def test_markup_has_unique_ids_and_no_skipped_heading(tour: Tour) -> None:
    assert {page: seen.markup for page, seen in tour.items() if seen.markup} == {}


@pytest.mark.parametrize("view", VIEWS)
def test_a_figure_is_shown_in_the_variant_of_the_theme(tour: Tour, view: str) -> None:
    shown = [image["theme"] for image in tour["sample", view].images if image["shown"]]
    assert shown == ["s1-dark" if view == "dark" else "s1-light"]


def test_the_theme_button_switches_page_and_figure(browser: Any, sample: str) -> None:
    with Visit(browser, sample, "light") as visit:
        paper = "() => getComputedStyle(document.body).backgroundColor"
        seen = {visit.page.evaluate(paper)}
        for _ in range(3):  # light, dark, automatic
            visit.page.locator("button.theme-switch-button:visible").first.click()
            theme = visit.page.evaluate("document.documentElement.dataset.theme")
            shown = [i["theme"] for i in visit.page.evaluate(FIGURES) if i["shown"]]
            assert shown == [f"s1-{theme}"]
            seen.add(visit.page.evaluate(paper))
        assert len(seen) == 2 and visit.complaints == []


def test_search_finds_a_word_of_the_book(browser: Any, book: tuple[str, list[str]]) -> None:
    with Visit(browser, f"{book[0]}/search.html?q=capping", "light") as visit:
        results = visit.page.locator("#search-results li a")
        results.first.wait_for(timeout=10_000)
        assert "How to read this book" in results.all_inner_texts()
        assert visit.complaints == []


def test_the_sidebar_leads_to_every_page(browser: Any, book: tuple[str, list[str]]) -> None:
    address, names = book
    with Visit(browser, f"{address}/index.html", "light") as visit:
        links = visit.page.eval_on_selector_all("nav.bd-links a", "found => found.map(a => a.href)")
    listed = {link.removeprefix(f"{address}/").partition("#")[0] for link in links}
    # What Sphinx makes besides: its indices, and the page that the search shows.
    unlisted = {"genindex.html", "py-modindex.html"}
    assert set(names) - unlisted <= listed


def test_a_verdict_links_the_chapter_that_explains_it(
    browser: Any, book: tuple[str, list[str]]
) -> None:
    with Visit(browser, f"{book[0]}/claims.html", "light") as visit:
        row = visit.page.locator("table tr", has_text="forced end keeps every generation")
        assert row.locator(".s1-verdict").count() == 1
        row.locator("a").first.click()
        visit.page.wait_for_load_state()
        assert visit.page.url.endswith("notebooks/03_budget_forcing.html")
        assert visit.complaints == []


def test_the_reference_has_a_signature_and_what_it_means(
    browser: Any, book: tuple[str, list[str]]
) -> None:
    with Visit(browser, f"{book[0]}/api/s1core.forcing.budget.html", "light") as visit:
        entry = visit.page.locator("dl.py.class", has=visit.page.locator("dt .sig-name")).first
        assert entry.is_visible()
        budget = visit.page.locator("dt[id='s1core.forcing.budget.Budget']")
        assert "max_thinking" in budget.inner_text()


def test_a_figure_can_be_downloaded_and_traced_to_its_files(browser: Any, sample: str) -> None:
    with Visit(browser, sample, "light") as visit:
        with visit.page.expect_download() as download:
            visit.page.locator("figcaption a[download]").click()
        assert download.value.suggested_filename == "chapter-scaling.pdf"
        assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
        visit.page.locator("details.s1-provenance summary").click()
        link = visit.page.locator("details.s1-provenance a", has_text="points.json")
        assert link.is_visible()
        answer = visit.context.request.get(
            visit.page.evaluate("a => a.href", link.element_handle())
        )
        assert answer.ok and answer.json()[0]["thinking_tokens"] == 8


def test_equations_are_typeset_without_a_network(browser: Any, sample: str) -> None:
    with Visit(browser, sample, "light") as visit:
        visit.page.locator("mjx-container").first.wait_for(timeout=10_000)
        assert visit.page.locator("mjx-merror").count() == 0 and visit.complaints == []
