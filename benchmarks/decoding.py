"""How fast does a real model decode and learn on a CPU? `python benchmarks/decoding.py MODEL`

One thread, greedy, 64 rows of GSM8K-like prompts and as many new tokens each, every side in a
process of its own, alternating; CPU time, so that a busy machine measures what an idle one does.
MODEL is a bf16 checkpoint, such as the one that `s1lab fetch desk` makes. Sides:

- packed: the transformers backend as it is, matrices laid out once
- stored: the same with matrices in the layout of the checkpoint
- vllm: vLLM's CPU build, where `--vllm-python` names an interpreter that has it

`--train` also makes one step of full fine-tuning (12 GB). The peak is that of a product of two
bf16 matrices of 2,048 rows and columns, in the same minutes. The last line is one JSON object:
`packed_vs_stored`, `packed_vs_vllm` (tokens/s), and the shares of the peak.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROWS, TEXT = 64, " She buys 12 boxes with 6 apples each and gives 20 away; how many are left?"
LENGTHS = [1 + row % 5 for row in range(ROWS)]  # sentences of a prompt


def decode(model: str, side: str, tokens: int) -> dict[str, float]:
    """Seconds of CPU to read the prompts, and to write `tokens` after each."""
    from s1core.backends import SamplingParams, open_engine

    options: dict[str, Any] = {"device": "cpu"}
    if side == "vllm":
        os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        options = {"dtype": "bfloat16", "max_model_len": 2048, "kv_cache_memory_bytes": 1 << 30}
        options |= {"enforce_eager": True, "enable_prefix_caching": False}
    elif side == "stored":
        from s1core.backends import hf

        hf.pack = lambda model: None
    engine = open_engine("vllm" if side == "vllm" else "hf", model, batch_size=ROWS, **options)
    prompts = [engine.tokenizer.encode("Apples." + TEXT * n) for n in LENGTHS]
    spent = []
    for new in (1, tokens):
        began = time.process_time()
        engine.complete(prompts, [SamplingParams(new, 0.0)] * ROWS)
        spent.append(time.process_time() - began)
    return {"read": spent[0], "write": spent[1] - spent[0]}


def peak() -> float:
    """FLOPs per second of CPU of a large bf16 product, the best of ten."""
    import torch

    torch.set_num_threads(1)
    a, b = (torch.randn(2048, 2048).bfloat16() for _ in range(2))
    spent = []
    for _ in range(10):
        began = time.thread_time()
        torch.nn.functional.linear(a, b)
        spent.append(time.thread_time() - began)
    return 2 * 2048**3 / min(spent)


def train(model: str) -> dict[str, float]:
    """Model FLOPs and seconds of CPU of one optimizer step over 16 examples."""
    import torch

    from s1core.checkpoints import load_model, load_tokenizer
    from s1core.records import Example, Problem, Trace
    from s1core.sft import SFTConfig
    from s1core.sft.encode import encode
    from s1core.sft.engine import Engine, join
    from s1lab.planning.shapes import shape_of

    torch.set_num_threads(1)
    rows = [Example(Problem(TEXT * 2, "52"), Trace(TEXT * (2 * n), "52")) for n in LENGTHS[:16]]
    data = encode(rows, load_tokenizer(model), "s1", 1024)
    config = SFTConfig(dtype="bfloat16", max_seq_len=1024, micro_batch_tokens=1024)
    engine = Engine(load_model(model, dtype=torch.float32), config, join("cpu"))
    engine.step(data.examples[:1], 0.0, 0)  # warms up, and makes the moments
    began = time.process_time()
    engine.step(data.examples, 1e-5, 0)
    spent, tokens = time.process_time() - began, sum(data.lengths)
    return {
        "seconds": spent,
        "tokens": tokens,
        "flops": shape_of(model).train_flops(data.lengths),
    }


def elsewhere(python: str, options: argparse.Namespace, side: str) -> dict[str, float]:
    """What this script measures of a side, in a process of its own."""
    command = [python, __file__, options.model, "--tokens", str(options.tokens), "--side", side]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Run every side in turn and print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--vllm-python", default="")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.side:
        made = {"peak": lambda: {"peak": peak()}, "train": lambda: train(options.model)}
        run = made.get(options.side, lambda: decode(options.model, options.side, options.tokens))
        print(json.dumps(run()))
        return
    if not Path(options.model, "config.json").exists():
        print("no model is named: nothing was measured\n{}")
        return
    from s1lab.planning.shapes import shape_of

    sides = {"packed": sys.executable, "stored": sys.executable, "vllm": options.vllm_python}
    sides = {side: python for side, python in sides.items() if python}
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    reads: dict[str, list[float]] = {side: [] for side in sides}
    peaks = []
    for _ in range(options.repeats):
        peaks.append(elsewhere(sys.executable, options, "peak")["peak"])
        for side, python in sides.items():
            made = elsewhere(python, options, side)
            speeds[side].append(ROWS * (options.tokens - 1) / made["write"])
            reads[side].append(made["read"])
    best = max(peaks)
    flops = 2 * shape_of(options.model).matrix_parameters
    print(f"{ROWS} rows x {options.tokens} tokens; bf16 peak of a thread {best / 1e9:.0f} GFLOP/s")
    middle = {side: statistics.median(values) for side, values in speeds.items()}
    for side, values in speeds.items():
        shown = f"{middle[side]:6.0f} tokens/s of CPU   [{min(values):.0f} to {max(values):.0f}]"
        print(f"  {side:8} {shown}   prompts {statistics.median(reads[side]):.0f} s")
    ratios = {"packed_vs_stored": middle["packed"] / middle["stored"]}
    if "vllm" in middle:
        ratios["packed_vs_vllm"] = middle["packed"] / middle["vllm"]
    ratios["decoding_share_of_peak"] = middle["packed"] * flops / best
    if options.train:
        made = elsewhere(sys.executable, options, "train")
        ratios["training_share_of_peak"] = made["flops"] / made["seconds"] / best
        print(f"  training {made['tokens'] / made['seconds']:6.0f} tokens/s of CPU")
    print(json.dumps({name: round(value, 3) for name, value in ratios.items()}))


if __name__ == "__main__":
    main()
