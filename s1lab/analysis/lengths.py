"""Sequence lengths of training: what a cut takes away, and what becomes of the model (Table 8)."""

from collections.abc import Iterable
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
from s1lab.evaluation.measure import MEASURES, difference, mean, read_samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import newcombe
from s1lab.experiments import sequence_lengths
from s1lab.pipeline import Pipeline
from s1lab.runs import Run


@dataclass(frozen=True, eq=False)
class Length:
    """A sequence length (in `tokens`) on one benchmark, with a run for each of its seeds.
    `training` is the fine-tuning of the first seed."""

    tokens: int
    benchmark: str
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    training: Run

    @cached_property
    def generations(self) -> pd.DataFrame:
        """A row for each, over questions, samples and seeds: the `name` of the length, `seed`,
        thinking `tokens`, and whether it `ended` by itself and is `correct`."""
        parts = []
        for seed, of in zip(self.seeds, map(read_samples, self.runs), strict=True):
            columns = {"tokens": of.thinking, "ended": of.ended == 1, "correct": of.correct == 1}
            part = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
            parts.append(part.assign(name=f"trained at {self.tokens:,}", seed=seed))
        return pd.concat(parts, ignore_index=True)

    @property
    def by_seed(self) -> pd.DataFrame:
        """Mean thinking `tokens` and share `correct`, for each seed."""
        return self.generations.groupby("seed")[["tokens", "correct"]].mean()

    def _line(self, head: str, *cells: Any) -> Row:
        start = f"{self.tokens:,} tokens", self.benchmark
        return lines(f"trained at | benchmark | {head}", [(*start, *cells)])[0]

    def row(self) -> Row:
        """A line of Table 8: what the trainings give, and what the first of them took."""
        measured = [mean(self.runs, name) for name in ("accuracy", "thinking_tokens", "cut_short")]
        n = f"{measured[0].n} × {len(self.seeds)} seeds"
        head = "accuracy (%) | thinking (tokens) | cut short (%) | n | training (min)"
        return self._line(head, *measured, n, self.training.minutes)

    def course(self, cut: int) -> Row:
        """A line: of those that think for so long, who goes on to twice as many tokens."""
        starts = (cut / 4, cut / 2, cut, 2 * cut)
        heads = (f"{n:,.0f} to {2 * n:,.0f} (%)" for n in starts)
        shares = map(self.goes_on, starts)
        return self._line(" | ".join([*heads, "n"]), *shares, len(self.generations))

    def outcomes(self, cut: int) -> Row:
        """A line: what becomes of thinking beyond the cut, and of the rest; None of nothing."""
        of, longer = self.generations, self.generations["tokens"] > cut
        ends = of.groupby(longer)[["ended", "correct"]].mean().reindex([True, False])
        shares = (None if np.isnan(share) else share for share in ends.to_numpy().ravel())
        head = f"longer than {cut:,} (%) | these stop (%) | these right (%)"
        return self._line(
            f"{head} | others stop (%) | others right (%) | n", longer.mean(), *shares, len(of)
        )

    def goes_on(self, tokens: float) -> Interval | None:
        """Of those that think longer than `tokens`, the share that doubles them: the mean of the
        seeds, with the lowest and the highest of them; None where nobody thinks for so long."""
        used, seed = (self.generations[name] for name in ("tokens", "seed"))
        some, long = ((used > n).groupby(seed).sum() for n in (tokens, 2 * tokens))
        if not some.all():
            return None
        ends = map(float, (long / some).agg(["mean", "min", "max"]))
        return Interval(*ends, len(some), f"lowest and highest of {len(some)} seeds")


def lengths(pipeline: Pipeline, *benchmarks: str) -> list[Length]:
    """The sequence lengths that a profile trains at, shortest first, on some benchmarks, by default
    those of the ablations; InputError for one length alone."""
    profile, found = pipeline.profile, []
    for benchmark in benchmarks or profile.ablations.benchmarks or profile.evaluation.benchmarks:
        of: dict[int, dict[int, Any]] = {}
        for condition in sequence_lengths(profile, benchmark):
            changes = {"max_seq_len": profile.sft["max_seq_len"], "seed": profile.seed}
            changes |= dict(condition.training.changes)
            of.setdefault(changes["max_seq_len"], {})[changes["seed"]] = condition
        for tokens, seeded in sorted(of.items()):
            runs = tuple(map(pipeline.run, seeded.values()))
            training = pipeline.checkpoint(next(iter(seeded.values())).training)
            found.append(Length(tokens, benchmark, tuple(seeded), runs, training))
    if not found:
        raise InputError("the profile trains at one sequence length: name seq_lens in ablations")
    return found


def cut_against_whole(short: Length, full: Length) -> dict[str, Interval | float | None]:
    """What training on cut examples changes, and where: just before the cut, and just behind."""
    cut = short.tokens
    found: dict[str, Any] = {n: difference(short.runs, full.runs, n) for n in MEASURES}
    thinking = [mean(one.runs, "thinking_tokens").estimate for one in (short, full)]
    found |= {"cut": cut, "half": cut // 2, "double": 2 * cut, "folds": thinking[0] / thinking[1]}
    for name, one in {"cut": short, "whole": full}.items():
        ended = one.generations.query("ended")["tokens"]
        found |= {f"before_{name}": one.goes_on(cut / 2), f"behind_{name}": one.goes_on(cut)}
        found |= {f"ended_{name}": round(float(ended.mean())) if len(ended) else None}
        found |= {f"minutes_{name}": one.training.minutes}
    return found


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


def rows(found: Iterable[Length]) -> list[Row]:
    """Our points, as `figures.curves.tokens_and_accuracy` draws them."""
    drawn = []
    for one in found:
        tokens, accuracy = (mean(one.runs, name) for name in ("thinking_tokens", "accuracy"))
        look = {"benchmark": one.benchmark, "name": f"{one.tokens:,}", "most": tokens.high}
        look |= {"thinking_tokens": tokens.estimate, "fewest": max(tokens.low, 1.0)}
        look |= {"seeds": [*one.by_seed.itertuples(index=False, name=None)]}
        drawn.append(accuracy.row("accuracy", **look))
    return drawn


def survival(found: Iterable[Length]) -> pd.DataFrame:
    """Every generation, as `figures.curves.still_thinking` draws them."""
    return pd.concat([one.generations for one in found] or [pd.DataFrame()])


def paper_table() -> list[Row]:
    """Table 8 as printed, a line of a table for each training."""
    table = published()["table8"]
    cells = (
        (f"{tokens:,} tokens", benchmark, printed_accuracy(benchmark, percent), thinking)
        for benchmark, row in table["rows"].items()
        for tokens, (percent, thinking) in zip(table["sequence_length"], row, strict=True)
    )
    return lines("trained at | benchmark | accuracy (%) | thinking (tokens)", cells)


def paper_rows() -> list[Row]:
    """Table 8 as printed, for the figure."""
    return [
        accuracy.row("accuracy", name=name.split()[0], benchmark=on, thinking_tokens=thinking)
        for name, on, accuracy, thinking in map(dict.values, paper_table())
    ]


def paper_effects() -> dict[str, tuple[float, Interval]]:
    """Training at 4,096 tokens beside 32,768, by benchmark (one word): how many times as long the
    paper's model thinks, and its accuracy less the other's (Newcombe's interval)."""
    return {
        name.split()[0]: (brief / long, newcombe(*answered(name, short), *answered(name, whole)))
        for name, ((short, brief), (whole, long)) in published()["table8"]["rows"].items()
    }
