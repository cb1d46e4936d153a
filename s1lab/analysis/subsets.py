"""Training sets: what each is made of, what it costs, and how its model compares (Table 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s1lab import experiments
from s1lab.audit import published
from s1lab.evaluation import Interval, wilson
from s1lab.evaluation.measure import Point, difference
from s1lab.experiments import Training

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline

Row = dict[str, Any]

REFERENCE = "s1"
PAPER_NAMES = {
    "s1": "s1K",
    "random": "1K-random",
    "diverse": "1K-diverse",
    "longest": "1K-longest",
    "full": "59K-full",
}
"""What Table 2 calls the training sets."""

PAPER_BENCHMARKS = ("AIME24", "MATH500", "GPQA Diamond")


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a training set is made of, and what one training on it costs.

    Attributes:
        name: "s1", or a baseline of Table 2.
        examples: how many.
        domains: how many subjects they come from; 0 where they carry none.
        thinking_tokens: mean length of a trace.
        correct: share of traces whose answer is right; None where nobody has judged them.
        steps: optimizer steps.
        tokens: tokens computed, over all epochs.
        flops: floating-point operations, at least: every example is taken at the mean length, as
            `s1lab.planning.sft_plan.paper_arithmetic` does for the paper's own.
    """

    name: str
    examples: int
    domains: int
    thinking_tokens: float
    correct: float | None
    steps: int
    tokens: int
    flops: float


def training_set(pipeline: Pipeline, name: str) -> TrainingSet:
    """Training set `name`, from the runs that selected it and that trained on it."""
    from s1core.checkpoints import locate
    from s1core.sft import SFTConfig
    from s1lab.planning.shapes import ModelShape

    run = pipeline.checkpoint(Training(name)).summary()
    epochs = SFTConfig(**pipeline.profile.sft).epochs
    mean_length = round(run["tokens"] / (epochs * run["examples"]))
    shape = ModelShape.of(locate(pipeline.profile.model))
    return TrainingSet(
        name=name,
        steps=run["steps"],
        tokens=run["tokens"],
        flops=epochs * run["examples"] * shape.train_flops([mean_length]),
        **_composition(pipeline, name),
    )


def _composition(pipeline: Pipeline, name: str) -> Row:
    if pipeline.profile.pool == "pocket":
        made = pipeline.selection(name).read_json("summary.json")
        return {
            "examples": made["examples"],
            "domains": made["domains"],
            "thinking_tokens": made["mean_thinking_tokens"],
            "correct": made["correct_traces"] / made["examples"],
        }
    from s1core.checkpoints import load_tokenizer

    examples = pipeline.examples(name)  # a released set: what its rows say
    tokenizer = load_tokenizer(pipeline.profile.model)
    tokens = [len(tokenizer(example.trace.thinking).input_ids) for example in examples]
    return {
        "examples": len(examples),
        "domains": len({example.problem.domain for example in examples} - {""}),
        "thinking_tokens": float(np.mean(tokens)),
        "correct": None,
    }


@dataclass(frozen=True, slots=True)
class Compared:
    """A training set's model on one benchmark, beside the one trained on s1.

    `difference` is accuracy minus that of s1, paired over questions (10,000 resamples, as in
    Table 2); None for s1 itself.
    """

    name: str
    benchmark: str
    point: Point
    difference: Interval | None

    @property
    def verdict(self) -> str:
        """ "better", "worse" or "cannot tell" than s1; "" for s1 itself."""
        if self.difference is None:
            return ""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "cannot tell"


def compare(pipeline: Pipeline, benchmark: str) -> list[Compared]:
    """Every training set of the profile on one benchmark, s1 first.

    Raises:
        ValueError: the profile trains on s1 alone.
    """
    conditions = experiments.subsets(pipeline.profile, benchmark)
    if not conditions:
        raise ValueError("the profile trains on s1 alone: name subsets in its ablations")
    reference = pipeline.run(conditions[0])
    return [
        Compared(
            condition.label,
            benchmark,
            pipeline.point(condition),
            None if number == 0 else difference(pipeline.run(condition), reference),
        )
        for number, condition in enumerate(conditions)
    ]


# --------------------------------------------------------------- rows for figures, in points


def difference_rows(compared: Iterable[Compared]) -> list[Row]:
    """Our differences to s1, as `figures.ablations.differences` draws them."""
    return [
        _difference(one.benchmark, one.name, *(100 * end for end in _ends(one.difference)))
        for one in compared
        if one.difference is not None
    ]


def paper_difference_rows() -> list[Row]:
    """The paper's differences to s1K with the intervals that Table 2 prints."""
    intervals = published.published()["table2_intervals"]["rows"]
    return [
        _difference(benchmark, name, gap, *intervals[theirs][benchmark])
        for name, theirs in PAPER_NAMES.items()
        if name != REFERENCE
        for benchmark in PAPER_BENCHMARKS
        for gap in [_percent(theirs, benchmark) - _percent("s1K", benchmark)]
    ]


def cost_rows(compared: Iterable[Compared], sets: Sequence[TrainingSet]) -> list[Row]:
    """Accuracy and FLOPs in multiples of s1's, for `figures.ablations.cost_and_accuracy`."""
    flops = {made.name: made.flops / sets[0].flops for made in sets}
    rows = [_cost(one.benchmark, one.name, flops[one.name], one.point.accuracy) for one in compared]
    return sorted(rows, key=lambda row: row["cost"])


def paper_cost_rows() -> list[Row]:
    """s1K and 59K-full: printed accuracy with Wilson's interval, and H100-hours (Section 5.1)."""
    hours = published.published()["compute_h100_hours"]
    return [
        _cost(benchmark, name, hours[name] / hours["s1K"], wilson(printed.correct, printed.n))
        for benchmark in PAPER_BENCHMARKS
        for name in ("s1K", "59K-full")
        for printed in [published.accuracy_of("Table 2", name, benchmark)]
    ]


def _percent(name: str, benchmark: str) -> float:
    return published.accuracy_of("Table 2", name, benchmark).percent


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def _difference(benchmark: str, name: str, estimate: float, low: float, high: float) -> Row:
    return {
        "benchmark": benchmark,
        "name": name,
        "difference": estimate,
        "low": low,
        "high": high,
    }


def _cost(benchmark: str, name: str, cost: float, accuracy: Interval) -> Row:
    return {
        "benchmark": benchmark,
        "name": name,
        "cost": cost,
        "accuracy": accuracy.estimate,
        "low": accuracy.low,
        "high": accuracy.high,
    }
