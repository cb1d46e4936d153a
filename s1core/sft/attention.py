"""Attention that never crosses from one packed example into another.

A packed row is one sequence of T tokens made of examples with the given lengths. The function is
registered with transformers under `NAME`, so any decoder with an attention interface can use it;
the lengths travel as keyword arguments of the model's forward.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributed.nn.functional import all_to_all_single
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
    bounds: tuple[Any, ...] = (),
    team: Any = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each packed example; returns [1, T, heads, head size] and None.

    Args:
        query: [1, heads, T, head size]; key and value may have fewer heads (grouped queries).
        lengths: tokens of each example, summing to T.
        bounds: cumulative lengths and the longest, as the GPU kernel wants them.
        team: the processes that share this row, each with T / team size of its tokens; they
            exchange tokens for heads here and back afterwards (Ulysses sequence parallelism).
        sliding_window: tokens that each token sees, itself included; None sees all before it.
    """
    if team is not None:
        repeats = max(1, team.size() // key.shape[1])  # every process needs a key/value head
        if repeats > 1:
            key, value = (x.repeat_interleave(repeats, 1) for x in (key, value))
        wide = (_exchange(x, team) for x in (query, key, value))
        options: dict[str, Any] = {"bounds": bounds, "sliding_window": sliding_window}
        out, _ = packed_attention(module, *wide, None, scaling, dropout, lengths=lengths, **options)
        return _exchange(out, team), None
    grouped = query.shape[1] != key.shape[1]
    low = query.dtype in (torch.bfloat16, torch.float16)
    if query.is_cuda and dropout == 0.0 and low:
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        options = {"scale": scaling, "window_size": ((sliding_window or 0) - 1, 0)}
        options |= {"enable_gqa": True} if grouped else {}
        return varlen_attn(q, k, v, *bounds, **options)[None], None
    rows = []
    for q, k, v in zip(*(x.split(lengths, 2) for x in (query, key, value)), strict=True):
        mask: dict[str, Any] = {"is_causal": True}
        if sliding_window and q.shape[2] > sliding_window:
            seen = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device)
            mask = {"attn_mask": seen.tril().triu(1 - sliding_window)}
        options = {"scale": scaling, "dropout_p": dropout, "enable_gqa": grouped, **mask}
        rows.append(F.scaled_dot_product_attention(q, k, v, **options))
    out = rows[0] if len(rows) == 1 else torch.cat(rows, 2)
    return out.transpose(1, 2).contiguous(), None


def _exchange(x: torch.Tensor, team: Any) -> torch.Tensor:
    """Tokens for heads, or back: [1, a, b, d] -> [1, a / team size, b * team size, d]."""
    size = team.size()
    _, a, b, width = x.shape
    parts = x.reshape(size, a // size, b, width).contiguous()
    got = all_to_all_single(torch.empty_like(parts), parts, group=team)
    return got.transpose(0, 1).reshape(1, a // size, size * b, width)


def layout(lengths: tuple[int, ...], device: torch.device, team: Any = None) -> dict[str, Any]:
    """The keyword arguments of a packed forward pass: position ids that restart, and lengths.

    With a team the position ids are those of this process's share of the row.
    """
    sizes = torch.tensor((0, *lengths), dtype=torch.int32)
    starts = sizes.cumsum(0, dtype=torch.int32).to(device)
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    if team is not None:
        positions = positions.chunk(team.size(), 1)[team.rank()]
    return {
        "team": team,
        "position_ids": positions.to(device),
        "lengths": lengths,
        "bounds": (starts, starts, max(lengths), max(lengths)),
    }


AttentionInterface.register(NAME, packed_attention)
