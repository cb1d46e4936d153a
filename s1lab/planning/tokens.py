"""How many tokens a step trains on and generates, before it is run.

Training tokens are counted: the examples are encoded as training will encode them, wherever the
data are at hand. Generated tokens (thinking and answer, as `grades.csv` counts them) are expected:
where a budget cuts thinking, the budget; where the model stops by itself, the paper's own averages
(Table 8), longer by what its Waits added (Figure 4a). A finished run counts as what it really used.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from s1core.checkpoints import in_mirror, load_tokenizer
from s1core.errors import RunError
from s1core.sft.config import SFTConfig
from s1core.sft.encode import encode
from s1lab.audit.published import published
from s1lab.data import benchmarks
from s1lab.data.sources import SUBSETS, source
from s1lab.experiments import Condition, Training
from s1lab.kinds import curation, sft
from s1lab.steps import Step

if TYPE_CHECKING:
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
        return min(rows, self.pipeline.profile.evaluation.questions or rows) * condition.samples

    def thinking(self, condition: Condition) -> float:
        """Thinking tokens of one generation, on average: Table 8 has that of a natural end; the
        stand-in of a rehearsal never stops by itself."""
        profile, cap = self.pipeline.profile, float(condition.budget.max_thinking)
        if not condition.thinking:
            return 0.0
        if profile.rehearsal:
            return cap
        if benchmarks.benchmark(condition.benchmark).kind == "countdown":
            natural = profile.evaluation.max_thinking / 3
        else:
            rows = published()["table8"]["rows"]
            natural = float(rows.get(condition.benchmark, rows["AIME24"])[-1][1])
        return min(cap, natural * (1 + _per_wait() * condition.budget.num_ignore))

    def config(self, training: Training) -> SFTConfig:
        """The settings of a training."""
        profile = self.pipeline.profile
        settings = {**profile.sft, "seed": profile.seed, **dict(training.changes)}
        return SFTConfig(**settings, template=profile.template)

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


def _per_wait() -> float:
    """By what share one Wait prolongs thinking: the last three points of Figure 4a."""
    before, *after = (point[0] for point in published()["figure4a"]["points"][-4:])
    return sum((x / before - 1) / n for x, n in zip(after, (2, 4, 6), strict=True)) / 3


def generated(step: Step) -> int:
    """Thinking and answer tokens that a finished generation really took."""
    rows = step.run.read_table("grades.csv")
    return sum(int(row["thinking_tokens"]) + int(row["answer_tokens"]) for row in rows)
