"""Which examples share a forward pass, and on which process.

Packing lays examples end to end in one row, with position ids that restart and attention that
stays inside an example (`s1core.sft.attention`), so no computation is spent on padding. What is
left to decide is how to fill rows (`pack`) and how to share the work of one optimizer step among
processes (`plan_step`). Plain integers in, plain integers out: no tokens, no tensors.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from s1core.errors import InputError


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: rows of indices whose lengths sum to at most `capacity`.

    `pack([6, 5, 4, 3, 2], 10) -> [[0, 2], [1, 3, 4]]`. Ties keep the order given, so the result
    is a function of the lengths alone. O(n log n) but for list insertion.

    Raises:
        InputError: a length exceeds the capacity.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    if order and lengths[order[0]] > capacity:
        raise InputError(
            f"an example of {lengths[order[0]]} tokens does not fit in a row of {capacity}: "
            "raise micro_batch_tokens or lower max_seq_len"
        )
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), ascending: the best fit is a bisection
    for index in order:
        place = bisect.bisect_left(room, (lengths[index], -1))
        if place < len(room):
            left, row = room.pop(place)
        else:
            left, row = capacity, len(rows)
            rows.append([])
        rows[row].append(index)
        bisect.insort(room, (left - lengths[index], row))
    return rows


def row_capacity(
    wanted: int | None, lengths: Sequence[int], *, on_gpu: bool, processes: int = 1
) -> int:
    """Most tokens of one packed row in a step with these examples.

    Args:
        wanted: `SFTConfig.micro_batch_tokens`; None takes 8,192 on a GPU and 512 on a CPU. Fewer
            do not fill the device, more only take memory.
        lengths: of the step's examples; the longest always fits.
        on_gpu: whether the model runs on one.
        processes: that share a row.
    """
    return max(wanted or (8192 if on_gpu else 512) * processes, *lengths)


def fill(lengths: Sequence[int], rows: Sequence[Sequence[int]], capacity: int) -> float:
    """Share of the rows' capacity that holds tokens: `fill([6, 4], [[0, 1]], 10) -> 1.0`."""
    used = sum(lengths[index] for row in rows for index in row)
    return used / (capacity * len(rows)) if rows else 0.0


def balance(costs: Sequence[float], parts: int) -> list[list[int]]:
    """Share out work: longest first, each to the part with the least so far.

    `balance([5, 4, 3, 3, 3], 2) -> [[0, 3], [1, 2, 4]]`.
    """
    shares: list[list[int]] = [[] for _ in range(parts)]
    loads = [0.0] * parts
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        part = min(range(parts), key=lambda p: (loads[p], p))
        shares[part].append(index)
        loads[part] += costs[index]
    return shares


def plan_step(
    lengths: Sequence[int], capacity: int, processes: int = 1, packing: bool = True
) -> list[list[list[int]]]:
    """The forward passes of one optimizer step: `[process][pass] -> indices into the batch`.

    Every process gets the same number of passes (a pass may be empty), because a sharded model
    gathers its weights in each of them and all must take part.
    """
    shares = balance([float(n) for n in lengths], processes)
    plans = []
    for share in shares:
        rows = (
            pack([lengths[i] for i in share], capacity)
            if packing
            else [[j] for j in range(len(share))]
        )
        plans.append([sorted(share[j] for j in row) for row in rows])
    passes = max(1, *(len(plan) for plan in plans))
    return [plan + [[] for _ in range(passes - len(plan))] for plan in plans]
