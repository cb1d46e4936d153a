"""Matrices of a bf16 model laid out once for the CPU's kernels, instead of at every product.

PyTorch multiplies by a bf16 matrix in the layout that it is stored in, and its kernels rearrange it
on the way each time: with few rows that takes as long as multiplying. The numbers are the same.
"""

from __future__ import annotations

import torch
from torch import nn


class Packed(nn.Module):
    """A linear layer for inference alone: its matrix can no longer be read or trained."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` [..., in], bf16, times the matrix, plus the bias: [..., out]."""
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")


@torch.no_grad()
def pack(model: nn.Module) -> None:
    """Pack every bf16 linear layer of a model on a CPU that multiplies in bf16; others stay."""
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            held = getattr(child, "weight", None)
            if type(child) is nn.Linear and held.dtype == torch.bfloat16 and held.is_cpu:
                setattr(parent, name, Packed(child))
