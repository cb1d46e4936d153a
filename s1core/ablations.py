"""What was trained beside the recipe, laid side by side (Section 5.1, Tables 2 and 8).

`training_set` says what a training set is made of and what it cost, `lengths` brings the seeds of
each sequence length together. Both read finished runs; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.evaluation import Interval
from s1core.evaluation.crossed import crossed_interval
from s1core.experiments import Condition, Conditions, Training
from s1core.sft.encode import Encoded, encode

if TYPE_CHECKING:
    from s1core.pipeline import Pipeline
    from s1core.runs import Run


PAPER_NAMES = {
    "s1": "s1K",
    "random": "1K-random",
    "diverse": "1K-diverse",
    "longest": "1K-longest",
    "full": "59K-full",
}
"""What Table 2 calls the training sets."""


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
            `s1core.sft.cost.paper_arithmetic` does for the paper's own.
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
    from s1core.sft.shapes import ModelShape

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


def _composition(pipeline: Pipeline, name: str) -> dict[str, Any]:
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


@dataclass(frozen=True)
class Length:
    """One sequence length of Table 8: the runs of all its seeds.

    Attributes:
        tokens: the sequence length at which training examples were cut.
        seeds: of the trainings, in order.
        runs: the generations of each, over the same questions.
    """

    tokens: int
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]

    @cached_property
    def _rows(self) -> list[list[dict[str, str]]]:
        return [run.read_table("grades.csv") for run in self.runs]

    def table(self, value: str) -> np.ndarray:
        """Question means of one measure, shape (questions, seeds), questions in order of key.

        `value` is "accuracy", "thinking_tokens" or "cut_short" (thinking that did not end by
        itself).
        """
        read = {
            "accuracy": lambda row: row["status"] == "correct",
            "thinking_tokens": lambda row: int(row["thinking_tokens"]),
            "cut_short": lambda row: row["outcome"] != "ended",
        }[value]
        columns = []
        for rows in self._rows:
            by_key: dict[str, list[float]] = {}
            for row in rows:
                by_key.setdefault(row["problem_key"], []).append(float(read(row)))
            columns.append([float(np.mean(by_key[key])) for key in sorted(by_key)])
        return np.array(columns).T

    def interval(self, value: str) -> Interval:
        """Mean of a measure over questions and seeds, with its interval over both."""
        return crossed_interval(self.table(value))

    def minus(self, other: Length, value: str) -> Interval:
        """The difference to another length: paired by question and by seed."""
        return crossed_interval(self.table(value) - other.table(value))

    def thinking_tokens(self) -> list[list[int]]:
        """Thinking tokens of every generation, one list for each seed."""
        return [[int(row["thinking_tokens"]) for row in rows] for rows in self._rows]

    @property
    def generations(self) -> int:
        """How many there are, over questions, samples and seeds."""
        return sum(len(rows) for rows in self._rows)

    def past(self, tokens: int) -> tuple[int, int]:
        """How many generations think for more than `tokens`, and how many of those end."""
        outcomes = [
            row["outcome"]
            for rows in self._rows
            for row in rows
            if int(row["thinking_tokens"]) > tokens
        ]
        return len(outcomes), outcomes.count("ended")


def lengths(pipeline: Pipeline, conditions: Conditions) -> list[Length]:
    """Group the conditions of `experiments.sequence_lengths`; the shortest length comes first.

    Raises:
        ValueError: there are none: the profile trains at one sequence length.
    """
    if not conditions:
        raise ValueError("the profile trains at one sequence length: name more in ablations")

    def place(condition: Condition) -> tuple[int, int]:
        assert condition.training is not None
        changes, profile = dict(condition.training.changes), pipeline.profile
        length = changes.get("max_seq_len", profile.sft["max_seq_len"])
        return length, changes.get("seed", profile.seed)

    found: dict[int, list[tuple[int, Run]]] = {}
    for condition in sorted(conditions, key=place):
        length, seed = place(condition)
        found.setdefault(length, []).append((seed, pipeline.run(condition)))
    return [Length(length, *zip(*seeds, strict=True)) for length, seeds in found.items()]


def encoded_at(pipeline: Pipeline, tokens: int) -> Encoded:
    """The training examples of "s1", cut at a sequence length as training cut them."""
    from s1core.checkpoints import load_tokenizer

    tokenizer = load_tokenizer(pipeline.profile.model)
    return encode(pipeline.examples(), tokenizer, pipeline.profile.template, tokens)
