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
from pathlib import Path
from typing import Any

import torch

from s1core.sft.config import SFTConfig
from s1core.sft.processes import join
from s1lab.planning import calibrate
from s1lab.planning.calibrate import s1k_like_lengths, train_a_while
from s1lab.planning.sft_plan import H100, Hardware, plan
from s1lab.planning.shapes import SHAPES, ModelShape

TINY = ModelShape(2, 64, 128, 4, 2, 512, True)
FIELDS = ("tokens_per_second", "share_of_peak", "peak_bytes", "planned_bytes")


def main() -> None:
    """Measure every shape and print the table, the projection and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["Qwen2.5-1.5B", "Qwen2.5-3B"])
    parser.add_argument("--tokens", type=int, default=32_768, help="tokens of a packed row")
    parser.add_argument("--rows", type=int, default=2, help="rows per optimizer step")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="rehearse with a small shape")
    parser.add_argument("--record", type=Path, help="a run store: plans there follow from this")
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
        reading = train_a_while(shape, config, group, options.rows, options.steps)
        readings[name] = {field: getattr(reading, field) for field in FIELDS}
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()
        print(
            f"{name:16}{reading.tokens_per_second:>12.0f}{reading.share_of_peak:>15.1%}"
            f"{reading.peak_bytes / 1e9:>11.1f}{reading.planned_bytes / 1e9:>12.1f}"
        )
    best = max(reading["share_of_peak"] for reading in readings.values())
    hours = project(best) if options.device == "cuda" else {}
    for what, value in hours.items():
        print(f"{what}: {value:.1f} H100-hours")
    if hours:
        print("(projected from one GPU: the network between GPUs is not in it)\n")
    else:
        print("\na rehearsal on the CPU: no share of peak, no memory, no projection\n")
    if options.record:
        calibrate.note(options.record, training=best)
    print(json.dumps({"models": readings, "projected_h100_hours": hours, "device": where}))


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
