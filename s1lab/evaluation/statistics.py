"""What an accuracy can and cannot say: the paper's measures, intervals, comparisons, and power.

The measures of test-time scaling (Section 3.2) are taken over the runs of a method, points of
(average thinking tokens, accuracy in percent).

The paper reports one greedy run per number (Section 4.1) and a paired bootstrap for its data
ablations (Table 2: 95% intervals from 10,000 resamples). Intervals are 95%, accuracies fractions
in [0, 1], and resampling has one seed: equal data, equal intervals. Every function raises
`InputError` for what is no such number, or too few of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s1core.errors import InputError

Array = NDArray[np.float64]

RESAMPLES = 10_000
"""As many as Table 2's."""

_Z, _POWER = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.8)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95% interval, as fractions, from `n` questions by the named `method`.
    `about` names what was measured, so that two pages that show it can be compared."""

    estimate: float
    low: float
    high: float
    n: int
    method: str = ""
    about: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two intervals share a point."""
        return self.low <= other.high and other.low <= self.high

    def says(self, above: str, below: str, neither: str = "cannot tell", border: float = 0) -> str:
        """What it says in a word: whole above the border, whole below it, or neither."""
        return above if self.low > border else below if self.high < border else neither

    def within(self, low: float, high: float = math.inf) -> "Interval":
        """The same estimate with its ends cut to where the measure can lie."""
        return replace(self, low=max(self.low, low), high=min(self.high, high))

    def row(self, value: str, scale: float = 1, /, **more: Any) -> dict[str, Any]:
        """As figures draw it: the estimate under its name, `low` and `high`, all times `scale`."""
        ends = {"low": scale * self.low, "high": scale * self.high}
        return {**more, value: scale * self.estimate, **ends}

    def percent(self, digits: int = 1) -> str:
        """`"56.7 [39.2, 72.6]"`: estimate and interval in percent."""
        ends = (f"{100 * end:.{digits}f}" for end in (self.estimate, self.low, self.high))
        return "{} [{}, {}]".format(*ends).replace("-", "\N{MINUS SIGN}")


def wilson(correct: float, n: float) -> Interval:
    """Wilson's interval of a proportion, honest at small n; `correct` may average several runs."""
    if not 0 < n < math.inf or not 0 <= correct <= n:
        raise InputError(f"{correct} of {n} is not a proportion; give 0 <= correct <= n, n > 0")
    z, p = _Z, correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == n else centre + half
    return Interval(p, low, high, int(n), "Wilson")


def newcombe(correct_a: float, n_a: float, correct_b: float, n_b: float) -> Interval:
    """Interval of the difference of two independent proportions (Newcombe 1998, hybrid score)."""
    a, b = wilson(correct_a, n_a), wilson(correct_b, n_b)
    gap = a.estimate - b.estimate
    low = gap - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = gap + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(gap, low, high, int(min(n_a, n_b)), "Newcombe, unpaired")


def clustered_bootstrap(scores: ArrayLike) -> Interval:
    """pass@1 over several seeds with an interval that resamples questions, not answers.

    `scores` are (questions, seeds) of 0/1 or fractions, NaN where a sample is missing. A question
    moves with all of its seeds: they are not independent evidence about the benchmark. Percentiles
    are widened for few questions (see `widened_ends`). Where every question is wholly right or
    wholly wrong, as with one seed, or all score the same, the interval is Wilson's.
    """
    means = _question_means(scores)
    if means.min() < -1e-9 or means.max() > 1 + 1e-9:
        raise InputError("a score lies outside [0, 1]; give the share of an answer that is correct")
    estimate, n = float(means.mean()), means.size
    if np.ptp(means) == 0 or np.isin(means, (0, 1)).all():
        ends = wilson(min(max(estimate, 0.0), 1.0) * n, n)
        return replace(ends, estimate=estimate, method="Wilson over questions")
    low, high = _bootstrap_ends(means)
    method = f"question-clustered bootstrap, {RESAMPLES} resamples"
    return Interval(estimate, low, high, n, method).within(0.0, 1.0)


def paired_bootstrap(a: ArrayLike, b: ArrayLike) -> Interval:
    """Interval of mean(a) - mean(b) on the same questions (Table 2 of the paper). `a` and `b` are
    scores or tokens, (questions,) or (questions, seeds), rows in the same order of questions; NaN
    where a sample is missing. Percentiles are widened for few questions; the paper's are plain."""
    ours, theirs = _question_means(a), _question_means(b)
    if ours.size != theirs.size:
        raise InputError(f"{ours.size} and {theirs.size} questions: pair the same questions")
    gaps = ours - theirs
    sign = -1 if gaps.mean() < 0 else 1  # b - a has the same ends, the other way round
    ends = _bootstrap_ends(sign * gaps)
    method = f"paired bootstrap, {RESAMPLES} resamples"
    return Interval(float(gaps.mean()), *sorted(sign * end for end in ends), gaps.size, method)


def crossed_interval(values: ArrayLike) -> Interval:
    """Mean of (questions, seeds) with an interval over questions and seeds of training (Table 8).

    Both are crossed random effects: each seed answers the same questions. The variances of the
    question means and of the seed means are added, which errs to the wide side (as the pigeonhole
    bootstrap of Owen 2007 does); Student's t with Satterthwaite's degrees of freedom keeps it
    honest for three seeds. One seed gives the interval over questions alone; `method` says so.
    """
    from scipy import stats

    matrix = np.asarray(values, float)
    if matrix.ndim != 2 or len(matrix) < 2 or matrix.size == 0 or not np.isfinite(matrix).all():
        raise InputError("values must be (questions, seeds) with two questions or more, all known")
    questions, seeds = matrix.shape
    means = [matrix.mean(axis=1), matrix.mean(axis=0)][: min(seeds, 2)]
    parts = [(float(part.var(ddof=1)) / part.size, part.size - 1) for part in means]
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / freedom for variance, freedom in parts)
    freedom = total**2 / spread if spread else max(freedom for _, freedom in parts)
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(total)
    mean = float(matrix.mean())
    method = f"t over questions {f'and {seeds} seeds' if seeds > 1 else 'alone (one seed)'}"
    return Interval(mean, mean - half, mean + half, questions, method)


def mcnemar_p_value(only_a: int, only_b: int) -> float:
    """McNemar's exact two-sided p from the questions that one run alone got right."""
    if not all(isinstance(count, int | np.integer) and count >= 0 for count in (only_a, only_b)):
        raise InputError(f"{only_a} and {only_b} are not counts of questions; give 0 or more each")
    from scipy import stats

    n = int(only_a + only_b)
    return float(stats.binomtest(int(only_a), n).pvalue) if n else 1.0


def questions_needed(p_a: float, p_b: float, *, discordant: float | None = None) -> int:
    """How many questions a paired comparison needs to see p_a against p_b (Connor 1987), with 80%
    power at the two-sided 5% level. `discordant` is the share of questions on which the two differ
    (None: of independent runs)."""
    gap = abs(p_a - p_b)
    share = p_a * (1 - p_b) + p_b * (1 - p_a) if discordant is None else discordant
    if not all(0 <= p <= 1 for p in (p_a, p_b, share)) or gap == 0 or share < gap - 1e-12:
        told = "all are shares, and the gap is neither zero nor more than is discordant"
        asked = f"{p_a} against {p_b} with {share} discordant"
        raise InputError(f"no number of questions shows {asked}: {told}")
    root = _Z * math.sqrt(share) + _POWER * math.sqrt(max(share - gap * gap, 0.0))
    return math.ceil((root / gap) ** 2)


def detectable_difference(n: int, p: float) -> float:
    """Smallest gain over `p` that `n` questions of independent runs show with 80% power; or NaN."""
    if not n > 0 or not 0 <= p <= 1:
        raise InputError(f"{n} questions at {p}: give n > 0, and a share")
    from scipy.optimize import bisect

    def lacking(gap: float) -> float:
        return questions_needed(min(p + gap, 1.0), p) - n - 0.5

    if p == 1 or lacking(1 - p) > 0:
        return math.nan
    return float(bisect(lacking, 1e-6, 1 - p, xtol=1e-7)) + 1e-7


def widened_ends(drawn: ArrayLike, n: int) -> tuple[float, float]:
    """95% percentiles of resampled values, widened for few questions (Hesterberg 2015)."""
    tail, z, v = 0.025, _Z, n - 1
    if v:
        # Cornish-Fisher's expansion, not scipy's exact t: finished runs hold ends widened by it.
        second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        student = z + (z**3 + z) / (4 * v) + second + third
        tail = NormalDist().cdf(-math.sqrt(n / v) * student)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def control(thinking_tokens: Sequence[float], at_most: float | Sequence[float]) -> float:
    """Control (Eq. 1), in percent: the share of runs whose thinking tokens keep their limits.
    `control([7939, 7158, 8263, 7108, 7500], [1024, 2048, 4096, 8192, 16384]) -> 40.0` (Table
    12). No lower limit is imposed anywhere."""
    used, most = _known("thinking tokens", thinking_tokens), np.asarray(at_most, float)
    if most.shape not in ((), used.shape) or not (most >= 0).all():
        raise InputError(f"limits of {used.size} runs: give one for all or one each, none negative")
    return float(100 * np.mean(used <= most))


def class_control(default: float, short: float, long: float) -> float:
    """Control of class-conditional prompting (Appendix E.1), in percent. "Short" should think less
    than the default prompt and "long" more: 8033, 9651 and 6109 tokens give 50.0 (Table 14)."""
    default, short, long = _known("thinking tokens", (default, short, long))
    return 50.0 * (int(short < default) + int(long > default))


def scaling_per_token(thinking_tokens: Sequence[float], accuracies: Sequence[float]) -> float:
    """Scaling (Eq. 2) as printed: mean slope over all pairs of runs, in points per token. Pairs
    with equal compute have no slope and are left out; NaN when no pair is left."""
    return _mean_slope(_known("thinking tokens", thinking_tokens), accuracies)


def scaling_per_doubling(thinking_tokens: Sequence[float], accuracies: Sequence[float]) -> float:
    """Scaling (Eq. 2) as computed for Table 3: points per doubling of thinking tokens. The same
    mean over all pairs, with log2(tokens) for the tokens."""
    tokens = _known("thinking tokens", thinking_tokens)
    if (tokens <= 0).any():
        raise InputError("a run without thinking tokens has no doubling; leave it out of A")
    return _mean_slope(np.log2(tokens), accuracies)


def performance(accuracies: Sequence[float]) -> float:
    """Performance (Eq. 3): the best accuracy over the runs, in percent."""
    return float(_known("accuracies", accuracies, 100).max())


def _mean_slope(x: Array, accuracies: ArrayLike) -> float:
    y = _known("accuracies", accuracies, 100)
    if x.shape != y.shape or x.size < 2:
        raise InputError("Scaling needs at least two runs, each with its tokens and its accuracy")
    i, j = np.triu_indices(x.size, 1)
    i, j = i[x[i] != x[j]], j[x[i] != x[j]]
    return float(np.mean((y[j] - y[i]) / (x[j] - x[i]))) if i.size else math.nan


def _known(what: str, values: ArrayLike, most: float = math.inf) -> Array:
    """One finite number from 0 to `most` for each run."""
    found = np.asarray(values, float)
    if found.ndim != 1 or found.size == 0:
        raise InputError(f"{what} of no runs; give at least one")
    if not (np.isfinite(found) & (found >= 0) & (found <= most * (1 + 1e-9))).all():
        raise InputError(f"{what} {found.tolist()}: each is a number from 0 to {most:g}")
    return found


def _question_means(scores: ArrayLike) -> Array:
    matrix = np.asarray(scores, float)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.size == 0 or np.isnan(matrix).all(axis=1).any():
        raise InputError("scores must be (questions, seeds) with at least one score per question")
    if np.isinf(matrix).any():
        raise InputError("a score is infinite; give finite numbers, NaN where a sample is missing")
    return np.nanmean(matrix, axis=1)


def _bootstrap_ends(values: Array) -> tuple[float, float]:
    """Ends for the mean; values repeat, so it is drawn how often each distinct one comes up."""
    distinct, counts = np.unique(values, return_counts=True)
    rng, n = np.random.default_rng(0), values.size
    return widened_ends(rng.multinomial(n, counts / n, size=RESAMPLES) @ distinct / n, n)
