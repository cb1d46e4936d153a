"""Test-time methods, question by question: their settings, compared at equal compute (Section 6.2).

Forced generations, majority votes (Figures 4b and 7) and rejection sampling (Figure 6) from samples
that were drawn once; then Table 3 with intervals. All intervals resample questions, jointly for
every run that enters a number, so that differences stay paired.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s1core.errors import InputError
from s1lab.evaluation import Interval, clustered_bootstrap, paired_bootstrap
from s1lab.evaluation.measure import Samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import RESAMPLES, Array, widened_ends
from s1lab.evaluation.voting import Same, majority
from s1lab.experiments import Condition
from s1lab.runs import Run


@dataclass(frozen=True, eq=False)
class MethodRun:
    """One setting of a method, question by question; arrays of shape (questions,).

    `correct` is the expected accuracy, `thinking` the mean thinking tokens of what is counted as
    the answer (NaN where nothing is), `tokens` all that were spent, and `keeps` the share of
    generations within `limit` thinking tokens, if there is one (Control, Eq. 1). `condition` and
    `run` say where it was measured, if that is one place.
    """

    method: str
    setting: str
    correct: Array
    thinking: Array
    tokens: Array
    keeps: Array | None = None
    limit: float = math.nan
    condition: Condition | None = None
    run: Run | None = None

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


def sequential(
    samples: Samples, method: str, setting: str, limit: float = math.nan, **where: Any
) -> MethodRun:
    """One generation per question, averaged over those that were drawn (pass@1)."""
    parts = (samples.correct, samples.thinking, samples.tokens, samples.thinking <= limit)
    return MethodRun(method, setting, *(part.mean(axis=1) for part in parts), limit, **where)


def votes(
    samples: Samples, same: Same, *, at: Sequence[int] = (), method: str = "majority"
) -> list[MethodRun]:
    """Majority voting over k samples for each k of `at` (default: powers of two), exact maj@k."""
    drawn = samples.correct.shape[1]
    at = at or [2**power for power in range(drawn.bit_length()) if 2**power <= drawn]
    pairs = zip(samples.extracted, samples.correct == 1, strict=True)
    won = [majority(list(map(str, answers)), list(right), at, same) for answers, right in pairs]
    thinking, tokens = samples.thinking.mean(axis=1), samples.tokens.mean(axis=1)
    return [
        MethodRun(method, f"{k}x", correct, k * thinking, k * tokens)
        for k, correct in zip(at, np.array(won).T, strict=True)
    ]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rejection(MethodRun):
    """Rejection sampling under one limit (Figure 6), question by question. `correct` counts a
    question that no sample fits as wrong; `tries` are samples drawn, and `unlimited` is the
    accuracy of any sample, fitting or not."""

    tries: Array
    unlimited: Array

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether a sample fits."""
        return ~np.isnan(self.thinking)

    @cached_property
    def gain(self) -> Interval:
        """What insisting on a short trace changes on the questions that have one."""
        return paired_bootstrap(self.correct[self.answered], self.unlimited[self.answered])

    def row(self) -> Row:
        """A line of a table; tries and tokens are means by question."""
        answered, tries = map(float, (self.answered.mean(), self.tries.mean()))
        cells = (round(self.limit), answered, tries, self.thinking_tokens, self.cost, self.accuracy)
        head = "limit (tokens) | answered (%) | tries | thinking | spent | accuracy (%)"
        rest = (self.gain, self.tries.size)
        return lines(f"{head} | short less any (points) | n", [(*cells, *rest)])[0]


def fits(samples: Samples, limit: int) -> Array:
    """Which samples rejection sampling with this limit would accept, 0 or 1: those that end below
    it, since one that reaches it is cut there before it can end."""
    return samples.ended * (samples.thinking < limit)


def rejection(samples: Samples, limit: int, **where: Any) -> Rejection:
    """Rejection sampling from samples that were drawn without the limit, a positive one
    (Section 5.2).

    Averaged over all orders of a question's samples: every fitting sample is equally likely to be
    the first, and with m of n fitting the first comes after (n + 1) / (m + 1) tries. A rejected
    sample costs its tokens up to the limit.
    """
    if not limit > 0:
        raise InputError(f"a limit of {limit} thinking tokens accepts nothing; give 1 or more")
    accepted = fits(samples, limit)
    n, m = accepted.shape[1], accepted.sum(axis=1)
    some = m > 0
    mean = np.divide(accepted, m[:, None], out=np.zeros_like(accepted), where=some[:, None])
    thinking = np.where(some, (mean * samples.thinking).sum(axis=1), math.nan)
    tries = np.where(some, (n + 1) / (m + 1), n)
    # Each rejected sample is equally likely to be among the tries before the first that fits.
    cut = ((1 - accepted) * np.minimum(samples.thinking, limit)).sum(axis=1)
    wasted = cut * np.where(some, 1 / (m + 1), 1.0)
    kept = (mean * samples.tokens).sum(axis=1)
    correct, keeps = (mean * samples.correct).sum(axis=1), np.where(some, 1.0, math.nan)
    where |= {"tries": tries, "unlimited": samples.correct.mean(axis=1)}
    parts = (correct, thinking, wasted + kept, keeps)
    return Rejection("RS", f"{limit} tokens", *parts, limit, **where)


def match(
    ours: Sequence[MethodRun], theirs: Sequence[MethodRun]
) -> list[tuple[MethodRun, float, Interval]]:
    """Each of `ours` against `theirs` at equal tokens per question (Section 6.2): the setting, the
    other curve's accuracy at its cost, over log2(tokens), and the difference. Both must be over the
    same questions in one order. Settings outside the other curve's range are left out."""
    curve = sorted((run for run in theirs if run.cost > 0), key=lambda run: run.cost)

    def level(weights: Array, run: MethodRun) -> Array:
        """Accuracy of the curve at the run's cost, for each row of weights over the questions."""
        costs = np.log2([weights @ other.tokens for other in curve]).T
        accuracies = np.array([weights @ other.correct for other in curve]).T
        at, orders = np.log2(weights @ run.tokens), costs.argsort(axis=1)  # may swap two settings
        rows = zip(at, costs, accuracies, orders, strict=True)
        return np.array([np.interp(x, cost[o], accuracy[o]) for x, cost, accuracy, o in rows])

    found = []
    for run in ours:
        if curve and curve[0].cost <= run.cost <= curve[-1].cost:
            n = run.correct.size
            gap = _interval(lambda w, run=run: w @ run.correct - level(w, run), n)
            found.append((run, float(level(np.full((1, n), 1 / n), run)[0]), gap))
    return found


@dataclass(frozen=True, slots=True)
class Measures:
    """A row of Table 3 with intervals over questions. Fractions; Scaling per doubling of tokens.

    `control` is the share of generations that keep their limit, `control_of_runs` the paper's: of
    runs whose average does; `scaling` the mean slope over all pairs of runs (Eq. 2); None where
    there is none. `performance` is the accuracy of the best run (Eq. 3); its interval chooses the
    best anew in every resample: a maximum errs upwards.
    """

    method: str
    runs: int
    control: Interval | None
    control_of_runs: float | None
    scaling: Interval | None
    performance: Interval

    @property
    def slope(self) -> Interval | str | None:
        """The scaling, where it is determined to within 100 points; where runs hardly differ in
        tokens, Eq. 2 divides noise by nearly nothing, and it is not."""
        wide = self.scaling is not None and self.scaling.high - self.scaling.low > 1
        return "undetermined" if wide else self.scaling


def measures(runs: Sequence[MethodRun], *, resamples: int = RESAMPLES) -> Measures:
    """Control, Scaling and Performance (Eq. 1 to 3) of the runs of one method, at least one."""
    if not runs:
        raise InputError("a method without runs has no measures; give at least one")
    n = runs[0].correct.size
    limited = [run for run in runs if not math.isnan(run.limit)]
    keeps = np.array([run.keeps for run in limited]).reshape(-1, n).T
    known = keeps[~np.isnan(keeps).all(axis=1)]  # questions that some run has a value for
    within = [run.thinking_tokens <= run.limit for run in limited]
    slope = len({run.thinking_tokens for run in runs}) > 1
    about = ", ".join(run.setting for run in runs)
    best = _interval(lambda w: np.max([w @ run.correct for run in runs], axis=0), n, resamples)
    scaling = _interval(lambda weights: _slopes(weights, runs), n, resamples) if slope else None
    return Measures(
        runs[0].method,
        len(runs),
        clustered_bootstrap(known) if limited else None,
        float(np.mean(within)) if limited else None,
        scaling and replace(scaling, about=f"scaling: {about}"),
        replace(best, about=f"performance: {about}"),
    )


def _slopes(weights: Array, runs: Sequence[MethodRun]) -> Array:
    """Eq. 2 per doubling, for each row of weights over the questions."""
    x = np.log2([_average(weights, run.thinking) for run in runs])
    y = np.array([weights @ run.correct for run in runs])
    i, j = np.triu_indices(len(runs), 1)
    doublings = x[j] - x[i]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no pair doubles anything: no slope
        return np.nanmean((y[j] - y[i]) / np.where(doublings == 0, math.nan, doublings), axis=0)


def _average(weights: Array, values: Array) -> Array:
    """Weighted mean over the questions that have a value."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights[:, known] @ values[known] / weights[:, known].sum(axis=1)


@lru_cache(maxsize=1)
def _weights(n: int, resamples: int) -> Array:
    """How often each of n questions comes up in a resample, as shares; (resamples, n)."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples) / n


def _interval(measure: Callable[[Array], Array], n: int, resamples: int = RESAMPLES) -> Interval:
    """A measure of weights over n questions, with the ends over resampled ones."""
    drawn = measure(_weights(n, resamples))
    drawn = drawn[~np.isnan(drawn)]
    method = f"bootstrap over questions, {drawn.size} resamples"
    estimate = float(measure(np.full((1, n), 1 / n))[0])
    return Interval(estimate, *widened_ends(drawn, n), n, method)
