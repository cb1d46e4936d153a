"""Training sets: what each is made of, what it costs, and how its model compares (Table 2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from s1core.checkpoints import load_tokenizer
from s1core.errors import InputError
from s1core.sft.config import SFTConfig
from s1lab import experiments
from s1lab.audit.published import accuracy_of, published
from s1lab.evaluation import Interval
from s1lab.evaluation.measure import Point, difference
from s1lab.evaluation.report import Row, lines
from s1lab.experiments import Training
from s1lab.pipeline import Pipeline
from s1lab.planning.sft_plan import paper_arithmetic
from s1lab.planning.shapes import shape_of

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
    run = pipeline.checkpoint(training).summary()
    passes = SFTConfig(**pipeline.profile.sft).epochs * run["examples"]
    shape = shape_of(pipeline.profile.model)
    return passes * shape.train_flops([round(run["tokens"] / passes)])


def training_set(pipeline: Pipeline, name: str) -> TrainingSet:
    """Training set `name`, from the runs that selected it and that trained on it."""
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
        point = self.point
        found = (point.accuracy, self.difference, point.thinking_tokens, point.cut_short)
        cells = (self.name, self.benchmark, *found, point.accuracy.n, made.minutes)
        head = "trained on | benchmark | accuracy (%) | to s1 (points) | thinking tokens"
        return lines(f"{head} | cut short (%) | n | training (min)", [cells])[0]

    @property
    def verdict(self) -> str:
        """ "better", "worse" or "cannot tell" than s1; "" for s1 itself."""
        return self.difference.says("better", "worse") if self.difference else ""


def compare(pipeline: Pipeline, benchmark: str) -> list[Compared]:
    """Every training set of the profile on one benchmark, s1 first; InputError for s1 alone."""
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
    hours, rows = paper_hours(), []
    for made in sets:
        cost = (made.flops / 1e12, made.minutes, hours.get(made.name))
        traces = (made.domains or None, made.thinking_tokens, made.correct)
        rows.append((made.name, made.examples, *traces, *cost))
    head = "trained on | examples | subjects | a trace (tokens) | right (%)"
    return lines(f"{head} | TFLOP | training (min) | paper, H100 h", rows)


def money_rows() -> list[Row]:
    """What was said that training on s1K cost, and what the whole pool costs at that price."""
    hours = paper_hours()
    said = [(row.source.split(";")[0], row.value) for row in paper_arithmetic() if row.unit == "$"]
    head = "said by | s1K ($) | an H100-hour ($) | 59K-full ($)"
    return lines(
        head, ((by, round(p * hours["s1"]), p, round(p * hours["full"])) for by, p in said)
    )


def paper_hours() -> dict[str, float]:
    """The paper's H100-hours, where it states them, by our names of the sets (Section 5.1)."""
    hours = published()["compute_h100_hours"]
    return {ours: hours[theirs] for ours, theirs in PAPER_NAMES.items() if theirs in hours}


def difference_rows(compared: Iterable[Compared]) -> list[Row]:
    """Our differences to s1, as `figures.ablations.differences` draws them."""
    return [
        one.difference.row("difference", 100, benchmark=one.benchmark, name=one.name)
        for one in compared
        if one.difference is not None
    ]


def paper_difference_rows() -> list[Row]:
    """The paper's differences to s1K with the intervals that Table 2 prints."""
    rows = []
    for name, benchmark in product(list(PAPER_NAMES)[1:], PAPER_BENCHMARKS):
        printed = PAPER_NAMES[name]
        ours, s1 = (accuracy_of("Table 2", row, benchmark).percent for row in (printed, "s1K"))
        gap = Interval(ours - s1, *published()["table2_intervals"]["rows"][printed][benchmark], 0)
        rows.append(gap.row("difference", benchmark=benchmark, name=name))
    return rows


def cost_rows(compared: Iterable[Compared], sets: Sequence[TrainingSet]) -> list[Row]:
    """Accuracy and FLOPs in multiples of s1's, for `figures.ablations.cost_and_accuracy`."""
    cost = {made.name: made.flops / sets[0].flops for made in sets}
    ordered = sorted(compared, key=lambda one: cost[one.name])
    return [
        c.point.accuracy.row("accuracy", benchmark=c.benchmark, name=c.name, cost=cost[c.name])
        for c in ordered
    ]


def paper_cost_rows() -> list[Row]:
    """s1K and 59K-full: printed accuracy with Wilson's interval, and H100-hours (Section 5.1)."""
    hours, rows = paper_hours(), []
    for benchmark, (name, cost) in product(PAPER_BENCHMARKS, hours.items()):
        found = accuracy_of("Table 2", PAPER_NAMES[name], benchmark).interval
        look = {"benchmark": benchmark, "name": PAPER_NAMES[name], "cost": cost / hours["s1"]}
        rows.append(found.row("accuracy", **look))
    return rows
