"""AdamW for weights or moments kept in bf16, and the choice of which AdamW to use.

With everything in fp32 it is torch's own fused AdamW. `LeanAdamW` is the same update with the
moments, the weights, or both stored in bf16: arithmetic in fp32, weights rounded stochastically
(at lr 1e-5 nearest rounding would lose nearly every update). bf16 moments suit this recipe because
beta2 is 0.95: a step moves the second moment by 5%, well above bf16's 0.4%; at 0.999 they stall.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from s1core.sft.config import SFTConfig

MOMENTS = ("exp_avg", "exp_avg_sq")


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a possibly sharded tensor that this process holds."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


class LeanAdamW(torch.optim.Optimizer):
    """AdamW whose weights and moments may be bf16; updates are computed in fp32."""

    def __init__(
        self, groups: Iterable[dict[str, Any]], moments: torch.dtype, **defaults: Any
    ) -> None:
        super().__init__(groups, defaults)
        self.moments = moments

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        weight, grad = local(parameter), local(parameter.grad).float()
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            for name in MOMENTS:
                state[name] = torch.zeros_like(parameter, dtype=self.moments)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        steps = int(state["step"])
        first = local(state["exp_avg"]).float().lerp_(grad, 1 - beta1)
        second = (
            local(state["exp_avg_sq"]).float().mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        )
        local(state["exp_avg"]).copy_(first)
        local(state["exp_avg_sq"]).copy_(second)
        scale = (second.sqrt() / (1 - beta2**steps) ** 0.5).add_(group["eps"])
        updated = weight.float().mul_(1 - group["lr"] * group["weight_decay"])
        updated.addcdiv_(first, scale, value=-group["lr"] / (1 - beta1**steps))
        weight.copy_(round_stochastically(updated) if weight.dtype == torch.bfloat16 else updated)


def round_stochastically(values: torch.Tensor) -> torch.Tensor:
    """fp32 -> bf16, up or down with probabilities that make the expectation exact."""
    noise = torch.randint(0, 1 << 16, values.shape, dtype=torch.int32, device=values.device)
    bits = values.contiguous().view(torch.int32) + noise
    return (bits & -(1 << 16)).view(torch.float32).to(torch.bfloat16)


def build(
    named: Iterable[tuple[str, torch.nn.Parameter]], config: SFTConfig, fused: bool
) -> torch.optim.Optimizer:
    """AdamW over the trained parameters; matrices decay, biases and norms do not.

    transformers' Trainer exempts by name (bias, norm); for decoders that is what one-dimensional
    means, and a test holds the two against each other.
    """
    trained = [parameter for _, parameter in named if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    common: dict[str, Any] = {"lr": config.lr, "betas": config.betas, "eps": config.eps}
    if config.optimizer_dtype == "bfloat16" or config.master_dtype == "bfloat16":
        return LeanAdamW(groups, getattr(torch, config.optimizer_dtype), **common)
    return torch.optim.AdamW(groups, fused=fused, **common)
