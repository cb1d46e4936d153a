"""Put a trained pocket model into the package, with its card: recipe, data seen, loss, skills.

For maintainers: `s1lab pocket ship small|large|s1`. The card is made from what the training left
and from measurements, so it cannot drift from the weights beside it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s1core import checkpoints
from s1core.backends.base import Backend, SamplingParams
from s1core.errors import InputError
from s1core.grading.countdown import check
from s1lab import pocket
from s1lab.pocket.pretrain import CONTEXT, SHARES, Recipe
from s1lab.pocket.teacher import problem
from s1lab.pocket.world import Puzzle, apply, evaluation_puzzles


def ship_base(size: pocket.Size, run: str | Path) -> Path:
    """Copy a finished pretraining run (`pretrain`'s folder) into the package and write its card.

    Raises:
        InputError: the run is not finished.
    """
    run = Path(run)
    if not (run / "model" / "model.safetensors").exists():
        raise InputError(f"{run} holds no finished model; run `s1lab pocket pretrain` on it")
    folder = _replace(size, run / "model")
    recipe = Recipe(**json.loads((run / "recipe.json").read_text()))
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    shutil.copy(run / "log.jsonl", folder / "log.jsonl")
    skills = measure(size)
    (folder / "skills.json").write_text(json.dumps(skills, indent=1) + "\n")
    rows = [*log[:: max(1, len(log) // 8)], log[-1]]
    curve = [f"| {row['step']:,} | {row['tokens']:,} | {row['loss']:.3f} |" for row in rows]
    card = Path(__file__).with_name("card_base.md").read_text()
    card = card.format(
        size=size,
        recipe=recipe,
        context=CONTEXT,
        tokens=recipe.steps * recipe.batch_size * CONTEXT,
        mix=", ".join(f"{kind} {share:.0%}" for kind, share in SHARES.items()),
        curve="\n".join(curve),
        measured="\n".join(f"| {name} | {value:.1%} |" for name, value in skills.items()),
    )
    (folder / "README.md").write_text(card)
    return folder


def ship_tuned(checkpoint: str | Path, summary: dict[str, Any], scores: dict[str, str]) -> Path:
    """Copy a fine-tuned checkpoint into the package as `s1`, with a card of its accuracies."""
    folder = _replace("s1", Path(checkpoint))
    rows = "\n".join(f"| {name} | {value} |" for name, value in scores.items())
    card = Path(__file__).with_name("card_tuned.md").read_text()
    (folder / "README.md").write_text(card.format(rows=rows, **summary))
    return folder


def _replace(size: pocket.Size, source: Path) -> Path:
    folder = checkpoints.MODELS / size
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    for path in folder.iterdir():  # safetensors writes its files for the owner alone
        path.chmod(0o644)
    return folder


# A chain's steps overlap: the result of one is the left number of the next.
_STEP = re.compile(r"(?=\b(\d+) ([-+*/]) (\d+) = (\d+)\b)")


def measure(model: str, count: int = 500, seed: int = 0) -> dict[str, float]:
    """The skills of `small`, `large` or a checkpoint folder, as shares (see the card)."""
    from s1core.backends.hf import HFBackend
    from s1core.forcing import Budget, generate

    folder = checkpoints.locate(model if "/" in model else f"pocket-{model}")
    backend = HFBackend.from_pretrained(folder)
    rng = np.random.default_rng(seed)
    puzzles = evaluation_puzzles()[:count]
    chained = _searches(backend, puzzles, seed)
    steps = [step for _, line in chained for step in line]
    numbers = [(p, [int(n) for n in (line[0][0], *(s[2] for s in line))]) for p, line in chained]
    yes, no = (_judged(backend, puzzles, word, rng) for word in ("yes", "no"))
    problems = [problem(puzzle) for puzzle in puzzles]
    made = generate(backend, problems, Budget(0, max_answer=24), thinking=False)
    answers = [one.answer for one in made]
    right = [check(p.question, a.split(":", 1)[-1]) for p, a in zip(problems, answers, strict=True)]
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
