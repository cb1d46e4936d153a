"""Attention that never crosses from one packed example into another.

A packed row is one sequence of T tokens made of examples with the given lengths. The function is
registered with transformers under `NAME`, so any decoder with an attention interface can use it;
the lengths travel as keyword arguments of the model's forward.

Measured on one CPU thread with a 1M-parameter model and 16 heavy-tailed examples per row, in
tokens/s: one call per example 8.6K, padded to the longest 5.1K, block-diagonal mask 3.1K.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from transformers import AttentionInterface

NAME = "s1core_packed"


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    lengths: tuple[int, ...],
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    team: Any = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each packed example.

    Args:
        query: [1, heads, T, head size]; key and value may have fewer heads (grouped queries).
        lengths: tokens of each example, summing to T.
        cu_seq_lens_q: [examples + 1] int32 cumulative lengths, for the GPU kernel.
        max_length_q: the largest of `lengths`.
        team: the processes that share this row, each with T / team size of its tokens; they
            exchange tokens for heads here and back afterwards (Ulysses sequence parallelism).
        sliding_window: tokens that each token sees, itself included; None sees all before it.

    Returns:
        [1, T, heads, head size], and no attention weights.
    """
    if team is not None:
        repeats = max(1, team.size() // key.shape[1])  # every process needs a key/value head
        if repeats > 1:
            key, value = (x.repeat_interleave(repeats, 1) for x in (key, value))
        wide = (_tokens_for_heads(x, team) for x in (query, key, value))
        out, _ = packed_attention(
            module, *wide, None, scaling, dropout,
            lengths=lengths, cu_seq_lens_q=cu_seq_lens_q, max_length_q=max_length_q,
            sliding_window=sliding_window,
        )  # fmt: skip
        return _heads_for_tokens(out, team), None
    grouped = query.shape[1] != key.shape[1]
    low = query.dtype in (torch.bfloat16, torch.float16)
    if query.is_cuda and dropout == 0.0 and low and (varlen := _varlen()) is not None:
        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        window = (sliding_window - 1 if sliding_window else -1, 0)
        options: dict[str, Any] = {"scale": scaling, "window_size": window}
        if grouped:
            options["enable_gqa"] = True
        bounds = (cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q)
        return varlen(q, k, v, *bounds, **options)[None], None
    rows = [
        F.scaled_dot_product_attention(
            q, k, v, scale=scaling, dropout_p=dropout, enable_gqa=grouped,
            **_mask(q.shape[2], sliding_window, q.device),
        )
        for q, k, v in zip(
            query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True
        )
    ]  # fmt: skip
    out = rows[0] if len(rows) == 1 else torch.cat(rows, 2)
    return out.transpose(1, 2).contiguous(), None


def _mask(tokens: int, window: int | None, device: torch.device) -> dict[str, Any]:
    if not window or tokens <= window:
        return {"is_causal": True}
    seen = torch.ones(tokens, tokens, dtype=torch.bool, device=device).tril()
    return {"attn_mask": seen.triu(1 - window)}


class _Exchange(torch.autograd.Function):
    """all-to-all of equal parts along the first axis; its adjoint is itself."""

    @staticmethod
    def forward(ctx: Any, parts: torch.Tensor, team: Any) -> torch.Tensor:
        ctx.team = team
        received = torch.empty_like(parts)
        dist.all_to_all_single(received, parts, group=team)
        return received

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Exchange.apply(grad.contiguous(), ctx.team), None


def _tokens_for_heads(x: torch.Tensor, team: Any) -> torch.Tensor:
    """[1, heads, my tokens, d] -> [1, my heads, all tokens, d]."""
    size = team.size()
    _, heads, tokens, width = x.shape
    parts = x.reshape(size, heads // size, tokens, width).contiguous()
    got = _Exchange.apply(parts, team)
    return got.transpose(0, 1).reshape(1, heads // size, size * tokens, width)


def _heads_for_tokens(x: torch.Tensor, team: Any) -> torch.Tensor:
    """[1, all tokens, my heads, d] -> [1, my tokens, heads, d]."""
    size = team.size()
    _, tokens, heads, width = x.shape
    parts = x.reshape(size, tokens // size, heads, width).contiguous()
    got = _Exchange.apply(parts, team)
    return got.transpose(0, 1).reshape(1, tokens // size, size * heads, width)


@functools.cache
def _varlen() -> Any:
    """torch's own variable-length flash attention, where this torch has one that fits."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    known = inspect.signature(varlen_attn).parameters
    return varlen_attn if {"scale", "window_size", "enable_gqa"} <= set(known) else None


def layout(lengths: tuple[int, ...], device: torch.device, team: Any = None) -> dict[str, Any]:
    """The keyword arguments of a packed forward pass: position ids that restart, and lengths.

    With a team the position ids are those of this process's share of the row.
    """
    sizes = torch.tensor((0, *lengths), dtype=torch.int32)
    position_ids = torch.cat([torch.arange(n) for n in lengths])[None]
    if team is not None:
        position_ids = position_ids.chunk(team.size(), 1)[team.rank()]
    return {
        "team": team,
        "position_ids": position_ids.to(device),
        "lengths": lengths,
        "cu_seq_lens_q": sizes.cumsum(0, dtype=torch.int32).to(device),
        "max_length_q": max(lengths),
    }


AttentionInterface.register(NAME, packed_attention)
