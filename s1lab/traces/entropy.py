"""How uncertain a model was at every token of a trace: entropy and varentropy.

Both are taken from the distribution that the token was (or would have been) drawn from, at
temperature 1: with probabilities p_i, the entropy is the mean of -log2 p_i under p, in bits, and
the varentropy its variance, in bits squared. Of two equally likely tokens the entropy is 1 and the
varentropy 0; both are 0 where one token is certain. Surprisal is -log2 of the probability of the
token that is there: high where the decoder forced one that the model would not have chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.errors import InputError
from s1lab.evaluation.statistics import Array

if TYPE_CHECKING:
    import torch

MEASURES = ("entropy", "varentropy", "surprisal")

MOST_LOGITS = 1 << 22
"""Logits held at once (16 MB in float32); a single longer row is computed all the same."""

CHUNK = 256
"""Positions of a row that are measured at once."""

_LN_2 = float(np.log(2))


def token_uncertainty(
    model: Any,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    vocabulary: int | None = None,
) -> list[Array]:
    """Entropy, varentropy and surprisal of every token of each continuation of its prompt.

    Args:
        model: a transformers causal language model. One forward pass per batch, no sampling.
        prompts: ids before the continuation, at least one each.
        vocabulary: ids from here on are never sampled (padding of the embedding), so they are
            left out of the distribution; None keeps all.

    Returns:
        One array per row, (`MEASURES`, tokens). A row does not depend on what it is batched with.

    Raises:
        InputError: a prompt is empty, or the numbers of prompts and continuations differ.
    """
    import torch

    if len(prompts) != len(continuations) or not all(len(prompt) for prompt in prompts):
        raise InputError(
            f"{len(prompts)} prompts for {len(continuations)} continuations: give one prompt of "
            "at least one token to each"
        )
    rows = [[*prompt, *ids] for prompt, ids in zip(prompts, continuations, strict=True)]
    found: dict[int, Array] = {}
    for batch in _batches([len(row) for row in rows], MOST_LOGITS // model.config.vocab_size):
        ids = torch.zeros(len(batch), max(len(rows[i]) for i in batch), dtype=torch.long)
        for place, i in enumerate(batch):
            ids[place, : len(rows[i])] = torch.tensor(rows[i])
        # Padding is on the right, where no token before it can see it: no mask is needed.
        with torch.inference_mode():
            logits = model(input_ids=ids.to(model.device), use_cache=False).logits
            for place, i in enumerate(batch):
                begin, end = len(prompts[i]), len(rows[i])
                before = logits[place, begin - 1 : end - 1, :vocabulary]
                found[i] = _measure(before, ids[place, begin:end].to(logits.device))
    return [found[i] for i in range(len(rows))]


def _measure(logits: torch.Tensor, ids: torch.Tensor) -> Array:
    import torch

    parts = []
    for some, at in zip(logits.split(CHUNK), ids.split(CHUNK), strict=True):
        information = -torch.log_softmax(some.double(), -1) / _LN_2  # float64: not all at once
        probability = torch.exp2(-information)
        # An impossible token has infinite information and no weight.
        possible = probability > 0
        entropy = torch.where(possible, probability * information, 0.0).sum(-1)
        square = probability * (information - entropy[:, None]) ** 2
        varentropy = torch.where(possible, square, 0.0).sum(-1)
        surprisal = information.gather(-1, at[:, None])[:, 0]
        parts.append(torch.stack((entropy, varentropy, surprisal)).cpu().numpy())
    return np.concatenate(parts, axis=1)


def _batches(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Rows of about equal length together, at most `most_tokens` padded tokens in a batch."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * lengths[i] > most_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
