"""A key/value cache for ragged decoding, what its rows attend to, the attention, the matrices.
transformers' dynamic cache copies itself at every step, its static one attends to its full length
from the first token: this one hands out views of buffers that double."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_ATTENTION = "s1core_decode"


class GrowingLayer(DynamicLayer):
    """One layer's keys and values, [rows, heads, tokens, head size], as views of larger buffers."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append new keys and values in place; return all of them as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._buffers = [key_states[:, :, :0], value_states[:, :, :0]]
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for i, states in enumerate((key_states, value_states)):
            if end > (capacity := self._buffers[i].shape[2]):
                rows, heads, _, size = states.shape
                wider = states.new_empty(rows, heads, max(end + 64, 2 * capacity), size)
                wider[:, :, :start] = self._buffers[i][:, :, :start]
                self._buffers[i] = wider
            self._buffers[i][:, :, start:end] = states
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def move_rows(self, sources: Tensor, targets: Tensor, rows: int) -> None:
        """Copy rows `sources` over rows `targets`, then keep the first `rows`."""
        for states in (self.keys, self.values) if len(sources) else ():
            states[targets] = states[sources]
        self._buffers = [buffer[:rows] for buffer in self._buffers]
        self.keys, self.values = self.keys[:rows], self.values[:rows]

    def join_rows(self, others: Sequence["GrowingLayer"], width: int) -> None:
        """Take in the rows of others, each padded on its left to `width` tokens."""
        parts = [(layer.keys, layer.values) for layer in (self, *others)]
        padded = [[pad(x, (0, 0, width - x.shape[2], 0)) for x in part] for part in parts]
        self.keys, self.values = self._buffers = [torch.cat(both) for both in zip(*padded)]
        for layer in others:
            layer.keys = layer.values = layer._buffers = None

    def repeat_rows(self, rows: Tensor) -> None:
        """Row i becomes what row `rows[i]` was: one prefill shared by several samples."""
        self.keys, self.values = self._buffers = [self.keys[rows], self.values[rows]]


def _decode_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of one new token per row, [rows, heads, 1, size]. Query heads that share a key head
    become its query positions; transformers copies keys and values for each of them instead."""
    rows, heads, length, size = query.shape
    if length != 1:
        return sdpa_attention_forward(module, query, key, value, mask, **options)
    grouped = query.view(rows, key.shape[1], heads // key.shape[1], size)
    scale = options.get("scaling")
    output = scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=scale)
    return output.reshape(rows, 1, heads, value.shape[-1]), None


AttentionInterface.register(_ATTENTION, _decode_attention)
AttentionMaskInterface.register(_ATTENTION, sdpa_mask)


@contextmanager
def decoding(model: PreTrainedModel) -> Iterator[None]:
    """Use the decoding attention inside, where the model uses PyTorch's; restore it after."""
    before, training = model.config._attn_implementation, model.training
    model.eval()
    model.set_attn_implementation(_ATTENTION if before == "sdpa" else before)
    try:
        with torch.inference_mode():
            yield
    finally:
        model.set_attn_implementation(before)
        model.train(training)


def windows(config: Any) -> dict[str, int | None]:
    """Kinds of attention layers, and how many tokens each sees (None: all before it)."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"]
    return {kind: window if kind == "sliding_attention" else None for kind in kinds}


def attention_mask(real: Tensor, window: int | None, eager: bool) -> Tensor:
    """`real` within a window, as numbers to add where the attention takes such."""
    queries, keys = real.shape[-2:]
    if window is not None and keys > window:
        last = torch.arange(keys - queries, keys, device=real.device)[:, None]
        real = real & (torch.arange(keys, device=real.device) > last - window)
    return torch.where(real, 0.0, torch.finfo(torch.float32).min) if eager else real


class Packed(nn.Module):
    """A linear layer of a bf16 model on a CPU, for inference alone: its matrix is laid out once for
    the kernels, which would rearrange it at every product. The numbers are the same."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
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
