"""The pocket pool: 5,900 questions with traces, a tenth of the paper's 59K and as dirty.

Real pools have failed API calls, broken formatting, copies of the evaluation questions, questions
that any model solves, and wrong traces. So has this one, in shares of the same order as the paper's
(Section 2.1). It is a pure function of its seed.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from s1core.errors import InputError
from s1core.grading.countdown import check, read_question
from s1core.records import Example
from s1core.selection import BenchmarkIndex, Candidate, StringPattern
from s1lab.pocket import load_tokenizer, world
from s1lab.pocket.teacher import example
from s1lab.pocket.world import Puzzle

POOL_SIZE = 5900

SHARES = {"easy": 0.10, "leaked": 0.02, "formatting": 0.04, "failed": 0.05}
"""Of the pool: two-number puzzles, evaluation puzzles in another order, traces with formatting
debris, traces that the teacher's API failed to deliver. The rest is as it should be."""

API_ERROR = "429 Resource exhausted"
POCKET_PATTERNS: tuple[StringPattern, ...] = (
    StringPattern("image reference", r"!\[Image\]"),
    StringPattern("bold number", r"\*\*\d+\*\*", field="thinking"),
)
"""Signs of bad formatting in this pool, as `s1core.selection.PAPER_PATTERNS` is for the paper's."""


def build_pool(seed: int = 0, size: int = POOL_SIZE) -> list[Candidate]:
    """Draw the pool: `size` questions, no two alike, shuffled, with traces (graded), and an API's
    error in the place of some. InputError: there are not so many puzzles."""
    rng = np.random.default_rng([seed, 59])
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
                    found.append(example(puzzle, rng))
        return found

    easy = draw(world.training_puzzles(2), counts["easy"])
    leaked = draw(world.evaluation_puzzles(), counts["leaked"])
    drawn, failed = draw(hard, wanted), counts["failed"]
    soiled = [_soil(row, bold=number % 2 == 1) for number, row in enumerate(drawn[good:-failed])]
    empty = {"thinking": "", "attempt": ""}
    lost = [replace(row, trace=replace(row.trace, **empty)) for row in drawn[-failed:]]
    rows = [*easy, *leaked, *drawn[:good], *soiled, *lost]
    made = load_tokenizer()([row.trace.thinking for row in rows]).input_ids
    pool = [
        Candidate(row, len(ids), None, None, trace_correct(row), "" if ids else API_ERROR)
        for row, ids in zip(rows, made, strict=True)
    ]
    return [pool[i] for i in rng.permutation(size)]


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
    """A question with its numbers sorted: one for puzzles that differ in order; else as it is."""
    try:
        numbers, target = read_question(question)
    except ValueError:
        return question
    return Puzzle(tuple(sorted(numbers)), target).question


def held_out() -> BenchmarkIndex:
    """The questions that must not be in the pool, compared as a whole with their numbers sorted."""
    questions = [puzzle.question for puzzle in world.evaluation_puzzles()]
    return BenchmarkIndex({"countdown": questions}, None, normalize=normal_form)
