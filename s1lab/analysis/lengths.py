"""Sequence lengths of training: what a cut takes away, and what becomes of the model (Table 8)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from s1core.checkpoints import load_tokenizer
from s1core.errors import InputError
from s1core.sft.encode import Encoded, encode
from s1lab.audit.published import answered, printed_accuracy, published
from s1lab.evaluation import Interval
from s1lab.evaluation.measure import MEASURES, Samples, difference, mean, read_samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import Array, newcombe
from s1lab.experiments import sequence_lengths
from s1lab.pipeline import Pipeline
from s1lab.runs import Run


@dataclass(frozen=True, eq=False)
class Length:
    """A sequence length (in `tokens`) on one benchmark: the generations of all its seeds.
    `training` is the fine-tuning of the first seed."""

    tokens: int
    benchmark: str
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    training: Run

    @cached_property
    def _samples(self) -> list[Samples]:
        return [read_samples(run) for run in self.runs]

    def _all(self, name: str) -> Array:
        """An array of the samples, a row for each seed."""
        return np.stack([getattr(samples, name).ravel() for samples in self._samples])

    @property
    def generations(self) -> int:
        """How many there are, over questions, samples and seeds."""
        return self.thinking_tokens.size

    @property
    def thinking_tokens(self) -> Array:
        """Thinking tokens of every generation, a row for each seed."""
        return self._all("thinking")

    def by_seed(self, measure: str) -> list[float]:
        """The mean over questions, for each seed."""
        return [float(MEASURES[measure](samples).mean()) for samples in self._samples]

    def interval(self, measure: str) -> Interval:
        """A measure with its interval, over questions and seeds (see `measure.mean`)."""
        return mean(self.runs, measure)

    def _line(self, head: str, *cells: Any) -> Row:
        start = f"{self.tokens:,} tokens", self.benchmark
        return lines(f"trained at | benchmark | {head}", [(*start, *cells)])[0]

    def row(self) -> Row:
        """A line of Table 8: what the trainings give, and what the first of them took."""
        measured = [self.interval(name) for name in ("accuracy", "thinking_tokens", "cut_short")]
        n = f"{measured[0].n} × {len(self.seeds)} seeds"
        head = "accuracy (%) | thinking (tokens) | cut short (%) | n | training (min)"
        return self._line(head, *measured, n, self.training.minutes)

    def course(self, cut: int) -> Row:
        """A line: of those that think for so long, who goes on to twice as many tokens."""
        starts = (cut / 4, cut / 2, cut, 2 * cut)
        heads = (f"{n:,.0f} to {2 * n:,.0f} (%)" for n in starts)
        return self._line(" | ".join([*heads, "n"]), *map(self.goes_on, starts), self.generations)

    def outcomes(self, cut: int) -> Row:
        """A line: what becomes of thinking beyond the cut, and of the rest; None of nothing."""
        counts = self.stops(cut)
        shares = [n / of if of else None for of, *some in counts for n in some]
        head = f"longer than {cut:,} (%) | these stop (%) | these right (%)"
        ends = counts[0][0] / self.generations, *shares, self.generations
        return self._line(f"{head} | others stop (%) | others right (%) | n", *ends)

    def mean_of_ended(self) -> int | None:
        """Mean thinking tokens of the generations that ended by themselves; None if none did."""
        ended = self.thinking_tokens[self._all("ended") == 1]
        return round(float(ended.mean())) if len(ended) else None

    def goes_on(self, tokens: float) -> Interval | None:
        """Of those that think longer than `tokens`, the share that doubles them: the mean of the
        seeds, with the lowest and the highest of them; None where nobody thinks for so long."""
        some, long = ((self.thinking_tokens > n).sum(axis=1) for n in (tokens, 2 * tokens))
        if not some.all():
            return None
        shares, method = long / some, f"lowest and highest of {len(some)} seeds"
        ends = (float(end) for end in (shares.mean(), shares.min(), shares.max()))
        return Interval(*ends, len(some), method)

    def stops(self, tokens: int) -> list[tuple[int, int, int]]:
        """Of generations that think longer than `tokens`, and of the others: how many there are,
        how many ended by themselves, how many are right."""
        longer, ended, correct = (
            self.thinking_tokens > tokens,
            *map(self._all, ("ended", "correct")),
        )
        parts = (longer, ~longer)
        return [(int(p.sum()), int(ended[p].sum()), int(correct[p].sum())) for p in parts]


def lengths(pipeline: Pipeline, benchmark: str) -> list[Length]:
    """The sequence lengths that a profile trains at, shortest first; InputError for one alone."""
    profile, found = pipeline.profile, {}
    for condition in sequence_lengths(profile, benchmark):
        changes = {"max_seq_len": profile.sft["max_seq_len"], "seed": profile.seed}
        changes |= dict(condition.training.changes)
        found.setdefault(changes["max_seq_len"], {})[changes["seed"]] = condition
    if not found:
        raise InputError("the profile trains at one sequence length: name seq_lens in ablations")
    runs = {tokens: tuple(map(pipeline.run, of.values())) for tokens, of in sorted(found.items())}
    first = {tokens: pipeline.checkpoint([*found[tokens].values()][0].training) for tokens in runs}
    return [Length(n, benchmark, tuple(found[n]), of, first[n]) for n, of in runs.items()]


def all_lengths(pipeline: Pipeline) -> list[Length]:
    """`lengths` on every benchmark of the ablations."""
    asked = pipeline.profile.ablations.benchmarks or pipeline.profile.evaluation.benchmarks
    return [length for benchmark in asked for length in lengths(pipeline, benchmark)]


def cut_against_whole(short: Length, full: Length) -> dict[str, Interval | float | None]:
    """What training on cut examples changes, and where: just before the cut, and just behind."""
    cut = short.tokens
    found: dict[str, Any] = {n: difference(short.runs, full.runs, n) for n in MEASURES}
    thinking = [one.interval("thinking_tokens").estimate for one in (short, full)]
    found |= {"cut": cut, "half": cut // 2, "double": 2 * cut, "folds": thinking[0] / thinking[1]}
    for name, one in {"cut": short, "whole": full}.items():
        found |= {f"before_{name}": one.goes_on(cut / 2), f"behind_{name}": one.goes_on(cut)}
        found |= {f"ended_{name}": one.mean_of_ended()}
        found |= {f"minutes_{name}": one.training.minutes}
    return found


def by_seed(pipeline: Pipeline, benchmark: str) -> list[float]:
    """Accuracy of each training on s1 that differs in its seed alone."""
    return lengths(pipeline, benchmark)[-1].by_seed("accuracy")


def encoded_at(pipeline: Pipeline, tokens: int) -> Encoded:
    """The training examples of "s1", cut at a sequence length as training cut them."""
    tokenizer = load_tokenizer(pipeline.profile.model)
    return encode(pipeline.examples(), tokenizer, pipeline.profile.template, tokens)


def cut_rows(pipeline: Pipeline, found: Iterable[Length]) -> list[Row]:
    """What each length takes from the training examples, and the share that the paper cut."""
    encoded = {length.tokens: encoded_at(pipeline, length.tokens) for length in found}
    whole, table, rows = max(sum(e.lengths) for e in encoded.values()), published()["table8"], []
    for tokens, cut in encoded.items():
        counts = (cut.truncated, cut.answers_lost, cut.answers_cut)
        shares = (count / len(cut.examples) for count in counts)
        rows.append((f"{tokens:,} tokens", *shares, sum(cut.lengths) / whole))
    head = "sequence length | examples cut (%)"
    ours = lines(f"{head} | answers lost (%) | answers cut (%) | tokens left (%)", rows)
    paper = zip(table["sequence_length"], table["percent_cut_off"], strict=True)
    return ours + lines(head, ((f"paper: {n:,}", cut / 100) for n, cut in paper))


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
        tokens, row = (
            length.interval("thinking_tokens"),
            length.interval("accuracy").row("accuracy"),
        )
        row |= {"benchmark": length.benchmark, "name": f"{length.tokens:,}", "most": tokens.high}
        row |= {"thinking_tokens": tokens.estimate, "fewest": max(tokens.low, 1.0)}
        row["seeds"] = [*zip(length.by_seed("thinking_tokens"), length.by_seed("accuracy"))]
        drawn.append(row)
    return drawn


def _printed() -> Iterator[tuple[str, int, Interval, int]]:
    """Table 8: benchmark, sequence length, accuracy with Wilson's interval, thinking tokens."""
    table = published()["table8"]
    for benchmark, cells in table["rows"].items():
        for tokens, (percent, thinking) in zip(table["sequence_length"], cells, strict=True):
            yield benchmark, tokens, printed_accuracy(benchmark, percent), thinking


def paper_rows() -> list[Row]:
    """Table 8 as printed, for the figure."""
    return [
        accuracy.row("accuracy", benchmark=benchmark, name=f"{n:,}", thinking_tokens=thinking)
        for benchmark, n, accuracy, thinking in _printed()
    ]


def paper_table() -> list[Row]:
    """Table 8 as printed, a line of a table for each training."""
    cells = ((f"{tokens:,} tokens", benchmark, *rest) for benchmark, tokens, *rest in _printed())
    return lines("trained at | benchmark | accuracy (%) | thinking (tokens)", cells)


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
