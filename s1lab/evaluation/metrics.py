"""The paper's measures of test-time scaling (Section 3.2) and those of parallel sampling.

Control (Eq. 1), Scaling (Eq. 2) and Performance (Eq. 3) are taken over the runs of a method, each
a point (average thinking tokens, accuracy in percent). Scaling exists twice: as printed, per token,
and as the paper's Table 3 was computed, per doubling of thinking tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from s1core.records import Grade
from s1lab.evaluation.statistics import Interval, wilson


@dataclass(frozen=True, slots=True)
class Accuracy:
    """An accuracy as it may travel: with its n, its interval, and how much was cut off."""

    correct: int
    n: int
    truncated: int
    no_answer: int
    interval: Interval

    @property
    def percent(self) -> float:
        return 100 * self.correct / self.n

    @property
    def truncation_rate(self) -> float:
        return self.truncated / self.n

    def __str__(self) -> str:
        return f"{self.interval.percent()}, n={self.n}, {self.truncated} truncated"


def accuracy(grades: Iterable[Grade], level: float = 0.95) -> Accuracy:
    """Accuracy of one run (one grade per question) with its Wilson interval.

    For several samples per question use `statistics.clustered_bootstrap` over the matrix.

    Raises:
        ValueError: there are no grades, or a question appears twice.
    """
    grades = list(grades)
    keys = Counter(grade.problem_key for grade in grades)
    if not grades or max(keys.values()) > 1:
        raise ValueError("accuracy of one run needs one grade per question, at least one")
    status = Counter(grade.status for grade in grades)
    correct, n = status["correct"], len(grades)
    interval = wilson(correct, n, level)
    return Accuracy(correct, n, status["truncated"], status["no_answer"], interval)


def control(
    thinking_tokens: Sequence[float],
    at_most: float | Sequence[float],
    at_least: float | Sequence[float] = 0,
) -> float:
    """Control (Eq. 1), in percent: the share of runs whose thinking tokens keep their limits.

    `control([7939, 7158, 8263, 7108, 7500], [1024, 2048, 4096, 8192, 16384]) -> 40.0` (Table 12).
    """
    used = np.asarray(thinking_tokens, float)
    if used.size == 0:
        raise ValueError("Control of no runs is not defined; give at least one")
    return float(100 * np.mean((np.asarray(at_least) <= used) & (used <= np.asarray(at_most))))


def class_control(default: float, short: float, long: float) -> float:
    """Control of class-conditional prompting (Appendix E.1), in percent.

    "Short" should think less than the default prompt and "long" more: 8033, 9651 and 6109 tokens
    give 50.0 (Table 14).
    """
    return 50.0 * ((short < default) + (long > default))


def scaling_per_token(thinking_tokens: Sequence[float], accuracies: Sequence[float]) -> float:
    """Scaling (Eq. 2) as printed: mean slope over all pairs of runs, in points per token.

    Pairs with equal compute have no slope and are left out; NaN when no pair is left.
    """
    return _mean_slope(np.asarray(thinking_tokens, float), np.asarray(accuracies, float))


def scaling_per_doubling(thinking_tokens: Sequence[float], accuracies: Sequence[float]) -> float:
    """Scaling (Eq. 2) as computed for Table 3: points per doubling of thinking tokens.

    The same mean over all pairs, with log2(tokens) for the tokens.

    Raises:
        ValueError: a run has no thinking tokens, so that doubling them means nothing.
    """
    tokens = np.asarray(thinking_tokens, float)
    if (tokens <= 0).any():
        raise ValueError("a run without thinking tokens has no doubling; leave it out of A")
    return _mean_slope(np.log2(tokens), np.asarray(accuracies, float))


def performance(accuracies: Sequence[float]) -> float:
    """Performance (Eq. 3): the best accuracy over the runs."""
    return float(max(accuracies))


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Unbiased pass@k: the chance that k of n samples, drawn without return, hold a correct one.

    Averages over questions are the caller's: `mean(pass_at_k(n, c, k) for c in row_sums)`.
    """
    if not 0 <= correct <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {correct} correct in {n}: need 1 <= k <= n, correct <= n")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def _mean_slope(x: np.ndarray, y: np.ndarray) -> float:
    if x.shape != y.shape or x.ndim != 1 or x.size < 2:
        raise ValueError("Scaling needs at least two runs, each with its tokens and its accuracy")
    slopes = [
        (y[j] - y[i]) / (x[j] - x[i]) for i, j in combinations(range(x.size), 2) if x[i] != x[j]
    ]
    return float(np.mean(slopes)) if slopes else math.nan
