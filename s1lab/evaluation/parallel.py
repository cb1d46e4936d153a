"""Parallel scaling (Section 6.2, Figure 7): sample many times and vote.

What counts as the same answer is passed in (`evaluation.voting.same_answer`); this module only
counts votes and tokens, and compares methods at equal compute::

    right = lambda key, answer: grade_text(by_key[key], answer, "aime").status == "correct"
    vote = majority_points(sampled, answers, right, same=same_answer("aime"))
    longer = [ComputePoint("Wait", "2x", 6657.0, 16, 30)]
    for point, voted in compute_matched(longer, vote):
        print(point.setting, point.accuracy, "against a vote's", voted)

From the samples of finished runs, and with intervals: `s1lab.analysis.method_measures.match`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from s1core.records import Generation

Same = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Vote:
    """The outcome of a majority vote: the winning answer, its votes, and the votes cast."""

    answer: str
    votes: int
    cast: int


@dataclass(frozen=True, slots=True)
class ComputePoint:
    """One setting of one method: where it lies in a plot of accuracy against compute.

    `tokens` is thinking tokens per question, of all its samples together; `correct` is out of `n`.
    """

    method: str
    setting: str
    tokens: float
    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        """Fraction correct."""
        return self.correct / self.n


def majority_vote(answers: Sequence[str], same: Same = str.__eq__) -> Vote:
    """The most frequent answer; of equally frequent ones, the one that came first.

    Empty answers abstain: `majority_vote(["7", "", "07"], same_number) -> Vote("7", 2, 2)`.
    """
    groups: list[list[str]] = []
    for answer in filter(None, answers):
        for group in groups:
            if same(group[0], answer):
                group.append(answer)
                break
        else:
            groups.append([answer])
    if not groups:
        return Vote("", 0, 0)
    winner = max(groups, key=len)
    return Vote(winner[0], len(winner), sum(map(len, groups)))


def majority_points(
    generations: Sequence[Generation],
    answers: Sequence[str],
    correct: Callable[[str, str], bool],
    *,
    votes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    same: Same = str.__eq__,
    method: str = "majority",
) -> list[ComputePoint]:
    """Majority voting over the first k samples of each problem, for each k.

    Args:
        generations: several samples per problem; their thinking tokens are the compute.
        answers: the answer extracted from each generation, "" for none.
        correct: whether an answer is right, as `correct(problem_key, answer)`.
        votes: the k to report; those above the number of samples are left out.
    """
    if len(generations) != len(answers):
        raise ValueError(f"{len(generations)} generations but {len(answers)} answers")
    rows: dict[str, list[tuple[int, int, str]]] = {}
    for generation, answer in zip(generations, answers, strict=True):
        row = (generation.sample, generation.thinking_tokens, answer)
        rows.setdefault(generation.problem_key, []).append(row)
    samples = min((len(row) for row in rows.values()), default=0)
    points = []
    for k in (k for k in votes if k <= samples):
        right = tokens = 0
        for key, row in rows.items():
            first = sorted(row)[:k]
            tokens += sum(thinking for _, thinking, _ in first)
            winner = majority_vote([answer for _, _, answer in first], same).answer
            right += bool(winner) and correct(key, winner)
        points.append(ComputePoint(method, f"{k}x", tokens / len(rows), right, len(rows)))
    return points


def compute_matched(
    ours: Sequence[ComputePoint], theirs: Sequence[ComputePoint]
) -> list[tuple[ComputePoint, float]]:
    """Each point of `ours` with the accuracy `theirs` has at the same compute.

    `theirs` is interpolated between its points over log2(tokens), as Figure 7's axis is; points
    of `ours` outside its range are left out, since nothing was measured there.
    """
    curve = sorted((math.log2(p.tokens), p.accuracy) for p in theirs if p.tokens > 0)
    matched = []
    for point in (p for p in ours if p.tokens > 0):
        x = math.log2(point.tokens)
        for (left, low), (right, high) in zip(curve, curve[1:], strict=False):
            if left <= x <= right:
                share = (x - left) / (right - left) if right > left else 0.0
                matched.append((point, low + share * (high - low)))
                break
        else:
            matched += [(point, y) for at, y in curve if math.isclose(at, x)][:1]
    return matched
