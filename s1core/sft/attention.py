"""Attention that never crosses from one packed example into another: their lengths travel as
keyword arguments of the model's forward to whatever has transformers' attention interface."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_to_all_single
from transformers import AttentionInterface

NAME = "s1core_packed"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    lengths: tuple[int, ...],
    bounds: tuple[Any, ...] = (),
    team: Any = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each packed example; returns [1, T, heads, head size] and None.

    `query` is [1, heads, T, head size]; key and value may have fewer heads. `lengths` are tokens of
    each example, summing to T, and `bounds` the same as the GPU kernel wants them. A `team` of
    processes shares this row, each with T / team size of its tokens: they exchange tokens for heads
    here and back afterwards (Ulysses). `sliding_window` tokens are seen, itself included.
    """
    if team is not None:
        repeats = max(1, team.size() // key.shape[1])  # every process needs a key/value head
        if repeats > 1:
            key, value = (x.repeat_interleave(repeats, 1) for x in (key, value))
        query, key, value = (_exchange(x, team) for x in (query, key, value))
    low = query.dtype in (torch.bfloat16, torch.float16)
    options = {"scale": scaling, "enable_gqa": query.shape[1] != key.shape[1]}
    if query.is_cuda and dropout == 0.0 and low:
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        window = ((sliding_window or 0) - 1, 0)
        out = varlen_attn(q, k, v, *bounds, window_size=window, **options)[None]
        return out if team is None else _exchange(out, team), None
    rows = []
    for q, k, v in zip(*(x.split(lengths, 2) for x in (query, key, value)), strict=True):
        mask: dict[str, Any] = {"is_causal": True}
        if sliding_window and q.shape[2] > sliding_window:
            seen = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device)
            mask = {"attn_mask": seen.tril().triu(1 - sliding_window)}
        rows.append(F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, **options, **mask))
    out = (rows[0] if len(rows) == 1 else torch.cat(rows, 2)).transpose(1, 2).contiguous()
    return out if team is None else _exchange(out, team), None


def _exchange(x: Tensor, team: Any) -> Tensor:
    """Tokens for heads, or back: [1, a, b, d] -> [1, a / team size, b * team size, d]."""
    size = team.size()
    _, a, b, width = x.shape
    parts = x.reshape(size, a // size, b, width).contiguous()
    got = all_to_all_single(torch.empty_like(parts), parts, group=team)
    return got.transpose(0, 1).reshape(1, a // size, size * b, width)


def layout(lengths: tuple[int, ...], device: torch.device, team: Any = None) -> dict[str, Any]:
    """Arguments of a packed forward pass; position ids restart, and are this process's share."""
    starts = torch.tensor((0, *lengths)).cumsum(0, dtype=torch.int32).to(device)
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    if team is not None:
        positions = positions.chunk(team.size(), 1)[team.rank()]
    bounds = (starts, starts, max(lengths), max(lengths))
    ids = positions.to(device)
    return {"team": team, "position_ids": ids, "lengths": lengths, "bounds": bounds}


AttentionInterface.register(NAME, packed_attention)
