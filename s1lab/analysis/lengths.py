"""Sequence lengths of training: what a cut takes away, and what becomes of the model (Table 8)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from s1core.errors import InputError
from s1core.sft.encode import Encoded, encode
from s1lab.audit.published import answered, printed_accuracy, published
from s1lab.evaluation import Interval, crossed_interval, wilson
from s1lab.evaluation.measure import Samples, read_samples
from s1lab.evaluation.statistics import Array, newcombe
from s1lab.experiments import sequence_lengths

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline
    from s1lab.runs import Run

Row = dict[str, Any]

MEASURES: dict[str, Callable[[Samples], Array]] = {
    "accuracy": lambda samples: samples.correct,
    "thinking_tokens": lambda samples: samples.thinking,
    "cut_short": lambda samples: 1 - samples.ended,
}
"""What is read from graded generations; `cut_short` is thinking that did not end by itself."""


class Stops(NamedTuple):
    """Generations that think longer than some length, and the others."""

    longer: int
    longer_ended: int
    longer_correct: int
    others: int
    others_ended: int
    others_correct: int


@dataclass(frozen=True, eq=False)
class Length:
    """A sequence length (in `tokens`) on one benchmark: the generations of all its seeds.

    `training` is the fine-tuning of the first seed.
    """

    tokens: int
    benchmark: str
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    training: Run

    @cached_property
    def _samples(self) -> list[Samples]:
        return [read_samples(run) for run in self.runs]

    @property
    def generations(self) -> int:
        """How many there are, over questions, samples and seeds."""
        return sum(samples.correct.size for samples in self._samples)

    def table(self, measure: str) -> Array:
        """Question means, shape (questions, seeds), questions in order of key (see `MEASURES`)."""
        return np.array([MEASURES[measure](samples).mean(axis=1) for samples in self._samples]).T

    def by_seed(self, measure: str) -> list[float]:
        """The mean over questions, for each seed."""
        return self.table(measure).mean(axis=0).tolist()

    def interval(self, measure: str) -> Interval:
        """Mean over questions and seeds, with its interval over both; Wilson's where all agree."""
        found = crossed_interval(table := self.table(measure))
        if measure == "thinking_tokens":
            return found.within(0.0)
        alike = np.ptp(table) == 0
        return wilson(found.estimate * found.n, found.n) if alike else found.within(0.0, 1.0)

    def minus(self, other: Length, measure: str) -> Interval:
        """The difference to another length: paired by question and by seed."""
        found = crossed_interval(self.table(measure) - other.table(measure))
        return found if measure == "thinking_tokens" else found.within(-1.0, 1.0)

    def thinking_tokens(self) -> list[list[int]]:
        """Thinking tokens of every generation, one list for each seed."""
        return [samples.thinking.ravel().astype(int).tolist() for samples in self._samples]

    def goes_on(self, tokens: float) -> list[float]:
        """Of those that think longer than `tokens`, the share that doubles them, for each seed."""
        shares = []
        for samples in self._samples:
            longer, doubled = ((samples.thinking > least).sum() for least in (tokens, 2 * tokens))
            shares.append(float(doubled / longer) if longer else math.nan)
        return shares

    def stops(self, tokens: int) -> Stops:
        """What becomes of generations that think longer than `tokens`, and of the others."""
        measured = [(samples.thinking, samples.ended, samples.correct) for samples in self._samples]
        thinking, ended, correct = map(np.stack, zip(*measured))
        parts = (thinking > tokens, thinking <= tokens)
        counts = ((p.sum(), ended[p].sum(), correct[p].sum()) for p in parts)
        return Stops(*(int(count) for part in counts for count in part))


def lengths(pipeline: Pipeline, benchmark: str) -> list[Length]:
    """The sequence lengths that a profile trains at, the shortest first.

    Raises:
        InputError: the profile trains at one sequence length.
    """
    profile, found = pipeline.profile, {}
    for condition in sequence_lengths(profile, benchmark):
        changes = {"max_seq_len": profile.sft["max_seq_len"], "seed": profile.seed}
        changes |= dict(condition.training.changes)
        found.setdefault(changes["max_seq_len"], {})[changes["seed"]] = condition
    if not found:
        raise InputError("the profile trains at one sequence length: name seq_lens in ablations")
    trained = []
    for tokens, seeds in sorted(found.items()):
        runs = tuple(map(pipeline.run, seeds.values()))
        training = pipeline.checkpoint(next(iter(seeds.values())).training)
        trained.append(Length(tokens, benchmark, tuple(seeds), runs, training))
    return trained


def encoded_at(pipeline: Pipeline, tokens: int) -> Encoded:
    """The training examples of "s1", cut at a sequence length as training cut them."""
    from s1core.checkpoints import load_tokenizer

    tokenizer = load_tokenizer(pipeline.profile.model)
    return encode(pipeline.examples(), tokenizer, pipeline.profile.template, tokens)


def rows(found: Iterable[Length]) -> list[Row]:
    """Our points, as `figures.ablations.tokens_and_accuracy` draws them."""
    drawn = []
    for length in found:
        tokens = length.interval("thinking_tokens")
        row = {"benchmark": length.benchmark, "name": f"{length.tokens:,}"}
        row |= {"thinking_tokens": tokens.estimate, "most": tokens.high}
        row |= {"fewest": max(tokens.low, 1.0), **length.interval("accuracy").row("accuracy")}
        row["seeds"] = [*zip(length.by_seed("thinking_tokens"), length.by_seed("accuracy"))]
        drawn.append(row)
    return drawn


def paper_rows() -> list[Row]:
    """Table 8 as printed, with Wilson's intervals of the accuracies."""
    table, drawn = published()["table8"], []
    for benchmark, cells in table["rows"].items():
        for tokens, (percent, thinking) in zip(table["sequence_length"], cells, strict=True):
            row = {"benchmark": benchmark, "name": f"{tokens:,}", "thinking_tokens": thinking}
            drawn.append(row | printed_accuracy(benchmark, percent).row("accuracy"))
    return drawn


def paper_differences() -> dict[str, Interval]:
    """Accuracy at 4,096 less that at 32,768 tokens, by benchmark (Newcombe's interval)."""
    return {
        benchmark: newcombe(*answered(benchmark, short), *answered(benchmark, long))
        for benchmark, ((short, _), (long, _)) in published()["table8"]["rows"].items()
    }
