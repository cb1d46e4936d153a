"""What changes when the training does: other examples (Table 2), or examples cut short (Table 8).

Of a training set: what it is made of, what it costs, and how its model compares. Of a sequence
length: what a cut takes away, and what becomes of the model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from s1core.checkpoints import load_tokenizer
from s1core.errors import InputError
from s1core.sft.config import SFTConfig
from s1core.sft.encode import encode
from s1lab import experiments, packaged
from s1lab.audit.published import accuracy_of, answered, printed_accuracy, published
from s1lab.data.sources import SUBSETS
from s1lab.evaluation import Interval
from s1lab.evaluation.measure import MEASURES, difference, mean, read_samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import newcombe
from s1lab.experiments import Training
from s1lab.pipeline import Pipeline
from s1lab.planning.sft_plan import PAPER_HOURS
from s1lab.planning.shapes import shape_of
from s1lab.runs import Run

PAPER_NAMES = {"s1": "s1K"} | SUBSETS
"""What Table 2 calls the training sets; all are compared with the first."""

PAPER_BENCHMARKS = ("AIME24", "MATH500", "GPQA Diamond")


def training_flops(pipeline: Pipeline, training: Training | None = None) -> float:
    """What a training took, at least: every example at the mean length, which a finished training
    states, as `s1lab.planning.sft_plan.paper_flops` takes the paper's."""
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
        training = Training(name)
        cost = training_flops(pipeline, training) / 1e12, pipeline.checkpoint(training).minutes
        rows.append((name, *_made_of(pipeline, name), *cost, hours.get(name)))
    head = "trained on | examples | subjects | a trace (tokens) | right (%)"
    listed = lines(f"{head} | TFLOP | training (min) | paper, H100 h", rows)
    return {row["trained on"]: row for row in listed}


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
    profile, rows = pipeline.profile, {}
    head = "trained on | benchmark | accuracy (%) | to s1 (points) | thinking tokens"
    for benchmark in benchmarks or profile.ablations.benchmarks or profile.evaluation.benchmarks:
        conditions = experiments.subsets(profile, benchmark)
        for c in conditions:
            run, of = pipeline.run(c), pipeline.point(c)
            gap = None if c is conditions[0] else difference(run, pipeline.run(conditions[0]))
            cells = (c.label, benchmark, of.accuracy, gap, of.thinking_tokens, of.cut_short)
            line = (*cells, of.accuracy.n, pipeline.checkpoint(c.training).minutes)
            (rows[run.id],) = lines(f"{head} | cut short (%) | n | training (min)", [line])
    if not rows:
        raise InputError("the profile trains on s1 alone: name subsets in its ablations")
    return rows


def money_rows() -> list[Row]:
    """What was said that training on s1K cost, and what the whole pool costs at that price."""
    hours, rows = paper_hours(), []
    for by, money in packaged("analysis/training.yaml")["said"].items():
        price = money / PAPER_HOURS
        rows.append((by, round(price * hours["s1"]), price, round(price * hours["full"])))
    return lines("said by | s1K ($) | an H100-hour ($) | 59K-full ($)", rows)


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
        head = f"longer than {cut:,} (%) | these stop (%) | these right (%) | others stop (%)"
        return self._line(f"{head} | others right (%) | n", longer.mean(), *shares, len(of))

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
        for condition in experiments.sequence_lengths(profile, benchmark):
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


def cut_rows(pipeline: Pipeline, found: Iterable[Length]) -> list[Row]:
    """What each length takes from the training examples, and the share that the paper cut."""
    asked = pipeline.examples(), load_tokenizer(pipeline.profile.model), pipeline.profile.template
    encoded = {length.tokens: encode(*asked, length.tokens) for length in found}
    whole, table, rows = max(sum(e.lengths) for e in encoded.values()), published()["table8"], []
    for tokens, cut in encoded.items():
        counts = (cut.truncated, cut.answers_lost, cut.answers_cut)
        shares = (count / len(cut.examples) for count in counts)
        rows.append((f"{tokens:,} tokens", *shares, sum(cut.lengths) / whole))
    head = "sequence length | examples cut (%)"
    ours = lines(f"{head} | answers lost (%) | answers cut (%) | tokens left (%)", rows)
    paper = zip(table["sequence_length"], table["percent_cut_off"], strict=True)
    return ours + lines(head, ((f"paper: {n:,}", cut / 100) for n, cut in paper))


def length_rows(found: Iterable[Length]) -> list[Row]:
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


def paper_lengths() -> list[Row]:
    """Table 8 as printed, a line of a table for each training."""
    table = published()["table8"]
    cells = (
        (f"{tokens:,} tokens", benchmark, printed_accuracy(benchmark, percent), thinking)
        for benchmark, row in table["rows"].items()
        for tokens, (percent, thinking) in zip(table["sequence_length"], row, strict=True)
    )
    return lines("trained at | benchmark | accuracy (%) | thinking (tokens)", cells)


def paper_length_rows() -> list[Row]:
    """Table 8 as printed, for the figure."""
    return [
        accuracy.row("accuracy", name=name.split()[0], benchmark=on, thinking_tokens=thinking)
        for name, on, accuracy, thinking in map(dict.values, paper_lengths())
    ]


def paper_length_effects() -> dict[str, tuple[float, Interval]]:
    """Training at 4,096 tokens beside 32,768, by benchmark (one word): how many times as long the
    paper's model thinks, and its accuracy less the other's (Newcombe's interval)."""
    return {
        name.split()[0]: (brief / long, newcombe(*answered(name, short), *answered(name, whole)))
        for name, ((short, brief), (whole, long)) in published()["table8"]["rows"].items()
    }
