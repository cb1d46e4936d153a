"""How fast is budget forcing? `python benchmarks/forcing.py`

One model, untrained and of the pocket size by default, made to end its thoughts on schedule (a
hook on its logits), so that every side decodes the same tokens. Sides alternate; medians and
spreads are printed, then one JSON object of ratios:

- native_vs_generate: time of native forcing over transformers' `generate` at equal tokens
- native_vs_multicall: tokens/s, native over the multi-call loop, 4 Waits
- ragged_vs_padded: tokens/s, finished rows leaving over finished rows kept; half the rows think
  short, half long

On a CPU, time is CPU time of this process, so that a busy machine measures what an idle one does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
import transformers

from s1core import templates
from s1core.backends.hf import HFBackend
from s1core.forcing import Budget, generate
from s1core.records import Generation, Problem
from s1lab import pocket


def untrained(device: str, layers: int, hidden: int, length: int) -> tuple[Any, Any]:
    """A random Qwen2 with the pocket tokenizer."""
    tokenizer = pocket.load_tokenizer()
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=max(hidden // 64, 1),
        max_position_embeddings=length,
        tie_word_embeddings=True,
    )
    model = transformers.Qwen2ForCausalLM(config).eval().to(device)
    return model, tokenizer


@contextlib.contextmanager
def ending_every(model: Any, stops: frozenset[int], period: int | None) -> Iterator[None]:
    """Make the model end at every `period`-th position, and nowhere else (None: never)."""
    ids = torch.tensor(sorted(stops), device=model.device)

    def hook(module: Any, args: Any, inputs: dict[str, Any], output: Any) -> None:
        output.logits[..., ids] = -1e4
        if period and inputs.get("position_ids") is not None:
            ends = inputs["position_ids"][:, -1] % period == period - 1
            output.logits[ends, -1, ids[0]] = 1e4

    handle = model.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


class Table:
    """Timings of alternating sides, and the ratios made of them."""

    def __init__(self, device: str, repeats: int) -> None:
        self.device, self.repeats, self.ratios = device, repeats, {}

    def clock(self) -> float:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def measure(self, title: str, sides: dict[str, Callable[[], int]]) -> dict[str, float]:
        """Median tokens/s of each side; prints a row per side."""
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        for repeat in range(self.repeats + 1):
            for name, side in sides.items():
                started = self.clock()
                tokens = side()
                if repeat:  # The first round warms up.
                    speeds[name].append(tokens / (self.clock() - started))
        print(f"\n{title}")
        for name, values in speeds.items():
            middle, low, high = statistics.median(values), min(values), max(values)
            print(f"  {name:<28} {middle:>10,.0f} tokens/s   [{low:,.0f} to {high:,.0f}]")
        return {name: statistics.median(values) for name, values in speeds.items()}


def problems(rows: int) -> list[Problem]:
    """Questions of different lengths, so that no two rows end their thoughts in step."""
    return [Problem(f"Use {i + 1} 7 to make 9" + " yes" * (i % 23), "") for i in range(rows)]


def count(generations: Iterator[Generation]) -> int:
    """Tokens decoded: all that follow the prompt, forced ones too."""
    return sum(len(generation.token_ids()) for generation in generations)


def against_generate(table: Table, model: Any, tokenizer: Any, rows: int, tokens: int) -> None:
    backend, asked = HFBackend(model, tokenizer, batch_size=rows), problems(rows)
    budget = Budget(tokens, max_answer=16)
    stops = templates.resolve("s1", tokenizer).end_of_thinking_ids
    prompts = [templates.prompt_ids("s1", tokenizer, problem.question) for problem in asked]
    width = max(map(len, prompts))
    ids = torch.zeros(rows, width, dtype=torch.long, device=model.device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1

    with ending_every(model, stops, None):
        length = len(next(generate(backend, asked[:1], budget)).token_ids())

        def plain() -> int:
            made = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=length,
                min_new_tokens=length,
                do_sample=False,
                pad_token_id=0,
            )
            return (made.shape[1] - width) * rows

        sides = {
            "transformers generate": plain,
            "native forcing": lambda: count(generate(backend, asked, budget)),
        }
        speed = table.measure(f"(a) {rows} rows x {length} tokens, no Waits", sides)
    ratio = speed["transformers generate"] / speed["native forcing"]
    table.ratios["native_vs_generate"] = round(ratio, 3)


def against_multi_call(table: Table, model: Any, tokenizer: Any, rows: int, tokens: int) -> None:
    backend, asked = HFBackend(model, tokenizer, batch_size=rows), problems(rows)
    budget = Budget(8 * tokens, num_ignore=4, max_answer=16)
    stops = templates.resolve("s1", tokenizer).end_of_thinking_ids
    with ending_every(model, stops, tokens):
        sides = {
            "multi-call": lambda: count(generate(backend, asked, budget, native=False)),
            "native": lambda: count(generate(backend, asked, budget)),
        }
        title = f"(b) {rows} rows, 4 Waits, thoughts of {tokens} tokens"
        speed = table.measure(title, sides)
    table.ratios["native_vs_multicall"] = round(speed["native"] / speed["multi-call"], 3)


def against_keeping(
    table: Table, model: Any, tokenizer: Any, rows: int, short: int, long: int
) -> None:
    asked = problems(rows)
    budgets = [Budget(short if i % 2 else long, max_answer=16) for i in range(rows)]
    stops = templates.resolve("s1", tokenizer).end_of_thinking_ids
    backend = HFBackend(model, tokenizer, batch_size=rows)

    def kept() -> int:
        with patch("s1core.backends.hf._Batch._leave"):
            return count(generate(backend, asked, budgets))

    with ending_every(model, stops, None):
        sides = {
            "finished rows kept": kept,
            "finished rows leave": lambda: count(generate(backend, asked, budgets)),
        }
        title = f"(c) {rows} rows, half {short}, half {long} thinking tokens"
        speed = table.measure(title, sides)
    ratio = speed["finished rows leave"] / speed["finished rows kept"]
    table.ratios["ragged_vs_padded"] = round(ratio, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=256, help="thinking tokens in (a)")
    parser.add_argument("--thought", type=int, default=64, help="tokens between Waits in (b)")
    parser.add_argument("--short", type=int, default=64)
    parser.add_argument("--long", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parts", default="abc", help="which of a, b, c to run")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    length = max(args.long, 8 * args.thought, args.tokens) + 256
    model, tokenizer = untrained(args.device, args.layers, args.hidden, length)
    table = Table(args.device, args.repeats)
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    hardware = torch.cuda.get_device_name() if table.device == "cuda" else platform.processor()
    print(
        f"{size:.1f}M parameters, {args.device} ({hardware or platform.machine()}), "
        f"{args.threads} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    if "a" in args.parts:
        against_generate(table, model, tokenizer, args.rows, args.tokens)
    if "b" in args.parts:
        against_multi_call(table, model, tokenizer, args.rows, args.thought)
    if "c" in args.parts:
        against_keeping(table, model, tokenizer, args.rows, args.short, args.long)
    print(json.dumps(table.ratios))


if __name__ == "__main__":
    main()
