"""Cross-entropy straight from hidden states, without ever holding all logits.

At 32,768 tokens and Qwen's 152K vocabulary the logits alone are 20 GB in fp32. Only supervised
positions are projected, `chunk` at a time, and each chunk's gradient is taken while its logits
exist, so the peak is one chunk of logits and one gradient of the output matrix.
"""

from __future__ import annotations

from typing import Any

import torch

from s1core.sft.encode import IGNORE


class _ChunkedLinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, chunk: int
    ) -> torch.Tensor:
        """hidden [N, H], weight [V, H], targets [N] -> the summed loss, fp32."""
        want_hidden, want_weight = ctx.needs_input_grad[:2]
        total = hidden.new_zeros((), dtype=torch.float32)
        grad_hidden = torch.empty_like(hidden) if want_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if want_weight else None
        for start in range(0, hidden.shape[0], chunk):
            rows = hidden[start : start + chunk]
            wanted = targets[start : start + chunk, None]
            logits = (rows @ weight.T).float()
            # Everything happens in the logits' own memory: logsumexp would double the peak.
            largest = logits.amax(-1, keepdim=True)
            at_target = logits.gather(1, wanted)
            masses = logits.sub_(largest).exp_()
            normalizer = masses.sum(-1, keepdim=True)
            total += (normalizer.log() + largest - at_target).sum()
            if not (want_hidden or want_weight):
                continue
            slope = masses.div_(normalizer)  # the softmax
            slope.scatter_add_(1, wanted, slope.new_full(wanted.shape, -1.0))
            slope = slope.to(hidden.dtype)
            if grad_hidden is not None:
                torch.mm(slope, weight, out=grad_hidden[start : start + chunk])
            if grad_weight is not None and slope.dtype == torch.float32:
                grad_weight.addmm_(slope.T, rows)
            elif grad_weight is not None:
                grad_weight += slope.T @ rows
        if grad_weight is not None:
            grad_weight = grad_weight.to(weight.dtype)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        for slope in ctx.saved_tensors:  # in place: nobody reads them again
            if slope is not None:
                slope.mul_(grad.to(slope.dtype))
        return grad_hidden, grad_weight, None, None


def summed_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    chunk: int = 2048,
    scale: float = 1.0,
) -> torch.Tensor:
    """Sum of the cross-entropies of the supervised positions, in nats, fp32.

    Args:
        hidden: [T, H] final hidden states.
        weight: [V, H] output matrix.
        targets: [T] the token each position must predict, or `IGNORE`.
        chunk: supervised tokens whose logits exist at one time.
        scale: factor of the logits (`logit_scale`).
    """
    supervised = targets != IGNORE
    hidden, targets = hidden[supervised], targets[supervised]
    if scale != 1.0:
        hidden = hidden * scale
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    with torch.autocast(hidden.device.type, enabled=False):
        return _ChunkedLinearCrossEntropy.apply(hidden, weight, targets, chunk)


def logit_scale(config: Any) -> float:
    """What a model multiplies its logits by: Cohere says it, Granite says what it divides by."""
    divisor = getattr(config, "logits_scaling", None) or 1.0
    return float(getattr(config, "logit_scale", None) or 1.0) / float(divisor)
