"""What a run will need before it starts, memory and hours; and what the paper's took.

Memory adds up what `s1core.sft.engine` keeps; tests hold it against measured peaks.
"""

from collections.abc import Sequence
from typing import NamedTuple

from s1core.errors import InputError
from s1core.sft.config import SFTConfig
from s1core.sft.encode import plan_step
from s1core.sft.train import batch_at
from s1lab.planning.shapes import SHAPES, ModelShape

# An H100 SXM, by NVIDIA's data sheet.
H100 = "H100 80 GB SXM"
MEMORY = 80 * 1024**3  # bytes
PEAK_FLOPS = 989.4e12  # dense bf16 FLOP/s
BANDWIDTH = 3.35e12  # bytes per second between it and its memory
USABLE = 0.93  # share of the memory for tensors; caching takes a few per cent


class Plan(NamedTuple):
    """What a fine-tuning run will take on H100s."""

    memory: float  # peak bytes of one process
    parts: dict[str, float]  # bytes of what holds them; they do not all peak at one time
    balance: float  # share of the time that the average process works while the slowest does
    seconds: float  # by the clock, at this balance, if the chips reached their whole peak

    @property
    def misfit(self) -> str:
        """Where the memory does not do: the largest part, and what lowers it. Else ""."""
        worst, size = max(self.parts.items(), key=lambda part: part[1])
        if self.memory <= (room := MEMORY * USABLE):
            return ""
        told = f"{self.memory / 1e9:.0f} GB per process and {H100} offers {room / 1e9:.0f}"
        return f"this run needs {told}: {worst} take {size / 1e9:.0f} GB; {_REMEDIES[worst]}"


_REMEDIES = dict.fromkeys(("weights", "gradients", "moments"), "use more processes") | {
    "gathered": "use a device with more memory",
    "activations": "set activation_checkpointing, or lower micro_batch_tokens or max_seq_len",
    "loss": "lower loss_chunk_tokens",
}


def memory(
    shape: ModelShape, config: SFTConfig, row_tokens: int, *, processes: int = 1
) -> tuple[float, dict[str, float]]:
    """Peak bytes of one process of sharded training, for packed rows of so many tokens, and of what
    holds them."""
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
    return held + saved + max(at_loss, in_backward), parts


def plan(shape: ModelShape, lengths: Sequence[int], config: SFTConfig, processes: int = 1) -> Plan:
    """Plan a run on GPUs, on examples of these lengths (`Encoded.lengths`); InputError: none."""
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
    flops = config.epochs * shape.train_flops(cut)
    need = memory(shape, config, share, processes=processes)
    return Plan(*need, balance, flops / (PEAK_FLOPS * balance * processes))


PAPER_HOURS = 16 * 26 / 60
"""H100-hours of the paper's training: 26 minutes on sixteen of them (Appendix D)."""


def paper_flops() -> float:
    """What that took, at least, in floating-point operations: s1K's 4.7M thinking tokens alone
    (Table 6), five times, every example of the mean length; 6 N D and attention."""
    return 5 * SHAPES["Qwen2.5-32B"].train_flops([4700] * 1000)


def paper_share() -> float:
    """The share of the chips' peak at which they ran, by these FLOPs."""
    return paper_flops() / (PAPER_HOURS * 3600) / PEAK_FLOPS
