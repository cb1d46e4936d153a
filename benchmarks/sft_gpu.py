"""How much of a GPU does fine-tuning use? `python benchmarks/sft_gpu.py`

Trains randomly initialised Qwen2.5 shapes on packed rows of up to 32,768 tokens on one GPU with
the package's own engine (FSDP2 on one device, bf16 products, activation checkpointing) and prints
tokens/s, share of the chip's dense bf16 peak, peak memory against `sft_plan`, and what that
projects to for Qwen2.5-32B on 16 GPUs. Weights are random because speed does not depend on them.

Speed is the median over steps after two that warm up. The projection scales by model FLOPs at the
measured share of peak and by how evenly the rows fall on the processes; it leaves out what the
network between GPUs costs, and says so. The last line is one JSON object.

    python benchmarks/sft_gpu.py                       # 1.5B and 3B at 32,768 tokens, one H100
    python benchmarks/sft_gpu.py --device cpu --tiny   # rehearsal: a small shape, no GPU
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from s1core.sft.config import SFTConfig
from s1core.sft.encode import IGNORE, EncodedExample
from s1core.sft.engine import Engine, Group, join
from s1lab.planning import cost as planned
from s1lab.planning.sft_plan import PEAK_FLOPS, memory, plan
from s1lab.planning.shapes import SHAPES, ModelShape, shape_of

TINY = ModelShape(2, 64, 128, 4, 2, 512, True)


def main() -> None:
    """Measure every shape and print the table, the projection and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["Qwen2.5-1.5B", "Qwen2.5-3B"])
    parser.add_argument("--tokens", type=int, default=32_768, help="tokens of a packed row")
    parser.add_argument("--rows", type=int, default=2, help="rows per optimizer step")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="rehearse with a small shape")
    parser.add_argument("--profile", default="", help="its model and recipe; also under torchrun")
    parser.add_argument("--record", type=Path, help="a run store: plans there follow from this")
    options = parser.parse_args()
    cuda = torch.cuda.is_available()
    if options.device == "cuda" and not cuda and not options.profile:
        parser.error("there is no GPU: rehearse with --device cpu --tiny")
    group, rows = join(None if options.profile else options.device), options.rows
    recipe: dict[str, Any] = {"dtype": "bfloat16", "activation_checkpointing": True}
    recipe |= {"max_seq_len": options.tokens, "micro_batch_tokens": options.tokens}
    shapes = {"tiny": TINY} if options.tiny else {name: SHAPES[name] for name in options.models}
    if options.profile:
        from s1lab import profiles

        profile = profiles.load(options.profile)
        recipe = {**profile.sft, "micro_batch_tokens": profile.sft["max_seq_len"]}
        shapes = {profile.model: shape_of(profile.model)}
        rows *= max(group.size // profile.sft.get("sequence_parallel", 1), 1)
    config = SFTConfig(**recipe)
    on_gpu = group.device.type == "cuda"
    where = torch.cuda.get_device_name() if on_gpu else platform.machine()
    print(f"{where}; torch {torch.__version__}; rows of {config.max_seq_len} tokens\n")
    print(f"{'':16}{'tokens/s':>12}{'share of peak':>16}{'peak GB':>10}{'planned GB':>12}")
    readings = {}
    for name, shape in shapes.items():
        reading = train_a_while(shape, config, group, rows, options.steps)
        readings[name] = asdict(reading)
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()
        print(
            f"{name:16}{reading.tokens_per_second:>12.0f}{reading.share_of_peak:>15.1%}"
            f"{reading.peak_bytes / 1e9:>11.1f}{reading.planned_bytes / 1e9:>12.1f}"
        )
    best = max(reading["share_of_peak"] for reading in readings.values())
    hours = project(best) if on_gpu else {}
    for what, value in hours.items():
        print(f"{what}: {value:.1f} H100-hours")
    if hours:
        print("(projected from one GPU: the network between GPUs is not in it)\n")
    else:
        print("\na rehearsal on the CPU: no share of peak, no memory, no projection\n")
    if options.record and group.rank == 0:
        planned.note_speeds(options.record, training=best)
    print(json.dumps({"models": readings, "projected_h100_hours": hours, "device": where}))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a shape in training did, on each process."""

    tokens_per_second: float
    share_of_peak: float  # of an H100's
    peak_bytes: float
    planned_bytes: float


def train_a_while(
    shape: ModelShape, config: SFTConfig, group: Group, rows: int, steps: int = 6
) -> Reading:
    """Train a random Qwen2 of a shape on packed rows of `config.max_seq_len` tokens; the speed is
    the median over `steps`, after two that warm up."""
    tokens, on_gpu = config.max_seq_len, group.device.type == "cuda"
    settings = Qwen2Config(**shape.settings(), max_position_embeddings=tokens)
    if group.size == 1:
        with torch.device(group.device):
            engine = Engine(Qwen2ForCausalLM(settings), config, group)
    else:  # no process holds a whole model
        from accelerate import init_empty_weights

        with init_empty_weights(include_buffers=False):
            model = Qwen2ForCausalLM(settings)
        model.tie_weights()
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        engine = Engine(model, config, group)
        engine.packed.to_empty(device=group.device)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
            for _, parameter in engine.named:
                parameter.normal_(0, 0.02) if parameter.ndim > 1 else parameter.fill_(1.0)
    lengths = row_of_traces(tokens) * rows
    batch, times = random_batch(lengths, shape.vocab), []
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for step in range(steps + 2):
        began = time.perf_counter()
        engine.step(batch, 1e-5, seed=step)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times[2:]) * group.size
    share = -(-tokens // config.sequence_parallel)
    return Reading(
        tokens_per_second=sum(lengths) / seconds,
        share_of_peak=shape.train_flops(lengths) / seconds / PEAK_FLOPS,
        peak_bytes=float(torch.cuda.max_memory_allocated()) if on_gpu else 0.0,
        planned_bytes=memory(shape, config, share, processes=group.size)[0],
    )


def s1k_like_lengths(count: int) -> list[int]:
    """Log-normal lengths in the place of s1K's own, which are not shipped.

    Their mean is near the 4.7K thinking tokens of Table 6, and the longest has 9,109 tokens, as a
    user counted with Qwen2.5's tokenizer (simplescaling/s1#115).
    """
    drawn = np.random.default_rng(0).lognormal(8.4, 0.45, count)
    return drawn.clip(700, 9_109).astype(int).tolist()


def row_of_traces(tokens: int) -> list[int]:
    """Such lengths, as many as fill one row."""
    lengths: list[int] = []
    for length in s1k_like_lengths(64):
        if sum(lengths) + length < tokens:
            lengths.append(length)
    return [*lengths, tokens - sum(lengths)]


def random_batch(lengths: Sequence[int], vocab: int) -> list[EncodedExample]:
    """Examples of random tokens, all but the first tenth supervised."""
    rng, batch = np.random.default_rng(1), []
    for index, length in enumerate(lengths):
        ids = tuple(rng.integers(0, vocab, length).tolist())
        labels = (IGNORE,) * (length // 10) + ids[length // 10 :]
        batch.append(EncodedExample(str(index), ids, labels, length))
    return batch


def project(share: float) -> dict[str, float]:
    """H100-hours of the paper's run on 16 GPUs at this share of peak, with and without teams."""
    lengths, processes = s1k_like_lengths(1000), 16
    hours: dict[str, Any] = {}
    for team in (1, 8):
        config = SFTConfig(dtype="bfloat16", activation_checkpointing=True, sequence_parallel=team)
        made = plan(SHAPES["Qwen2.5-32B"], lengths, config, processes=processes)
        name = "one example per GPU" if team == 1 else f"teams of {team} GPUs sharing rows"
        hours[f"Qwen2.5-32B on 16 GPUs, {name}"] = made.seconds / share * processes / 3600
    return hours


if __name__ == "__main__":
    main()
