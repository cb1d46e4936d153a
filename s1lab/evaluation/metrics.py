"""The paper's measures of test-time scaling (Section 3.2).

Each is taken over the runs of a method, points of (average thinking tokens, accuracy in percent).
Numbers that are no tokens or no percentages, or too few of them, raise `InputError`.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s1core.errors import InputError


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


def _mean_slope(x: NDArray[np.float64], accuracies: ArrayLike) -> float:
    y = _known("accuracies", accuracies, 100)
    if x.shape != y.shape or x.size < 2:
        raise InputError("Scaling needs at least two runs, each with its tokens and its accuracy")
    i, j = np.triu_indices(x.size, 1)
    i, j = i[x[i] != x[j]], j[x[i] != x[j]]
    return float(np.mean((y[j] - y[i]) / (x[j] - x[i]))) if i.size else math.nan


def _known(what: str, values: ArrayLike, most: float = math.inf) -> NDArray[np.float64]:
    """One finite number from 0 to `most` for each run."""
    found = np.asarray(values, float)
    if found.ndim != 1 or found.size == 0:
        raise InputError(f"{what} of no runs; give at least one")
    if not (np.isfinite(found) & (found >= 0) & (found <= most * (1 + 1e-9))).all():
        raise InputError(f"{what} {found.tolist()}: each is a number from 0 to {most:g}")
    return found
