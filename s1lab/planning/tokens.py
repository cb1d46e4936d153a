"""How many tokens a step trains on and generates, before it is run.

Training tokens are counted: the examples are encoded as training will encode them, wherever the
data are at hand. Generated tokens (thinking and answer, as `grades.csv` counts them) have three
values: an expectation and a range. Where a budget cuts thinking, the budget is the expectation;
where the model stops by itself, the paper's own averages are (Table 8), longer by what its Waits
added (Figure 4a). A finished run counts as what it really used.
"""

from __future__ import annotations

import math
import operator
import os
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from s1core.checkpoints import in_mirror
from s1core.sft.config import SFTConfig
from s1lab.audit.published import published
from s1lab.data import benchmarks
from s1lab.experiments import Condition, Training
from s1lab.kinds import curation, sft
from s1lab.steps import Step

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline

ANSWER_TOKENS = 500
"""Answer tokens expected where the limit is larger; an assumption."""

SPREAD = 2.0
"""Natural thinking may be this many times shorter or longer than expected; an assumption."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one step or of many: expected, and the range.

    `trained` counts every pass over the data. A low and a high that are equal were counted.
    """

    trained: int = 0
    low: int = 0
    expected: int = 0
    high: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(*map(operator.add, astuple(self), astuple(other)))


@dataclass
class Counter:
    """Counts tokens for the steps of one pipeline; keeps what it has encoded.

    With `encodes=False` training tokens are assumed even where they could be counted, which takes
    no time.
    """

    pipeline: Pipeline
    encodes: bool = True
    _lengths: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def tokens(self, step: Step) -> Tokens:
        """Tokens of a step; what it really used when it is finished."""
        if step.condition is not None:
            if step.run.is_finished:
                used = generated(step)
                return Tokens(0, used, used, used)
            return self.planned(step.condition)
        if step.training is not None:
            lengths = self.lengths(step.training)
            return Tokens(trained=self.config(step.training).epochs * sum(lengths))
        return Tokens()

    # ----------------------------------------------------------------------- generation

    def planned(self, condition: Condition) -> Tokens:
        """Tokens of a condition, whether or not it was run."""
        count = self.generations(condition)
        low, expected, high = self.thinking(condition)
        answer = condition.budget.max_answer
        if self.pipeline.profile.rehearsal:
            answers = (answer, answer, answer)
        else:
            answers = (0, min(answer, ANSWER_TOKENS), answer)
        sums = (count * (a + b) for a, b in zip((low, expected, high), answers, strict=True))
        return Tokens(0, *(round(value) for value in sums))

    def generations(self, condition: Condition) -> int:
        """Questions times samples."""
        rows = benchmarks.benchmark(condition.benchmark).rows
        return min(rows, self.pipeline.profile.evaluation.questions or rows) * condition.samples

    def thinking(self, condition: Condition) -> tuple[float, float, float]:
        """Thinking tokens of one generation: lowest, expected and highest mean."""
        cap = float(condition.budget.max_thinking)
        if not condition.thinking:
            return 0.0, 0.0, 0.0
        if condition.steps is not None and self.pipeline.profile.rehearsal:
            return cap, cap, cap
        natural = self.natural(condition.benchmark)
        natural *= 1 + self._per_wait * condition.budget.num_ignore
        return min(cap, natural / SPREAD), min(cap, natural), min(cap, natural * SPREAD)

    def natural(self, benchmark: str) -> float:
        """Mean thinking tokens where the model stops by itself: Table 8, for its benchmarks.

        The stand-in of a rehearsal does not stop within so small a budget.
        """
        if self.pipeline.profile.rehearsal:
            return math.inf
        if benchmarks.benchmark(benchmark).kind == "countdown":
            return self.pipeline.profile.evaluation.max_thinking / 3
        rows = published()["table8"]["rows"]
        return float(rows.get(benchmark, rows["AIME24"])[-1][1])

    @cached_property
    def _per_wait(self) -> float:
        """By what share one Wait prolongs thinking: the last three points of Figure 4a."""
        if self.pipeline.profile.rehearsal:
            return 0.0
        points = published()["figure4a"]["points"]
        before = points[-4][0]
        shares = [(p[0] / before - 1) / n for p, n in zip(points[-3:], (2, 4, 6), strict=True)]
        return sum(shares) / len(shares)

    # ------------------------------------------------------------------------- training

    def config(self, training: Training) -> SFTConfig:
        """The settings of a training."""
        profile = self.pipeline.profile
        settings = {**profile.sft, "seed": profile.seed, **dict(training.changes)}
        return SFTConfig(**settings, template=profile.template)

    @property
    def counts(self) -> bool:
        """Whether the examples are at hand, so that training tokens are counted, not assumed."""
        if not self.encodes:
            return False
        profile = self.pipeline.profile
        if profile.pool == "pocket":
            return curation.selection(self.pipeline).run.is_finished
        tokenizer = Path(profile.model).exists() or in_mirror(profile.model) is not None
        return tokenizer and bool(os.environ.get("S1CORE_DATA_DIR"))

    def lengths(self, training: Training) -> list[int]:
        """Tokens of each example as trained on, after the cut at the sequence length."""
        config = self.config(training)
        full = self._full_lengths(training)
        if config.on_too_long == "drop":
            return [n for n in full if n <= config.max_seq_len]
        return [min(n, config.max_seq_len) for n in full]

    def _full_lengths(self, training: Training) -> list[int]:
        key = (training.subset, training.control)
        if key not in self._lengths:
            self._lengths[key] = self._count(training) if self.counts else self._assume(training)
        return self._lengths[key]

    def _count(self, training: Training) -> list[int]:
        from s1core.checkpoints import load_tokenizer
        from s1core.errors import RunError
        from s1core.sft.encode import encode

        pipeline = self.pipeline
        tokenizer = load_tokenizer(pipeline.profile.model)
        try:
            examples = sft.instructed(pipeline, training, tokenizer)
        except RunError:
            return self._assume(training)
        longest = 1 << 30
        return encode(examples, tokenizer, pipeline.profile.template, longest).lengths

    def _assume(self, training: Training) -> list[int]:
        """Mean thinking tokens of s1K (Table 6) and an answer; one example fills a row."""
        profile = self.pipeline.profile
        if profile.pool == "pocket":
            return [profile.sft["max_seq_len"] // 4] * profile.selected
        from s1lab.data.sources import SUBSETS, source

        total = published()["table6"]["printed_total"]
        mean = round(1000 * total["tokens_K"] / total["questions"]) + ANSWER_TOKENS
        count = source(SUBSETS.get(training.subset, profile.pool)).rows
        return [mean] * (count - 1) + [profile.sft["max_seq_len"]]


def generated(step: Step) -> int:
    """Thinking and answer tokens that a finished generation really took."""
    rows = step.run.read_table("grades.csv")
    return sum(int(row["thinking_tokens"]) + int(row["answer_tokens"]) for row in rows)
