"""What "How to read this book" promises holds on every committed page."""

import base64
import json
import re
from collections.abc import Iterator

import pytest

pytest.importorskip("matplotlib", reason="the book extra is not installed")

from s1lab import experiments, profiles
from s1lab.evaluation import measure, wilson
from s1lab.figures.style import INKS
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from tests.helpers import CHECKOUT, cases

BOOK = CHECKOUT / "book"
READING = " ".join((BOOK / "reading.md").read_text(encoding="utf-8").split())
EXECUTED = sorted((BOOK / "notebooks").glob("*.ipynb"))
PAGES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in EXECUTED}
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in CHECKOUT.glob("notebooks/*.py")}
FOLDED = {"parameters", "hide-input", "hide-cell", "remove-input", "remove-cell"}


def shown(page: str) -> Iterator[str]:
    """The HTML of every output of a page."""
    for cell in PAGES[page]["cells"]:
        for output in cell.get("outputs", []):
            yield "".join(output.get("data", {}).get("text/html", ""))


def tables(page: str) -> Iterator[tuple[list[str], str]]:
    """Every table of a page: its headings, and its markup."""
    for table in re.findall(r"(?s)<table.*?</table>", " ".join(shown(page))):
        yield re.findall(r"<th\b[^>]*>(.*?)</th>", table.partition("</thead>")[0]), table


def drawings(page: str) -> Iterator[str]:
    """Every drawing of a page on light paper, as SVG."""
    for data in re.findall(r"svg\+xml;base64,([\w+/=]+)", " ".join(shown(page))):
        svg = base64.b64decode(data).decode()
        if INKS["text"].light in svg:
            yield svg


def promised(sentence: str) -> None:
    assert sentence in READING, "the page no longer promises this: change the test with it"


@pytest.mark.parametrize("page", PAGES)
def test_the_papers_marks_are_hollow_and_grey(page):
    promised("<b>The paper</b>: hollow marks, always grey")
    for svg in drawings(page):
        marks = re.findall(r'(?s)<g id="PathCollection.*?</g>\s*</g>', svg)
        assert not [m for m in marks if f"fill: {INKS['paper'].light}" in m]


def test_right_and_wrong_borrow_no_colour_of_a_condition():
    promised("In figures one colour means one thing.")
    looks = "".join((BOOK / "_static" / f"{name}.css").read_text() for name in ("curve", "traces"))
    assert "--s1-parallel" not in looks and "--s1-rejection" not in looks
    promised("So the two always have different colours here.")
    assert INKS["capping"].light != INKS["wait"].light and INKS["capping"].dark != INKS["wait"].dark


@pytest.mark.parametrize("page", PAGES)
def test_a_table_of_accuracies_has_its_n(page):
    promised("A table of accuracies says on how many questions they were measured, *n*")
    for head, _ in tables(page):
        measured = any(name.startswith("accuracy") for name in head)
        assert not measured or {"n", "questions"} & set(head), head


OTHERS = {"model", "prompt", "step", "kind", "benchmark", "limit (tokens)"}
"""Headings of tables of what others measured, on machines that we do not know, and of what is
read off one run (rejection), whose cost is in Table 3."""


@pytest.mark.parametrize("page", PAGES)
def test_beside_what_our_runs_gave_stands_what_they_cost(page):
    promised("Beside what our runs gave stands what they cost: minutes of one CPU core")
    promised(f"renting it for so long costs at {100 * profiles.load('laptop').price:g} US cents")
    for head, table in tables(page):
        if "accuracy (%)" in head and not OTHERS & set(head):
            assert re.search(r"title=.Minutes[^>]*>\w", table), head
            assert re.search(r"min · (&lt;\s)?[\d.]+\s¢", table), head


def test_intervals_are_of_the_kind_that_the_page_names():
    promised("where it comes from one sample, and for what others have printed, it is a Wilson")
    store = RunStore(CHECKOUT / "results" / "laptop", read_only=True)
    pipeline = Pipeline(profiles.load("laptop"), store)
    several = [pipeline.run(condition) for condition in experiments.curve(pipeline.profile)[:2]]
    samples = measure.read_samples(several[0])
    assert samples.correct.shape[1] > 1
    assert measure.mean(several[0]).method.startswith("question-clustered bootstrap")
    assert measure.difference(*several).method.startswith("paired bootstrap")
    one = measure.clustered_bootstrap(samples.correct[:, :1])
    ends = wilson(samples.correct[:, 0].sum(), len(samples.correct))
    assert (one.low, one.high) == (ends.low, ends.high)


@pytest.mark.parametrize("page", PAGES)
def test_a_chapter_has_what_every_chapter_has(page):
    source, code = SOURCES[page], [c for c in PAGES[page]["cells"] if c["cell_type"] == "code"]
    for words in ("It says what you need", "What to keep", "exercise with a folded answer"):
        promised(words)
    assert PAGES[page]["metadata"]["s1core"]["profile"] == "laptop"  # every chapter of this book
    assert re.search(r"You\s+(#\s+)?need", source) and "What to keep" in source
    assert source.count(":class: exercise") == 1 and ":class: dropdown" in source
    assert len(source.splitlines()) <= 300
    read = [c for c in code if not FOLDED & set(c["metadata"].get("tags", []))]
    folded = [c for c in code if c not in read]
    for cells, most in ((read, 8), (folded, 18)):
        assert max((len("".join(c["source"]).splitlines()) for c in cells), default=0) <= most


def test_every_word_of_the_glossary_that_is_used_has_a_card():
    promised("A word with dots under it is in the [glossary](glossary)")
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"(?m)^\S.*$", text.partition("{glossary}")[2])
    wanted = "AIME24 maj@k pass@1 Wilson McNemar doubling Wait budget profile".split()
    assert not set(wanted) - set(terms), "words that the chapters use without explaining them"


KEEP = "**What to keep.** "
ASIDE = re.compile(r"(?ms)^:::\{admonition\}[^\n]*\n:class: (?:exercise|dropdown)\n.*?^:::$")


def unkept(source: str) -> list[str]:
    """`##` sections that do not end with one or two sentences to keep, free of typed numbers.

    Behind it may stand exercises and their answers. Exempt is a section that is a bare table.
    """
    parts = re.split(r"(?m)^# %%(.*)$", source)[1:]
    prose = "\n\n".join(
        re.sub(r"(?m)^# ?", "", body) if "[markdown]" in head else "(cell)"
        for head, body in zip(parts[::2], parts[1::2])
    )
    found = []
    for section in re.split(r"(?m)^## ", ASIDE.sub("", prose))[1:]:
        title, *told = re.split(r"\n\s*\n", section.strip())
        last = told[-1] if told else ""
        # Glue, links and names are no typed numbers.
        said = re.sub(r"\{[^}]*\}`[^`]*`|\([^)]*\)|[A-Za-z]+\d+(\.\d)?", "", last)
        sentences = len(re.findall(r"[.?](?=[\s*]|$)", last.removeprefix(KEEP)))
        kept = [part for part in told if part.startswith(KEEP)] == [last] and sentences in (1, 2)
        if not (kept and not re.search(r"\d", said) or all(part[0] == "|" for part in told)):
            found.append(title)
    return found


@pytest.mark.parametrize("page", SOURCES)
def test_a_section_ends_with_what_to_keep(page):
    promised("Every section ends with **What to keep**, a sentence or two")
    assert SOURCES[page].count("\n# ## ") >= 4 and unkept(SOURCES[page]) == []


@pytest.mark.parametrize("end, without", cases("promises")["ends"])
def test_a_section_without_something_to_keep_is_found(end, without):
    told = "" if end[0] == "|" else "# Told.\n#\n"
    assert unkept(f"# %% [markdown]\n# ## A\n#\n{told}# {end}\n") == without
