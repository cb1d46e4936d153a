"""What an accuracy can and cannot say: intervals, paired comparisons, and power.

The paper reports one greedy run per number (Section 4.1) and a paired bootstrap for its data
ablations (Table 2: 95% intervals from 10,000 resamples). This module supplies both and what is
missing between them: Wilson intervals for single runs, a question-clustered bootstrap for several
seeds, McNemar's exact test, and how many questions or seeds a difference would need.
Accuracies are fractions in [0, 1]. Randomness is passed in. It knows nothing about models or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Seed = int | np.random.Generator


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval, as fractions.

    `n` is the number of questions behind it and `method` names the procedure.
    """

    estimate: float
    low: float
    high: float
    n: int
    level: float = 0.95
    method: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def overlaps(self, other: Interval) -> bool:
        """Whether the two intervals share a point."""
        return self.low <= other.high and other.low <= self.high

    def percent(self, digits: int = 1) -> str:
        """`"56.7 [39.2, 72.6]"`: estimate and interval in percent."""
        low, high = (f"{100 * end:.{digits}f}" for end in (self.low, self.high))
        return f"{100 * self.estimate:.{digits}f} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two runs over the same questions: who alone was right, and the exact two-sided p-value."""

    only_a: int
    only_b: int
    p_value: float


def wilson(correct: float, n: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion: `wilson(17, 30)` is AIME24's 56.7%.

    Unlike the normal approximation it stays inside [0, 1] and is honest at 0 of n and at small n.

    Raises:
        ValueError: `n` is not positive or `correct` is outside [0, n].
    """
    if n <= 0 or not 0 <= correct <= n:
        raise ValueError(f"{correct} of {n} is not a proportion; give 0 <= correct <= n, n > 0")
    z, p = _z(level), correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == n else centre + half
    return Interval(p, low, high, int(n), level, "Wilson")


def newcombe(
    correct_a: float, n_a: float, correct_b: float, n_b: float, level: float = 0.95
) -> Interval:
    """Interval of the difference of two independent proportions (Newcombe 1998, hybrid score).

    For two runs on the same questions it is the cautious answer when only their accuracies are
    known: questions that are hard for both make the true interval narrower.
    """
    a, b = wilson(correct_a, n_a, level), wilson(correct_b, n_b, level)
    difference = a.estimate - b.estimate
    low = difference - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = difference + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(difference, low, high, int(min(n_a, n_b)), level, "Newcombe, unpaired")


def clustered_bootstrap(
    scores: ArrayLike,
    seed: Seed = 0,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """pass@1 over several seeds with an interval that resamples questions, not answers.

    Args:
        scores: (questions, seeds) of 0/1 or fractions; NaN where a sample is missing.
        seed: a seed or a numpy Generator.

    The seeds of a question are not independent evidence about the benchmark, so a question moves
    with all of its seeds. Percentiles are widened for few questions (see `paired_bootstrap`).
    When every question scores the same there is nothing to resample: the interval is then Wilson's
    over questions, and `method` says so.
    """
    means = _question_means(scores)
    estimate, n = float(means.mean()), means.size
    if np.ptp(means) == 0:
        interval = wilson(estimate * n, n, level)
        method = "Wilson over questions (all questions score the same)"
        return Interval(estimate, interval.low, interval.high, n, level, method)
    low, high = _bootstrap_ends(means, seed, resamples, level, small_sample=True)
    method = f"question-clustered bootstrap, {resamples} resamples"
    return Interval(estimate, max(low, 0.0), min(high, 1.0), n, level, method)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    seed: Seed = 0,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    small_sample: bool = True,
) -> Interval:
    """Interval of accuracy(a) - accuracy(b) on the same questions (Table 2 of the paper).

    Args:
        a, b: (questions,) or (questions, seeds), rows in the same order of questions.
        small_sample: widen the percentiles for few questions (Hesterberg 2015, "expanded
            percentile"); False gives the plain percentiles that the paper reports.

    Raises:
        ValueError: different numbers of questions, or none.
    """
    means_a, means_b = _question_means(a), _question_means(b)
    if means_a.size != means_b.size:
        raise ValueError(
            f"a has {means_a.size} questions and b has {means_b.size}; pair the same questions"
        )
    difference = means_a - means_b
    low, high = _bootstrap_ends(difference, seed, resamples, level, small_sample)
    method = f"paired bootstrap, {resamples} resamples"
    return Interval(float(difference.mean()), low, high, difference.size, level, method)


def mcnemar(a: ArrayLike, b: ArrayLike) -> McNemar:
    """McNemar's exact test on two runs over the same questions (0/1 each)."""
    right_a, right_b = np.asarray(a, bool), np.asarray(b, bool)
    if right_a.shape != right_b.shape or right_a.ndim != 1:
        raise ValueError("McNemar's test needs two 0/1 vectors over the same questions")
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return McNemar(only_a, only_b, mcnemar_p_value(only_a, only_b))


def mcnemar_p_value(only_a: int, only_b: int) -> float:
    """Exact two-sided p-value from the discordant counts: `mcnemar_p_value(2, 0) -> 0.5`."""
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**n)


def questions_needed(
    p_a: float,
    p_b: float,
    *,
    discordant: float | None = None,
    power: float = 0.8,
    level: float = 0.95,
) -> int:
    """How many questions a paired comparison needs to see p_a against p_b (Connor 1987).

    Args:
        discordant: share of questions on which the two differ. None takes two independent runs,
            p_a (1 - p_b) + p_b (1 - p_a); |p_a - p_b| is the smallest that is possible.

    `questions_needed(0.567, 0.5)` is the paper's headline: 872 questions; AIME24 has 30.
    """
    gap = abs(p_a - p_b)
    share = p_a * (1 - p_b) + p_b * (1 - p_a) if discordant is None else discordant
    if gap == 0 or share < gap - 1e-12:
        raise ValueError(
            f"no number of questions shows a gap of {gap} with {share} discordant; "
            "the discordant share is at least the gap, and the gap is not zero"
        )
    root = _z(level) * math.sqrt(share) + _upper(power) * math.sqrt(max(share - gap * gap, 0.0))
    return math.ceil((root / gap) ** 2)


def detectable_difference(
    n: int, p: float, *, discordant: float | None = None, power: float = 0.8, level: float = 0.95
) -> float:
    """Smallest gain over `p` that `n` questions show with the given power (bisection).

    Returns NaN when even a gain to 100% would not be seen.
    """

    def seen(gap: float) -> bool:
        share = None if discordant is None else max(discordant, gap)
        need = questions_needed(p + gap, p, discordant=share, power=power, level=level)
        return need <= n

    low, high = 1e-6, 1 - p
    if high <= low or not seen(high):
        return math.nan
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def seeds_needed(
    difference: float, within: float, questions: int, *, power: float = 0.8, level: float = 0.95
) -> int:
    """Seeds per question and arm that show a difference on *these* questions.

    Args:
        difference: the difference in pass@1 to be seen.
        within: mean over questions of p(1 - p), the variance of one answer (0.25 at most).
        questions: how many questions the benchmark has (AIME24: 30).

    More seeds remove the noise of sampling; they say nothing about other questions.
    """
    if difference == 0:
        raise ValueError("no number of seeds shows a difference of zero")
    root = (_z(level) + _upper(power)) / abs(difference)
    return max(1, math.ceil(2 * within / questions * root**2))


def _question_means(scores: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(scores, float)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.size == 0 or np.isnan(matrix).all(axis=1).any():
        raise ValueError("scores must be (questions, seeds) with at least one score per question")
    return np.nanmean(matrix, axis=1)


def _bootstrap_ends(
    values: NDArray[np.float64], seed: Seed, resamples: int, level: float, small_sample: bool
) -> tuple[float, float]:
    """Percentiles of the resampled mean; values repeat, so draw how often each comes up."""
    rng, n = np.random.default_rng(seed), values.size
    distinct, counts = np.unique(values, return_counts=True)
    means = rng.multinomial(n, counts / n, size=resamples) @ distinct / n
    tail = (1 - level) / 2
    if small_sample and n > 1:
        # A resampled mean spreads sqrt((n-1)/n) too little and ignores Student's t.
        tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * student_t(1 - tail, n - 1))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def student_t(quantile: float, freedom: int) -> float:
    """Quantile of Student's t by its Cornish-Fisher expansion (error < 0.01 from 5 degrees on)."""
    z, v = NormalDist().inv_cdf(quantile), freedom
    terms = (
        z,
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
    )
    return sum(terms)


def _z(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def _upper(power: float) -> float:
    return NormalDist().inv_cdf(power)
