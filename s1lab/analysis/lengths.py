"""Sequence lengths of training: what a cut takes away, and what becomes of the model (Table 8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from s1core.errors import InputError
from s1core.sft.encode import Encoded, encode
from s1lab.audit.published import answered, printed_accuracy, published
from s1lab.evaluation import Interval
from s1lab.evaluation.measure import MEASURES, Samples, difference, mean, read_samples
from s1lab.evaluation.statistics import Array, newcombe
from s1lab.experiments import sequence_lengths

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline
    from s1lab.runs import Run

Row = dict[str, Any]


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

    def by_seed(self, measure: str) -> list[float]:
        """The mean over questions, for each seed."""
        return [float(MEASURES[measure](samples).mean()) for samples in self._samples]

    def interval(self, measure: str) -> Interval:
        """A measure with its interval, over questions and seeds (see `measure.mean`)."""
        return mean(self.runs, measure)

    @property
    def head(self) -> Row:
        """How a line of a table begins."""
        return {"trained at": f"{self.tokens:,} tokens", "benchmark": self.benchmark}

    def row(self) -> Row:
        """A line of Table 8: what the trainings give, and what the first of them took."""
        accuracy = self.interval("accuracy")
        return self.head | {
            "accuracy (%)": accuracy,
            "thinking (tokens)": self.interval("thinking_tokens"),
            "cut short (%)": self.interval("cut_short"),
            "n": f"{accuracy.n} × {len(self.seeds)} seeds",
            "training (min)": self.training.minutes,
        }

    def course(self, cut: int) -> Row:
        """A line: of those that think for so long, who goes on to twice as many tokens."""
        starts = (cut / 4, cut / 2, cut, 2 * cut)
        goes_on = {f"{n:,.0f} to {2 * n:,.0f} (%)": self.goes_on(n) for n in starts}
        return self.head | goes_on | {"n": self.generations}

    def outcomes(self, cut: int) -> Row:
        """A line: what becomes of thinking beyond the cut, and of the rest; None of nothing."""
        found = self.stops(cut)
        row: Row = {f"longer than {cut:,} (%)": found.longer / self.generations}
        for which, (whole, ended, right) in (("these", found[:3]), ("others", found[3:])):
            row[f"{which} stop (%)"] = ended / whole if whole else None
            row[f"{which} right (%)"] = right / whole if whole else None
        return self.head | row | {"n": self.generations}

    def minus(self, other: Length, measure: str) -> Interval:
        """The difference to another length: paired by question and by seed."""
        return difference(self.runs, other.runs, measure)

    @property
    def thinking_tokens(self) -> list[Array]:
        """Thinking tokens of every generation, for each seed."""
        return [samples.thinking.ravel() for samples in self._samples]

    def mean_of_ended(self) -> float:
        """Mean thinking tokens of the generations that ended by themselves."""
        both = [(samples.thinking, samples.ended == 1) for samples in self._samples]
        return float(np.concatenate([thinking[ended] for thinking, ended in both]).mean())

    def goes_on(self, tokens: float) -> Interval | None:
        """Of those that think longer than `tokens`, the share that doubles them: the mean of the
        seeds, with the lowest and the highest of them; None where nobody thinks for so long."""
        thinking = self.thinking_tokens
        if not all((used > tokens).any() for used in thinking):
            return None
        shares = [float((used > 2 * tokens).sum() / (used > tokens).sum()) for used in thinking]
        method = f"lowest and highest of {len(shares)} seeds"
        return Interval(float(np.mean(shares)), min(shares), max(shares), len(shares), method)

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


def all_lengths(pipeline: Pipeline) -> list[Length]:
    """`lengths` on every benchmark of the ablations."""
    asked = pipeline.profile.ablations.benchmarks or pipeline.profile.evaluation.benchmarks
    return [length for benchmark in asked for length in lengths(pipeline, benchmark)]


def cut_against_whole(short: Length, full: Length) -> dict[str, Interval | float | None]:
    """What training on cut examples changes, and where: just before the cut, and just behind."""
    cut, sides = short.tokens, {"cut": short, "whole": full}
    found: dict[str, Any] = {name: short.minus(full, name) for name in MEASURES}
    thinking = [one.interval("thinking_tokens").estimate for one in (short, full)]
    found |= {"cut": cut, "half": cut // 2, "double": 2 * cut, "folds": thinking[0] / thinking[1]}
    for name, one in sides.items():
        found |= {f"before_{name}": one.goes_on(cut / 2), f"behind_{name}": one.goes_on(cut)}
        found |= {f"ended_{name}": round(one.mean_of_ended())}
        found |= {f"minutes_{name}": one.training.minutes}
    return found


def by_seed(pipeline: Pipeline, benchmark: str) -> list[float]:
    """Accuracy of each training on s1 that differs in its seed alone."""
    return lengths(pipeline, benchmark)[-1].by_seed("accuracy")


def encoded_at(pipeline: Pipeline, tokens: int) -> Encoded:
    """The training examples of "s1", cut at a sequence length as training cut them."""
    from s1core.checkpoints import load_tokenizer

    tokenizer = load_tokenizer(pipeline.profile.model)
    return encode(pipeline.examples(), tokenizer, pipeline.profile.template, tokens)


def cut_rows(pipeline: Pipeline, found: Iterable[Length]) -> list[Row]:
    """What each length takes from the training examples, and the share that the paper cut."""
    encoded = {length.tokens: encoded_at(pipeline, length.tokens) for length in found}
    whole, table = max(sum(cut.lengths) for cut in encoded.values()), published()["table8"]
    ours = [
        {
            "sequence length": f"{tokens:,} tokens",
            "examples cut (%)": cut.truncated / len(cut.examples),
            "answers lost (%)": cut.answers_lost / len(cut.examples),
            "answers cut (%)": cut.answers_cut / len(cut.examples),
            "tokens left (%)": sum(cut.lengths) / whole,
        }
        for tokens, cut in encoded.items()
    ]
    paper = zip(table["sequence_length"], table["percent_cut_off"], strict=True)
    name = "sequence length"
    return ours + [{name: f"paper: {n:,}", "examples cut (%)": cut / 100} for n, cut in paper]


def survival(found: Iterable[Length]) -> pd.DataFrame:
    """Thinking tokens of every generation, as `figures.runs.still_thinking` draws them."""
    parts = [
        pd.DataFrame({"name": f"trained at {length.tokens:,}", "seed": seed, "tokens": used})
        for length in found
        for seed, used in zip(length.seeds, length.thinking_tokens, strict=True)
    ]
    return pd.concat(parts) if parts else pd.DataFrame()


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


def paper_table() -> list[Row]:
    """Table 8 as printed, a line of a table for each training."""
    table = published()["table8"]
    return [
        {
            "trained at": f"{tokens:,} tokens",
            "benchmark": benchmark,
            "accuracy (%)": (accuracy := printed_accuracy(benchmark, percent)),
            "thinking (tokens)": thinking,
            "n": accuracy.n,
        }
        for benchmark, cells in table["rows"].items()
        for tokens, (percent, thinking) in zip(table["sequence_length"], cells, strict=True)
    ]


def paper_folds() -> dict[str, float]:
    """How many times as long s1 thinks after training at 4,096 tokens, by benchmark (one word)."""
    rows = published()["table8"]["rows"].items()
    return {name.split()[0]: short / long for name, ((_, short), (_, long)) in rows}


def paper_differences() -> dict[str, Interval]:
    """Accuracy at 4,096 less that at 32,768 tokens (Newcombe's interval), likewise."""
    return {
        benchmark.split()[0]: newcombe(*answered(benchmark, short), *answered(benchmark, long))
        for benchmark, ((short, _), (long, _)) in published()["table8"]["rows"].items()
    }
