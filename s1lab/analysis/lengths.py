"""Sequence lengths of training: what a cut takes away, and what becomes of the model (Table 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.sft.encode import Encoded, encode
from s1lab.audit import published
from s1lab.evaluation import Interval, wilson
from s1lab.evaluation.statistics import crossed_interval
from s1lab.evaluation.statistics import newcombe
from s1lab.experiments import Condition, Conditions, sequence_lengths

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline
    from s1lab.runs import Run

Row = dict[str, Any]

MEASURES: dict[str, Callable[[Mapping[str, str]], float]] = {
    "accuracy": lambda row: row["status"] == "correct",
    "thinking_tokens": lambda row: int(row["thinking_tokens"]),
    "cut_short": lambda row: row["outcome"] != "ended",
}
"""What is read from a graded generation; `cut_short` is thinking that did not end by itself."""


@dataclass(frozen=True, slots=True)
class Stops:
    """Generations that think longer than some length, and the others: how many stop by themselves,
    and how many answer right."""

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
    def _rows(self) -> list[list[dict[str, str]]]:
        return [run.read_table("grades.csv") for run in self.runs]

    @property
    def generations(self) -> int:
        """How many there are, over questions, samples and seeds."""
        return sum(len(rows) for rows in self._rows)

    def table(self, measure: str) -> np.ndarray:
        """Question means, shape (questions, seeds), questions in order of key (see `MEASURES`)."""
        columns = []
        for rows in self._rows:
            by_key: dict[str, list[float]] = {}
            for row in rows:
                by_key.setdefault(row["problem_key"], []).append(MEASURES[measure](row))
            columns.append([float(np.mean(by_key[key])) for key in sorted(by_key)])
        return np.array(columns).T

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
            return replace(found, low=max(found.low, 0.0))
        if np.ptp(table) == 0:
            return wilson(found.estimate * found.n, found.n)
        return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))

    def minus(self, other: Length, measure: str) -> Interval:
        """The difference to another length: paired by question and by seed."""
        found = crossed_interval(self.table(measure) - other.table(measure))
        if measure == "thinking_tokens":
            return found
        return replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))

    def thinking_tokens(self) -> list[list[int]]:
        """Thinking tokens of every generation, one list for each seed."""
        return [[int(row["thinking_tokens"]) for row in rows] for rows in self._rows]

    def goes_on(self, tokens: float) -> list[float]:
        """Of those that think longer than `tokens`, the share that doubles them, for each seed."""
        shares = []
        for column in self.thinking_tokens():
            longer = [count for count in column if count > tokens]
            doubled = sum(count > 2 * tokens for count in longer)
            shares.append(doubled / len(longer) if longer else float("nan"))
        return shares

    def stops(self, tokens: int) -> Stops:
        """What becomes of generations that think longer than `tokens`, and of the others."""
        parts: dict[bool, list[dict[str, str]]] = {True: [], False: []}
        for row in (row for rows in self._rows for row in rows):
            parts[int(row["thinking_tokens"]) > tokens].append(row)
        counts = (
            (len(p), sum(r["outcome"] == "ended" for r in p), sum(map(MEASURES["accuracy"], p)))
            for p in (parts[True], parts[False])
        )
        return Stops(*(int(count) for part in counts for count in part))


def lengths(pipeline: Pipeline, benchmark: str) -> list[Length]:
    """The sequence lengths that a profile trains at, the shortest first.

    Raises:
        ValueError: the profile trains at one sequence length.
    """
    conditions: Conditions = sequence_lengths(pipeline.profile, benchmark)
    if not conditions:
        raise ValueError("the profile trains at one sequence length: name seq_lens in ablations")

    found: dict[int, list[tuple[int, Condition]]] = {}
    for condition in conditions:
        assert condition.training is not None
        changes, profile = dict(condition.training.changes), pipeline.profile
        tokens = changes.get("max_seq_len", profile.sft["max_seq_len"])
        seed = changes.get("seed", profile.seed)
        found.setdefault(tokens, []).append((seed, condition))
    return [
        Length(
            tokens,
            benchmark,
            tuple(seed for seed, _ in seeds),
            tuple(pipeline.run(condition) for _, condition in seeds),
            pipeline.checkpoint(seeds[0][1].training),
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
            **_row(length.benchmark, length.tokens, length.interval("accuracy")),
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
    table = published.published()["table8"]
    return [
        {
            **_row(benchmark, tokens, wilson(_correct(benchmark, percent), _count(benchmark))),
            "thinking_tokens": thinking,
        }
        for benchmark, cells in table["rows"].items()
        for tokens, (percent, thinking) in zip(table["sequence_length"], cells, strict=True)
    ]


def paper_differences() -> dict[str, Interval]:
    """Accuracy at 4,096 less that at 32,768 tokens, by benchmark (Newcombe's interval)."""
    return {
        benchmark: newcombe(
            _correct(benchmark, short), _count(benchmark),
            _correct(benchmark, long), _count(benchmark),
        )
        for benchmark, ((short, _), (long, _)) in published.published()["table8"]["rows"].items()
    }  # fmt: skip


def _row(benchmark: str, tokens: int, accuracy: Interval) -> Row:
    return {
        "benchmark": benchmark,
        "name": f"{tokens:,}",
        "accuracy": accuracy.estimate,
        "low": accuracy.low,
        "high": accuracy.high,
    }


def _count(benchmark: str) -> int:
    return published.published()["questions"][benchmark]


def _correct(benchmark: str, percent: float) -> int:
    return round(percent * _count(benchmark) / 100)
