"""Countdown: the task of the pocket world.

A puzzle gives two or three numbers and a target: use each number once, with + - * /, to make the
target. Thinking is a sequence of *tries*, each a chain worked from left to right and judged::

    Use 3 7 8 to make 29                question
    3 + 7 = 10 + 8 = 18 want 29 no      a try: (3 + 7) + 8 is 18, not 29
    3 * 7 = 21 + 8 = 29 want 29 yes     another
    ( 3 * 7 ) + 8                       answer
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

# Numbers of a puzzle lie in [SMALLEST, LARGEST]; every result of a chain in [0, CAP].
SMALLEST, LARGEST, CAP = 2, 16, 199
OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Numbers in the order they are shown, and the target to make of them."""

    numbers: tuple[int, ...]
    target: int

    @property
    def key(self) -> tuple[tuple[int, ...], int]:
        """What makes two puzzles the same: the numbers in any order, and the target."""
        return tuple(sorted(self.numbers)), self.target

    @property
    def tries(self) -> tuple["Chain", ...]:
        """Every try on its numbers."""
        return chains(self.key[0])

    @property
    def question(self) -> str:
        return f"Use {' '.join(map(str, self.numbers))} to make {self.target}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A try: `numbers[0] operators[0] numbers[1] …`, worked from left to right."""

    numbers: tuple[int, ...]
    operators: str
    results: tuple[int, ...]

    @property
    def value(self) -> int:
        return self.results[-1]

    @property
    def line(self) -> str:
        """`3 * 7 = 21 + 8 = 29`."""
        steps = zip(self.operators, self.numbers[1:], self.results)
        return " ".join([str(self.numbers[0]), *(f"{how} {n} = {made}" for how, n, made in steps)])

    @property
    def expression(self) -> str:
        """`( 3 * 7 ) + 8`; `3 * 7` for two numbers."""
        text = str(self.numbers[0])
        for step, (operator, number) in enumerate(zip(self.operators, self.numbers[1:])):
            left = f"( {text} )" if step else text
            text = f"{left} {operator} {number}"
        return text

    @property
    def domain(self) -> str:
        """The kinds of step that it takes, in order: `multiply-add`."""
        return "-".join(OPERATORS[operator] for operator in self.operators)


def apply(left: int, operator: str, right: int) -> int | None:
    """The result of one step, or None when it is not a whole number in [0, CAP]."""
    if operator == "/":
        return left // right if right and left % right == 0 else None
    result = {"+": left + right, "-": left - right, "*": left * right}[operator]
    return result if 0 <= result <= CAP else None


@cache
def chains(numbers: tuple[int, ...]) -> tuple[Chain, ...]:
    """Every try on these numbers (sorted), `3 + 7` and `7 + 3` being the same."""
    found = []
    for order in sorted(set(itertools.permutations(numbers))):
        for operators in itertools.product(OPERATORS, repeat=len(order) - 1):
            values = [order[0]]
            for operator, number in zip(operators, order[1:]):
                if (value := apply(values[-1], operator, number)) is None:
                    break
                values.append(value)
            turned = operators[0] in "+*" and order[0] > order[1]
            if len(values) == len(order) and not turned:
                found.append(Chain(order, "".join(operators), tuple(values[1:])))
    return tuple(found)


def solutions(puzzle: Puzzle) -> list[Chain]:
    """The tries that reach the target."""
    return [chain for chain in puzzle.tries if chain.value == puzzle.target]


def all_puzzles(size: int) -> Iterator[Puzzle]:
    """Every puzzle of `size` numbers that a chain solves, in a fixed order, numbers ascending."""
    for numbers in itertools.combinations_with_replacement(range(SMALLEST, LARGEST + 1), size):
        for target in sorted({chain.value for chain in chains(numbers)}):
            yield Puzzle(numbers, target)


SPLIT_SEED, EVAL_SIZE = 20250131, 500  # held out of everything that trains


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
