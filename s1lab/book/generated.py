"""The pages that no one writes: claims, speed, the controls of the model in the page, and the
numbers of the first page.

Each is made from result files when the book is built, so it cannot disagree with them; the words
around the numbers are in the templates beside this file, and in `book/index.md`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from s1core.errors import InputError, RunError
from s1lab import experiments, packaged, profiles
from s1lab.analysis import results
from s1lab.analysis.claims import CLAIMS, Claim, Measured, Verdict, measured
from s1lab.audit.audit import audit
from s1lab.book import decoder
from s1lab.book.chapter import WRITTEN_FOR
from s1lab.evaluation.report import NOT_MEASURED, in_parts, minus, written
from s1lab.figures.curves import headline
from s1lab.figures.display import figure_html
from s1lab.generations import tables
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

_FOLDER = Path(__file__).parent
COVERAGE = packaged("book/coverage.yaml")
"""The figures, tables and algorithms of the paper (version 3), and where this book has them."""

# The style of a verdict; the audit has words of its own for the same three outcomes.
LOOKS = {"does not agree": "differs", "inside uncertainty": "open", "not tested": "untested"}

ALT = (
    "Accuracy against thinking tokens. It rises with the cap on thinking, then with one or two "
    "Waits, and falls with eight; the paper's three benchmarks rise."
)
CAPTION = "Accuracy against thinking tokens, with 95% intervals; hollow: the paper, Figure 1."


def write_pages(source: Path, benchmarks: Path) -> None:
    """Write claims, speed and the model's controls into a book's sources, and fill `index.md`.

    `source` has executed `notebooks/` and results by profile in `_results/`.
    """
    index, pipelines = source / "index.md", _pipelines(source)
    index.write_text(first_page(index.read_text(encoding="utf-8"), pipelines), encoding="utf-8")
    (source / "claims.md").write_text(claims_page(source), encoding="utf-8")
    (source / "performance.md").write_text(performance_page(benchmarks), encoding="utf-8")
    stores = {one.profile.name: one.store for one in pipelines}
    controls = decoder.controls(stores.get("laptop"))
    (source / "decoder.html").write_text(controls, encoding="utf-8")


def _render(template: str, **values: Any) -> str:
    """A template of this folder as Markdown; what comes from elsewhere goes through `plain`."""
    how = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    templates = Environment(loader=FileSystemLoader(_FOLDER), **how)
    templates.filters |= {"plain": _plain, "mark": _mark}
    return templates.get_template(f"{template}.jinja").render(**values)


def first_page(text: str, pipelines: Sequence[Pipeline]) -> str:
    """The first page, from its words and the pipelines (read-only) that have results."""
    main = next((p for p in pipelines if p.profile.name == WRITTEN_FOR), None)
    values = {name: NOT_MEASURED for name in Template(text).get_identifiers()}
    values |= {"figure": _headline(pipelines)} | (_numbers(main) if main else {})
    return Template(text).safe_substitute(values)


def _headline(pipelines: Sequence[Pipeline]) -> str:
    """The scaling curve of every profile that has one, and the paper's, as a directive."""
    drawn = {}
    for pipeline in pipelines:
        with suppress(RunError):
            drawn[f"Ours: {pipeline.profile.title}"] = pipeline.curve()
    if not drawn:
        return ""
    look = {"caption": CAPTION, "runs": [point.run for of in drawn.values() for point in of]}
    return f"```{{raw}} html\n{figure_html(headline(drawn), 'first-scaling', ALT, **look)}\n```"


def _numbers(pipeline: Pipeline) -> Mapping[str, str]:
    """What the page says of one profile, by its name in the template."""
    try:
        points, waits = pipeline.curve(), {row["Waits"]: row for row in results.by_waits(pipeline)}
        natural = pipeline.point(experiments.natural(pipeline.profile))
    except (InputError, RunError):
        return {}
    verdicts = Counter(ours.verdict for _, ours in answers(pipeline))
    cost = pipeline.profile.cost
    values = {
        "first": points[0].accuracy,
        "first_tokens": points[0].budget,
        "natural": natural.accuracy,
        "natural_tokens": round(natural.thinking_tokens),
        "n": natural.accuracy.n,
        "claims": len(CLAIMS),
        "agree": verdicts["agrees"],
        "disagree": verdicts["does not agree"],
        "open": verdicts["inside uncertainty"] + verdicts["not tested"],
        "cost": cost(sum(run.minutes for run in pipeline.store.runs() if run.minutes >= 0)),
        "training_cost": cost(pipeline.checkpoint().minutes),
        "runs": len(pipeline.store.runs()),
    }
    said = {name: written(value) for name, value in values.items()}
    for name, row in (("two", waits.get(2, {})), ("most", waits[max(waits)])):
        said[name] = written(row.get("against none (points)"), "points")
        for what in ("mended", "broken"):
            said[f"{what}_{name}"] = written(row.get(f"{what} (%)"), "%")
    return said


def claims_page(source: Path) -> str:
    """Every claim: the paper's value, ours per profile with its interval, n, verdict, chapter; the
    audit of the paper's own numbers; and where each of its figures and tables is answered."""
    made = source / "_results" / tables.FOLDER
    numbers = tables.numbers(made) if made.is_dir() else {}
    return _render(
        "claims",
        link=partial(links, source / "notebooks"),
        answered=[(one.profile.name, answers(one)) for one in _pipelines(source)],
        order=get_args(Verdict),
        said={name: "".join(in_parts(value, "points")) for name, value in numbers.items()},
        findings=audit(),
        coverage=COVERAGE,
    )


def answers(pipeline: Pipeline) -> list[tuple[Claim, Measured]]:
    """Every claim with our side of it, from finished runs."""
    return [(claim, measured(claim, pipeline)) for claim in CLAIMS]


def _pipelines(source: Path) -> list[Pipeline]:
    """Those of the profiles that have results."""
    stores = {n: RunStore(source / "_results" / n, read_only=True) for n in profiles.names()}
    return [Pipeline(profiles.load(n), of) for n, of in stores.items() if of.root.is_dir()]


def links(notebooks: Path, names: Iterable[str]) -> str:
    """Links to those of the chapters ("introduction": `00_introduction.ipynb`) that there are."""
    files = {path.stem.partition("_")[2]: path for path in notebooks.glob("*.ipynb")}
    words = {name: name.replace("_", " ").capitalize() for name in names if name in files}
    return ", ".join(f"[{words[n]}](notebooks/{files[n].name})" for n in words)


def performance_page(folder: Path) -> str:
    """The benchmark results as they were printed, one section each, columns as tables."""
    printed = []
    for path in sorted(folder.glob("*.txt")):
        # The last line repeats the ratios as JSON, for programs.
        text = re.sub(r"\n\{.*\}\s*$", "", path.read_text(encoding="utf-8").strip())
        printed.append((path.stem, _parts(text.splitlines())))
    return _render("performance", printed=printed)


def _parts(printed: Iterable[str]) -> Iterator[str | list[list[str]]]:
    """Lines as they are; lines of columns, which two spaces part, as tables with a head."""
    for columns, found in groupby(printed, key=lambda line: "  " in line.strip()):
        lines = list(found)
        if not columns:
            yield from (line.lstrip("# ") for line in lines)
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
        yield [head, *([*row, *[""] * (most - len(row))] for row in rows)]


def _plain(text: str) -> str:
    """Text as text: nothing in it is Markdown, and a minus is a minus."""
    text = minus(text.replace("\n", " "))
    return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", text)


def _mark(verdict: str) -> str:
    return f"[{verdict}]{{.s1-verdict .s1-{LOOKS.get(verdict, verdict)}}}"
