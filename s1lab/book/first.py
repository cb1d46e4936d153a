"""The first page: `book/index.md` with the headline figure and its numbers put in.

The words are a person's; `$two` and the like are filled from the finished runs of each profile
that has results, the prose from those of the profile that it is written for.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from string import Template

from s1core.errors import InputError, RunError
from s1lab import experiments
from s1lab.analysis import results
from s1lab.analysis.claims import CLAIMS, measured
from s1lab.book.chapter import WRITTEN_FOR
from s1lab.evaluation.report import NOT_MEASURED, written
from s1lab.figures.curves import headline
from s1lab.figures.display import figure_html
from s1lab.pipeline import Pipeline

ALT = (
    "Accuracy against thinking tokens. It rises with the cap on thinking, then with one or two "
    "Waits, and falls with eight; the paper's three benchmarks rise."
)
CAPTION = "Accuracy against thinking tokens, with 95% intervals; hollow: the paper, Figure 1."


def first_page(text: str, pipelines: Sequence[Pipeline]) -> str:
    """The first page, from its words and the pipelines (read-only) that have results."""
    main = next((p for p in pipelines if p.profile.name == WRITTEN_FOR), None)
    values = {name: NOT_MEASURED for name in Template(text).get_identifiers()}
    values |= {"figure": figure(pipelines)} | (numbers(main) if main else {})
    return Template(text).safe_substitute(values)


def figure(pipelines: Sequence[Pipeline]) -> str:
    """The scaling curve of every profile that has one, and the paper's, as a directive."""
    drawn = {}
    for pipeline in pipelines:
        with suppress(RunError):
            drawn[f"Ours: {pipeline.profile.title}"] = pipeline.curve()
    if not drawn:
        return ""
    look = {"caption": CAPTION, "runs": [point.run for of in drawn.values() for point in of]}
    return f"```{{raw}} html\n{figure_html(headline(drawn), 'first-scaling', ALT, **look)}\n```"


def numbers(pipeline: Pipeline) -> Mapping[str, str]:
    """What the page says of one profile, by its name in the template."""
    try:
        points, waits = pipeline.curve(), {row["Waits"]: row for row in results.by_waits(pipeline)}
        natural = pipeline.point(experiments.natural(pipeline.profile))
    except (InputError, RunError):
        return {}
    verdicts = Counter(measured(claim, pipeline).verdict for claim in CLAIMS)
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
