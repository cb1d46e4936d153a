"""How many tokens a step trains on and generates, before it is run; and how far a profile is.

Training tokens are counted: the examples are encoded as training will encode them, wherever the
data are at hand. Generated tokens (thinking and answer, as `grades.csv` counts them) are expected:
where a budget cuts thinking, the budget; where the model stops by itself, the paper's own averages
(Table 8), longer by what its Waits added (Figure 4a). A finished run counts as what it really used.

`status` reads the store, from any terminal, at any time, and asks nothing of the processes that
compute. Speed is what steps of this store really reached; where none did yet, no time is given.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from s1core.checkpoints import in_mirror, load_tokenizer
from s1core.errors import RunError
from s1core.records import Generation, read_recoverable
from s1core.sft.config import SFTConfig
from s1core.sft.encode import encode
from s1lab.audit.published import published
from s1lab.data import benchmarks
from s1lab.data.sources import SUBSETS, source
from s1lab.experiments import Condition, Training
from s1lab.kinds import curation, sft
from s1lab.lab import Step
from s1lab.pipeline import Pipeline

ANSWER_TOKENS = 500  # expected where the limit is larger; an assumption


class Tokens(NamedTuple):
    """Tokens of one step: trained on (every pass over the data), or generated."""

    trained: int = 0
    generated: int = 0


class Counter:
    """Counts tokens for the steps of one pipeline; keeps what it has encoded. Without `encodes`
    training tokens are assumed, at once, even where they could be counted."""

    def __init__(self, pipeline: Pipeline, encodes: bool = True) -> None:
        self.pipeline, self.encodes = pipeline, encodes
        self._lengths: dict[tuple[str, str], list[int]] = {}

    def tokens(self, step: Step) -> Tokens:
        """Tokens of a step; what it really used when it is finished."""
        if step.condition is not None:
            done = step.run.is_finished
            return Tokens(0, generated(step) if done else self.planned(step.condition))
        if step.training is None:
            return Tokens()
        return Tokens(self.config(step.training).epochs * sum(self.lengths(step.training)))

    def planned(self, condition: Condition) -> int:
        """Tokens of a condition, whether or not it was run."""
        most = condition.budget.max_answer
        answer = most if self.pipeline.profile.rehearsal else min(most, ANSWER_TOKENS)
        return round(self.generations(condition) * (self.thinking(condition) + answer))

    def generations(self, condition: Condition) -> int:
        """Questions times samples."""
        rows = benchmarks.benchmark(condition.benchmark).rows
        asked = self.pipeline.profile.evaluation.questions_of(condition.benchmark)
        return min(rows, asked or rows) * condition.samples

    def thinking(self, condition: Condition) -> float:
        """Thinking tokens of one generation, on average: Table 8 has that of a natural end; the
        stand-in of a rehearsal never stops by itself."""
        profile, cap = self.pipeline.profile, float(condition.budget.max_thinking)
        if not condition.thinking or profile.rehearsal:
            return cap * condition.thinking
        if benchmarks.benchmark(condition.benchmark).kind == "countdown":
            natural = profile.evaluation.max_thinking / 3
        else:
            rows = published()["table8"]["rows"]
            natural = float(rows.get(condition.benchmark, rows["AIME24"])[-1][1])
        # What one Wait adds, by the last three points of Figure 4a: 2, 4 and 6 of them.
        before, *after = (point[0] for point in published()["figure4a"]["points"][-4:])
        share = sum((x / before - 1) / n for x, n in zip(after, (2, 4, 6), strict=True)) / 3
        return min(cap, natural * (1 + share * condition.budget.num_ignore))

    def config(self, training: Training) -> SFTConfig:
        """The settings of a training."""
        template = self.pipeline.profile.template
        return SFTConfig(**sft.recipe(self.pipeline, training), template=template)

    @property
    def counts(self) -> bool:
        """Whether the examples are at hand, so that training tokens are counted, not assumed."""
        profile = self.pipeline.profile
        if not self.encodes or profile.curates:
            return self.encodes and curation.selection(self.pipeline).run.is_finished
        tokenizer = Path(profile.model).exists() or in_mirror(profile.model) is not None
        return tokenizer and bool(os.environ.get("S1CORE_DATA_DIR"))

    def lengths(self, training: Training) -> list[int]:
        """Tokens of each example as trained on, after the cut at the sequence length."""
        config, key = self.config(training), (training.subset, training.control)
        if key not in self._lengths:
            self._lengths[key] = self._count(training)
        full, most = self._lengths[key], config.max_seq_len
        return [min(n, most) for n in full if n <= most or config.on_too_long != "drop"]

    def _count(self, training: Training) -> list[int]:
        """Tokens of each example, encoded; or, where they cannot be had, the mean of s1K (Table 6)
        and an answer, and one example that fills a row."""
        profile = self.pipeline.profile
        if self.counts:
            tokenizer = load_tokenizer(profile.model)
            with suppress(RunError):
                examples = sft.instructed(self.pipeline, training, tokenizer)
                return encode(examples, tokenizer, profile.template, 1 << 30).lengths
        if length := profile.rates.get("example"):
            return [round(length)] * profile.selected
        if profile.pool == "pocket":
            return [profile.sft["max_seq_len"] // 4] * profile.selected
        total = published()["table6"]["printed_total"]
        mean = round(1000 * total["tokens_K"] / total["questions"]) + ANSWER_TOKENS
        count = source(SUBSETS.get(training.subset, profile.pool)).rows
        return [mean] * (count - 1) + [profile.sft["max_seq_len"]]


def generated(step: Step) -> int:
    """Thinking and answer tokens that a finished generation really took."""
    rows = step.run.read_table("grades.csv")
    return sum(int(row["thinking_tokens"]) + int(row["answer_tokens"]) for row in rows)


def status(pipeline: Pipeline) -> pd.DataFrame:
    """A row for every step of a pipeline: its run, label, whether it trains, state ("done",
    "running", "stopped" or "to do"), tokens so far (`done`) and in all (`total`, expected), and
    seconds so far. Holds the store for no longer than a glance."""
    counter, rows = Counter(pipeline), []
    with pipeline.store.free() as free:
        begun = "stopped" if free else "running"
    for step in pipeline.steps():
        run, total = step.run, sum(counter.tokens(step))
        state, done, seconds = "to do", 0.0, 0.0
        if run.is_finished:
            state, done, seconds = "done", total, float(run.provenance().get("wall_seconds", 0.0))
        elif run.path.exists():
            done, seconds = _so_far(step)
            state, total = begun, max(total, done)
        trains = step.condition is None
        row = {"run": run.id, "label": step.label, "trains": trains, "state": state}
        rows.append(row | {"done": done, "total": total, "seconds": seconds})
    return pd.DataFrame(rows)


def _so_far(step: Step) -> tuple[float, float]:
    """Tokens of a step that is under way, and seconds from its start to the last it wrote."""
    trains = step.condition is None
    began = step.run.path / "manifest.json"
    newest = step.run.path / ("sft/log.jsonl" if trains else "results.jsonl")
    if not (began.exists() and newest.exists()):
        return 0.0, 0.0
    # Another process may be writing the last line.
    rows: Any = (row for _, row in read_recoverable(newest, None if trains else Generation)[0])
    if trains:
        done = sum(row["tokens"] for row in rows if isinstance(row.get("tokens"), int))
    else:
        done = sum(row.thinking_tokens + row.answer_tokens for row in rows)
    return done, max(0.0, newest.stat().st_mtime - began.stat().st_mtime)


def rate(found: pd.DataFrame, trains: bool) -> float:
    """Tokens per second so far, of training or of sampling; 0 where none is measured."""
    measured = found[(found.trains == trains) & (found.done > 0) & (found.seconds > 0)]
    return measured.done.sum() / measured.seconds.sum() if len(measured) else 0.0


def seconds_left(found: pd.DataFrame) -> float | None:
    """At the speeds so far; None while one that is needed is not measured."""
    left = (found.total - found.done).clip(lower=0).groupby(found.trains).sum()
    needed = {bool(trains): tokens for trains, tokens in left.items() if tokens}
    speeds = {trains: rate(found, trains) for trains in needed}
    return sum(needed[t] / speeds[t] for t in needed) if all(speeds.values()) else None


def lines(found: pd.DataFrame, gpus: int, price: float) -> list[str]:
    """A status as text: what runs, then the totals, at a price per hour of each GPU."""
    text = [f"{(found.state == 'done').sum()} of {len(found)} runs are finished"]
    for row in found[found.state.isin(["running", "stopped"])].itertuples():
        share = row.done / row.total if row.total else 0.0
        so_far = f"{row.done:,.0f} of about {row.total:,.0f} tokens ({share:.0%})"
        text.append(f"  {row.state:8} {row.label}: {so_far}, {row.seconds:,.0f} s")
    speeds = {"training": rate(found, True), "sampling": rate(found, False)}
    text += [f"{name}: {speed:,.0f} tokens/s so far" for name, speed in speeds.items() if speed]
    per_second = max(gpus, 1) * price / 3600
    spent, left = found.seconds.sum(), seconds_left(found)
    text.append(f"spent: {clock(spent)}, {spent * per_second:,.2f} at {price:g} per hour")
    if left is None:
        return [*text, "left: not known before something was measured"]
    ready = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + left))
    return [*text, f"left: {clock(left)}, {left * per_second:,.2f}; ready {ready}"]


def clock(seconds: float) -> str:
    """`3725 -> "1 h 02 min"`."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{seconds:.0f} s"
