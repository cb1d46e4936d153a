"""Where the curve ends (Section 4.2, Appendices A and B): loops, the window, long traces, noise."""

from typing import Any

import numpy as np

from s1core.errors import InputError
from s1lab import experiments
from s1lab.analysis.results import line
from s1lab.evaluation import Interval, paired_bootstrap
from s1lab.evaluation.measure import Samples, read_samples
from s1lab.evaluation.report import Row
from s1lab.evaluation.statistics import Array
from s1lab.experiments import Conditions
from s1lab.pipeline import Pipeline
from s1lab.runs import Run
from s1lab.traces import repetition


def natural_and_waits(pipeline: Pipeline) -> Conditions:
    """The conditions in which nothing shortens thinking but the end of the room."""
    return (experiments.natural(pipeline.profile), *experiments.waits(pipeline.profile))


def loops(pipeline: Pipeline) -> tuple[Run, list[Row], list[Row]]:
    """The run that counted repeated steps, its lines by condition, and by place under most Waits;
    InputError where the profile asks for no Waits."""
    if not pipeline.profile.evaluation.waits:
        raise InputError("the profile asks for no Waits, so nothing was counted")
    run = repetition.step(pipeline).make()
    traces, waits = (
        [{n: v if n == "label" else float(v) for n, v in row.items()} for row in run.read_table(of)]
        for of in ("traces.csv", "waits.csv")
    )
    return run, traces, [row for row in waits if row["label"] == traces[-1]["label"]]


def _share(row: Row, name: str, questions: int) -> Interval:
    """A share of `loops` with its interval over questions."""
    about = f"{name}: {row['label']} {row.get('wait', '')}"
    return Interval(row[name], row[f"{name}_low"], row[f"{name}_high"], questions, about=about)


def loop_rows(pipeline: Pipeline) -> list[Row]:
    """A line of a table for each number of Waits: what it gives, and how much of it is repeated."""
    _, traces, _ = loops(pipeline)
    rows = [line(pipeline, condition, "all tokens") for condition in natural_and_waits(pipeline)]
    for row, found in zip(rows, traces, strict=True):
        repeated = _share(found, "repeated", row["accuracy (%)"].n)
        row |= {"steps": found["steps"], "repeated (%)": repeated}
    return rows


def loop_ends(pipeline: Pipeline) -> dict[str, Interval]:
    """Steps repeated without a Wait (`none`) and under the `most`; first and last Waits (`first`,
    `latest`) that bring a new step.

    Raises:
        InputError: thinking never ended before the limit, so no Wait was used.
    """
    _, traces, waits = loops(pipeline)
    if not waits:
        raise InputError("no Wait was used: thinking never ended before the limit")
    n = len(pipeline.problems(pipeline.profile.evaluation.benchmarks[0]))
    ends = {"none": traces[0], "most": traces[-1], "first": waits[0], "latest": waits[-1]}
    return {k: _share(row, "new" if "new" in row else "repeated", n) for k, row in ends.items()}


def window_rows(pipeline: Pipeline) -> list[Row]:
    """How thinking ended under each number of Waits, in shares, and how often it was right."""
    rows = []
    for condition in natural_and_waits(pipeline):
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
