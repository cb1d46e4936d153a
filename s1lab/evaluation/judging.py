"""An LLM judge as a second column beside the offline grader, never in its place.

The official evaluation extracts answers with gpt-4o-mini; here a judge's verdicts are laid beside
the grades, so that a reader sees where they differ. A response that the judge failed on stays
without a second verdict: nothing is filled in from the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s1core.records import Generation, Grade, Problem
from s1lab.evaluation.report import Table

if TYPE_CHECKING:
    from s1lab.annotation.chat import ChatConfig


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """Grades with a judge's verdicts, by problem key; `unjudged` says why some have none."""

    grades: tuple[Grade, ...]
    verdicts: dict[str, bool]
    unjudged: dict[str, str]

    @property
    def disagreements(self) -> tuple[Grade, ...]:
        """Grades that the judge sees otherwise."""
        judged = [grade for grade in self.grades if grade.problem_key in self.verdicts]
        return tuple(g for g in judged if g.correct != self.verdicts[g.problem_key])

    @property
    def agreement(self) -> float:
        """Share of equal verdicts among those judged; NaN when none was."""
        judged = sum(grade.problem_key in self.verdicts for grade in self.grades)
        return 1 - len(self.disagreements) / judged if judged else float("nan")

    def table(self) -> Table:
        """Status by judge's verdict: how many grades of each status the judge calls what."""
        names = {True: "correct", False: "wrong", None: "not judged"}
        counts = Counter((g.status, names[self.verdicts.get(g.problem_key)]) for g in self.grades)
        rows = tuple((status, judge, str(n)) for (status, judge), n in sorted(counts.items()))
        return Table(("grade", "judge", "n"), rows)


def second_opinion(
    grades: Sequence[Grade], verdicts: Mapping[str, bool], errors: Mapping[str, str] = {}
) -> SecondOpinion:
    """Lay a judge's verdicts (by problem key) beside the grades of one sample per problem.

    Raises:
        ValueError: several grades for a problem; a judge's file holds one verdict per problem.
    """
    keys = [grade.problem_key for grade in grades]
    if len(set(keys)) != len(keys):
        raise ValueError("a judge gives one verdict per problem; pass the grades of one sample")
    unjudged = {k: errors.get(k, "no verdict") for k in keys if k not in verdicts}
    return SecondOpinion(tuple(grades), {k: verdicts[k] for k in keys if k in verdicts}, unjudged)


def ask_judge(
    problems: Iterable[Problem],
    generations: Iterable[Generation],
    grades: Sequence[Grade],
    config: ChatConfig,
    path: str | Path,
) -> SecondOpinion:
    """Ask a chat model (`s1lab.annotation.judge`) about every answer; resumable at `path`."""
    from s1lab.annotation.judge import judge

    attempts = {g.problem_key: g.answer for g in generations if g.answer.strip()}
    judged = judge(list(problems), attempts, config, path)
    return second_opinion(grades, judged.values, judged.errors)
