"""How the pocket base models are made: `s1lab pocket pretrain small|large`.

A base model knows arithmetic, knows what a search looks like, and answers chat questions directly.
It has never seen a think delimiter or a "Wait": those are what fine-tuning on traces adds. The
mix, by tokens: equations; searches (a question, tries, their verdicts, the answer, in no chat
format); long ones, up to the whole context; and chats, where the answer comes at once.

No document contains an evaluation puzzle (`world.held_out`). Every batch is a function of
(seed, step), so a killed run resumes from its last checkpoint to the same weights.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.errors import RunError
from s1core.records import write_atomically
from s1lab.pocket import load_tokenizer, world
from s1lab.pocket.teacher import ANSWER_PREFIX
from s1lab.pocket.world import Puzzle

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM

CONTEXT = 1024
VOCABULARY = 288
"""Rows of the embedding: a little more than the tokenizer has, as Qwen pads its own."""

_ANSWER = ANSWER_PREFIX.replace(":", " :")  # its tokens, separated by spaces

REPEATED = 0.12
"""Share of lines that are written twice, so that copying a line is a skill of the base model."""

SHARES = {"equations": 0.18, "searches": 0.50, "long": 0.15, "chat": 0.17}


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


RECIPES = {
    "small": Recipe(hidden_size=96, intermediate_size=256, layers=3, steps=1200),
    "large": Recipe(hidden_size=128, intermediate_size=384, layers=4, steps=2000),
}


# ------------------------------------------------------------------------------- documents


class Documents:
    """Draws training documents as lists of token ids."""

    def __init__(self) -> None:
        self.ids = load_tokenizer().get_vocab()
        self.puzzles = {size: world.training_puzzles(size) for size in (2, 3)}

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
                operator, number = (
                    "+-*/"[rng.integers(4)],
                    int(rng.integers(low, high)),
                )
                if (result := world.apply(value, operator, number)) is not None:
                    words += [operator, str(number), "=", str(result)]
                    value = result
            if len(words) > 1:
                document += self._maybe_twice(self.encode(" ".join([*words, "\n"])), rng)
        return document

    def _puzzle(self, rng: np.random.Generator, easy: float) -> Puzzle:
        pool = self.puzzles[2 if rng.random() < easy else 3]
        return world.shuffled(pool[rng.integers(len(pool))], rng)

    @cache  # noqa: B019 - there is one `Documents` per process
    def lines(self, numbers: tuple[int, ...]) -> list[list[int]]:
        """Ids of every try on these numbers, without verdict."""
        return [self.encode(chain.line) for chain in world.chains(numbers)]

    def _search(self, rng: np.random.Generator, tries: int, replace: bool) -> list[int]:
        puzzle = self._puzzle(rng, easy=0.1)
        target = self.ids[str(puzzle.target)]
        want, newline = [self.ids["want"], target], self.ids["\n"]
        miss, hit = [*want, self.ids["no"], newline], [*want, self.ids["yes"], newline]
        lines = self.lines(tuple(sorted(puzzle.numbers)))
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


documents = cache(Documents)
"""The source of documents, made once per process."""


def batch(recipe: Recipe, step: int) -> np.ndarray:
    """Token ids of one step, shape (batch_size, CONTEXT): documents laid end to end.

    Kinds are drawn so that each has its share of *tokens*, whatever its documents' length.
    """
    rng = np.random.default_rng([recipe.seed, step])
    source, kinds = documents(), list(SHARES)
    need = recipe.batch_size * CONTEXT
    spent = dict.fromkeys(kinds, 0.0)
    stream: list[list[int]] = []
    offset = {kind: rng.random() * 400 for kind in kinds}  # so that no kind always comes first
    total = 0
    while total < need:
        kind = min(kinds, key=lambda k: (spent[k] + offset[k]) / SHARES[k])
        document = source.draw(kind, rng)
        spent[kind] += len(document)
        total += len(document)
        stream.append(document)
    order = rng.permutation(len(stream))
    flat = np.concatenate([np.asarray(stream[i], dtype=np.int64) for i in order])
    return flat[:need].reshape(recipe.batch_size, CONTEXT)


def build_model(recipe: Recipe) -> Qwen2ForCausalLM:
    """A randomly initialised Qwen2 of the recipe's size (head size 32, tied embeddings)."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = load_tokenizer()
    heads = recipe.hidden_size // 32
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
        use_sliding_window=False,
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
    """Train a base model; resumes from the last checkpoint in `out_dir` when there is one.

    Hidden matrices are trained with Muon, embeddings and norms with AdamW, in bf16 autocast.

    Returns the folder with the finished model.

    Raises:
        RunError: `out_dir` holds a run of another recipe, or a damaged checkpoint.
    """
    import torch
    from tqdm import tqdm

    from s1core.sft.checkpoint import first_line, quiet, save_tokenizer

    out = Path(out_dir)
    described, known = json.dumps(asdict(recipe), indent=2), out / "recipe.json"
    if known.exists() and known.read_text() != described:
        raise RunError(f"{known} describes another recipe; choose another folder or remove it")
    write_atomically(known, [described])

    model = build_model(recipe)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = {"weight_decay": recipe.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
    optimizers: list[Any] = [
        torch.optim.Muon(matrices, lr=recipe.lr, **muon),
        torch.optim.AdamW(others, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    state_file, log_file = out / "state.pt", out / "log.jsonl"
    start, log = 0, []
    if state_file.exists():
        try:
            state = torch.load(state_file, weights_only=True)
            model.load_state_dict(state["model"])
            for optimizer, saved in zip(optimizers, state["optimizers"]):
                optimizer.load_state_dict(saved)
            start, log = state["step"], state["log"]
        except Exception as error:  # torch, zip and pickle each raise their own
            raise RunError(
                f"{state_file} cannot be read ({first_line(error)}): delete it to start over"
            ) from error
    write_atomically(log_file, [json.dumps(row) + "\n" for row in log])

    bar = tqdm(range(start, recipe.steps), initial=start, total=recipe.steps, disable=not progress)
    with open(log_file, "a", encoding="utf-8") as file:
        for step in bar:
            ids = torch.from_numpy(batch(recipe, step))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(input_ids=ids, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(
                logits[:, :-1].float().reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1)
            )
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
                file.write(json.dumps(log[-1]) + "\n")
                file.flush()
                bar.set_postfix(loss=log[-1]["loss"])
            if (step + 1) % checkpoint_every == 0:
                states = [optimizer.state_dict() for optimizer in optimizers]
                state = {"model": model.state_dict(), "optimizers": states}
                torch.save(state | {"step": step + 1, "log": log}, out / "state.partial")
                os.replace(out / "state.partial", state_file)
    final = out / "model"
    quiet()
    model.save_pretrained(final)
    save_tokenizer(load_tokenizer(), final)
    return final
