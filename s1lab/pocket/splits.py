"""Which puzzles are for what: evaluation puzzles are held out of everything that trains.

A pure function of a fixed seed. A puzzle is its numbers in any order and its target.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from s1lab.pocket.world import Puzzle, all_puzzles

SPLIT_SEED = 20250131
EVAL_SIZE = 500


def shuffled(puzzle: Puzzle, rng: np.random.Generator) -> Puzzle:
    """The same puzzle with its numbers shown in a random order."""
    return Puzzle(tuple(int(n) for n in rng.permutation(puzzle.numbers)), puzzle.target)


@cache
def evaluation_puzzles() -> tuple[Puzzle, ...]:
    """The held-out puzzles, three numbers each, in a fixed random order."""
    rng = np.random.default_rng(SPLIT_SEED)
    puzzles = list(all_puzzles(3))
    chosen = rng.choice(len(puzzles), EVAL_SIZE, replace=False)
    return tuple(shuffled(puzzles[i], rng) for i in chosen)


@cache
def held_out() -> frozenset[tuple[tuple[int, ...], int]]:
    """Keys that no training text may contain."""
    return frozenset(puzzle.key for puzzle in evaluation_puzzles())


@cache
def training_puzzles(size: int) -> tuple[Puzzle, ...]:
    """Every puzzle of `size` numbers that is not held out, numbers ascending."""
    return tuple(p for p in all_puzzles(size) if p.key not in held_out())
