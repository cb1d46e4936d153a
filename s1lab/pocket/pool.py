"""The pocket pool: 5,900 questions with traces, a tenth of the paper's 59K and as dirty.

Real pools have failed API calls, broken formatting, copies of the evaluation questions, questions
that any model solves, and wrong traces. So has this one, in shares of the same order as the paper's
(Section 2.1). It is a pure function of its seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from s1core import selection
from s1core.backends.base import Backend
from s1core.errors import InputError
from s1core.grading.countdown import check, read_question
from s1core.records import Example, Problem
from s1lab import pocket
from s1lab.pocket import world
from s1lab.pocket.teacher import Habits, example
from s1lab.pocket.world import Puzzle

POOL_SIZE = 5900

SHARES = {"easy": 0.10, "leaked": 0.02, "formatting": 0.04, "failed": 0.05}
"""Of the pool: two-number puzzles, evaluation puzzles in another order, traces with formatting
debris, traces that the teacher's API failed to deliver. The rest is as it should be."""

POCKET_PATTERNS: tuple[selection.StringPattern, ...] = (
    selection.StringPattern("image reference", r"!\[Image\]"),
    selection.StringPattern("bold number", r"\*\*\d+\*\*", field="thinking"),
)
"""Signs of bad formatting in this pool, as `s1core.selection.PAPER_PATTERNS` is for the paper's."""


class PoolRow(NamedTuple):
    """A question with its trace, and the API error in place of the trace when there was one."""

    example: Example
    error: str = ""


def build_pool(seed: int = 0, size: int = POOL_SIZE, habits: Habits | None = None) -> list[PoolRow]:
    """Draw the pool: `size` questions, no two alike, shuffled; InputError: there are not so many
    puzzles."""
    rng = np.random.default_rng([seed, 59])
    habits = habits or Habits()
    counts = {kind: round(share * size) for kind, share in SHARES.items()}
    good = size - sum(counts.values())
    hard = world.training_puzzles(3)
    wanted = good + counts["formatting"] + counts["failed"]
    if size < 50 or wanted > len(hard) or counts["leaked"] > len(world.evaluation_puzzles()):
        raise InputError(f"a pocket pool has 50 to 10,000 questions, not {size}")

    seen: set[str] = set()

    def draw(pool: Sequence[Puzzle], count: int) -> list[Example]:
        """`count` examples over puzzles of `pool`, a question never twice."""
        found: list[Example] = []
        while len(found) < count:
            for index in rng.permutation(len(pool)):
                puzzle = world.shuffled(pool[index], rng)
                if puzzle.question not in seen and len(found) < count:
                    seen.add(puzzle.question)
                    found.append(example(puzzle, rng, habits))
        return found

    easy = draw(world.training_puzzles(2), counts["easy"])
    leaked = draw(world.evaluation_puzzles(), counts["leaked"])
    drawn = draw(hard, wanted)
    dirty = drawn[good : good + counts["formatting"]]
    soiled = [_soil(row, bold=number % 2 == 1) for number, row in enumerate(dirty)]
    rows = [PoolRow(row) for row in (*easy, *leaked, *drawn[:good], *soiled)]
    for lost in drawn[good + counts["formatting"] :]:
        empty = replace(lost.trace, thinking="", attempt="")
        rows.append(PoolRow(replace(lost, trace=empty), error="429 Resource exhausted"))
    return [rows[i] for i in rng.permutation(len(rows))]


def _soil(row: Example, bold: bool) -> Example:
    """With a number in bold, or with an image that is not there."""
    if not bold:
        problem = replace(row.problem, question=f"![Image] {row.problem.question}")
        return replace(row, problem=problem)
    _, target = read_question(row.problem.question)
    thinking = row.trace.thinking.replace(f"want {target} ", f"want **{target}** ", 1)
    return replace(row, trace=replace(row.trace, thinking=thinking))


def trace_correct(row: Example) -> bool:
    """Whether the teacher's own attempt is right, checked exactly."""
    return check(row.problem.question, row.trace.attempt.split(":", 1)[-1])


def normal_form(question: str) -> str:
    """A question with its numbers sorted, so that puzzles that differ only in order are the same;
    other text as it is."""
    try:
        numbers, target = read_question(question)
    except ValueError:
        return question
    return Puzzle(tuple(sorted(numbers)), target).question


def solved(
    backend: Backend, pool: Sequence[Problem], max_answer: int, **options: Any
) -> list[bool]:
    """Whether a grader answers each question of the pool directly (Section 2.2, Difficulty);
    `options` are those of `s1core.forcing.generate`."""
    from s1core.forcing import Budget, generate
    from s1core.grading import grade_text

    made = generate(backend, pool, Budget(0, max_answer=max_answer), thinking=False, **options)
    pairs = ((problem, one.answer) for problem, one in zip(pool, made, strict=True))
    return [grade_text(*pair, "countdown").status == "correct" for pair in pairs]


def material(
    pool: Sequence[PoolRow], solved: Iterable[Mapping[str, str]], selected: int
) -> tuple[list[selection.Candidate], selection.BenchmarkIndex, selection.SelectionConfig]:
    """What selection works on: the pool, annotated with what the rows of the difficulty run say
    (`problem_key`, and "0" or "1" as `small` and `large`); the held-out questions, compared as a
    whole with their numbers sorted; the paper's settings, with no source that is taken whole."""
    graded = {row["problem_key"]: [row[name] == "1" for name in pocket.SIZES[:2]] for row in solved}
    tokenizer = pocket.load_tokenizer()
    candidates = [
        selection.Candidate(
            row.example,
            len(tokenizer(row.example.trace.thinking).input_ids),
            *graded.get(row.example.key, (None, None)),
            trace_correct(row.example),
            row.error,
        )
        for row in pool
    ]
    held_out = {"countdown": [puzzle.question for puzzle in world.evaluation_puzzles()]}
    index = selection.BenchmarkIndex(held_out, None, normalize=normal_form)
    diversity = selection.DiversityConfig(target=selected, correct_sources=(), long_sources=())
    config = selection.SelectionConfig(ngram=None, patterns=POCKET_PATTERNS, diversity=diversity)
    return candidates, index, config
