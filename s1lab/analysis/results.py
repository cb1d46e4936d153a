"""What the chapters show of the same runs: lines of results, what a Wait changes, arms; and where
the curve ends (Section 4.2, Appendices A and B): loops, the window, long traces, noise.

A Wait *mends* an answer that is wrong without it and right with it, and *breaks* one the other way
round: counted over pairs of generations of one question and sample, wherever the book says it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from s1core.errors import InputError
from s1core.grading import grade
from s1core.records import Generation, Grade, Problem, from_dict
from s1lab import experiments
from s1lab.audit.published import accuracies, accuracy_of, printed_accuracy, published
from s1lab.data.benchmarks import benchmark as find_benchmark
from s1lab.evaluation import Interval, control, paired_bootstrap
from s1lab.evaluation.measure import Samples, difference, mean, read_samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import Array
from s1lab.experiments import Condition, Conditions
from s1lab.pipeline import Pipeline
from s1lab.runs import Run
from s1lab.traces import repetition


def made(
    pipeline: Pipeline, conditions: Iterable[Condition]
) -> Iterator[tuple[Condition, Run, Samples]]:
    """Each condition with its finished run and the graded generations of it."""
    for condition in conditions:
        run = pipeline.run(condition)
        yield condition, run, read_samples(run)


def line(pipeline: Pipeline, condition: Condition, *left_out: str, **more: Any) -> Row:
    """A line of a table of results, without the columns `left_out`: what a condition gives, tokens
    being means per answer, and what it costs, in minutes of the machine that made the whole run."""
    ((_, run, samples),) = made(pipeline, [condition])
    head = "condition | accuracy (%) | thinking tokens | all tokens | cut short (%)"
    means = (samples.thinking.mean(), samples.tokens.mean(), 1 - samples.ended.mean())
    (row,) = lines(head, [(condition.label, mean(run), *map(float, means))])
    n = "{}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{}".format(*samples.correct.shape)
    row |= more | {"n": n, "cost (min)": run.minutes}
    return {name: value for name, value in row.items() if name not in left_out}


def uncapped(pipeline: Pipeline) -> Conditions:
    """The natural end, then every number of Waits: nothing shortens thinking but the room."""
    return tuple(c for c in experiments.curve(pipeline.profile) if c.kind != "budget")


def by_waits(pipeline: Pipeline) -> list[Row]:
    """Each number of Waits against none, on the same questions (Figure 4a)."""
    (_, plain, before), *waiting = made(pipeline, uncapped(pipeline))
    rows = []
    for c, run, after in waiting:
        gap, turned = difference(run, plain), after.correct - before.correct
        shares = (float(some.mean()) for some in (turned == 1, turned == -1, after.waits))
        rows.append((c.budget.num_ignore, gap, gap.says("higher", "lower"), *shares))
    head = "Waits | against none (points) | accuracy is | mended (%) | broken (%) | Waits used"
    return lines(head, rows)


def last_step(pipeline: Pipeline) -> Interval | None:
    """The most Waits less the next fewer: whether the curve goes on, flattens or comes down."""
    _, *waiting = map(pipeline.run, uncapped(pipeline))
    return difference(waiting[-1], waiting[-2]) if waiting[1:] else None


def kept(pipeline: Pipeline, condition: Condition) -> list[tuple[Problem, Generation, Grade]]:
    """The generations of a condition that are kept whole for reading, graded."""
    rows = pipeline.run(condition).read_records("traces.jsonl")
    asked = {p.key: p for p in pipeline.problems(condition.benchmark)}
    kind = find_benchmark(condition.benchmark).kind
    pairs = ((asked[row["problem_key"]], from_dict(Generation, row)) for row in rows)
    return [(problem, found, grade(problem, found, kind)) for problem, found in pairs]


def pairs(pipeline: Pipeline) -> list[tuple[Row, Any]]:
    """Kept generations without a Wait and with the fewest, as a row each, and the waiting one."""
    natural, waiting, *_ = uncapped(pipeline)
    before = {p.key: (g, v) for p, g, v in kept(pipeline, natural)}
    head = f"question | without a Wait | tokens | with {waiting.label} | its tokens | mended"
    found = []
    for asked, waited, verdict in kept(pipeline, waiting):
        if asked.key in before:
            plain, without = before[asked.key]
            said = [v.status.replace("_", " ") for v in (without, verdict)]
            cells = (said[0], plain.thinking_tokens, said[1], waited.thinking_tokens)
            mended = verdict.correct and not without.correct
            (row,) = lines(head, [(asked.question, *cells, mended)])
            found.append((row, (asked, waited, verdict)))
    return found


def control_of_caps(pipeline: Pipeline) -> list[Row]:
    """Control (Equation 1) of every cap, generation by generation."""
    capped, rows = (c for c in experiments.curve(pipeline.profile) if c.kind == "budget"), []
    for c, run, samples in made(pipeline, capped):
        cap, used = c.budget.max_thinking, samples.thinking.ravel()
        ends = (control(used, cap) / 100, float(1 - samples.ended.mean()), run.minutes)
        rows.append((cap, used.size, int(used.max()), *ends))
    head = "budget | generations | most thinking tokens | within the budget (%) | cut short (%)"
    return lines(f"{head} | cost (min)", rows)


def arms(pipeline: Pipeline) -> dict[str, Condition]:
    """Two by two: base and fine-tuned, without Waits and with; before them the base, asked at once.
    Empty where the profile forces nothing or draws no votes."""
    found, drawn = experiments.arms(pipeline.profile), experiments.voting(pipeline.profile)
    if not (found and drawn):
        return {}
    return {"base, asked directly": drawn[0], **{c.label: c for c in found}}


def bars(pipeline: Pipeline) -> list[Row]:
    """The arms as `figures.forests.comparison` draws them."""
    named = zip(arms(pipeline).items(), ("base", "base", "base", "ours", "wait"), strict=False)
    pairs = ((pipeline.run(c), {"name": name, "series": ink}) for (name, c), ink in named)
    return [mean(run).row("accuracy", **look) for run, look in pairs]


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
    head = "effect of | change (points) | accuracy is"
    gaps = [(name, difference(after, before)) for name, after, before in steps]
    return lines(head, ((name, gap, gap.says("higher", "lower")) for name, gap in gaps))


def efficiency(pipeline: Pipeline) -> list[Row]:
    """Accuracy by training examples (Figure 2, right): base, s1 and, where trained on, the pool."""
    asked = dict(zip(["base"], arms(pipeline).values()))
    asked["s1"] = experiments.natural(pipeline.profile)
    listed = experiments.subsets(pipeline.profile)
    asked |= {c.label: c for c in listed if c.label in ("s1", "full")}
    rows = []
    for name, c in asked.items():
        examples = c.training and pipeline.checkpoint(c.training).summary()["examples"]
        run = pipeline.run(c)
        rows.append(mean(run).row("accuracy", name=name, x=examples or 0, run=run.id))
    return rows


def paper_efficiency() -> list[Row]:
    """Figure 2 of the paper, with intervals from its number of questions."""
    examples, points = (published()["figure2"][name] for name in ("examples", "points"))
    found = {name: printed_accuracy("MATH500", value) for name, value in points.items()}
    return [one.row("accuracy", name=name, x=examples[name]) for name, one in found.items()]


def curve_of_waits(pipeline: Pipeline) -> list[Row]:
    """Accuracy by Waits allowed, none included."""
    runs = ((c.budget.num_ignore, pipeline.run(c)) for c in uncapped(pipeline))
    return [mean(run).row("accuracy", x=waits, run=run.id) for waits, run in runs]


def released_waits() -> list[Row]:
    """All nine numbers of Waits in the released logs, of which Figure 4a shows three."""
    logs = published()["figure4a_logs"]
    drawn = zip(logs["waits"], logs["accuracy"], strict=True)
    return [printed_accuracy("AIME24", value).row("accuracy", x=n) for n, value in drawn]


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
    rows = []
    for what, named in pairs.items():
        rows.append({"questions gained by": what.replace("_", " ")})
        for benchmark, n in {a.benchmark: a.n for a in accuracies(table)}.items():
            after, before = (accuracy_of(table, row, benchmark).correct for row in named)
            rows[-1][f"{benchmark}, of {n}"] = f"{after - before:+d}"
    return rows


def efforts(pipeline: Pipeline) -> list[Row]:
    """The budgets that a profile names, and the setting of the curve that each is."""
    known = {pipeline.locate_run(c).id: c for c in experiments.curve(pipeline.profile)}
    rows = []
    for name, values in pipeline.profile.efforts.items():
        wanted = experiments.condition(pipeline.profile, name, name, **values)
        found = known.get(pipeline.locate_run(wanted).id)
        row: Row = {"effort": name, "setting": found and found.label}
        rows.append(row | (line(pipeline, found, "condition") if found else {}))
    return rows


def loops(pipeline: Pipeline) -> tuple[Run, list[Row], list[Row]]:
    """The run that counted repeated steps; rows of curve tables by number of Waits, and by place
    under most Waits, with the `share` over questions; InputError: the profile asks for no Waits."""
    if not pipeline.profile.evaluation.waits:
        raise InputError("the profile asks for no Waits, so nothing was counted")
    run, tables = repetition.step(pipeline).make(), []
    n = len(pipeline.problems(pipeline.profile.evaluation.benchmarks[0]))
    for file, name, at in (("traces.csv", "repeated", "waits"), ("waits.csv", "new", "wait")):
        rows = []
        for given in run.read_table(file):
            of, row = given.pop("label"), {k: float(v) for k, v in given.items()}
            about = f"{name}: {of} {row.get('wait', '')}"
            share = Interval(row[name], row[f"{name}_low"], row[f"{name}_high"], n, about=about)
            rows.append(row | share.row("accuracy", of=of, x=row[at], share=share))
        tables.append(rows)
    traces, waits = tables
    return run, traces, [row for row in waits if row["of"] == traces[-1]["of"]]


def loop_rows(pipeline: Pipeline) -> list[Row]:
    """A line of a table for each number of Waits: what it gives, and how much of it is repeated."""
    _, traces, _ = loops(pipeline)
    return [
        line(pipeline, c, "all tokens") | {"steps": row["steps"], "repeated (%)": row["share"]}
        for c, row in zip(uncapped(pipeline), traces, strict=True)
    ]


def loop_ends(pipeline: Pipeline) -> dict[str, Interval]:
    """Steps repeated without a Wait (`none`) and under the `most`; first and last Waits (`first`,
    `latest`) that bring a new step. InputError: no Wait was used."""
    _, traces, waits = loops(pipeline)
    if not waits:
        raise InputError("no Wait was used: thinking never ended before the limit")
    ends = {"none": traces[0], "most": traces[-1], "first": waits[0], "latest": waits[-1]}
    return {name: row["share"] for name, row in ends.items()}


def window_rows(pipeline: Pipeline) -> list[Row]:
    """How thinking ended under each number of Waits, in shares, and how often it was right."""
    rows = []
    for condition in uncapped(pipeline):
        graded = pipeline.run(condition).read_table("grades.csv")
        how, status = (np.array([row[name] for row in graded]) for name in ("outcome", "status"))
        row: Row = {"condition": condition.label, "generations": len(graded)}
        for name, outcome in (("ended", "ended"), ("cut", "truncated"), ("context", "context")):
            row[f"{name} (%)"] = float((how == outcome).mean())
        for name, some in (("ended", how == "ended"), ("cut", how != "ended")):
            right = status[some] == "correct"
            row[f"right when {name} (%)"] = float(right.mean()) if right.size else None
        rows.append(row)
    return rows


def many_samples(pipeline: Pipeline) -> Samples:
    """The natural end with as many samples as votes were drawn of, or those of the curve."""
    drawn = [c for c in experiments.voting(pipeline.profile) if c.kind == "natural"]
    return read_samples(pipeline.run((*drawn, experiments.natural(pipeline.profile))[0]))


def right_and_wrong(samples: Samples) -> dict[str, Any]:
    """Thinking tokens of right and of wrong answers to the same questions, those that have both."""
    both = np.ptp(samples.correct, axis=1) > 0
    found: dict[str, Any] = {"both": int(both.sum()), "questions": len(both)}
    if both.any():
        parts = (np.where(samples.correct == v, samples.thinking, np.nan)[both] for v in (1, 0))
        right, wrong = (np.nanmean(part, axis=1) for part in parts)
        found |= {"right": right.mean(), "wrong": wrong.mean()}
        found["gap"] = paired_bootstrap(right, wrong)
    return found


def small_benchmarks(samples: Samples, seed: int, size: int = 30) -> Array:
    """Accuracies of 10,000 benchmarks of `size` of the questions, one sample each."""
    rng, scores = np.random.default_rng(seed), samples.correct
    size = min(size, len(scores))
    draws = [
        (rng.choice(len(scores), size, replace=False), rng.integers(scores.shape[1], size=size))
        for _ in range(10_000)
    ]
    return np.array([scores[place].mean() for place in draws])
