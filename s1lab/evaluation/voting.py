"""Which answers count as one vote (Section 6.2: majority voting).

A vote must not know which answer is right, so equivalence is decided between the answers alone:
two expressions are one vote when they use the same numbers and come to the same value, two
integers when they are equal, two formulas when the grader would take one for the other.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from s1core.grading.countdown import worked_out
from s1core.grading.equivalence import equivalent
from s1core.grading.spelling import normalise

Same = Callable[[str, str], bool]


def same_answer(kind: str) -> Same:
    """Equivalence of two extracted answers of a kind of grading (`Benchmark.kind`).
    `same_answer("countdown")("3 + 7", "7 + 3") -> True`."""
    return {
        "countdown": lambda a, b: a == b or worked_out(a) == worked_out(b) is not None,
        "multiple_choice": lambda a, b: normalise(a).upper() == normalise(b).upper(),
    }.get(kind, lambda a, b: equivalent(a, b).same)


def ballots(answers: Sequence[str], same: Same = str.__eq__) -> list[int | None]:
    """The vote of each answer: equal numbers for equivalent answers, None for an empty one.
    `ballots(["7", "", "8", "7.0"], same_answer("math")) -> [0, None, 1, 0]`."""
    leaders: list[str] = []
    votes: list[int | None] = []
    for answer in answers:
        alike = (number for number, leader in enumerate(leaders) if same(leader, answer))
        votes.append(next(alike, len(leaders)) if answer else None)
        if votes[-1] == len(leaders):
            leaders.append(answer)
    return votes


def majority(
    answers: Sequence[str], correct: Sequence[bool], at: Sequence[int], same: Same = str.__eq__
) -> list[float]:
    """maj@k of one question: the chance that the vote of k of its answers is correct, for each k.

    Exact over all choices of k of the answers; a tie is shared among its answers, and an empty one
    does not vote. A group of equivalent answers is as right as its first, which would be reported.
    """
    votes = ballots(answers, same)
    reported: dict[int | None, bool] = {}
    for vote, right in zip(votes, correct, strict=True):
        reported.setdefault(vote, bool(right))
    counts = Counter(votes)
    silent = counts.pop(None, 0)
    right_ones = [vote for vote in counts if reported[vote]]
    return [sum(_chance_to_win(counts, silent, vote, k) for vote in right_ones) for k in at]


def _chance_to_win(counts: Counter, silent: int, answer: Hashable, k: int) -> float:
    """Chance that `answer` leads the vote of k of all samples, sharing ties. `ways[s, t]` counts
    the choices of s samples among the others, none above m votes, t with m."""
    others = [count for other, count in counts.items() if other != answer]
    total = 0.0
    for m in range(1, min(counts[answer], k) + 1):
        ways = np.zeros((k - m + 1, k // m + 1))
        ways[0, 0] = 1.0
        for count, cap in [(c, m) for c in others] + [(silent, 0)]:
            grown = np.zeros_like(ways)
            for x in range(min(count, cap or count, k - m) + 1):
                tie = int(cap > 0 and x == cap)
                grown[x:, tie:] += math.comb(count, x) * ways[: k - m + 1 - x, : k // m + 1 - tie]
            ways = grown
        shares = 1.0 / (1.0 + np.arange(ways.shape[1]))
        total += math.comb(counts[answer], m) * float(ways[k - m] @ shares)
    return total / math.comb(silent + counts.total(), k)
