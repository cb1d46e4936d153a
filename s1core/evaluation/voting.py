"""Which answers count as one vote (Section 6.2: majority voting).

A vote must not know which answer is right, so equivalence is decided between the answers alone:
two expressions are one vote when they use the same numbers and come to the same value, two
integers when they are equal, two formulas when the grader would take one for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from s1core.evaluation.equivalence import equivalent, normalise
from s1core.evaluation.metrics import maj_at_k

Same = Callable[[str, str], bool]


def same_answer(kind: str) -> Same:
    """Equivalence of two extracted answers of a kind of grading (`Benchmark.kind`).

    `same_answer("countdown")("3 + 7", "7 + 3") -> True`, and likewise for "aime", "math" and
    "multiple_choice".
    """
    return {
        "countdown": _same_value,
        "multiple_choice": lambda a, b: normalise(a).upper() == normalise(b).upper(),
    }.get(kind, lambda a, b: equivalent(a, b).same)


def ballots(answers: Sequence[str], same: Same = str.__eq__) -> list[int | None]:
    """The vote of each answer: equal numbers for equivalent answers, None for an empty one.

    `ballots(["7", "", "8", "7.0"], same_answer("math")) -> [0, None, 1, 0]`.
    """
    leaders: list[str] = []
    votes: list[int | None] = []
    for answer in answers:
        if not answer:
            votes.append(None)
            continue
        for number, leader in enumerate(leaders):
            if same(leader, answer):
                votes.append(number)
                break
        else:
            votes.append(len(leaders))
            leaders.append(answer)
    return votes


def majority(
    answers: Sequence[str], correct: Sequence[bool], at: Sequence[int], same: Same = str.__eq__
) -> list[float]:
    """Chance that the vote of k of a question's answers is correct, for each k of `at`.

    Exact over all choices of k. A group of equivalent answers is as right as its first one: that
    one the vote would report. See `metrics.maj_at_k` for ties and abstentions.
    """
    votes = ballots(answers, same)
    reported: dict[int | None, bool] = {}
    for vote, right in zip(votes, correct, strict=True):
        reported.setdefault(vote, bool(right) and vote is not None)
    verdicts = [reported[vote] for vote in votes]
    if not any(verdicts):
        return [0.0] * len(at)
    return [maj_at_k(votes, verdicts, k) for k in at]


def _same_value(a: str, b: str) -> bool:
    from s1core.pocket.world import worked_out

    first = worked_out(a)
    return a == b if first is None else first == worked_out(b)
