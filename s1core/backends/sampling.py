"""Sampling that does not depend on the batch: one uniform number a row and draw decides."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor


def unknown_ids(tokenizer: Any, size: int, device: Any) -> Tensor | None:
    """Which of `size` ids the tokenizer lacks, [size] of truth values; None where none."""
    unknown = torch.ones(size, dtype=torch.bool)
    unknown[[token for token in tokenizer.get_vocab().values() if token < size]] = False
    return unknown.to(device) if unknown.any() else None


def choose(
    logits: Tensor, temperature: np.ndarray, top_p: np.ndarray, uniform: np.ndarray
) -> Tensor:
    """One id per row, [rows]: the most likely where temperature is 0, else by inverse CDF. `logits`
    [rows, vocabulary] are -inf for what is forbidden; all else is [rows], float64."""
    hot = temperature > 0
    low = logits.dtype == torch.bfloat16
    if not hot.any():  # of equal logits both find the first; in bf16 `max` is the faster one
        return logits.max(-1).indices if low else logits.argmax(-1)
    if low and hot.all() and not (top_p < 1).any():
        return _in_blocks(logits, temperature, uniform)
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
    return sampled.where(cdf.new_tensor(hot).bool(), logits.argmax(-1))


def _in_blocks(logits: Tensor, temperature: np.ndarray, uniform: np.ndarray) -> Tensor:
    """The inverse CDF over a large vocabulary: first the block of ids, then the id in it."""
    rows, size = logits.shape
    width = next(n for n in range(math.isqrt(size), 0, -1) if size % n == 0)
    scale = torch.from_numpy(1 / temperature[:, None]).to(logits.device, torch.float32)
    weights = logits.float()  # a copy, which all that follows changes in place
    weights.sub_(weights.amax(-1, keepdim=True)).mul_(scale).exp_()
    blocks = weights.view(rows, -1, width)
    outer = blocks.sum(-1).double().cumsum(-1)
    target = torch.from_numpy(uniform[:, None]).to(outer) * outer[:, -1:]
    block = torch.searchsorted(outer, target, right=True).clamp(max=outer.shape[1] - 1)
    inside = blocks[torch.arange(rows, device=logits.device), block[:, 0]].double()
    inner = inside.cumsum(-1) + outer.gather(-1, block) - inside.sum(-1, keepdim=True)
    place = torch.searchsorted(inner, target, right=True)[:, 0]
    # Rounding never steps over the last possible id, nor before the first one.
    possible = torch.where(inside > 0, torch.arange(width, device=logits.device), -1)
    return block[:, 0] * width + place.minimum(possible.amax(-1))
