"""What several chapters show of the same runs: lines of results, what a Wait changes, arms.

A Wait *mends* an answer that is wrong without it and right with it, and *breaks* one the other way
round: counted over pairs of generations of one question and sample, wherever the book says it.
"""

from __future__ import annotations

from typing import Any

from s1core.grading import grade
from s1core.records import Generation, Grade, Problem, from_dict
from s1lab import experiments
from s1lab.audit.published import accuracies, accuracy_of, printed_accuracy, published
from s1lab.data.benchmarks import benchmark as find_benchmark
from s1lab.evaluation import Interval, control
from s1lab.evaluation.measure import difference, mean, read_samples, scores
from s1lab.experiments import Condition
from s1lab.pipeline import Pipeline
from s1lab.runs import Run

Row = dict[str, Any]
DIRECT = "base, asked directly"


def line(pipeline: Pipeline, condition: Condition, **more: Any) -> Row:
    """A line of a table of results: what a condition gives, and what it costs.

    Tokens are means per answer; the cost is in minutes of the machine that made the whole run.
    """
    run = pipeline.run(condition)
    samples = read_samples(run)
    questions, drawn = samples.correct.shape
    return {
        "condition": condition.label,
        "accuracy (%)": mean(run),
        "thinking tokens": float(samples.thinking.mean()),
        "all tokens": float(samples.tokens.mean()),
        "cut short (%)": float(1 - samples.ended.mean()),
        **more,
        "n": f"{questions}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{drawn}",
        "cost (min)": run.minutes,
    }


def turned(after: Run, before: Run) -> tuple[float, float]:
    """Shares of generations, sample by sample, that `after` mends and that it breaks."""
    now, then = scores(after), scores(before)
    return float(((then == 0) & (now == 1)).mean()), float(((then == 1) & (now == 0)).mean())


def by_waits(pipeline: Pipeline, benchmark: str | None = None) -> list[Row]:
    """Each number of Waits against none, on the same questions (Figure 4a)."""
    none = pipeline.run(experiments.natural(pipeline.profile, benchmark))
    rows = []
    for condition in experiments.waits(pipeline.profile, benchmark):
        run = pipeline.run(condition)
        gap, (mended, broken) = difference(run, none), turned(run, none)
        rows.append(
            {
                "Waits": condition.budget.num_ignore,
                "against none (points)": gap,
                "accuracy is": gap.says("higher", "lower"),
                "mended (%)": mended,
                "broken (%)": broken,
                "Waits used": float(read_samples(run).waits.mean()),
            }
        )
    return rows


def last_step(pipeline: Pipeline, benchmark: str | None = None) -> Interval | None:
    """The most Waits less the next fewer: whether the curve goes on, flattens or comes down."""
    runs = [pipeline.run(c) for c in experiments.waits(pipeline.profile, benchmark)]
    return difference(runs[-1], runs[-2]) if len(runs) > 1 else None


def kept(pipeline: Pipeline, condition: Condition) -> list[tuple[Problem, Generation, Grade]]:
    """The generations of a condition that are kept whole for reading, graded."""
    run = pipeline.run(condition)
    asked = {p.key: p for p in pipeline.problems(condition.benchmark)}
    kind = find_benchmark(condition.benchmark).kind
    found = [from_dict(Generation, row) for row in run.read_records("traces.jsonl")]
    return [(asked[g.problem_key], g, grade(asked[g.problem_key], g, kind)) for g in found]


def pairs(pipeline: Pipeline) -> list[tuple[Row, Any]]:
    """Kept generations without a Wait and with the fewest, as a row each, and the waiting one."""
    waiting = experiments.waits(pipeline.profile)[0]
    before = {p.key: (g, v) for p, g, v in kept(pipeline, experiments.natural(pipeline.profile))}
    found = []
    for asked, made, verdict in kept(pipeline, waiting):
        if asked.key in before:
            plain, without = before[asked.key]
            row = {
                "question": asked.question,
                "without a Wait": without.status.replace("_", " "),
                "tokens": plain.thinking_tokens,
                f"with {waiting.label}": verdict.status.replace("_", " "),
                "its tokens": made.thinking_tokens,
                "mended": without.status != "correct" and verdict.status == "correct",
            }
            found.append((row, (asked, made, verdict)))
    return found


def control_of_caps(pipeline: Pipeline, benchmark: str | None = None) -> list[Row]:
    """Control (Equation 1) of every cap, generation by generation."""
    rows = []
    for condition in experiments.curve(pipeline.profile, benchmark):
        if condition.kind == "budget":
            cap, samples = condition.budget.max_thinking, read_samples(pipeline.run(condition))
            row = {
                "budget": cap,
                "generations": samples.thinking.size,
                "most thinking tokens": int(samples.thinking.max()),
                "within the budget (%)": control(samples.thinking.ravel(), cap) / 100,
                "cut short (%)": float(1 - samples.ended.mean()),
            }
            rows.append(row | {"cost (min)": pipeline.run(condition).minutes})
    return rows


def arms(pipeline: Pipeline) -> dict[str, Condition]:
    """Two by two: base and fine-tuned, without Waits and with; before them the base, asked at once.

    Empty where the profile forces nothing or draws no votes.
    """
    found, drawn = experiments.arms(pipeline.profile), experiments.voting(pipeline.profile)
    return {DIRECT: drawn[0], **{c.label: c for c in found}} if found and drawn else {}


def bars(pipeline: Pipeline) -> list[Row]:
    """The arms as `figures.forests.comparison` draws them."""
    inks = ("base", "base", "base", "ours", "wait")
    measured = {name: mean(pipeline.run(c)).row("accuracy") for name, c in arms(pipeline).items()}
    pairs = zip(measured.items(), inks, strict=False)
    return [{"name": name, "series": ink, **row} for (name, row), ink in pairs]


def effects(pipeline: Pipeline) -> list[Row]:
    """What each step of `arms` changes, on the same questions; empty where there are none."""
    if not (found := arms(pipeline)):
        return []
    direct, base, base_wait, tuned, tuned_wait = (pipeline.run(c) for c in found.values())
    steps = (
        ("fine-tuning, against the base asked directly", tuned, direct),
        ("Waits, fine-tuned model", tuned_wait, tuned),
        ("both, against the base asked directly", tuned_wait, direct),
        ("fine-tuning, both given the think delimiter", tuned, base),
        ("Waits, base model", base_wait, base),
        ("the think delimiter, base model", base, direct),
    )
    gaps = [(name, difference(after, before)) for name, after, before in steps]
    return [
        {"effect of": name, "change (points)": gap, "accuracy is": gap.says("higher", "lower")}
        for name, gap in gaps
    ]


def efficiency(pipeline: Pipeline, benchmark: str | None = None) -> list[Row]:
    """Accuracy by training examples (Figure 2, right): base, s1 and, where trained on, the pool."""
    rows = [
        {"name": "base", "x": 0, **mean(pipeline.run(c)).row("accuracy"), "run": pipeline.run(c).id}
        for c in list(arms(pipeline).values())[:1]
    ]
    tuned = {c.label: c for c in experiments.subsets(pipeline.profile, benchmark)}
    tuned = {"s1": experiments.natural(pipeline.profile, benchmark)} | tuned
    for name in ("s1", "full"):
        if condition := tuned.get(name):
            run = pipeline.run(condition)
            examples = pipeline.checkpoint(condition.training).summary()["examples"]
            rows.append({"name": name, "x": examples, **mean(run).row("accuracy"), "run": run.id})
    return rows


def paper_efficiency() -> list[Row]:
    """Figure 2 of the paper, with intervals from its number of questions."""
    figure = published()["figure2"]
    return [
        {"name": name, "x": figure["examples"][name]}
        | printed_accuracy("MATH500", percent).row("accuracy")
        for name, percent in figure["points"].items()
    ]


def curve_of_waits(pipeline: Pipeline, benchmark: str | None = None) -> list[Row]:
    """Accuracy by Waits allowed, none included."""
    natural = experiments.natural(pipeline.profile, benchmark)
    asked = (natural, *experiments.waits(pipeline.profile, benchmark))
    runs = {c.budget.num_ignore: pipeline.run(c) for c in asked}
    return [{"x": n, "run": run.id, **mean(run).row("accuracy")} for n, run in runs.items()]


def released_waits() -> list[Row]:
    """All nine numbers of Waits in the released logs, of which Figure 4a shows three."""
    logs = published()["figure4a_logs"]
    return [
        {"x": waits} | printed_accuracy("AIME24", percent).row("accuracy")
        for waits, percent in zip(logs["waits"], logs["accuracy"], strict=True)
    ]


def paper_table(table: str, only: str = "") -> list[Row]:
    """Rows of Tables 1 to 5 as printed, each with Wilson's interval from its questions."""
    rows: dict[str, Row] = {}
    for found in accuracies(table):
        if found.row.startswith(only):
            place = rows.setdefault(found.row, {"model": found.row, "examples": found.examples})
            place[f"{found.benchmark}, n = {found.n} (%)"] = found.interval
    return list(rows.values())


def questions_apart(table: str, **pairs: tuple[str, str]) -> list[Row]:
    """How many questions lie between printed rows (after, before), by benchmark and name."""
    names = dict.fromkeys(f"{found.benchmark}, of {found.n}" for found in accuracies(table))
    return [
        {"questions gained by": what.replace("_", " ")}
        | {
            name: "{:+d}".format(
                accuracy_of(table, after, benchmark).correct
                - accuracy_of(table, before, benchmark).correct
            )
            for name in names
            for benchmark in [name.partition(",")[0]]
        }
        for what, (after, before) in pairs.items()
    ]


def efforts(pipeline: Pipeline, benchmark: str | None = None) -> list[Row]:
    """The budgets that a profile names, and the setting of the curve that each is."""
    curve = experiments.curve(pipeline.profile, benchmark)
    known = {pipeline.locate_run(c).id: c for c in curve}
    rows = []
    for name, values in pipeline.profile.efforts.items():
        wanted = experiments.condition(pipeline.profile, name, name, benchmark=benchmark, **values)
        row: Row = {"effort": name, "setting": None}
        if found := known.get(pipeline.locate_run(wanted).id):
            row |= {"setting": found.label, **line(pipeline, found)}
            del row["condition"]
        rows.append(row)
    return rows
