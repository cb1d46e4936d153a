"""The teacher of the pocket world: how traces are made, slips and repairs included.

The paper distils its traces from Gemini Flash Thinking (Section 2.1). Here a small program plays
the teacher: it tries chains in random order, judges each, and stops at the first that it believes.
It slips: now and then it accepts a wrong try, and mostly notices, says "Wait" and checks the line
again; where it does not, the trace is wrong (as 464 of s1K's 1,000 are).
"""

from dataclasses import dataclass

import numpy as np

from s1core.records import Example, Problem, Trace
from s1lab.pocket.world import Chain, Puzzle, solutions

ANSWER_PREFIX = "Answer: "


@dataclass(frozen=True, slots=True)
class Habits:
    """How often the teacher does what, as probabilities."""

    slip: float = 0.06  # a wrong try is called right
    repair: float = 0.6  # such a slip is noticed, and the same line checked again
    double_check: float = 0.25  # a right try is checked again before it is believed


def think(puzzle: Puzzle, rng: np.random.Generator, habits: Habits = Habits()) -> tuple[str, Chain]:
    """A trace for a solvable puzzle, ending in "yes" without a newline as the training format wants
    it, and the chain that the teacher came to believe."""
    lines: list[str] = []
    for index in rng.permutation(len(puzzle.tries)):
        chain = puzzle.tries[index]
        line = f"{chain.line} want {puzzle.target}"
        truth = "yes" if chain.value == puzzle.target else "no"
        slipped = truth == "no" and rng.random() < habits.slip
        lines.append(f"{line} {'yes' if slipped else truth}")
        if slipped and rng.random() >= habits.repair:
            return "\n".join(lines), chain
        if slipped or (truth == "yes" and rng.random() < habits.double_check):
            lines.append(f"Wait {line} {truth}")
        if truth == "yes":
            return "\n".join(lines), chain
    raise ValueError(f"no chain makes {puzzle.target} of {puzzle.numbers}")


def example(puzzle: Puzzle, rng: np.random.Generator, habits: Habits = Habits()) -> Example:
    """A puzzle with its reference answer and a teacher's trace."""
    thinking, believed = think(puzzle, rng, habits)
    trace = Trace(thinking, ANSWER_PREFIX + believed.expression, "countdown-teacher")
    return Example(problem(puzzle), trace)


def problem(puzzle: Puzzle) -> Problem:
    """The puzzle as a `Problem`, with its first solution for a reference answer; the source tells
    how many numbers it has, the domain which operations the solution takes."""
    first, source = solutions(puzzle)[0], f"countdown-{len(puzzle.numbers)}"
    return Problem(puzzle.question, first.expression, first.line, source, first.domain)
