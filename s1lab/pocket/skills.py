"""What a pocket base model can do: the numbers on its model card, and a test that they hold.

Each skill is measured on held-out puzzles, in the plain search format of pretraining.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from s1core.grading.countdown import check
from s1lab.pocket.splits import evaluation_puzzles
from s1lab.pocket.world import Puzzle, apply

if TYPE_CHECKING:
    from s1core.backends.base import Backend

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
    from s1core.forcing import Budget, generate
    from s1lab.pocket.teacher import problem

    backend = HFBackend.from_pretrained(locate(model if "/" in model else f"pocket-{model}"))
    rng = np.random.default_rng(seed)
    puzzles = evaluation_puzzles()[:count]
    searched = _searches(backend, puzzles, seed)
    steps = [step for _, line in searched for step in _STEP.findall(line)]
    chained = [(puzzle, line) for puzzle, line in searched if _STEP.search(line)]
    yes, no = (_judged(backend, puzzles, word, rng) for word in ("yes", "no"))
    problems = [problem(puzzle) for puzzle in puzzles]
    made = generate(backend, problems, Budget(0, max_answer=24), thinking=False)
    answers = [one.answer for one in made]
    right = [check(p.question, a.split(":", 1)[-1]) for p, a in zip(problems, answers, strict=True)]
    return {
        "arithmetic": _share(apply(int(a), op, int(b)) == int(c) for a, op, b, c in steps),
        "numbers": _share(_uses_numbers(puzzle, line) for puzzle, line in chained),
        "verdict_no": _share(no),
        "verdict_yes": _share(yes),
        "direct": _share(right),
    }


def _share(flags: Iterable[bool]) -> float:
    return round(float(np.mean(list(flags))), 4)


def _searches(backend: Backend, puzzles: Sequence[Puzzle], seed: int) -> list[tuple[Puzzle, str]]:
    """Two sampled lines of search per puzzle, in the plain format of pretraining."""
    from s1core.backends.base import SamplingParams

    tokenizer = backend.tokenizer
    prompts = [tokenizer(f"{p.question}\n").input_ids for p in puzzles]
    params = [
        SamplingParams(max_tokens=24, temperature=1.0, seed=seed * 100_003 + i)
        for i in range(len(prompts))
    ]
    texts = [
        tokenizer.decode(done.token_ids, skip_special_tokens=True)
        for done in backend.complete(prompts, params)
    ]
    pairs = zip(puzzles, texts, strict=True)
    return [(puzzle, line) for puzzle, text in pairs for line in text.split("\n")[:-1][:2]]


def _judged(
    backend: Backend, puzzles: Sequence[Puzzle], word: str, rng: np.random.Generator
) -> list[bool]:
    """Whether the model judges a line of each puzzle, right for "yes", correctly."""
    from s1core.backends.base import SamplingParams

    tokenizer, prompts = backend.tokenizer, []
    for puzzle in puzzles:
        lines = [c for c in puzzle.tries if (c.value == puzzle.target) == (word == "yes")]
        line = lines[rng.integers(len(lines))].line
        prompts.append(tokenizer(f"{puzzle.question}\n{line} want {puzzle.target}").input_ids)
    done = backend.complete(prompts, [SamplingParams(max_tokens=1)] * len(prompts))
    return [completion.token_ids[0] == tokenizer.get_vocab()[word] for completion in done]


def _uses_numbers(puzzle: Puzzle, line: str) -> bool:
    steps = _STEP.findall(line)
    used = [int(steps[0][0]), *(int(step[2]) for step in steps)]
    return sorted(used) == sorted(puzzle.numbers)
