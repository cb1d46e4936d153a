"""What a run will need before it starts: memory per process, FLOPs, hours, disk and money.

The memory model adds up what `s1core.sft.engine` keeps: weights, gradients and moments (sharded
over processes), the gathered copies of sharded training, the activations saved for the backward
pass of one packed row, and the loss. It was held against measured peaks (`benchmarks/sft.py
--memory`, tests); caching allocators add a few per cent that `Hardware.usable` leaves room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s1core.errors import InputError
from s1core.sft.config import SFTConfig
from s1core.sft.pack import plan_step, row_capacity
from s1lab.planning.shapes import ModelShape

GB = 1e9


@dataclass(frozen=True, slots=True)
class Hardware:
    """One kind of device.

    Attributes:
        name: as people know it.
        memory: bytes.
        peak_flops: dense bf16 FLOP/s by the data sheet.
        share: share of the peak that training is expected to reach; an assumption until measured.
        price: money per device-hour; the reader's own number.
        usable: share of the memory that tensors may fill.
    """

    name: str
    memory: float
    peak_flops: float
    share: float
    price: float
    usable: float = 0.93


H100 = Hardware("H100 80 GB SXM", 80 * 1024**3, 989.4e12, 0.45, 2.5)
"""NVIDIA's data sheet: 80 GB, 989.4 TFLOP/s dense bf16. The share is this recipe's goal."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak bytes of one process, by what holds them."""

    weights: float
    gradients: float
    moments: float
    gathered: float
    activations: float
    loss: float
    total: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fine-tuning run will do and cost.

    Attributes:
        steps, tokens: optimizer steps and tokens, over all epochs.
        flops: model FLOPs, recomputation not counted.
        memory: peak of one process.
        balance: share of the time that the average process works while the slowest does; one
            example per process (the paper's 16 on 16) leaves most of them waiting for the longest.
        device_hours: processes times hours, at the hardware's expected share of peak and balance.
        wall_hours: the same as wall time.
        money: at the hardware's price.
        disk: bytes of the checkpoints that exist at one time and the final model.
    """

    steps: int
    tokens: int
    flops: float
    memory: Memory
    balance: float
    device_hours: float
    wall_hours: float
    money: float
    disk: float

    def refuse_unless_it_fits(self, hardware: Hardware) -> None:
        """Raise when the peak exceeds what the device offers.

        Raises:
            InputError: it does not fit; the message names the largest part and what lowers it.
        """
        room = hardware.memory * hardware.usable
        if self.memory.total > room:
            parts = {name: getattr(self.memory, name) for name in _REMEDIES}
            worst = max(parts, key=lambda name: parts[name])
            raise InputError(
                f"this run needs {self.memory.total / GB:.0f} GB per process and {hardware.name} "
                f"offers {room / GB:.0f}: {worst} take {parts[worst] / GB:.0f} GB; "
                f"{_REMEDIES[worst]}"
            )


_REMEDIES = {
    "weights": 'use more processes, or master_dtype="bfloat16"',
    "gradients": 'use more processes, or master_dtype="bfloat16"',
    "moments": 'use more processes, or optimizer_dtype="bfloat16"',
    "gathered": "use a device with more memory",
    "activations": "set activation_checkpointing, or lower micro_batch_tokens or max_seq_len",
    "loss": "lower loss_chunk_tokens",
}


def memory(
    shape: ModelShape,
    config: SFTConfig,
    row_tokens: int,
    *,
    processes: int = 1,
    sharded: bool = False,
    passes: int = 1,
    row_examples: int = 2,
) -> Memory:
    """Predicted peak of one process.

    Args:
        shape: of the model.
        config: precision, checkpointing and chunk decide.
        row_tokens: tokens in the longest packed row.
        processes: over which the model is sharded.
        sharded: trained through FSDP2 (always with several processes or on a GPU).
        passes: forward passes per step; with more than one, gradients exist during a forward.
        row_examples: examples in that row; with one, attention needs no copy to join them.
    """
    count = shape.parameters / processes
    master = _size(config.master_dtype)
    compute = _size(config.dtype)
    weights, gradients = count * master, count * master
    moments = 2 * count * _size(config.optimizer_dtype)
    layer = shape.layer_parameters
    rest = shape.parameters - shape.layers * layer
    # Gathered: the root unit stays whole, two layers are in flight, their gradients likewise.
    gathered = (rest + 2 * layer) * compute + (rest + layer) * 4 if sharded else 0.0
    if not sharded and compute < master:
        gathered = shape.parameters * compute  # autocast keeps a low-precision copy of weights
    layer_saves = _saved_per_token(shape, compute, joined=row_examples > 1) * row_tokens
    stream = shape.hidden * compute * row_tokens  # one copy of the residual stream
    if config.activation_checkpointing:
        saved = shape.layers * stream
        backward = layer_saves
    else:
        saved = shape.layers * layer_saves
        backward = 0.0
    saved += 4 * stream  # embeddings, final norm, its input and output
    backward += (3 * shape.intermediate + 2 * shape.hidden) * compute * row_tokens
    table = shape.vocab * shape.hidden
    chunk = min(config.loss_chunk_tokens, row_tokens)
    logits = chunk * shape.vocab * (4 + (2 * compute if compute < 4 else 0))
    slopes = table * (4 + (compute if compute < 4 else 0)) + stream
    held = weights + moments + gathered + (gradients if passes > 1 or sharded else 0.0)
    at_loss = saved + logits + slopes
    in_backward = saved + backward + table * compute + stream
    at_update = 0.0 if passes > 1 or sharded else gradients + 2 * table * 4
    peak = max(at_loss, in_backward, at_update)
    return Memory(
        weights=weights,
        gradients=gradients,
        moments=moments,
        gathered=gathered,
        activations=saved + backward,
        loss=logits + slopes,
        total=held + peak,
    )


def plan(
    shape: ModelShape,
    lengths: Sequence[int],
    config: SFTConfig,
    *,
    processes: int = 1,
    hardware: Hardware = H100,
    sharded: bool = True,
) -> Plan:
    """Plan a run on examples of these lengths (`Encoded.lengths`).

    On a GPU training always goes through FSDP2, also with one process, hence `sharded`.

    Raises:
        InputError: there are no lengths.
    """
    if not lengths:
        raise InputError("nothing to plan: there are no examples")
    cut = [min(length, config.max_seq_len) for length in lengths]
    row, balance = schedule(shape, cut, config, processes, sharded)
    share = -(-row // config.sequence_parallel)
    need = memory(
        shape, config, share, processes=processes, sharded=sharded, passes=2, row_examples=1
    )
    flops = config.epochs * shape.train_flops(cut)
    hours = flops / (hardware.peak_flops * hardware.share * balance) / 3600
    state = shape.parameters * (_size(config.master_dtype) + 2 * _size(config.optimizer_dtype))
    return Plan(
        steps=config.total_steps(len(cut)),
        tokens=config.epochs * sum(cut),
        flops=flops,
        memory=need,
        balance=balance,
        device_hours=hours,
        wall_hours=hours / processes,
        money=hours * hardware.price,
        disk=2 * state + shape.parameters * 2,
    )


def schedule(
    shape: ModelShape,
    lengths: Sequence[int],
    config: SFTConfig,
    processes: int,
    on_gpu: bool = True,
) -> tuple[int, float]:
    """Longest packed row in tokens, and balance, of the first epoch as it will be run."""
    from s1core.sft.train import data_order

    order = data_order(len(lengths), 0, config.seed)
    team = config.sequence_parallel
    teams = max(1, processes // team)
    longest, work, waited = 0, 0.0, 0.0
    for start in range(0, len(order), config.batch_size):
        batch = [lengths[i] for i in order[start : start + config.batch_size]]
        wanted = config.micro_batch_tokens
        capacity = row_capacity(wanted, batch, on_gpu=on_gpu, processes=team)
        steps = plan_step(batch, capacity, teams, config.packing)
        longest = max(longest, *(sum(batch[i] for i in row) for rows in steps for row in rows))
        loads = [shape.train_flops(batch[i] for row in rows for i in row) for rows in steps]
        work += sum(loads)
        waited += max(loads) * teams
    return longest, work / waited


def _saved_per_token(shape: ModelShape, compute: int, *, joined: bool) -> float:
    """Bytes that one decoder layer keeps for its backward pass, per token.

    Residual stream, its normalised and its scaled form, twice; queries, keys, values, the
    attention's output (and a joined copy of it); gate, its activation, up, their product.
    Below fp32 the norms keep an fp32 copy of their input.
    """
    query = shape.heads * shape.head_size
    pair = 2 * shape.kv_heads * shape.head_size
    elements = 6 * shape.hidden + (3 if joined else 2) * query + pair + 4 * shape.intermediate
    return elements * compute + (8 * shape.hidden if compute < 4 else 0)


def _size(dtype: str) -> int:
    return 4 if dtype == "float32" else 2
