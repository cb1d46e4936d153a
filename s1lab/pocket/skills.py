"""What a pocket base model can do, measured: the shares in `skills.json` beside its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s1core.backends.base import Backend, SamplingParams
from s1core.grading.countdown import check
from s1lab.pocket.teacher import problem
from s1lab.pocket.world import Puzzle, apply, evaluation_puzzles

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
