"""The settings of test-time methods, question by question, from the samples of finished runs.

Forced or capped generations as they are, majority votes (Figures 4b and 7), and rejection sampling
(Figure 6) from samples that were drawn once. Keeping questions apart is what lets
`method_measures` resample them and pair them. Knows nothing of profiles or models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s1core.errors import InputError
from s1lab.evaluation import Interval, clustered_bootstrap, paired_bootstrap
from s1lab.evaluation.measure import Samples
from s1lab.evaluation.statistics import Array
from s1lab.evaluation.voting import Same, majority


@dataclass(frozen=True, eq=False)
class MethodRun:
    """One setting of a method, question by question; arrays of shape (questions,).

    Attributes:
        correct: expected accuracy.
        thinking: mean thinking tokens of what is counted as its answer; NaN where there is none.
        tokens: all tokens spent on the question, thinking and answers of every sample.
        keeps: share of its generations within `limit`, in thinking tokens (Control, Eq. 1, per
            generation); both are NaN without a limit.
    """

    method: str
    setting: str
    correct: Array
    thinking: Array
    tokens: Array
    keeps: Array
    limit: float = math.nan

    @cached_property
    def accuracy(self) -> Interval:
        """Mean over questions with its interval."""
        return clustered_bootstrap(self.correct)

    @property
    def thinking_tokens(self) -> float:
        """Average thinking tokens, as the paper's tables have them."""
        return float(np.nanmean(self.thinking))

    @property
    def cost(self) -> float:
        """Average tokens spent per question."""
        return float(self.tokens.mean())


def sequential(samples: Samples, method: str, setting: str, limit: float = math.nan) -> MethodRun:
    """One generation per question, averaged over those that were drawn (pass@1)."""
    keeps = np.where(math.isnan(limit), math.nan, samples.thinking <= limit)
    parts = (samples.correct, samples.thinking, samples.tokens, keeps)
    return MethodRun(method, setting, *(part.mean(axis=1) for part in parts), limit)


def votes(
    samples: Samples, same: Same, *, at: Sequence[int] = (), method: str = "majority"
) -> list[MethodRun]:
    """Majority voting over k samples for each k of `at` (default: powers of two).

    maj@k is exact over all choices of k of the samples, and k samples cost k times one.
    """
    drawn = samples.correct.shape[1]
    at = at or [2**power for power in range(drawn.bit_length()) if 2**power <= drawn]
    pairs = zip(samples.extracted, samples.correct == 1, strict=True)
    won = [majority(list(map(str, answers)), list(right), at, same) for answers, right in pairs]
    thinking, tokens = samples.thinking.mean(axis=1), samples.tokens.mean(axis=1)
    keeps = np.full(len(samples.keys), math.nan)
    return [
        MethodRun(method, f"{k}x", correct, k * thinking, k * tokens, keeps)
        for k, correct in zip(at, np.array(won).T, strict=True)
    ]


# ------------------------------------------------------------------------------ rejection


@dataclass(frozen=True, eq=False)
class Rejected:
    """Rejection sampling under one limit (Figure 6), question by question.

    `run.correct` counts a question that no sample fits as wrong; `answered` is 1 where one fits,
    `tries` are samples drawn, and `unlimited` is the accuracy of any sample, fitting or not.
    """

    run: MethodRun
    answered: Array
    tries: Array
    unlimited: Array

    @cached_property
    def gain(self) -> Interval:
        """What insisting on a short trace changes on the questions that have one."""
        asked = self.answered == 1
        return paired_bootstrap(self.run.correct[asked], self.unlimited[asked])


def fits(samples: Samples, limit: int) -> NDArray[np.bool_]:
    """Which samples `controls.rejection_sample` with this limit would accept.

    A sample that reaches the limit is cut there before it can end, so it must end below it.
    """
    return (samples.ended == 1) & (samples.thinking < limit)


def rejection(samples: Samples, limit: int) -> Rejected:
    """Rejection sampling from samples that were drawn without the limit (Section 5.2).

    Samples of a question may come in any order, so results are averaged over all orders: every
    fitting sample is equally likely to be the first, and with m of n fitting the first comes
    after (n + 1) / (m + 1) tries. A rejected sample costs its tokens up to the limit.

    Raises:
        InputError: the limit is not positive.
    """
    if not limit > 0:
        raise InputError(f"a limit of {limit} thinking tokens accepts nothing; give 1 or more")
    accepted = fits(samples, limit).astype(float)
    n, m = accepted.shape[1], accepted.sum(axis=1)
    some = m > 0
    mean = np.divide(accepted, m[:, None], out=np.zeros_like(accepted), where=some[:, None])
    thinking = np.where(some, (mean * samples.thinking).sum(axis=1), math.nan)
    tries = np.where(some, (n + 1) / (m + 1), n)
    # Each rejected sample is equally likely to be among the tries before the first that fits.
    refused = 1 - accepted
    cut = (refused * np.minimum(samples.thinking, limit)).sum(axis=1)
    wasted = cut * np.where(some, 1 / (m + 1), 1.0)
    kept = (mean * samples.tokens).sum(axis=1)
    correct, keeps = (mean * samples.correct).sum(axis=1), np.where(some, 1.0, math.nan)
    run = MethodRun("RS", f"{limit} tokens", correct, thinking, wasted + kept, keeps, limit)
    return Rejected(run, some.astype(float), tries, samples.correct.mean(axis=1))
