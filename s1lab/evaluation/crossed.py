"""A mean over questions and over trainings: an interval that counts both as samples.

Table 8 of the paper compares two trainings, once each. With several seeds of training the
question is whether a difference would come back with other questions *and* with other seeds, so
the variance of both goes into the interval. `statistics` has what is needed for one checkpoint.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from s1lab.evaluation.statistics import Interval


def crossed_interval(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """Mean of (questions, seeds) with an interval over questions and seeds of training.

    Args:
        values: one number for each question and seed: an accuracy, a number of tokens, or a
            difference of either.
        level: confidence.

    Both are crossed random effects: each seed answers the same questions. The variance of the mean
    is estimated as that of the question means plus that of the seed means, which counts what
    is peculiar to one question under one seed twice and so errs to the wide side (as the
    pigeonhole bootstrap of Owen 2007 does). Student's t with Satterthwaite's degrees of freedom
    keeps the interval honest for three seeds, where a bootstrap over seeds would be too short.
    One seed gives the interval over questions alone, and `method` says so.

    Raises:
        ValueError: not a table, fewer than two questions, or a missing value.
    """
    matrix = np.asarray(values, float)
    if matrix.ndim != 2 or len(matrix) < 2 or matrix.size == 0 or np.isnan(matrix).any():
        raise ValueError("values must be (questions, seeds) with two questions or more, all known")
    parts = [_mean_variance(matrix.mean(axis=1))]
    if matrix.shape[1] > 1:
        parts.append(_mean_variance(matrix.mean(axis=0)))
    half = _quantile(level, parts) * math.sqrt(sum(variance for variance, _ in parts))
    mean = float(matrix.mean())
    seeds = f"and {matrix.shape[1]} seeds" if len(parts) > 1 else "alone (one seed)"
    method = f"t over questions {seeds}"
    return Interval(mean, mean - half, mean + half, len(matrix), level, method)


def _mean_variance(means: np.ndarray) -> tuple[float, int]:
    """Variance of the mean of these means, and its degrees of freedom."""
    return float(means.var(ddof=1)) / means.size, means.size - 1


def _quantile(level: float, parts: list[tuple[float, int]]) -> float:
    """Student's t at Satterthwaite's degrees of freedom for a sum of variances."""
    from scipy import stats

    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / freedom for variance, freedom in parts)
    freedom = total**2 / spread if spread else max(freedom for _, freedom in parts)
    return float(stats.t.ppf((1 + level) / 2, freedom))
