"""Test-time methods compared: equal compute (Section 6.2), and Table 3 with intervals.

All intervals resample questions, jointly for every run that enters a number, so that differences
stay paired. Works on `method_runs.MethodRun`s and on nothing else.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from s1core.errors import InputError
from s1lab.analysis.method_runs import MethodRun
from s1lab.evaluation import Interval, clustered_bootstrap
from s1lab.evaluation.statistics import RESAMPLES, Array, widened_ends


@dataclass(frozen=True, slots=True)
class Match:
    """A setting of one method against another method's curve at the same compute.

    `theirs` is the curve's accuracy at the cost of `ours`, interpolated over log2(tokens), and
    `difference` ours minus theirs.
    """

    ours: MethodRun
    theirs: float
    difference: Interval


def match(
    ours: Sequence[MethodRun], theirs: Sequence[MethodRun], *, resamples: int = RESAMPLES
) -> list[Match]:
    """Each of `ours` against `theirs` at equal tokens per question (Section 6.2).

    Settings outside the range of the other curve are left out: nothing was measured there. Both
    must be over the same questions in one order.
    """
    curve = sorted((run for run in theirs if run.cost > 0), key=lambda run: run.cost)
    within = (run for run in ours if curve and curve[0].cost <= run.cost <= curve[-1].cost)
    return [_against(run, curve, resamples) for run in within]


def _against(run: MethodRun, curve: Sequence[MethodRun], resamples: int) -> Match:
    def level(weights: Array) -> Array:
        """Accuracy of the curve at the run's cost, for each row of weights over the questions."""
        costs = np.log2([weights @ other.tokens for other in curve])
        accuracies = np.array([weights @ other.correct for other in curve])
        order = costs.argsort(axis=0)  # a resample may swap two close settings
        costs = np.take_along_axis(costs, order, axis=0)
        accuracies = np.take_along_axis(accuracies, order, axis=0)
        at = np.log2(weights @ run.tokens)
        return np.array([np.interp(*row) for row in zip(at, costs.T, accuracies.T, strict=True)])

    n = run.correct.size
    gap = _interval(lambda weights: weights @ run.correct - level(weights), n, resamples)
    return Match(run, float(level(_flat(n))[0]), gap)


# --------------------------------------------------------------- Control, Scaling, Performance


@dataclass(frozen=True, slots=True)
class Measures:
    """A row of Table 3 with intervals over questions. Fractions; Scaling per doubling of tokens.

    `control` is the share of generations that keep their limit, `control_of_runs` the paper's: of
    runs whose average does (None and NaN without a limit); `scaling` the mean slope over all pairs
    of runs (Eq. 2), None where there is none; `performance` the accuracy of the best run (Eq. 3),
    whose interval chooses the best anew in every resample: a maximum errs upwards.
    """

    method: str
    runs: int
    control: Interval | None
    control_of_runs: float
    scaling: Interval | None
    performance: Interval


def measures(runs: Sequence[MethodRun], *, resamples: int = RESAMPLES) -> Measures:
    """Control, Scaling and Performance (Eq. 1 to 3) of the runs of one method.

    Raises:
        InputError: there are no runs.
    """
    if not runs:
        raise InputError("a method without runs has no measures; give at least one")
    n = runs[0].correct.size
    limited = [run for run in runs if not math.isnan(run.limit)]
    keeps = np.array([run.keeps for run in limited]).reshape(-1, n).T
    known = keeps[~np.isnan(keeps).all(axis=1)]  # questions that some run has a value for
    within = [run.thinking_tokens <= run.limit for run in limited]
    slope = len({run.thinking_tokens for run in runs}) > 1
    return Measures(
        runs[0].method,
        len(runs),
        clustered_bootstrap(known) if limited else None,
        float(np.mean(within)) if limited else math.nan,
        _interval(lambda weights: _slopes(weights, runs), n, resamples) if slope else None,
        _interval(lambda w: np.max([w @ run.correct for run in runs], axis=0), n, resamples),
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


def _flat(n: int) -> Array:
    return np.full((1, n), 1 / n)


@lru_cache(maxsize=1)
def _weights(n: int, resamples: int) -> Array:
    """How often each of n questions comes up in a resample, as shares; (resamples, n)."""
    return np.random.default_rng(0).multinomial(n, _flat(n)[0], size=resamples) / n


def _interval(measure: Callable[[Array], Array], n: int, resamples: int) -> Interval:
    """A measure of weights over n questions, with the ends over resampled ones."""
    drawn = measure(_weights(n, resamples))
    drawn = drawn[~np.isnan(drawn)]
    method = f"bootstrap over questions, {drawn.size} resamples"
    return Interval(float(measure(_flat(n))[0]), *widened_ends(drawn, n), n, method)
