"""How the pocket base models are made: `s1lab pocket pretrain small|large`.

A base model knows arithmetic, knows what a search looks like, and answers chat questions directly.
It has never seen a think delimiter or a "Wait": those are what fine-tuning on traces adds. No
document contains an evaluation puzzle (`world.held_out`). Every batch is a function of seed and
step, so the recipe gives the same weights again.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from s1core.backends.base import SamplingParams
from s1core.grading.countdown import check
from s1core.records import write_jsonl
from s1lab.pocket import load_tokenizer, world
from s1lab.pocket.teacher import ANSWER_PREFIX, problem
from s1lab.pocket.world import Puzzle, apply, evaluation_puzzles, solutions

CONTEXT = 1024
VOCABULARY = 288  # rows of the embedding: more than the tokenizer has, as Qwen pads its own
REPEATED = 0.12  # of the lines are written twice, so that copying a line is learned
_ANSWER = ANSWER_PREFIX.replace(":", " :")  # its tokens, separated by spaces

SHARES = {"equations": 0.18, "searches": 0.50, "long": 0.15, "chat": 0.17}
"""The mix, by tokens. A search is a question, tries, their verdicts and the answer, in no chat
format; long ones fill up to the whole context; in a chat the answer comes at once."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Size and schedule of one base model. Tokens per step: `batch_size * CONTEXT`."""

    hidden_size: int
    intermediate_size: int
    layers: int
    steps: int
    batch_size: int = 8
    lr: float = 8e-3
    warmup: int = 100
    weight_decay: float = 0.02
    seed: int = 1


RECIPES = {"small": Recipe(96, 256, 3, 1200), "large": Recipe(128, 384, 4, 2000)}


def draw(kind: str, rng: np.random.Generator) -> list[int]:
    """A document of a kind of `SHARES`, as token ids. Its tokens are separated by spaces, so each
    is looked up (much faster than the tokenizer)."""
    if kind == "equations":
        lines = _equations(rng)
    elif kind == "chat":
        lines = _chat(rng)
    else:
        lines = _search(rng, long=kind == "long")
    ids = _vocabulary()
    return [ids[token] for token in " ".join([*lines, "<|endoftext|>"]).split(" ")]


@cache
def _vocabulary() -> dict[str, int]:
    return load_tokenizer().get_vocab()


def _maybe_twice(line: str, rng: np.random.Generator) -> str:
    return f"{line} {line}" if rng.random() < REPEATED else line


def _equations(rng: np.random.Generator) -> list[str]:
    lines, low, high = [], world.SMALLEST, world.LARGEST + 1
    for _ in range(rng.integers(4, 16)):
        value = int(rng.integers(low, world.CAP + 1 if rng.random() < 0.5 else high))
        line = str(value)
        for _ in range(rng.integers(1, 3)):
            operator, number = "+-*/"[rng.integers(4)], int(rng.integers(low, high))
            if (result := apply(value, operator, number)) is not None:
                line += f" {operator} {number} = {result}"
                value = result
        if "=" in line:
            lines.append(_maybe_twice(f"{line} \n", rng))
    return lines


def _puzzle(rng: np.random.Generator, easy: float) -> Puzzle:
    pool = world.training_puzzles(2 if rng.random() < easy else 3)
    return world.shuffled(pool[rng.integers(len(pool))], rng)


def _search(rng: np.random.Generator, long: bool) -> list[str]:
    tries = rng.integers(11, 72) if long else rng.integers(0, 11)
    puzzle = _puzzle(rng, easy=0.1)
    right = solutions(puzzle)
    wrong = [chain for chain in puzzle.tries if chain.value != puzzle.target]
    lines = [f"{puzzle.question} \n"]
    if wrong:
        count = tries if long else min(tries, len(wrong))
        for index in rng.choice(len(wrong), count, replace=long):
            lines.append(_maybe_twice(f"{wrong[index].line} want {puzzle.target} no \n", rng))
    if rng.random() < 0.8:  # mostly it ends in success, sometimes it just stops
        hit = right[rng.integers(len(right))]
        lines.append(_maybe_twice(f"{hit.line} want {puzzle.target} yes \n", rng))
        lines.append(f"{_ANSWER}{hit.expression} \n")
    return lines


def _chat(rng: np.random.Generator) -> list[str]:
    puzzle = _puzzle(rng, easy=0.25)
    found = solutions(puzzle)
    answer = found[rng.integers(len(found))].expression
    asked = f"<|im_start|> user \n {puzzle.question} <|im_end|> \n"
    return [asked, f"<|im_start|> assistant \n {_ANSWER}{answer} <|im_end|>"]


def batch(recipe: Recipe, step: int) -> np.ndarray:
    """Token ids of one step, shape (batch_size, CONTEXT): documents laid end to end, of kinds drawn
    so that each has its share of *tokens*, whatever its documents' length."""
    rng, need = np.random.default_rng([recipe.seed, step]), recipe.batch_size * CONTEXT
    spent, stream = dict.fromkeys(SHARES, 0), []
    offset = {kind: rng.random() * 400 for kind in SHARES}  # so that no kind always comes first
    while sum(spent.values()) < need:
        kind = min(SHARES, key=lambda k: (spent[k] + offset[k]) / SHARES[k])
        stream.append(draw(kind, rng))
        spent[kind] += len(stream[-1])
    flat = np.concatenate([stream[i] for i in rng.permutation(len(stream))])
    return flat[:need].reshape(recipe.batch_size, CONTEXT)


def _build_model(recipe: Recipe) -> Any:
    """A randomly initialised Qwen2 of the recipe's size (head size 32, tied embeddings)."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer, heads = load_tokenizer(), recipe.hidden_size // 32
    shape = {"hidden_size": recipe.hidden_size, "intermediate_size": recipe.intermediate_size}
    shape |= {"num_hidden_layers": recipe.layers, "num_attention_heads": heads}
    shape["num_key_value_heads"] = max(1, heads // 2)  # grouped: decoding on a CPU is faster
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    told = {"tie_word_embeddings": True, "bos_token_id": None, **ends}
    config = Qwen2Config(vocab_size=VOCABULARY, **shape, max_position_embeddings=CONTEXT, **told)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return Qwen2ForCausalLM(config)


def schedule(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then cosine to zero, as a factor of `lr`."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / (recipe.steps - recipe.warmup)))


def pretrain(recipe: Recipe, out: Path, *, progress: bool = True) -> Path:
    """Train a base model, hidden matrices with Muon, embeddings and norms with AdamW, in bf16
    autocast. Writes `log.jsonl` and the model to `out`; returns the folder of the model."""
    import torch
    from tqdm import tqdm

    from s1core.sft.checkpoint import quiet, save_tokenizer

    model, log = _build_model(recipe), []
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = {"weight_decay": recipe.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
    optimizers: list[Any] = [
        torch.optim.Muon(matrices, lr=recipe.lr, **muon),
        torch.optim.AdamW(others, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    for step in (bar := tqdm(range(recipe.steps), disable=not progress)):
        ids = torch.from_numpy(batch(recipe, step))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        targets = ids[:, 1:].reshape(-1)
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * schedule(recipe, step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0 or step == recipe.steps - 1:
            tokens = (step + 1) * ids.numel()
            log.append({"step": step, "tokens": tokens, "loss": round(loss.item(), 4)})
            write_jsonl(out / "log.jsonl", log)
            bar.set_postfix(loss=log[-1]["loss"])
    quiet()
    model.save_pretrained(out / "model")
    save_tokenizer(load_tokenizer(), out / "model")
    return out / "model"


# A chain's steps overlap: the result of one is the left number of the next.
_STEP = re.compile(r"(?=\b(\d+) ([-+*/]) (\d+) = (\d+)\b)")


def measure(folder: str | Path, count: int = 500) -> dict[str, float]:
    """The skills of a checkpoint on `count` held-out puzzles, as shares.

    arithmetic: steps that it writes and that are right; numbers: lines that use each number once;
    verdict_no, verdict_yes: right judgements of given lines; direct: puzzles answered at once.
    """
    from s1core.backends.hf import HFBackend
    from s1core.forcing import Budget, generate

    backend, rng = HFBackend.from_pretrained(folder), np.random.default_rng(0)
    puzzles, flags = evaluation_puzzles()[:count], defaultdict(list)

    def said(prompts: Sequence[str], params: Sequence[SamplingParams]) -> list[str]:
        ids = [backend.tokenizer(prompt).input_ids for prompt in prompts]
        made = backend.complete(ids, params)
        return [backend.tokenizer.decode(m.token_ids, skip_special_tokens=True) for m in made]

    params = [SamplingParams(24, 1.0, seed=n) for n in range(len(puzzles))]
    searches = said([f"{puzzle.question}\n" for puzzle in puzzles], params)
    for puzzle, text in zip(puzzles, searches, strict=True):
        for steps in filter(None, map(_STEP.findall, text.split("\n")[:-1][:2])):
            used = [int(number) for number in (steps[0][0], *(step[2] for step in steps))]
            flags["numbers"].append(list(puzzle.key[0]) == sorted(used))
            flags["arithmetic"] += [apply(int(a), op, int(b)) == int(c) for a, op, b, c in steps]
    for word in ("yes", "no"):
        prompts = []
        for puzzle in puzzles:
            lines = [c for c in puzzle.tries if (c.value == puzzle.target) == (word == "yes")]
            line = lines[rng.integers(len(lines))].line
            prompts.append(f"{puzzle.question}\n{line} want {puzzle.target}")
        judged = said(prompts, [SamplingParams(1)] * len(prompts))
        flags[f"verdict_{word}"] = [text.strip() == word for text in judged]
    problems = [problem(puzzle) for puzzle in puzzles]
    made = generate(backend, problems, Budget(0, max_answer=24), thinking=False)
    answers = zip(problems, made, strict=True)
    flags["direct"] = [check(p.question, one.answer.split(":", 1)[-1]) for p, one in answers]
    skills = ("arithmetic", "numbers", "verdict_no", "verdict_yes", "direct")
    return {name: round(float(np.mean(flags[name])), 4) for name in skills}
