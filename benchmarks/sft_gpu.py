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
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from s1core.sft import EncodedExample, SFTConfig
from s1core.sft.engine import Engine
from s1core.sft.processes import Group, join
from s1lab.planning.sft_plan import H100, Hardware, memory, plan
from s1lab.planning.shapes import SHAPES, ModelShape

TINY = ModelShape(2, 64, 128, 4, 2, 512, True)


@dataclass(frozen=True)
class Reading:
    """What one shape did."""

    tokens_per_second: float
    share_of_peak: float
    peak_bytes: float
    planned_bytes: float


def main() -> None:
    """Measure every shape and print the table, the projection and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["Qwen2.5-1.5B", "Qwen2.5-3B"])
    parser.add_argument("--tokens", type=int, default=32_768, help="tokens of a packed row")
    parser.add_argument("--rows", type=int, default=2, help="rows per optimizer step")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="rehearse with a small shape")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU: rehearse with --device cpu --tiny")
    group = join(options.device)
    config = SFTConfig(
        dtype="bfloat16",
        activation_checkpointing=True,
        max_seq_len=options.tokens,
        micro_batch_tokens=options.tokens,
    )
    shapes = {"tiny": TINY} if options.tiny else {name: SHAPES[name] for name in options.models}
    where = torch.cuda.get_device_name() if options.device == "cuda" else platform.machine()
    print(f"{where}; torch {torch.__version__}; rows of {options.tokens} tokens, bf16\n")
    print(f"{'':16}{'tokens/s':>12}{'share of peak':>16}{'peak GB':>10}{'planned GB':>12}")
    readings = {}
    for name, shape in shapes.items():
        reading = readings[name] = measure(shape, config, group, options)
        print(
            f"{name:16}{reading.tokens_per_second:>12.0f}{reading.share_of_peak:>15.1%}"
            f"{reading.peak_bytes / 1e9:>11.1f}{reading.planned_bytes / 1e9:>12.1f}"
        )
    best = max(reading.share_of_peak for reading in readings.values())
    hours = project(best) if options.device == "cuda" else {}
    for what, value in hours.items():
        print(f"{what}: {value:.1f} H100-hours")
    if hours:
        print("(projected from one GPU: the network between GPUs is not in it)\n")
    else:
        print("\na rehearsal on the CPU: no share of peak, no memory, no projection\n")
    rows = {name: vars(reading) for name, reading in readings.items()}
    print(json.dumps({"models": rows, "projected_h100_hours": hours, "device": where}))


def measure(
    shape: ModelShape, config: SFTConfig, group: Group, options: argparse.Namespace
) -> Reading:
    """Train one shape for a few steps."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    with torch.device(group.device):
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=shape.vocab,
                hidden_size=shape.hidden,
                intermediate_size=shape.intermediate,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                num_key_value_heads=shape.kv_heads,
                tie_word_embeddings=shape.tied,
                max_position_embeddings=options.tokens,
            )
        )
    engine = Engine(model, config, group)
    lengths = row_of_traces(options.tokens)
    batch = random_batch(lengths * options.rows, shape.vocab)
    on_gpu = group.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for step in range(options.steps):
        began = time.perf_counter()
        engine.step(batch, 1e-5, seed=step)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times[2:])
    peak = float(torch.cuda.max_memory_allocated()) if on_gpu else 0.0
    planned = memory(shape, config, options.tokens)
    flops = shape.train_flops(lengths * options.rows)
    del engine, model
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
    return Reading(
        tokens_per_second=sum(lengths) * options.rows / seconds,
        share_of_peak=flops / seconds / H100.peak_flops,
        peak_bytes=peak,
        planned_bytes=planned.total,
    )


def row_of_traces(tokens: int) -> list[int]:
    """Lengths like those of s1K's traces (`s1k_like_lengths`) that fill one row."""
    drawn = s1k_like_lengths(64)
    lengths: list[int] = []
    for length in drawn:
        if sum(lengths) + length < tokens:
            lengths.append(length)
    return [*lengths, tokens - sum(lengths)]


def s1k_like_lengths(count: int) -> list[int]:
    """Log-normal lengths in the place of s1K's own, which are not shipped.

    Their mean is near the 4.7K thinking tokens of Table 6, and the longest has 9,109 tokens, as a
    user counted with Qwen2.5's tokenizer (simplescaling/s1#115).
    """
    drawn = np.random.default_rng(0).lognormal(8.4, 0.45, count)
    return drawn.clip(700, 9_109).astype(int).tolist()


def random_batch(lengths: list[int], vocab: int) -> list[EncodedExample]:
    """Examples of random tokens, all but the first tenth supervised."""
    rng = np.random.default_rng(1)
    batch = []
    for index, length in enumerate(lengths):
        ids = rng.integers(0, vocab, length).tolist()
        masked = length // 10
        batch.append(
            EncodedExample(str(index), tuple(ids), (*[-100] * masked, *ids[masked:]), length)
        )
    return batch


def project(share: float) -> dict[str, float]:
    """H100-hours of the paper's run on 16 GPUs at this share of peak, with and without teams."""
    hardware = Hardware(H100.name, H100.memory, H100.peak_flops, share)
    lengths = s1k_like_lengths(1000)
    hours: dict[str, Any] = {}
    for team in (1, 8):
        config = SFTConfig(dtype="bfloat16", activation_checkpointing=True, sequence_parallel=team)
        made = plan(SHAPES["Qwen2.5-32B"], lengths, config, processes=16, hardware=hardware)
        name = "one example per GPU" if team == 1 else f"teams of {team} GPUs sharing rows"
        hours[f"Qwen2.5-32B on 16 GPUs, {name}"] = made.device_hours
    return hours


if __name__ == "__main__":
    main()
