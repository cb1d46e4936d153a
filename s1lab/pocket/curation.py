"""The pocket pool as selection wants it: candidates with annotations, what to keep out, settings.

The stages themselves are `s1core.selection`'s, the same that curate the paper's 59K.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from s1core import selection
from s1lab import pocket
from s1lab.pocket.pool import POCKET_PATTERNS, PoolRow, normal_form, trace_correct

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1core.records import Problem


def solved(
    backend: Backend,
    pool: Sequence[Problem],
    template: str,
    max_answer: int,
    *,
    progress: bool = False,
) -> list[bool]:
    """Whether a grader answers each question of the pool directly (Section 2.2, Difficulty)."""
    from s1core.forcing.drive import direct_answers
    from s1core.grading import grade_text

    answers = direct_answers(
        backend, pool, template=template, max_answer=max_answer, progress=progress
    )
    return [
        grade_text(problem, answer, "countdown").status == "correct"
        for problem, answer in zip(pool, answers, strict=True)
    ]


def pocket_candidates(
    pool: Sequence[PoolRow], solved: Iterable[Mapping[str, str]]
) -> list[selection.Candidate]:
    """Annotate the pool: length and correctness of each trace, and which grader solves it.

    Args:
        solved: rows with `problem_key` and "0" or "1" as `small` and `large`, as the difficulty
            run writes them.
    """
    rows = list(solved)
    tokenizer = pocket.load_tokenizer()
    return list(
        selection.annotate(
            [row.example for row in pool],
            lambda text: len(tokenizer(text).input_ids),
            {row["problem_key"]: row["small"] == "1" for row in rows},
            {row["problem_key"]: row["large"] == "1" for row in rows},
            {row.example.key: trace_correct(row.example) for row in pool},
            {row.example.key: row.error for row in pool if row.error},
        )
    )


def evaluation_index() -> selection.BenchmarkIndex:
    """The held-out questions, compared as a whole with their numbers sorted."""
    questions = [problem.question for problem in pocket.evaluation_problems()]
    return selection.BenchmarkIndex({"countdown": questions}, None, normalize=normal_form)


def pocket_config(selected: int) -> selection.SelectionConfig:
    """The paper's settings, with the pool's own dirt and no source that is taken whole."""
    diversity = selection.DiversityConfig(target=selected, correct_sources=(), long_sources=())
    return selection.SelectionConfig(ngram=None, patterns=POCKET_PATTERNS, diversity=diversity)
