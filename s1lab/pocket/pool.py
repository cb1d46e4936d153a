"""The pocket pool: 5,900 questions with traces, a tenth of the paper's 59K and as dirty.

Real pools arrive with failed API calls, broken formatting, copies of the evaluation questions,
questions that any model solves, and wrong traces. So does this one, in shares of the same order
as the paper's (Section 2.1), so that every stage of selection has something to drop. The pool is a
pure function of its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from s1core import selection
from s1core.grading.countdown import check
from s1core.records import Example, Problem
from s1lab import pocket
from s1lab.pocket.splits import evaluation_puzzles, shuffled, training_puzzles
from s1lab.pocket.teacher import Habits, example
from s1lab.pocket.world import Puzzle, parse_question

if TYPE_CHECKING:
    from s1core.backends.base import Backend

POOL_SIZE = 5900

SHARES = {"easy": 0.10, "leaked": 0.02, "formatting": 0.04, "failed": 0.05}
"""Shares of the pool: two-number puzzles, evaluation puzzles in another order, traces with
formatting debris, traces that the teacher's API failed to deliver. The rest is as it should be."""

POCKET_PATTERNS: tuple[selection.StringPattern, ...] = (
    selection.StringPattern("image reference", r"!\[Image\]"),
    selection.StringPattern("bold number", r"\*\*\d+\*\*", field="thinking"),
)
"""Signs of bad formatting in this pool, as `s1core.selection.PAPER_PATTERNS` is for the paper's."""


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A question with its trace, and the API error in place of the trace when there was one."""

    example: Example
    error: str = ""


def build_pool(seed: int = 0, size: int = POOL_SIZE, habits: Habits | None = None) -> list[PoolRow]:
    """Draw the pool: `size` questions, no two alike, shuffled.

    Raises:
        ValueError: there are not enough puzzles for a pool of this size.
    """
    rng = np.random.default_rng([seed, 59])
    habits = habits or Habits()
    counts = {kind: round(share * size) for kind, share in SHARES.items()}
    good = size - sum(counts.values())
    hard = list(training_puzzles(3))
    wanted = good + counts["formatting"] + counts["failed"]
    if size < 50 or wanted > len(hard) or counts["leaked"] > len(evaluation_puzzles()):
        raise ValueError(f"a pocket pool has 50 to 10,000 questions, not {size}")

    seen: set[str] = set()

    def draw(pool: list[Puzzle], count: int) -> list[Example]:
        """`count` examples over puzzles of `pool`, a question never twice."""
        found: list[Example] = []
        while len(found) < count:
            for index in rng.permutation(len(pool)):
                puzzle = shuffled(pool[index], rng)
                if puzzle.question not in seen and len(found) < count:
                    seen.add(puzzle.question)
                    found.append(example(puzzle, rng, habits))
        return found

    rows = [PoolRow(e) for e in draw(list(training_puzzles(2)), counts["easy"])]
    rows += [PoolRow(e) for e in draw(list(evaluation_puzzles()), counts["leaked"])]
    drawn = draw(hard, wanted)
    rows += [PoolRow(e) for e in drawn[:good]]
    for number, soiled in enumerate(drawn[good : good + counts["formatting"]]):
        rows.append(PoolRow(_DEBRIS[number % len(_DEBRIS)](soiled)))
    for lost in drawn[good + counts["formatting"] :]:
        empty = replace(lost.trace, thinking="", attempt="")
        rows.append(PoolRow(replace(lost, trace=empty), error="429 Resource exhausted"))
    return [rows[i] for i in rng.permutation(len(rows))]


def _image(row: Example) -> Example:
    problem = replace(row.problem, question=f"![Image] {row.problem.question}")
    return replace(row, problem=problem)


def _bold(row: Example) -> Example:
    target = str(parse_question(row.problem.question).target)
    thinking = row.trace.thinking.replace(f"want {target} ", f"want **{target}** ", 1)
    return replace(row, trace=replace(row.trace, thinking=thinking))


_DEBRIS: tuple[Callable[[Example], Example], ...] = (_image, _bold)


def trace_correct(row: Example) -> bool:
    """Whether the teacher's own attempt is right, checked exactly."""
    answer = row.trace.attempt.split(":", 1)[-1]
    return check(row.problem.question, answer)


def normal_form(question: str) -> str:
    """A question with its numbers sorted: puzzles that differ only in order are the same.

    Text that is no Countdown question is its own normal form.
    """
    try:
        puzzle = parse_question(question)
    except ValueError:
        return question
    return replace(puzzle, numbers=tuple(sorted(puzzle.numbers))).question


# ------------------------------------------------------------------------------ selection


def solved(
    backend: Backend,
    pool: Sequence[Problem],
    template: str,
    max_answer: int,
    *,
    progress: bool = False,
) -> list[bool]:
    """Whether a grader answers each question of the pool directly (Section 2.2, Difficulty)."""
    from s1core.forcing import Budget, generate
    from s1core.grading import grade_text

    options = {"template": template, "thinking": False, "progress": progress}
    made = generate(backend, pool, Budget(0, max_answer=max_answer), **options)
    return [
        grade_text(problem, one.answer, "countdown").status == "correct"
        for problem, one in zip(pool, made, strict=True)
    ]


def pocket_candidates(
    pool: Sequence[PoolRow], solved: Iterable[Mapping[str, str]]
) -> list[selection.Candidate]:
    """Annotate the pool: length and correctness of each trace, and which grader solves it.

    Args:
        solved: rows with `problem_key` and "0" or "1" as `small` and `large`, as the difficulty
            run writes them.
    """
    graded = {row["problem_key"]: row for row in solved}
    tokenizer = pocket.load_tokenizer()

    def solves(key: str, grader: str) -> bool | None:
        return graded[key][grader] == "1" if key in graded else None

    return [
        selection.Candidate(
            row.example,
            len(tokenizer(row.example.trace.thinking).input_ids),
            solves(row.example.key, "small"),
            solves(row.example.key, "large"),
            trace_correct(row.example),
            row.error,
        )
        for row in pool
    ]


def evaluation_index() -> selection.BenchmarkIndex:
    """The held-out questions, compared as a whole with their numbers sorted."""
    questions = [problem.question for problem in pocket.evaluation_problems()]
    return selection.BenchmarkIndex({"countdown": questions}, None, normalize=normal_form)


def pocket_config(selected: int) -> selection.SelectionConfig:
    """The paper's settings, with the pool's own dirt and no source that is taken whole."""
    diversity = selection.DiversityConfig(target=selected, correct_sources=(), long_sources=())
    return selection.SelectionConfig(ngram=None, patterns=POCKET_PATTERNS, diversity=diversity)
