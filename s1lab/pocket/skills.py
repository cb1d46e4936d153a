"""What a pocket base model can do: the numbers on its model card, and a test that they hold.

Each skill is measured on held-out puzzles, in the plain search format of pretraining.
"""

from __future__ import annotations

import re

import numpy as np

from s1core.grading.countdown import check
from s1lab.pocket.splits import evaluation_puzzles
from s1lab.pocket.world import Puzzle, apply, chains

# A chain's steps overlap: the result of one is the left number of the next.
_STEP = re.compile(r"(?=\b(\d+) ([-+*/]) (\d+) = (\d+)\b)")


def measure(model: str, count: int = 500, seed: int = 0) -> dict[str, float]:
    """Measure the skills of `small`, `large` or a checkpoint folder, each as a share of `count`.

    - `arithmetic`: steps `a op b = c` that the model writes when it searches, and that are right.
    - `numbers`: searched lines that use each number of the puzzle exactly once.
    - `verdict_no`, `verdict_yes`: right judgements of given lines that miss or make the target.
    - `direct`: puzzles answered correctly at once, greedily, in the chat format.
    """
    from s1core.backends.hf import HFBackend
    from s1core.checkpoints import locate
    from s1core.forcing.drive import direct_answers
    from s1lab.pocket.teacher import problem

    backend = HFBackend.from_pretrained(locate(model if "/" in model else f"pocket-{model}"))
    rng = np.random.default_rng(seed)
    puzzles = evaluation_puzzles()[:count]
    searched = _searches(backend, puzzles, seed)
    steps = [step for _, line in searched for step in _STEP.findall(line)]
    chained = [(puzzle, line) for puzzle, line in searched if _STEP.search(line)]
    yes, no = _verdicts(backend, puzzles, rng)
    problems = [problem(puzzle) for puzzle in puzzles]
    answers = direct_answers(backend, problems, max_answer=24)
    right = [check(p.question, a.split(":", 1)[-1]) for p, a in zip(problems, answers, strict=True)]
    return {
        "arithmetic": _share(apply(int(a), op, int(b)) == int(c) for a, op, b, c in steps),
        "numbers": _share(_uses_numbers(puzzle, line) for puzzle, line in chained),
        "verdict_no": _share(no),
        "verdict_yes": _share(yes),
        "direct": _share(right),
    }


def _share(flags: object) -> float:
    return round(float(np.mean(list(flags))), 4)  # type: ignore[call-overload]


def _searches(backend: object, puzzles: tuple[Puzzle, ...], seed: int) -> list[tuple[Puzzle, str]]:
    """Two sampled lines of search per puzzle, in the plain format of pretraining."""
    from s1core.backends.base import SamplingParams

    tokenizer = backend.tokenizer  # type: ignore[attr-defined]
    prompts = [tokenizer(f"{p.question}\n").input_ids for p in puzzles]
    params = [
        SamplingParams(max_tokens=24, temperature=1.0, seed=seed * 100_003 + i)
        for i in range(len(prompts))
    ]
    done = backend.complete(prompts, params)  # type: ignore[attr-defined]
    found = []
    for puzzle, completion in zip(puzzles, done, strict=True):
        text = tokenizer.decode(completion.token_ids, skip_special_tokens=True)
        lines = text.split("\n")
        found += [(puzzle, line) for line in lines[:-1][:2]]
    return found


def _verdicts(
    backend: object, puzzles: tuple[Puzzle, ...], rng: np.random.Generator
) -> tuple[list[bool], list[bool]]:
    """Whether the model judges a right and a wrong line of each puzzle correctly."""
    from s1core.backends.base import SamplingParams

    tokenizer = backend.tokenizer  # type: ignore[attr-defined]
    verdicts: dict[str, list[bool]] = {}
    for word in ("yes", "no"):
        prompts = []
        for puzzle in puzzles:
            lines = [
                c
                for c in chains(tuple(sorted(puzzle.numbers)))
                if (c.value == puzzle.target) == (word == "yes")
            ]
            line = lines[rng.integers(len(lines))].line
            prompts.append(tokenizer(f"{puzzle.question}\n{line} want {puzzle.target}").input_ids)
        done = backend.complete(prompts, [SamplingParams(max_tokens=1)] * len(prompts))  # type: ignore[attr-defined]
        wanted = tokenizer.get_vocab()[word]
        verdicts[word] = [completion.token_ids[0] == wanted for completion in done]
    return verdicts["yes"], verdicts["no"]


def _uses_numbers(puzzle: Puzzle, line: str) -> bool:
    steps = _STEP.findall(line)
    used = [int(steps[0][0]), *(int(step[2]) for step in steps)]
    return sorted(used) == sorted(puzzle.numbers)
