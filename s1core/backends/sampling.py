"""Random numbers and sampling that do not depend on the batch.

Every draw is a pure function of (seed, problem, sample, draw number): a batch gives what its
members give alone, a resumed run continues exactly, and a larger budget extends a smaller one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def row_seed(seed: int, problem_key: str, sample: int) -> int:
    """A 63-bit seed for one sample of one problem."""
    digest = hashlib.sha256(f"{seed}:{problem_key}:{sample}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def uniforms(seeds: Any, draws: Any) -> np.ndarray:
    """Uniform numbers in [0, 1), one per (seed, draw): splitmix64, whose state is a counter."""
    with np.errstate(over="ignore"):
        counter = np.asarray(draws, np.uint64) + np.uint64(1)
        state = np.asarray(seeds, np.uint64) + counter * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)) * 2.0**-53


def unknown_ids(tokenizer: Any, size: int, device: Any) -> torch.Tensor | None:
    """Which of `size` ids the tokenizer lacks, [size] of truth values; None where none."""
    import torch

    unknown = torch.ones(size, dtype=torch.bool)
    unknown[[token for token in tokenizer.get_vocab().values() if token < size]] = False
    return unknown.to(device) if unknown.any() else None


def choose(
    logits: torch.Tensor, temperature: np.ndarray, top_p: np.ndarray, uniform: np.ndarray
) -> torch.Tensor:
    """One id per row, [rows]: the most likely where temperature is 0, else by inverse CDF.

    `logits` [rows, vocabulary] are -inf for what is forbidden; all else is [rows], float64.
    """
    import torch

    hot = temperature > 0
    if not hot.any():
        return logits.argmax(-1)
    scale = logits.float().new_tensor(np.where(hot, temperature, 1.0)[:, None])
    probabilities = (logits.float() / scale).softmax(-1)
    if (top_p < 1).any():
        ordered, order = probabilities.sort(-1, descending=True)
        before = ordered.cumsum(-1) - ordered
        ordered = ordered.masked_fill(before >= ordered.new_tensor(top_p[:, None]), 0.0)
        probabilities = probabilities.scatter(-1, order, ordered)
    cdf = probabilities.cumsum(-1)
    total = cdf[:, -1:]
    # Strictly below the total, so that rounding never steps over the last possible token.
    target = (cdf.new_tensor(uniform[:, None]) * total).minimum(total.nextafter(total * 0))
    sampled = torch.searchsorted(cdf, target, right=True).squeeze(-1)
    if hot.all():
        return sampled
    return sampled.where(cdf.new_tensor(hot).bool(), logits.argmax(-1))
