"""The pages that no one writes: claims, speed, the controls of the model in the page.

Each is made from result files when the book is built, so it cannot disagree with them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import yaml

from s1lab import profiles
from s1lab.analysis.claims import CLAIMS, Claim, Measured, Verdict, measured
from s1lab.audit.audit import audit
from s1lab.book import decoder
from s1lab.book.first import first_page
from s1lab.evaluation.report import in_parts, minus
from s1lab.generations import tables
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore


def _table_file(name: str) -> Any:
    return yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))


WORDS = _table_file("pages.yaml")
COVERAGE = tuple(SimpleNamespace(**item) for item in _table_file("coverage.yaml"))
"""The figures, tables and algorithms of the paper (version 3), and where this book has them."""

# The style of a verdict; the audit has words of its own for the same three outcomes.
LOOKS = {"does not agree": "differs", "inside uncertainty": "open", "not tested": "untested"}


def write_pages(source: Path, benchmarks: Path) -> None:
    """Write claims, speed and the model's controls into a book's sources, and fill `index.md`.

    `source` has executed `notebooks/` and results by profile in `_results/`.
    """
    index, stores = source / "index.md", _stores(source)
    pipelines = [Pipeline(profiles.load(profile), store) for profile, store in stores.items()]
    index.write_text(first_page(index.read_text(encoding="utf-8"), pipelines), encoding="utf-8")
    (source / "claims.md").write_text(claims_page(source), encoding="utf-8")
    (source / "performance.md").write_text(performance_page(benchmarks), encoding="utf-8")
    controls = decoder.controls(stores.get("laptop"))
    (source / "decoder.html").write_text(controls, encoding="utf-8")


def claims_page(source: Path) -> str:
    """Every claim: the paper's value, ours per profile with its interval, n, verdict, chapter."""
    chapters = Chapters(source / "notebooks")
    lines = [WORDS["claims"]]
    made = source / "_results" / tables.FOLDER
    numbers = tables.numbers(made) if made.is_dir() else {}
    said = {name: "".join(in_parts(value, "points")) for name, value in numbers.items()}
    for profile, store in _stores(source).items():
        lines += _claims_of(profile, answers(profile, store), chapters, said)
    if len(lines) == 1:
        lines += ["No profile has committed results: nothing is tested.", ""]
    findings = audit()
    moot = [f for f in findings if f.verdict != "agrees"]
    where, agree = chapters.links(["audit"]) or "the audit chapter", len(findings) - len(moot)
    lines.append(WORDS["audit"].format(chapter=where, agree=agree, all=len(findings)))
    rows = [(*map(_plain, (f.topic, f.printed, f.recomputed)), _mark(f.verdict)) for f in moot]
    lines += _table(("what", "printed", "comes out", "verdict"), rows)
    items = [
        (f"{item.name}: {item.about}", f"{chapters.links(item.chapters) or 'none'}: {item.note}")
        for item in COVERAGE
    ]
    lines += [WORDS["coverage"], *_table(("in the paper", "in this book"), items)]
    return "\n".join(lines)


def answers(profile: str, store: RunStore) -> list[tuple[Claim, Measured]]:
    """Every claim with our side of it, from the finished runs of a profile."""
    pipeline = Pipeline(profiles.load(profile), store)
    return [(claim, measured(claim, pipeline)) for claim in CLAIMS]


def _claims_of(
    profile: str, found: Sequence[tuple[Claim, Measured]], chapters: Chapters, said: dict[str, str]
) -> list[str]:
    counts = Counter(ours.verdict for _, ours in found)
    listed = ", ".join(f"**{counts[v]}** {v}" for v in get_args(Verdict) if counts[v])
    rows = [
        (
            f"{_plain(claim.text)} *{claim.where}.* {chapters.links([claim.chapter])}",
            _plain(claim.paper()),
            f"{_plain(ours.ours)}; {ours.n}" if ours.ours else "–",
            _mark(ours.verdict),
            _plain(claim.released.format(**said)) if said and claim.released else "–",
        )
        for claim, ours in found
    ]
    head = [f"## Under the profile `{profile}`", "", f"Of {len(found)} claims: {listed}.", ""]
    return head + _table(("claim", "paper", "ours", "verdict", "released models"), rows)


def _stores(source: Path) -> dict[str, RunStore]:
    """The results of the profiles that have some."""
    folders = {name: source / "_results" / name for name in profiles.names()}
    return {name: RunStore(of, read_only=True) for name, of in folders.items() if of.is_dir()}


class Chapters:
    """The chapters of a book by name: "introduction" for `00_introduction.ipynb`."""

    def __init__(self, notebooks: Path) -> None:
        self.files = {p.stem.partition("_")[2]: p for p in sorted(notebooks.glob("*.ipynb"))}

    def links(self, names: Iterable[str]) -> str:
        """Links to the chapters with these names; those that are not in the book are left out."""
        found = [self.files[name] for name in names if name in self.files]
        return ", ".join(f"[{_plain(_title(p))}](notebooks/{p.name})" for p in found)


def _title(notebook: Path) -> str:
    """The first heading of a notebook, up to its colon."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        heading = re.search(r"^# (.+)", "".join(cell["source"]), re.MULTILINE)
        if cell["cell_type"] == "markdown" and heading:
            return heading.group(1).split(":")[0]
    return notebook.stem


TITLES = {
    "forcing": "Budget forcing", "inside_vllm": "Inside vLLM",
    "page_model": "The model in the page", "sft": "Fine-tuning",
}  # fmt: skip


def performance_page(folder: Path) -> str:
    """The benchmark results as they were printed, one section each, columns as tables."""
    lines, files = [WORDS["performance"]], sorted(folder.glob("*.txt"))
    for path in files:
        # The last line repeats the ratios as JSON, for programs.
        printed = re.sub(r"\n\{.*\}\s*$", "", path.read_text(encoding="utf-8").strip())
        title = TITLES.get(path.stem, path.stem.replace("_", " ").capitalize())
        lines += [f"## {title}", "", f"Printed by `benchmarks/{path.stem}.py`.", ""]
        lines += _as_tables(printed.splitlines())
    if not files:
        lines += ["There are no results: `make bench` makes them.", ""]
    return "\n".join(lines)


def _as_tables(printed: Iterable[str]) -> Iterator[str]:
    """Paragraphs as they are; lines of columns, which two spaces part, as tables."""
    for columns, found in groupby(printed, key=lambda line: "  " in line.strip()):
        lines = list(found)
        if not columns:
            yield from ((_plain(line.lstrip("# ")) + "\n") for line in lines)
            continue
        titles = re.split(r"\s{2,}", lines[0].strip())
        named = not any(re.match(r"[\d\[]", title) for title in titles)
        most = len(titles) if named else 3  # without titles, what follows the third column is text
        rows = [re.split(r"\s{2,}", line.strip(), maxsplit=most) for line in lines]
        spread = rows[0][-1].startswith("[")
        head = ["side", "median", "lowest to highest"] if spread else [""]
        head = rows.pop(0) if named else head
        most = max(map(len, [head, *rows]))
        head = [*[""] * (most - len(head)), *head][:most]
        padded = ([*map(_plain, row), *[""] * (most - len(row))] for row in rows)
        yield from ["", *_table(head, padded)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def _plain(text: str) -> str:
    """Text as text: nothing in it is Markdown, and a minus is a minus."""
    text = minus(text.replace("\n", " "))
    return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", text)


def _mark(verdict: str) -> str:
    return f"[{verdict}]{{.s1-verdict .s1-{LOOKS.get(verdict, verdict)}}}"
