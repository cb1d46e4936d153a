"""Training sets: what each is made of, what it costs, and how its model compares (Table 2)."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np

from s1core.checkpoints import load_tokenizer
from s1core.errors import InputError
from s1core.sft.config import SFTConfig
from s1lab import experiments
from s1lab.audit.published import accuracy_of, published
from s1lab.evaluation import Interval
from s1lab.evaluation.measure import difference
from s1lab.evaluation.report import Row, lines
from s1lab.experiments import Training
from s1lab.pipeline import Pipeline
from s1lab.planning.sft_plan import paper_arithmetic
from s1lab.planning.shapes import shape_of

PAPER_NAMES = {"s1": "s1K", **{name: f"1K-{name}" for name in ("random", "diverse", "longest")}}
PAPER_NAMES["full"] = "59K-full"
"""What Table 2 calls the training sets; all are compared with the first."""

PAPER_BENCHMARKS = ("AIME24", "MATH500", "GPQA Diamond")


def training_flops(pipeline: Pipeline, training: Training | None = None) -> float:
    """What a training took, at least: every example at the mean length, which a finished training
    states, as `s1lab.planning.sft_plan.paper_arithmetic` takes the paper's."""
    run = pipeline.checkpoint(training).summary()
    passes = SFTConfig(**pipeline.profile.sft).epochs * run["examples"]
    shape = shape_of(pipeline.profile.model)
    return passes * shape.train_flops([round(run["tokens"] / passes)])


def training_sets(pipeline: Pipeline) -> dict[str, Row]:
    """A line of a table for each training set of the profile, by its name, s1 first: what it is
    made of, and what training on it took. None stands for subjects where examples carry none, and
    for the share of right traces where nobody has judged them."""
    hours, rows = paper_hours(), []
    for name in [c.label for c in experiments.subsets(pipeline.profile)] or ["s1"]:
        cost = training_flops(pipeline, Training(name)) / 1e12, _minutes(pipeline, name)
        rows.append((name, *_made_of(pipeline, name), *cost, hours.get(name)))
    head = "trained on | examples | subjects | a trace (tokens) | right (%)"
    listed = lines(f"{head} | TFLOP | training (min) | paper, H100 h", rows)
    return {row["trained on"]: row for row in listed}


def _minutes(pipeline: Pipeline, name: str) -> float:
    return pipeline.checkpoint(Training(name)).minutes


def _made_of(pipeline: Pipeline, name: str) -> tuple[Any, ...]:
    """Examples, subjects, mean tokens of a trace, and the share of traces that are right."""
    if pipeline.profile.curates:
        made = pipeline.selection(name).read_json("summary.json")
        right = made["correct_traces"] / made["examples"]
        return made["examples"], made["domains"] or None, made["mean_thinking_tokens"], right
    # A released set: what its rows say.
    examples, tokenizer = pipeline.examples(name), load_tokenizer(pipeline.profile.model)
    subjects = {example.problem.domain for example in examples} - {""}
    length = np.mean([len(tokenizer(e.trace.thinking).input_ids) for e in examples])
    return len(examples), len(subjects) or None, float(length), None


def compare(pipeline: Pipeline, *benchmarks: str) -> dict[str, Row]:
    """A line of a table for each training set's model, s1's first, by the id of its run, on some
    benchmarks, by default those of the ablations. Differences to s1's are paired, None for itself.
    InputError: the profile trains on s1 alone."""
    asked, rows = (
        pipeline.profile.ablations.benchmarks or pipeline.profile.evaluation.benchmarks,
        {},
    )
    head = "trained on | benchmark | accuracy (%) | to s1 (points) | thinking tokens"
    for benchmark in benchmarks or asked:
        conditions = experiments.subsets(pipeline.profile, benchmark)
        for c in conditions:
            run, of = pipeline.run(c), pipeline.point(c)
            gap = None if c is conditions[0] else difference(run, pipeline.run(conditions[0]))
            cells = (c.label, benchmark, of.accuracy, gap, of.thinking_tokens, of.cut_short)
            line = (*cells, of.accuracy.n, _minutes(pipeline, c.label))
            (rows[run.id],) = lines(f"{head} | cut short (%) | n | training (min)", [line])
    if not rows:
        raise InputError("the profile trains on s1 alone: name subsets in its ablations")
    return rows


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


def difference_rows(compared: Iterable[Row]) -> list[Row]:
    """Our differences to s1, as `figures.forests.differences` draws them."""
    return [
        gap.row("difference", 100, benchmark=row["benchmark"], name=row["trained on"])
        for row in compared
        if (gap := row["to s1 (points)"]) is not None
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


def cost_rows(compared: Iterable[Row], sets: Mapping[str, Row]) -> list[Row]:
    """Accuracy and FLOPs in multiples of s1's, for `figures.curves.cost_and_accuracy`."""
    cost = {name: row["TFLOP"] / sets["s1"]["TFLOP"] for name, row in sets.items()}
    drawn = []
    for row in sorted(compared, key=lambda row: cost[row["trained on"]]):
        look = {"benchmark": row["benchmark"], "name": row["trained on"]}
        drawn.append(row["accuracy (%)"].row("accuracy", cost=cost[look["name"]], **look))
    return drawn


def paper_cost_rows() -> list[Row]:
    """s1K and 59K-full: printed accuracy with Wilson's interval, and H100-hours (Section 5.1)."""
    hours, rows = paper_hours(), []
    for benchmark, (name, cost) in product(PAPER_BENCHMARKS, hours.items()):
        found = accuracy_of("Table 2", PAPER_NAMES[name], benchmark).interval
        look = {"benchmark": benchmark, "name": PAPER_NAMES[name], "cost": cost / hours["s1"]}
        rows.append(found.row("accuracy", **look))
    return rows
