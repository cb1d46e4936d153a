"""How the pocket base models are made: `s1lab pocket pretrain small|large`.

A base model knows arithmetic, knows what a search looks like, and answers chat questions directly.
It has never seen a think delimiter or a "Wait": those are what fine-tuning on traces adds. No
document contains an evaluation puzzle (`world.held_out`). Every batch is a function of seed and
step, so a killed run resumes from its last checkpoint to the same weights.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from s1core.backends.base import Backend, SamplingParams
from s1core.checkpoints import explained
from s1core.errors import RunError
from s1core.grading.countdown import check
from s1core.records import write_atomically, write_jsonl
from s1lab.pocket import load_tokenizer, world
from s1lab.pocket.teacher import ANSWER_PREFIX, problem
from s1lab.pocket.world import Puzzle, apply, evaluation_puzzles

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


class Documents:
    """Draws training documents as lists of token ids."""

    def __init__(self) -> None:
        self.ids = load_tokenizer().get_vocab()
        self.puzzles = {size: world.training_puzzles(size) for size in (2, 3)}
        self.lines: dict[tuple[int, ...], list[list[int]]] = {}  # every try, without verdict

    def encode(self, text: str) -> list[int]:
        """Ids of a text whose tokens are separated by spaces (much faster than the tokenizer)."""
        return [self.ids[word] for word in text.split(" ")]

    def draw(self, kind: str, rng: np.random.Generator) -> list[int]:
        """A document of a kind of `SHARES`."""
        if kind in ("searches", "long"):
            few, many = (0, 11) if kind == "searches" else (11, 72)
            ids = self._search(rng, int(rng.integers(few, many)), replace=kind == "long")
        else:
            ids = self._equations(rng) if kind == "equations" else self._chat(rng)
        return [*ids, self.ids["<|endoftext|>"]]

    def _maybe_twice(self, line: list[int], rng: np.random.Generator) -> list[int]:
        return line * 2 if rng.random() < REPEATED else line

    def _equations(self, rng: np.random.Generator) -> list[int]:
        document: list[int] = []
        low, high = world.SMALLEST, world.LARGEST + 1
        for _ in range(int(rng.integers(4, 16))):
            value = int(rng.integers(low, world.CAP + 1 if rng.random() < 0.5 else high))
            words = [str(value)]
            for _ in range(int(rng.integers(1, 3))):
                operator, number = "+-*/"[rng.integers(4)], int(rng.integers(low, high))
                if (result := world.apply(value, operator, number)) is not None:
                    words += [operator, str(number), "=", str(result)]
                    value = result
            if len(words) > 1:
                document += self._maybe_twice(self.encode(" ".join([*words, "\n"])), rng)
        return document

    def _puzzle(self, rng: np.random.Generator, easy: float) -> Puzzle:
        pool = self.puzzles[2 if rng.random() < easy else 3]
        return world.shuffled(pool[rng.integers(len(pool))], rng)

    def _search(self, rng: np.random.Generator, tries: int, replace: bool) -> list[int]:
        puzzle = self._puzzle(rng, easy=0.1)
        target = self.ids[str(puzzle.target)]
        want, newline = [self.ids["want"], target], self.ids["\n"]
        miss, hit = [*want, self.ids["no"], newline], [*want, self.ids["yes"], newline]
        if puzzle.key[0] not in self.lines:
            self.lines[puzzle.key[0]] = [self.encode(chain.line) for chain in puzzle.tries]
        lines = self.lines[puzzle.key[0]]
        right = [i for i, line in enumerate(lines) if line[-1] == target]
        wrong = [i for i, line in enumerate(lines) if line[-1] != target]
        document = [*self.encode(puzzle.question), newline]
        if wrong:
            count = tries if replace else min(tries, len(wrong))
            for index in rng.choice(wrong, count, replace=replace):
                document += self._maybe_twice([*lines[index], *miss], rng)
        if rng.random() < 0.8:  # mostly it ends in success, sometimes it just stops
            index = right[rng.integers(len(right))]
            document += self._maybe_twice([*lines[index], *hit], rng)
            document += self.encode(f"{_ANSWER}{puzzle.tries[index].expression} \n")
        return document

    def _chat(self, rng: np.random.Generator) -> list[int]:
        puzzle = self._puzzle(rng, easy=0.25)
        found = world.solutions(puzzle)
        answer = found[rng.integers(len(found))].expression
        return self.encode(
            f"<|im_start|> user \n {puzzle.question} <|im_end|> \n <|im_start|> assistant \n "
            f"{_ANSWER}{answer} <|im_end|>"
        )


documents = cache(Documents)  # made once per process


def batch(recipe: Recipe, step: int) -> np.ndarray:
    """Token ids of one step, shape (batch_size, CONTEXT): documents laid end to end, of kinds drawn
    so that each has its share of *tokens*, whatever its documents' length."""
    rng = np.random.default_rng([recipe.seed, step])
    source, kinds = documents(), list(SHARES)
    need = recipe.batch_size * CONTEXT
    spent = dict.fromkeys(kinds, 0.0)
    stream: list[list[int]] = []
    offset = {kind: rng.random() * 400 for kind in kinds}  # so that no kind always comes first
    while sum(spent.values()) < need:
        kind = min(kinds, key=lambda k: (spent[k] + offset[k]) / SHARES[k])
        stream.append(source.draw(kind, rng))
        spent[kind] += len(stream[-1])
    order = rng.permutation(len(stream))
    flat = np.concatenate([np.asarray(stream[i], dtype=np.int64) for i in order])
    return flat[:need].reshape(recipe.batch_size, CONTEXT)


def _build_model(recipe: Recipe) -> Any:
    """A randomly initialised Qwen2 of the recipe's size (head size 32, tied embeddings)."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer, heads = load_tokenizer(), recipe.hidden_size // 32
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),  # grouped: decoding on a CPU is faster
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return Qwen2ForCausalLM(config)


def schedule(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then cosine to zero, as a factor of `lr`."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / (recipe.steps - recipe.warmup)))


def pretrain(
    recipe: Recipe, out_dir: str | Path, *, progress: bool = True, checkpoint_every: int = 200
) -> Path:
    """Train a base model, hidden matrices with Muon, embeddings and norms with AdamW, in bf16
    autocast; resumes from the last checkpoint in `out_dir`. Returns the folder of the model.
    RunError: `out_dir` holds a run of another recipe; InputError: a damaged checkpoint."""
    import torch
    from tqdm import tqdm

    from s1core.sft.checkpoint import quiet, save_tokenizer

    out = Path(out_dir)
    described, known = json.dumps(asdict(recipe), indent=2), out / "recipe.json"
    if known.exists() and known.read_text() != described:
        raise RunError(f"{known} describes another recipe; choose another folder or remove it")
    write_atomically(known, [described])

    model = _build_model(recipe)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = {"weight_decay": recipe.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
    optimizers: list[Any] = [
        torch.optim.Muon(matrices, lr=recipe.lr, **muon),
        torch.optim.AdamW(others, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    state_file, start, log = out / "state.pt", 0, []
    if state_file.exists():
        with explained(f"{state_file} cannot be read (delete it to start over)"):
            state = torch.load(state_file, weights_only=True)
            model.load_state_dict(state["model"])
            for optimizer, saved in zip(optimizers, state["optimizers"]):
                optimizer.load_state_dict(saved)
            start, log = state["step"], state["log"]

    bar = tqdm(range(start, recipe.steps), initial=start, total=recipe.steps, disable=not progress)
    for step in bar:
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
        if (step + 1) % checkpoint_every == 0:
            states = [optimizer.state_dict() for optimizer in optimizers]
            state = {"model": model.state_dict(), "optimizers": states}
            torch.save(state | {"step": step + 1, "log": log}, out / "state.partial")
            os.replace(out / "state.partial", state_file)
    quiet()
    model.save_pretrained(out / "model")
    save_tokenizer(load_tokenizer(), out / "model")
    return out / "model"


# A chain's steps overlap: the result of one is the left number of the next.
_STEP = re.compile(r"(?=\b(\d+) ([-+*/]) (\d+) = (\d+)\b)")


def measure(folder: str | Path, count: int = 500, seed: int = 0) -> dict[str, float]:
    """The skills of a checkpoint on `count` held-out puzzles, as shares.

    arithmetic: steps that it writes and that are right; numbers: lines that use each number once;
    verdict_no, verdict_yes: right judgements of given lines; direct: puzzles answered at once.
    """
    from s1core.backends.hf import HFBackend
    from s1core.forcing import Budget, generate

    backend, rng = HFBackend.from_pretrained(folder), np.random.default_rng(seed)
    puzzles = evaluation_puzzles()[:count]
    chained = _searches(backend, puzzles, seed)
    steps = [step for _, line in chained for step in line]
    numbers = [(p, [int(n) for n in (line[0][0], *(s[2] for s in line))]) for p, line in chained]
    yes, no = (_judged(backend, puzzles, word, rng) for word in ("yes", "no"))
    problems = [problem(puzzle) for puzzle in puzzles]
    made = generate(backend, problems, Budget(0, max_answer=24), thinking=False)
    answers = [one.answer.split(":", 1)[-1] for one in made]
    right = [check(p.question, answer) for p, answer in zip(problems, answers, strict=True)]
    return {
        "arithmetic": _share(apply(int(a), op, int(b)) == int(c) for a, op, b, c in steps),
        "numbers": _share(list(puzzle.key[0]) == sorted(used) for puzzle, used in numbers),
        "verdict_no": _share(no),
        "verdict_yes": _share(yes),
        "direct": _share(right),
    }


def _share(flags: Iterable[bool]) -> float:
    return round(float(np.mean(list(flags))), 4)


def _searches(
    backend: Backend, puzzles: Sequence[Puzzle], seed: int
) -> list[tuple[Puzzle, list[Any]]]:
    """Two sampled lines of search per puzzle, in the plain format of pretraining, as steps."""
    tokenizer, found = backend.tokenizer, []
    prompts = [tokenizer(f"{puzzle.question}\n").input_ids for puzzle in puzzles]
    seeds = range(seed * 100_003, seed * 100_003 + len(prompts))
    params = [SamplingParams(max_tokens=24, temperature=1.0, seed=number) for number in seeds]
    for puzzle, done in zip(puzzles, backend.complete(prompts, params), strict=True):
        lines = tokenizer.decode(done.token_ids, skip_special_tokens=True).split("\n")[:-1]
        found += [(puzzle, steps) for line in lines[:2] if (steps := _STEP.findall(line))]
    return found


def _judged(
    backend: Backend, puzzles: Sequence[Puzzle], word: str, rng: np.random.Generator
) -> list[bool]:
    """Whether the model judges a line of each puzzle, right for "yes", correctly."""
    tokenizer, prompts = backend.tokenizer, []
    for puzzle in puzzles:
        lines = [c for c in puzzle.tries if (c.value == puzzle.target) == (word == "yes")]
        line = lines[rng.integers(len(lines))].line
        prompts.append(tokenizer(f"{puzzle.question}\n{line} want {puzzle.target}").input_ids)
    done = backend.complete(prompts, [SamplingParams(max_tokens=1)] * len(prompts))
    return [completion.token_ids[0] == tokenizer.get_vocab()[word] for completion in done]
