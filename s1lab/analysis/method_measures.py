"""Test-time methods compared: equal compute (Section 6.2), and Table 3 with intervals.

All intervals resample questions, jointly for every run that enters a number, so that differences
stay paired. Works on `method_runs.MethodRun`s and on nothing else.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from s1lab.analysis.method_runs import MethodRun
from s1lab.evaluation import Interval, clustered_bootstrap
from s1lab.evaluation.measure import Array
from s1lab.evaluation.statistics import RESAMPLES, widened_ends


@dataclass(frozen=True, slots=True)
class Match:
    """A setting of one method against another method's curve at the same compute.

    `theirs` is the other curve's accuracy at the cost of `ours`, interpolated over log2(tokens);
    `difference` is ours minus theirs, with an interval that resamples questions for both.
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

        match([sequential(read_samples(run), "forced", "Wait 2x")],
              votes(read_samples(sampled), same_answer("aime")))
    """
    curve = sorted((run for run in theirs if run.cost > 0), key=lambda run: run.cost)
    if not curve:
        return []
    found = []
    for run in ours:
        if not curve[0].cost <= run.cost <= curve[-1].cost:
            continue

        def gap(weights: Array, run: MethodRun = run) -> tuple[Array, Array]:
            costs = np.log2([weights @ other.tokens for other in curve])
            accuracies = np.array([weights @ other.correct for other in curve])
            order = costs.argsort(axis=0)  # a resample may swap two close settings
            costs = np.take_along_axis(costs, order, axis=0)
            accuracies = np.take_along_axis(accuracies, order, axis=0)
            at = np.log2(weights @ run.tokens)
            level = np.array(
                [np.interp(x, c, y) for x, c, y in zip(at, costs.T, accuracies.T, strict=True)]
            )
            return level, weights @ run.correct - level

        n = run.correct.size
        level, difference = gap(np.full((1, n), 1 / n))
        drawn = gap(_weights(n, resamples))[1]
        interval = _interval(float(difference[0]), drawn, n)
        found.append(Match(run, float(level[0]), interval))
    return found


# --------------------------------------------------------------- Control, Scaling, Performance


@dataclass(frozen=True, slots=True)
class Measures:
    """A row of Table 3 with intervals over questions. Fractions; Scaling per doubling of tokens.

    Attributes:
        control: share of generations that keep their limit; None where there is none.
        control_of_runs: the paper's Control: share of runs whose average keeps it.
        scaling: mean slope over all pairs of runs (Eq. 2); None for fewer than two runs.
        performance: accuracy of the best run (Eq. 3). Its interval chooses the best anew in
            every resample; a maximum over noisy runs errs upwards.
    """

    method: str
    runs: int
    control: Interval | None
    control_of_runs: float
    scaling: Interval | None
    performance: Interval


def measures(runs: Sequence[MethodRun], *, resamples: int = RESAMPLES) -> Measures:
    """Control, Scaling and Performance (Eq. 1 to 3) of the runs of one method.

        measures([sequential(read_samples(run), "BF", "64 tokens", 64), ...]).scaling.percent()

    Raises:
        ValueError: there are no runs.
    """
    if not runs:
        raise ValueError("a method without runs has no measures; give at least one")
    n = runs[0].correct.size
    flat, drawn = np.full((1, n), 1 / n), _weights(n, resamples)
    limited = [run for run in runs if not math.isnan(run.limit)]
    keeps = np.array([run.keeps for run in limited]).reshape(len(limited), n)
    within = [run.thinking_tokens <= run.limit for run in limited]
    return Measures(
        runs[0].method,
        len(runs),
        clustered_bootstrap(_mean_known(keeps)) if limited else None,
        float(np.mean(within)) if limited else math.nan,
        _interval(float(_slopes(flat, runs)[0]), _slopes(drawn, runs), n)
        if len({run.thinking_tokens for run in runs}) > 1
        else None,
        _interval(float(_best(flat, runs)[0]), _best(drawn, runs), n),
    )


def _slopes(weights: Array, runs: Sequence[MethodRun]) -> Array:
    """Eq. 2 per doubling, for each row of weights over the questions."""
    x = np.log2([_average(weights, run.thinking) for run in runs])
    y = np.array([weights @ run.correct for run in runs])
    pairs = list(combinations(range(len(runs)), 2))
    rise = np.array([y[j] - y[i] for i, j in pairs])
    doublings = np.array([x[j] - x[i] for i, j in pairs])
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no pair doubles anything: no slope
        return np.nanmean(np.where(doublings == 0, math.nan, rise / doublings), axis=0)


def _best(weights: Array, runs: Sequence[MethodRun]) -> Array:
    return np.max([weights @ run.correct for run in runs], axis=0)


def _average(weights: Array, values: Array) -> Array:
    """Weighted mean over the questions that have a value."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights[:, known] @ values[known] / weights[:, known].sum(axis=1)


def _mean_known(keeps: Array) -> Array:
    """Mean over the runs, of the questions that some run has a value for."""
    return np.nanmean(keeps[:, ~np.isnan(keeps).all(axis=0)], axis=0)


@lru_cache(maxsize=1)
def _weights(n: int, resamples: int) -> Array:
    """How often each of n questions comes up in a resample, as shares; (resamples, n)."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples) / n


def _interval(estimate: float, drawn: Array, n: int) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    low, high = widened_ends(drawn, n)
    return Interval(
        estimate, low, high, n, method=f"bootstrap over questions, {drawn.size} resamples"
    )
