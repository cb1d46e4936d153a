"""Chapters: numbers by one rule, prose that is held to them, one value on every page; what
"How to read this book" promises is in `test_promises.py`."""

import json
import re
from collections.abc import Iterator
from string import Template
from types import SimpleNamespace

import pytest

pytest.importorskip("IPython", reason="the book extra is not installed")

from s1core.errors import RunError
from s1lab import profiles
from s1lab.analysis import results
from s1lab.book.chapter import REAL, WRITTEN_FOR, Chapter, quantities
from s1lab.book.generated import answers, first_page
from s1lab.evaluation import Interval
from s1lab.evaluation.report import NOT_MEASURED, written
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from tests.helpers import CHECKOUT, cases

BOOK = CHECKOUT / "book"
PAGES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((BOOK / "notebooks").glob("*.ipynb"))
}
GAP = Interval(-0.138, -0.159, -0.116, 320, "paired bootstrap", "accuracy: b − a")
SMALL = SimpleNamespace(profile=profiles.load("smoke"))
Shown = dict[str, dict[str, str]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What a chapter displays: data and metadata."""
    found: list[dict] = []

    def display(data: dict, raw: bool, metadata: dict) -> None:
        found.append({"data": data, "metadata": metadata})

    monkeypatch.setattr("IPython.display.display", display)
    return found


@pytest.mark.parametrize(("value", "unit", "text"), cases("chapter")["written"])
def test_numbers_are_written_by_one_rule(value, unit, text):
    assert written(Interval(*value) if isinstance(value, list) else value, unit) == text


def test_the_real_model_stands_beside_with_its_own_results(shown, monkeypatch):
    page = Chapter("x", SMALL, strict=True)
    assert page.real is None or page.real.profile.name == REAL
    monkeypatch.setattr("s1lab.book.chapter.REAL", "laptop")
    monkeypatch.chdir(CHECKOUT)
    store = RunStore(CHECKOUT / "results" / "laptop", read_only=True)
    rows = Chapter("x", SMALL, strict=True).beside(results.by_waits)
    assert rows == results.by_waits(Pipeline(profiles.load("laptop"), store)) != []
    heading, table = (output["data"]["text/html"] for output in shown)
    assert profiles.load("laptop").title in heading and table.count("<tr>") == len(rows) + 1
    of_itself = Chapter("x", SimpleNamespace(profile=profiles.load("laptop")), strict=True)
    assert of_itself.real is None and of_itself.beside(results.by_waits) == []


@pytest.mark.parametrize(("strict", "says"), [(True, "lower"), (False, "lower"), (False, "higher")])
def test_a_number_stands_in_the_prose_with_its_word(shown, strict, says):
    Chapter("x", SMALL, strict=strict).number("gap", GAP, "points", says=says)
    (output,) = shown
    assert output["metadata"]["scrapbook"]["name"] == "x_gap"
    assert output["metadata"]["s1"] == {"accuracy: b − a": "−13.8 [−15.9, −11.6]"}
    mark = "" if says == "lower" else " (here: lower)"
    assert [*output["data"].values()] == [f"'−13.8 points [−15.9, −11.6]{mark}'"]


@pytest.mark.parametrize("ends", [(-0.159, 0.02), (0.01, 0.2)])
def test_a_number_that_was_changed_contradicts_its_sentence(shown, ends):
    chapter = Chapter("x", SMALL, strict=True)
    with pytest.raises(RunError, match="x_gap says 'lower'"):
        chapter.number("gap", Interval(sum(ends) / 2, *ends, 320), "points", says="lower")
    with pytest.raises(RunError, match="x_best says 'Wait 1x'"):
        chapter.says("best", "Wait 2x", "Wait 1x")
    assert shown == []


def test_a_table_is_text_to_the_left_numbers_to_the_right_and_escaped(shown):
    rows = [
        {"arm": "<b>", "gain (points)": GAP, "n": 1000},
        {"arm": "`x-[-2]` is -3, 1e-05, pre-1"},
    ]
    Chapter("x", SMALL, strict=True).table(rows)
    markup = shown[0]["data"]["text/html"]
    assert "&lt;b&gt;" in markup and "<b>" not in markup
    assert '<td class="s1-amount">−13.8 <span class="s1-ends">[−15.9, −11.6]</span></td>' in markup
    assert markup.count("–") == 2 and "1,000" in markup
    assert "<code>x-[-2]</code> is −3, 1e−05, pre-1</" in markup  # a minus is a minus
    assert shown[0]["metadata"]["s1"] == {"accuracy: b − a": "−13.8 [−15.9, −11.6]"}


@pytest.mark.parametrize("heading", ["question", "in the pool"])
def test_a_question_stands_in_a_table_as_it_was_asked(shown, heading):
    Chapter("x", SMALL, strict=True).table([{heading: "Is $s+\\frac12$ `-1`, <b>?", "n": 1}])
    asked = "<bdi>Is $s+\\frac12$ `-1`, &lt;b&gt;?</bdi>"
    assert asked in shown[0]["data"]["text/html"]


def in_notebooks() -> Iterator[tuple[str, dict]]:
    for page, made in PAGES.items():
        for cell in made["cells"]:
            yield from ((page, output) for output in cell.get("outputs", []))


def on_pages() -> Shown:
    """What every page shows, by page and quantity."""
    pages: Shown = {}
    for page, output in in_notebooks():
        pages.setdefault(page, {}).update(output.get("metadata", {}).get("s1", {}))
    store = RunStore(CHECKOUT / "results" / WRITTEN_FOR, read_only=True)
    pipeline = Pipeline(profiles.load(WRITTEN_FOR), store)
    claims = [(ours.interval, ours.unit) for _, ours in answers(pipeline)]
    return pages | {"claims": quantities(claims)}


def disagreements(pages: Shown) -> list[str]:
    """Quantities that two pages show with different numbers; b − a is a − b with other signs."""
    seen: dict[str, tuple[str, list[float]]] = {}
    found = []
    for page, shown in pages.items():
        for about, text in shown.items():
            plain = text.replace("−", "-").replace(",", "")
            ends = [float(end) for end in re.findall(r"[-\d.]+\d", plain)]
            measure, _, between = about.partition(": ")
            sides = between.split(" − ")
            if sides != sorted(sides):
                ends = [-ends[0], -ends[2], -ends[1]]
            key = f"{measure}: {' − '.join(sorted(sides))}"
            first, same = seen.setdefault(key, (page, ends))
            if same != ends:
                found.append(f"{key}: {first} shows {same}, {page} shows {ends}")
    return found


def test_two_pages_show_one_quantity_with_one_number():
    pages = on_pages()
    assert disagreements(pages) == []
    claims = set(pages.pop("claims"))
    assert sum(len(claims & set(shown)) for shown in pages.values()) >= 5


def test_a_number_changed_by_hand_is_found():
    there = {"accuracy: a − b": "+13.8 [+11.6, +15.9]"}
    assert disagreements({"one": {GAP.about: "−13.8 [−15.9, −11.6]"}, "two": there}) == []
    (said,) = disagreements({"one": {GAP.about: "−13.7 [−15.9, −11.6]"}, "two": there})
    assert "one shows" in said and "two shows" in said


def test_the_first_page_is_filled_and_says_what_the_introduction_says():
    words = (CHECKOUT / "book" / "index.md").read_text(encoding="utf-8")
    store = RunStore(CHECKOUT / "results" / WRITTEN_FOR, read_only=True)
    page = first_page(words, [Pipeline(profiles.load(WRITTEN_FOR), store)])
    assert 'id="fig-first-scaling"' in page and NOT_MEASURED not in page
    glued = {
        output["metadata"]["scrapbook"]["name"]: "".join(*output["data"].values()).strip("'")
        for page, output in in_notebooks()
        if page == "00_introduction" and "scrapbook" in output.get("metadata", {})
    }
    for name in ("first", "natural", "gain_2", "gain_8", "mended", "broken"):
        assert glued[f"introduction_{name}"] in " ".join(page.split()), name
    empty = first_page(words, [])
    assert NOT_MEASURED in empty
    assert not Template(empty).get_identifiers() and not re.search(r"\$[a-z]", page)


def test_what_is_registered_is_what_is_shown():
    for page, output in in_notebooks():
        data = "".join(map("".join, output.get("data", {}).values()))
        for about, text in output.get("metadata", {}).get("s1", {}).items():
            middle, _, ends = text.partition(" ")
            assert middle in data and ends in data, f"{page}: {about} is shown as something else"
        glued = output.get("metadata", {}).get("scrapbook", {}).get("name")
        assert not glued or "(here: " not in str(output["data"]), f"{page}: {glued}"
