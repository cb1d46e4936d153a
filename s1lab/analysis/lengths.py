"""Sequence lengths of training: what a cut takes away, and what becomes of the model (Table 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.errors import InputError
from s1core.sft.encode import Encoded, encode
from s1lab.audit.published import answered, published
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


@dataclass(frozen=True, slots=True)
class Stops:
    """Generations that think longer than some length, and the others: all, ended, answered."""

    longer: int
    longer_ended: int
    longer_correct: int
    others: int
    others_ended: int
    others_correct: int


@dataclass(frozen=True, eq=False)
class Length:
    """One sequence length on one benchmark: the runs of all its seeds.

    Attributes:
        tokens: the sequence length at which training examples were cut.
        benchmark: whose questions.
        seeds: of the trainings, in order.
        runs: the generations of each, over the same questions.
        training: the fine-tuning of the first seed.
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
        """Mean of a measure over questions and seeds, with its interval over both.

        A share stays between 0 and 1; where all generations agree there is nothing to estimate a
        variance from, and the interval is Wilson's over questions.
        """
        table = self.table(measure)
        found = crossed_interval(table)
        if measure == "thinking_tokens":
            return found.within(low=0.0)
        if np.ptp(table) == 0:
            return wilson(found.estimate * found.n, found.n)
        return found.within(0.0, 1.0)

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
            longer = int((samples.thinking > tokens).sum())
            doubled = int((samples.thinking > 2 * tokens).sum())
            shares.append(doubled / longer if longer else float("nan"))
        return shares

    def stops(self, tokens: int) -> Stops:
        """What becomes of generations that think longer than `tokens`, and of the others."""
        thinking, ended, correct = (
            np.concatenate([getattr(samples, name).ravel() for samples in self._samples])
            for name in ("thinking", "ended", "correct")
        )
        parts = (thinking > tokens, thinking <= tokens)
        counts = [n for part in parts for n in (part.sum(), ended[part].sum(), correct[part].sum())]
        return Stops(*map(int, counts))


def lengths(pipeline: Pipeline, benchmark: str) -> list[Length]:
    """The sequence lengths that a profile trains at, the shortest first.

    Raises:
        InputError: the profile trains at one sequence length.
    """
    profile, found = pipeline.profile, {}
    for condition in sequence_lengths(profile, benchmark):
        changes = dict(condition.training.changes)
        place = changes.get("max_seq_len", profile.sft["max_seq_len"])
        found.setdefault(place, {})[changes.get("seed", profile.seed)] = condition
    if not found:
        raise InputError("the profile trains at one sequence length: name seq_lens in ablations")
    return [
        Length(
            tokens,
            benchmark,
            tuple(seeds),
            tuple(pipeline.run(condition) for condition in seeds.values()),
            pipeline.checkpoint(next(iter(seeds.values())).training),
        )
        for tokens, seeds in sorted(found.items())
    ]


def encoded_at(pipeline: Pipeline, tokens: int) -> Encoded:
    """The training examples of "s1", cut at a sequence length as training cut them."""
    from s1core.checkpoints import load_tokenizer

    tokenizer = load_tokenizer(pipeline.profile.model)
    return encode(pipeline.examples(), tokenizer, pipeline.profile.template, tokens)


# ----------------------------------------------------------- rows for tables and figures


def rows(found: Iterable[Length]) -> list[Row]:
    """Our points, as `figures.ablations.tokens_and_accuracy` draws them."""
    return [
        {
            "benchmark": length.benchmark,
            "name": f"{length.tokens:,}",
            **length.interval("accuracy").row("accuracy"),
            "thinking_tokens": tokens.estimate,
            "fewest": max(tokens.low, 1.0),
            "most": tokens.high,
            "seeds": list(
                zip(length.by_seed("thinking_tokens"), length.by_seed("accuracy"), strict=True)
            ),
        }
        for length in found
        for tokens in [length.interval("thinking_tokens")]
    ]


def paper_rows() -> list[Row]:
    """Table 8 as printed, with Wilson's intervals of the accuracies."""
    table = published()["table8"]
    return [
        {
            "benchmark": benchmark,
            "name": f"{tokens:,}",
            **wilson(*answered(benchmark, percent)).row("accuracy"),
            "thinking_tokens": thinking,
        }
        for benchmark, cells in table["rows"].items()
        for tokens, (percent, thinking) in zip(table["sequence_length"], cells, strict=True)
    ]


def paper_differences() -> dict[str, Interval]:
    """Accuracy at 4,096 less that at 32,768 tokens, by benchmark (Newcombe's interval)."""
    return {
        benchmark: newcombe(*answered(benchmark, short), *answered(benchmark, long))
        for benchmark, ((short, _), (long, _)) in published()["table8"]["rows"].items()
    }
