"""Training sets: what each is made of, what it costs, and how its model compares (Table 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.errors import InputError
from s1lab import experiments
from s1lab.audit.published import accuracy_of, published
from s1lab.evaluation import Interval
from s1lab.evaluation.measure import Point, difference
from s1lab.experiments import Training
from s1lab.planning.sft_plan import paper_arithmetic
from s1lab.planning.shapes import shape_of

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline

Row = dict[str, Any]

PAPER_NAMES = {"s1": "s1K", **{name: f"1K-{name}" for name in ("random", "diverse", "longest")}}
PAPER_NAMES["full"] = "59K-full"
"""What Table 2 calls the training sets; all are compared with the first."""

PAPER_BENCHMARKS = ("AIME24", "MATH500", "GPQA Diamond")


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a training set is made of, and what one training on it costs.

    `domains` counts the subjects of the examples (0 where they carry none), `thinking_tokens` is
    the mean length of a trace, `correct` the share of traces whose answer is right (None where
    nobody has judged them). `steps` and `tokens` are over all epochs, `flops` as `training_flops`
    has them, `minutes` those of the machine that trained.
    """

    name: str
    examples: int
    domains: int
    thinking_tokens: float
    correct: float | None
    steps: int
    tokens: int
    flops: float
    minutes: float


def training_flops(pipeline: Pipeline, training: Training | None = None) -> float:
    """What a training took, at least: every example at the mean length, which a finished training
    states, as `s1lab.planning.sft_plan.paper_arithmetic` takes the paper's."""
    from s1core.sft import SFTConfig

    run = pipeline.checkpoint(training).summary()
    passes = SFTConfig(**pipeline.profile.sft).epochs * run["examples"]
    shape = shape_of(pipeline.profile.model)
    return passes * shape.train_flops([round(run["tokens"] / passes)])


def training_set(pipeline: Pipeline, name: str) -> TrainingSet:
    """Training set `name`, from the runs that selected it and that trained on it."""
    from s1core.checkpoints import load_tokenizer

    run = pipeline.checkpoint(Training(name))
    if pipeline.profile.curates:
        made = pipeline.selection(name).read_json("summary.json")
        count, domains = made["examples"], made["domains"]
        length, correct = made["mean_thinking_tokens"], made["correct_traces"] / count
    else:  # a released set: what its rows say
        examples, tokenizer = pipeline.examples(name), load_tokenizer(pipeline.profile.model)
        count, correct = len(examples), None
        domains = len({example.problem.domain for example in examples} - {""})
        length = float(np.mean([len(tokenizer(e.trace.thinking).input_ids) for e in examples]))
    done, flops = run.summary(), training_flops(pipeline, Training(name))
    spent = done["steps"], done["tokens"], flops, run.minutes
    return TrainingSet(name, count, domains, length, correct, *spent)


@dataclass(frozen=True, slots=True)
class Compared:
    """A training set's model on one benchmark; `difference` to s1's is paired, None for s1's."""

    name: str
    benchmark: str
    point: Point
    difference: Interval | None

    def row(self, made: TrainingSet) -> Row:
        """A line of a table: what the model gives, and what its training took."""
        return {
            "trained on": self.name,
            "benchmark": self.benchmark,
            "accuracy (%)": self.point.accuracy,
            "to s1 (points)": self.difference,
            "thinking tokens": self.point.thinking_tokens,
            "cut short (%)": self.point.cut_short,
            "n": self.point.accuracy.n,
            "training (min)": made.minutes,
        }

    @property
    def verdict(self) -> str:
        """ "better", "worse" or "cannot tell" than s1; "" for s1 itself."""
        return self.difference.says("better", "worse") if self.difference else ""


def compare(pipeline: Pipeline, benchmark: str) -> list[Compared]:
    """Every training set of the profile on one benchmark, s1 first.

    Raises:
        InputError: the profile trains on s1 alone.
    """
    conditions = experiments.subsets(pipeline.profile, benchmark)
    if not conditions:
        raise InputError("the profile trains on s1 alone: name subsets in its ablations")
    s1 = pipeline.run(conditions[0])
    gaps = [None, *(difference(pipeline.run(condition), s1) for condition in conditions[1:])]
    points = map(pipeline.point, conditions)
    return [Compared(c.label, benchmark, *pair) for c, *pair in zip(conditions, points, gaps)]


def compare_all(pipeline: Pipeline) -> list[Compared]:
    """`compare` on every benchmark of the ablations."""
    asked = pipeline.profile.ablations.benchmarks or pipeline.profile.evaluation.benchmarks
    return [one for benchmark in asked for one in compare(pipeline, benchmark)]


def training_sets(pipeline: Pipeline) -> list[TrainingSet]:
    """Every training set of the profile, s1 first."""
    names = [c.label for c in experiments.subsets(pipeline.profile)] or ["s1"]
    return [training_set(pipeline, name) for name in names]


def set_rows(sets: Sequence[TrainingSet]) -> list[Row]:
    """A line of a table for each set: what it is made of, and what training on it took."""
    hours = paper_hours()
    return [
        {
            "trained on": made.name,
            "examples": made.examples,
            "subjects": made.domains or None,
            "a trace (tokens)": made.thinking_tokens,
            "right (%)": made.correct,
            "TFLOP": made.flops / 1e12,
            "training (min)": made.minutes,
            "paper, H100 h": hours.get(made.name),
        }
        for made in sets
    ]


def money_rows() -> list[Row]:
    """What was said that training on s1K cost, and what the whole pool costs at that price."""
    hours = paper_hours()
    return [
        {
            "said by": row.source.split(";")[0],
            "s1K ($)": round(row.value * hours["s1"]),
            "an H100-hour ($)": row.value,
            "59K-full ($)": round(row.value * hours["full"]),
        }
        for row in paper_arithmetic()
        if row.unit == "$"
    ]


def paper_hours() -> dict[str, float]:
    """The paper's H100-hours, where it states them, by our names of the sets (Section 5.1)."""
    hours = published()["compute_h100_hours"]
    return {ours: hours[theirs] for ours, theirs in PAPER_NAMES.items() if theirs in hours}


def difference_rows(compared: Iterable[Compared]) -> list[Row]:
    """Our differences to s1, as `figures.ablations.differences` draws them."""
    tested = [one for one in compared if one.difference is not None]
    return [_row(one.benchmark, one.name, one.difference.row("difference", 100)) for one in tested]


def paper_difference_rows() -> list[Row]:
    """The paper's differences to s1K with the intervals that Table 2 prints."""
    rows = []
    for name, benchmark in product(list(PAPER_NAMES)[1:], PAPER_BENCHMARKS):
        printed = (PAPER_NAMES[name], "s1K")
        ours, s1 = (accuracy_of("Table 2", row, benchmark).percent for row in printed)
        low, high = published()["table2_intervals"]["rows"][printed[0]][benchmark]
        rows.append(_row(benchmark, name, {"difference": ours - s1, "low": low, "high": high}))
    return rows


def cost_rows(compared: Iterable[Compared], sets: Sequence[TrainingSet]) -> list[Row]:
    """Accuracy and FLOPs in multiples of s1's, for `figures.ablations.cost_and_accuracy`."""
    cost = {made.name: made.flops / sets[0].flops for made in sets}
    rows = [_row(c.benchmark, c.name, c.point.accuracy.row("accuracy")) for c in compared]
    return sorted((r | {"cost": cost[r["name"]]} for r in rows), key=lambda row: row["cost"])


def paper_cost_rows() -> list[Row]:
    """s1K and 59K-full: printed accuracy with Wilson's interval, and H100-hours (Section 5.1)."""
    hours, rows = paper_hours(), []
    for benchmark, (name, cost) in product(PAPER_BENCHMARKS, hours.items()):
        printed = accuracy_of("Table 2", PAPER_NAMES[name], benchmark)
        row = printed.interval.row("accuracy") | {"cost": cost / hours["s1"]}
        rows.append(_row(benchmark, PAPER_NAMES[name], row))
    return rows


def _row(benchmark: str, name: str, values: dict[str, float]) -> Row:
    return {"benchmark": benchmark, "name": name, **values}
