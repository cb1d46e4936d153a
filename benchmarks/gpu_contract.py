"""Does budget forcing on a GPU keep its promises? `python benchmarks/gpu_contract.py`

The contract of every engine, held by the transformers backend on this device in fp32: over the
pocket model and over an untrained Qwen2.5 shape whose vocabulary exceeds the tokenizer's. Needs
torch and transformers alone. A line per promise; ends with status 1 where one is broken.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from s1core.backends.base import SamplingParams
from s1core.backends.hf import HFBackend
from s1core.checkpoints import load_tokenizer
from s1core.forcing import Budget, generate
from s1core.records import Generation, Problem
from s1lab.planning.shapes import SHAPES, ModelShape

PROBLEMS = [Problem(f"Use {i} 7 to make {i * 3}" + " yes" * (i % 4), "") for i in range(35)]
BUDGETS = [
    Budget(0, max_answer=5),
    Budget(6, num_ignore=3, max_answer=9),
    Budget(40, num_ignore=2, ignore_str="", max_answer=3),
    Budget(25, num_ignore=2, ignore_str=("Wait", "Hmm"), max_answer=30),
    Budget(60, min_thinking=30, max_answer=12),
    Budget(300, num_ignore=1, max_answer=100),
    Budget(90, max_answer=1, answer_cue=""),
] * 5


def untrained(shape: ModelShape, device: str) -> Any:
    """A random Qwen2 of a shape, in fp32."""
    torch.manual_seed(0)
    config = Qwen2Config(**shape.settings(), max_position_embeddings=1024)
    with torch.device(device):
        return Qwen2ForCausalLM(config).eval()


def run(backend: HFBackend, **options: Any) -> list[Generation]:
    """Every problem with the budget of its own, in one batch."""
    return list(generate(backend, PROBLEMS, BUDGETS, **options))


def promises(name: str, backend: HFBackend, reference: HFBackend | None) -> int:
    """Print what is kept; returns how many promises are broken."""
    native = {heat: run(backend, temperature=heat, seed=5) for heat in (0.0, 1.0)}
    several = {heat: run(backend, temperature=heat, seed=5, native=False) for heat in native}
    alone = [
        list(generate(backend, [problem], budget, temperature=1.0, seed=5))
        for problem, budget in zip(PROBLEMS[:7], BUDGETS[:7], strict=True)
    ]
    known = set(backend.tokenizer.get_vocab().values())
    made = [*native[0.0], *native[1.0]]
    limits = zip(made, [*BUDGETS, *BUDGETS], strict=True)
    stops = tuple(sorted(known))[:-1]
    asked = SamplingParams(9, stop_token_ids=stops, min_tokens=4)
    (first,) = backend.complete([backend.tokenizer.encode("Use 3 to make 7")], [asked])
    kept = {
        "native and several calls, greedy": (native[0.0], several[0.0]),
        "native and several calls, sampled": (native[1.0], several[1.0]),
        "a batch and its members alone": (native[1.0][:7], list(itertools.chain(*alone))),
        "ids that the tokenizer has": ([set(g.token_ids()) <= known for g in made], [True] * 70),
        "budgets": (
            [
                g.thinking_tokens <= b.max_thinking and g.waits_used <= max(b.num_ignore, 30)
                for g, b in limits
            ],
            [True] * 70,
        ),
        "no stop too early": ([t in stops for t in first.token_ids[:4]], [False] * 4),
    }
    if reference:
        kept["this device and the CPU, greedy"] = (native[0.0], run(reference))
    broken = 0
    for promise, (ours, theirs) in kept.items():
        same = sum(a == b for a, b in zip(ours, theirs, strict=True))
        broken += same != len(theirs)
        print(f"  {name:14} {promise:36} {same} of {len(theirs)}")
    return broken


def main() -> None:
    """Hold both models to it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shape", default="Qwen2.5-0.5B", help="of the untrained model, or tiny")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    tiny = ModelShape(2, 128, 256, 4, 2, 1024, True)
    shape = tiny if options.shape == "tiny" else SHAPES[options.shape]
    tokenizer = load_tokenizer("pocket-s1")
    on = {"dtype": "float32", "batch_size": 64}
    pocket = HFBackend.from_pretrained("pocket-s1", device=options.device, **on)
    on_cpu = HFBackend.from_pretrained("pocket-s1", device="cpu", **on)
    random = HFBackend(untrained(shape, options.device), tokenizer, batch_size=64)
    broken = promises("pocket-s1", pocket, on_cpu) + promises(options.shape, random, None)
    print(f"{broken} promises broken" if broken else "every promise kept")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
