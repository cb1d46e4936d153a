"""What does forcing cost inside vLLM? `benchmarks/inside_vllm.py --model FOLDER --problems FILE`

Four sides in one process, alternating, over the same rows: vLLM as it comes (another engine,
without our processor) sampling as many tokens per row as the others made; multi-call forcing;
native forcing; and native forcing by the transformers backend. A paragraph break counts as an end
of thinking, so that four Waits are used by nearly every row. Then the processor alone: what one
step costs over a real vocabulary. The last line is one JSON object of ratios. On a CPU, time is CPU
time of this process.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from s1core.checkpoints import load_tokenizer, locate
from s1core.forcing import Budget, generate
from s1core.forcing.budget import rules
from s1core.records import Problem, read_jsonl
from s1core.templates import prompt_ids, resolve


def clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def arms(args: Any, temperature: float) -> dict[str, float]:
    """Median tokens/s of each side; forced tokens count, since they are decoded."""
    from vllm import LLM, TokensPrompt, __version__
    from vllm import SamplingParams as EngineParams

    from s1core.backends.hf import HFBackend
    from s1core.backends.vllm import VLLMBackend

    on_cpu = {"enforce_eager": True, "block_size": 32, "kv_cache_memory_bytes": 1 << 30}
    engine = {"gpu_memory_utilization": 0.4} if torch.cuda.is_available() else on_cpu
    engine |= {"dtype": args.dtype, "max_model_len": 1024, "max_num_seqs": args.rows}
    if not args.engines:
        backend = VLLMBackend.from_pretrained(args.model, native=True, **engine)
        other = HFBackend.from_pretrained(args.model, dtype=args.dtype, batch_size=args.rows)
        args.engines = backend, LLM(model=locate(args.model), **engine), other
        for tokenizer in (backend.tokenizer, other.tokenizer):
            breaks = (tokenizer.encode(f"{mark}\n\n")[-1] for mark in ("", ".", ":", ")", "]"))
            tokenizer.declared_ends = (*tokenizer.declared_ends, *breaks)
    backend, plain, other = args.engines
    asked = args.asked[: args.rows]
    budget = Budget(args.tokens, num_ignore=4, max_answer=16)
    made = list(generate(backend, asked, budget, temperature=temperature))
    waits = statistics.mean(g.waits_used for g in made)
    lengths = [len(g.token_ids()) for g in made]
    prompts = [
        TokensPrompt(prompt_token_ids=prompt_ids("s1", backend.tokenizer, p.question))
        for p in asked
    ]
    free = [
        EngineParams(max_tokens=n, ignore_eos=True, detokenize=False, temperature=temperature)
        for n in lengths
    ]

    def by_vllm() -> int:
        outputs = plain.generate(prompts, free, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    def forced(engine: Any, native: bool) -> int:
        rows = generate(engine, asked, budget, temperature=temperature, native=native)
        return sum(len(g.token_ids()) for g in rows)

    sides: dict[str, Callable[[], int]] = {
        "vLLM plain": by_vllm,
        "vLLM native": lambda: forced(backend, True),
        "vLLM multi-call": lambda: forced(backend, False),
        "transformers native": lambda: forced(other, True),
    }
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(args.repeats + 1):
        for name, side in sides.items():
            started = clock()
            tokens = side()
            if repeat:  # the first round warms up
                speeds[name].append(tokens / (clock() - started))
    print(
        f"\nvLLM {__version__}, {len(asked)} rows, {sum(lengths) / len(lengths):.0f} tokens and "
        f"{waits:.1f} Waits each, temperature {temperature:g}"
    )
    for name, values in speeds.items():
        middle, low, high = statistics.median(values), min(values), max(values)
        print(f"  {name:<20} {middle:>10,.0f} tokens/s   [{low:,.0f} to {high:,.0f}]")
    return {name: statistics.median(values) for name, values in speeds.items()}


def step_cost(args: Any, tokenizer: Any) -> None:
    """Milliseconds of the processor alone, by rows and by what the rows do."""
    from s1core.serving.slots import Slots
    from s1core.serving.table import program

    size = args.vocabulary
    lines = torch.zeros(size, dtype=torch.bool, device=args.device)
    own = rules(Budget(10**6, num_ignore=4), resolve("s1", tokenizer), tokenizer)
    print(f"\nThe processor alone, vocabulary {size:,}, milliseconds a step")
    print(f"  {'rows':>5} {'greedy':>10} {'sampled':>10} {'answering':>10} {'top-k 20':>10}")
    for rows in (64, 256, 512):
        logits = torch.randn(rows, size, device=args.device)
        costs = []
        for heat, top_k, left in ((0.0, 0, 10**6), (1.0, 0, 10**6), (1.0, 0, 0), (1.0, 20, 10**6)):
            slots = Slots(rows, 4096, lines, kept=rows)
            how = SimpleNamespace(temperature=heat, top_p=1.0, top_k=top_k, min_p=0.0)
            for slot in range(rows):
                slots.put(slot, program(own, left, 10**6, seed=slot), 1, 1, how)
            slots.flush(lambda some, at, width: torch.zeros(len(some), width, device=args.device))
            at, last = torch.arange(rows, device=args.device), torch.full((rows,), 9)
            last, taken = last.to(args.device), []
            for length in range(1, 24):
                many = np.full(rows, length)
                lengths = torch.full((rows,), length, device=args.device)
                started = clock()
                slots.step(logits, np.arange(rows), at, lengths, last, many)
                taken.append(clock() - started)
            costs.append(statistics.median(taken[12:]) * 1e3)
        print(f"  {rows:>5}" + "".join(f" {cost:>10.1f}" for cost in costs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="pocket-s1")
    parser.add_argument("--problems", default="", help="JSONL with questions")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=192, help="most thinking tokens")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    torch.set_num_threads(args.threads)
    args.asked, args.engines = [], None
    if args.problems:
        args.asked = list(read_jsonl(args.problems, Problem))
    else:
        args.asked = [
            Problem(f"Use {i + 1} 7 to make 9" + " yes" * (i % 23), "") for i in range(512)
        ]
    hardware = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    where = f"{args.device} ({hardware}), {args.threads} threads, torch {torch.__version__}"
    print(f"{Path(args.model).name}, {args.dtype}, {where}")
    step_cost(args, load_tokenizer(args.model))
    ratios = {}
    if importlib.util.find_spec("vllm"):
        for temperature in args.temperatures:
            speed = arms(args, temperature)
            for side, other in (
                ("vLLM native", "vLLM plain"),
                ("vLLM native", "vLLM multi-call"),
                ("transformers native", "vLLM plain"),
            ):
                name = f"{side}_vs_{other}_t{temperature:g}".lower().replace(" ", "_")
                ratios[name.replace("-", "")] = round(speed[side] / speed[other], 3)
    else:
        print("\nvLLM is not installed: the engine is left out")
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
