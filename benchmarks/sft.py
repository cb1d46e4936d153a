"""How fast and how small is fine-tuning? `python benchmarks/sft.py`

The same model, traces of the pocket pool (heavy-tailed lengths), order, optimizer, schedule and
precision (fp32) on every side, each run in a process of its own, alternating:

- ours: 16 examples per step, packed
- TRL's SFTTrainer at its defaults: 16 examples per step, padded, gradient checkpointing
- the same without gradient checkpointing, which is faster on a small model
- TRL's own packing (best fit decreasing): as many rows per step as hold 16 examples

Memory is the peak of the resident set while training over what it was before. Wall time and CPU
time are both reported: on a busy machine the second is the one to compare. Losses are compared
step by step with TRL's defaults (packing changes what a step holds, so it has no counterpart).
The last line is one JSON object of ratios. Needs TRL:
`pip install -c constraints.txt -e '.[bench]'`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SIDES = ("ours", "trl_default", "trl_no_checkpointing", "trl_packing")
LENGTH = 1024


def main() -> None:
    """Run every side in turn and print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if find_spec("trl") is None:
        parser.error("TRL is not installed: pip install -c constraints.txt -e '.[bench]'")
    if options.side:
        print(json.dumps(measure(options.side, options.examples)))
        return
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(options.repeats):
        for side in SIDES:
            runs[side].append(in_a_process(side, options))
    report(runs, options)


def in_a_process(side: str, options: argparse.Namespace) -> dict[str, Any]:
    """One run, with memory that goes back to the system as soon as it is freed."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(options.threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "MALLOC_MMAP_THRESHOLD_": "1048576",
        "MALLOC_TRIM_THRESHOLD_": "1048576",
    }
    command = [sys.executable, __file__, "--side", side, "--examples", str(options.examples)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(side: str, count: int) -> dict[str, Any]:
    """Train once and say how fast, how large, and with which losses."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from s1core import sft
    from s1lab.pocket import load_tokenizer
    from s1lab.pocket.pool import build_pool

    tokenizer = load_tokenizer()
    examples = [row.example for row in build_pool(seed=0, size=6 * count)][::6][:count]
    config = sft.SFTConfig(epochs=1, lr=1e-3, max_seq_len=LENGTH)
    encoded = sft.encode(examples, tokenizer, "s1", LENGTH)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer) + 8,
            hidden_size=128,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=LENGTH,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    train = ours if side == "ours" else trl
    shortest = sorted(encoded.examples, key=lambda example: len(example.token_ids))[:2]
    warm_up = replace(encoded, examples=tuple(shortest))
    with tempfile.TemporaryDirectory() as out:  # what libraries load once is nobody's training
        train(side, copy.deepcopy(model), tokenizer, warm_up, config, Path(out) / "warm-up")
        return train(side, model, tokenizer, encoded, config, Path(out) / "run")


def ours(
    side: str, model: Any, tokenizer: Any, encoded: Any, config: Any, out: Path
) -> dict[str, Any]:
    """This package."""
    from s1core import sft

    model.save_pretrained(out / "model")
    with Gauge() as gauge:
        result = sft.train(out / "model", tokenizer, encoded, config, out, progress=False)
    return {
        **gauge.reading(encoded.supervised),
        "losses": [row["loss"] for row in result.log],
        "lengths": [min(encoded.lengths), statistics.mean(encoded.lengths), max(encoded.lengths)],
    }


def trl(
    side: str, model: Any, tokenizer: Any, encoded: Any, config: Any, out: Path
) -> dict[str, Any]:
    """TRL's SFTTrainer on the same token ids, labels and order."""
    from datasets import Dataset
    from transformers.utils import logging
    from trl import SFTConfig, SFTTrainer

    from s1core.sft.train import batch_at

    logging.disable_progress_bar()
    rows = [
        example
        for step in range(config.total_steps(len(encoded.examples)))
        for example in batch_at(encoded.examples, config, step)
    ]
    data = Dataset.from_dict(
        {
            "input_ids": [list(row.token_ids) for row in rows],
            "labels": [list(row.labels) for row in rows],
        }
    )
    packing = side == "trl_packing"
    per_step = max(1, round(16 * sum(encoded.lengths) / len(rows) / LENGTH)) if packing else 16
    special = {} if side == "trl_default" else {"gradient_checkpointing": False}
    arguments = SFTConfig(
        str(out),
        max_length=LENGTH,
        packing=packing,
        per_device_train_batch_size=per_step,
        num_train_epochs=1,
        learning_rate=config.lr,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_ratio,
        weight_decay=config.weight_decay,
        adam_beta1=config.betas[0],
        adam_beta2=config.betas[1],
        max_grad_norm=config.max_grad_norm,
        bf16=False,
        use_cpu=True,
        train_sampling_strategy="sequential",
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        **special,
    )
    trainer = SFTTrainer(model, arguments, train_dataset=data, processing_class=tokenizer)
    with Gauge() as gauge:
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {**gauge.reading(encoded.supervised), "losses": losses}


class Gauge:
    """Wall time, CPU time and peak resident memory of a block."""

    def __enter__(self) -> Gauge:
        self.before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self.wall
        self.cpu = time.process_time() - self.cpu
        self.memory = _resident("VmHWM") - self.before

    def reading(self, supervised: int) -> dict[str, float]:
        """Supervised tokens per second of wall and of CPU time, and MB."""
        return {
            "rate": supervised / self.wall,
            "cpu_rate": supervised / self.cpu,
            "memory": self.memory / 1e6,
        }


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def report(runs: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    """The table for people and the line for machines."""
    low, mean, high = runs["ours"][0]["lengths"]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} thread(s), load", end=" "
    )
    print(f"{os.getloadavg()[0]:.1f}; Python {platform.python_version()}", end="")
    for package in ("torch", "transformers", "trl"):
        print(f", {package} {version(package)}", end="")
    print(f"\n{options.examples} examples of {low} to {high} tokens, mean {mean:.0f}; fp32")
    print(f"medians of {options.repeats} alternating runs (spread: lowest to highest)\n")
    print(f"{'':22}{'supervised tokens/s':>28}{'per CPU second':>24}{'memory, MB':>22}")
    medians: dict[str, dict[str, float]] = {}
    for side, results in runs.items():
        medians[side] = {}
        cells = []
        for name in ("rate", "cpu_rate", "memory"):
            values = [result[name] for result in results]
            medians[side][name] = statistics.median(values)
            spread = f"({min(values):.0f}-{max(values):.0f})"
            cells.append(f"{medians[side][name]:.0f} {spread}")
        print(f"{side:22}{cells[0]:>28}{cells[1]:>24}{cells[2]:>22}")
    pairs = zip(runs["ours"][0]["losses"], runs["trl_default"][0]["losses"], strict=True)
    apart = max(abs(one - other) for one, other in pairs)
    print(f"\nlargest difference of a step's loss from TRL's: {apart:.1e}\n")
    mine = medians["ours"]
    print(
        json.dumps(
            {
                "vs_trl_default": mine["rate"] / medians["trl_default"]["rate"],
                "vs_trl_no_checkpointing": mine["rate"] / medians["trl_no_checkpointing"]["rate"],
                "vs_trl_packing": mine["rate"] / medians["trl_packing"]["rate"],
                "vs_trl_default_cpu": mine["cpu_rate"] / medians["trl_default"]["cpu_rate"],
                "vs_trl_packing_cpu": mine["cpu_rate"] / medians["trl_packing"]["cpu_rate"],
                "memory_vs_trl": mine["memory"] / medians["trl_default"]["memory"],
                "loss_difference": apart,
            }
        )
    )


if __name__ == "__main__":
    main()
