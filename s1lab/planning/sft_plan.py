"""What a run will need before it starts, memory and hours; and what the paper's took.

Memory adds up what `s1core.sft.engine` keeps; tests hold it against measured peaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from s1core.errors import InputError
from s1core.sft.config import SFTConfig
from s1core.sft.encode import plan_step
from s1core.sft.train import batch_at
from s1lab.planning.shapes import SHAPES, ModelShape


@dataclass(frozen=True, slots=True)
class Hardware:
    """One kind of device."""

    name: str  # as people know it
    memory: float  # bytes
    peak_flops: float  # dense bf16 FLOP/s by the data sheet
    share: float  # of the peak that training is expected to reach; an assumption until measured
    usable: float = 0.93  # share of the memory for tensors; caching takes a few per cent


BANDWIDTH = 3.35e12  # bytes per second between an H100 SXM and its memory, by the data sheet
H100 = Hardware("H100 80 GB SXM", 80 * 1024**3, 989.4e12, 0.45)
"""NVIDIA's data sheet: 80 GB, 989.4 TFLOP/s dense bf16. The share is this recipe's goal."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak bytes of one process, and of what holds them (which do not all peak at one time)."""

    total: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fine-tuning run will do and take."""

    steps: int  # optimizer steps, over all epochs
    memory: Memory  # peak of one process
    balance: float  # share of the time that the average process works while the slowest does
    device_hours: float  # at the hardware's expected share of peak and this balance
    wall_hours: float

    def refuse_unless_it_fits(self, hardware: Hardware) -> None:
        """Raise InputError, with the largest part and what lowers it, when it does not."""
        room = hardware.memory * hardware.usable
        if self.memory.total > room:
            worst, size = max(self.memory.parts.items(), key=lambda part: part[1])
            raise InputError(
                f"this run needs {self.memory.total / 1e9:.0f} GB per process and {hardware.name} "
                f"offers {room / 1e9:.0f}: {worst} take {size / 1e9:.0f} GB; {_REMEDIES[worst]}"
            )


_REMEDIES = dict.fromkeys(("weights", "gradients", "moments"), "use more processes") | {
    "gathered": "use a device with more memory",
    "activations": "set activation_checkpointing, or lower micro_batch_tokens or max_seq_len",
    "loss": "lower loss_chunk_tokens",
}


def memory(shape: ModelShape, config: SFTConfig, row_tokens: int, *, processes: int = 1) -> Memory:
    """Predicted peak of one process of sharded training, for packed rows of so many tokens."""
    weights = 4 * shape.parameters / processes
    compute = 4 if config.dtype == "float32" else 2
    layer = shape.layer_parameters
    rest = shape.parameters - shape.layers * layer
    # Gathered: the root unit stays whole, two layers are in flight, their gradients likewise.
    gathered = (rest + 2 * layer) * compute + (rest + layer) * 4
    # A layer keeps the residual stream, its normalised and its scaled form, twice; queries, keys,
    # values, attention's output; gate, its activation, up, their product; below fp32 norms' input.
    attention = 2 * (shape.heads + shape.kv_heads) * shape.head_size
    kept = (6 * shape.hidden + attention + 4 * shape.intermediate) * compute
    layer_saves = (kept + (8 * shape.hidden if compute < 4 else 0)) * row_tokens
    stream = shape.hidden * compute * row_tokens  # one copy of the residual stream
    lean = config.activation_checkpointing
    saved = shape.layers * (stream if lean else layer_saves)
    saved += 4 * stream  # embeddings, final norm, its input and output
    backward = layer_saves if lean else 0.0
    backward += (3 * shape.intermediate + 2 * shape.hidden) * compute * row_tokens
    words = min(config.loss_chunk_tokens, row_tokens) * shape.vocab
    logits = words * (4 + (2 * compute if compute < 4 else 0))
    slopes = shape.vocab * shape.hidden * (4 + (compute if compute < 4 else 0)) + stream
    held = 4 * weights + gathered
    at_loss, in_backward = logits + slopes, backward + shape.vocab * shape.hidden * compute + stream
    parts = {"weights": weights, "gradients": weights, "moments": 2 * weights}
    parts |= {"gathered": gathered, "activations": saved + backward, "loss": logits + slopes}
    return Memory(held + saved + max(at_loss, in_backward), parts)


def plan(
    shape: ModelShape,
    lengths: Sequence[int],
    config: SFTConfig,
    *,
    processes: int = 1,
    hardware: Hardware = H100,
) -> Plan:
    """Plan a run on GPUs, through FSDP2, on examples of these lengths (`Encoded.lengths`);
    InputError where there are none."""
    if not lengths:
        raise InputError("nothing to plan: there are no examples")
    cut = [min(length, config.max_seq_len) for length in lengths]
    longest, work, waited = 0, 0.0, 0.0
    for step in range(config.steps_per_epoch(len(cut))):  # the first epoch as it will be run
        batch = batch_at(cut, config, step)
        steps = plan_step(batch, config, processes, on_gpu=True)
        longest = max(longest, *(sum(batch[i] for i in row) for rows in steps for row in rows))
        loads = [shape.train_flops(batch[i] for row in rows for i in row) for rows in steps]
        work += sum(loads)
        waited += max(loads) * len(loads)
    share, balance = -(-longest // config.sequence_parallel), work / waited
    need = memory(shape, config, share, processes=processes)
    flops = config.epochs * shape.train_flops(cut)
    hours = flops / (hardware.peak_flops * hardware.share * balance) / 3600
    return Plan(config.total_steps(len(cut)), need, balance, hours, hours / processes)


class Worked(NamedTuple):
    """One line of arithmetic: what it says, its value and unit, and where its inputs are from."""

    what: str
    value: float
    unit: str
    source: str


def paper_arithmetic() -> tuple[Worked, ...]:
    """The paper's cost, worked through: every line follows from the ones above it. The FLOPs are a
    lower bound: thinking tokens alone, every example taken at the mean length."""
    hours = 16 * 26 / 60
    shape = SHAPES["Qwen2.5-32B"]
    flops = 5 * shape.train_flops([4700] * 1000)  # s1K's 4.7M thinking tokens
    achieved = flops / (hours * 3600)
    table6, price = "Table 6; 6 N D and attention", "divided by the H100-hours above"
    kellogg = "T. Kellogg, 'S1: The $6 R1 Competitor?', 2025-02"
    return (
        Worked("s1K on 16 H100 for 26 minutes", hours, "H100-hours", "Appendix D"),
        Worked("the full 59K pool", 394.0, "H100-hours", "Section 5.1"),
        Worked("59K pool over s1K", 394.0 / 7.0, "times", "Section 5.1; 59 times the examples"),
        Worked("training FLOPs of s1-32B, at least", flops, "FLOP", table6),
        Worked("rate per GPU", achieved / 1e12, "TFLOP/s", "FLOPs over H100-hours"),
        Worked("share of the bf16 peak", achieved / H100.peak_flops, "of 1", H100.name),
        Worked("H100-hour price behind $6", 6 / hours, "$", f"{kellogg}; {price}"),
        Worked("H100-hour price behind $20", 20 / hours, "$", f"an author, in the press; {price}"),
        Worked("H100-hour price behind $50", 50 / hours, "$", f"press, 'under $50'; {price}"),
    )
