"""Judging correctness with a chat model (Section 2.2 and Appendix C.3).

The paper grades the attempts of Qwen2.5-7B, Qwen2.5-32B and the teacher with Claude, which sees
the question, the attempt and the reference solution and ends its answer with Yes or No. Where a
question can be graded exactly, `evaluation.grade_text` does it offline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s1core.records import Problem
from s1lab.annotation.batch import Question, Usage, annotate
from s1lab.annotation.chat import ChatConfig, ChatReply

PROMPT = (
    "You grade attempts at solving problems. You are given a problem, an attempt and the correct "
    "answer. Decide whether the attempt reaches the correct answer. A different but equivalent "
    "form of the answer is correct; a correct approach with a wrong final answer is not. Explain "
    "your reasoning, and end your response on a new line with only Yes or No."
)
"""The instruction; the official prompt file is not part of the published repository."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether each attempt is correct, by problem key; why others could not be judged."""

    correct: dict[str, bool]
    errors: dict[str, str]
    usage: Usage


def questions(problems: Sequence[Problem], attempts: Mapping[str, str]) -> list[Question]:
    """The conversations for problems that have a reference and an attempt."""
    return [
        Question(
            p.key,
            (
                ("system", PROMPT),
                (
                    "user",
                    f"## Problem\n{p.question}\n\n## Attempt\n{attempts[p.key]}\n\n"
                    f"## Correct answer\n{p.solution or p.answer}",
                ),
            ),
        )
        for p in problems
        if p.key in attempts and (p.solution or p.answer)
    ]


def judge(
    problems: Sequence[Problem],
    attempts: Mapping[str, str],
    config: ChatConfig,
    path: str | Path,
    on_progress: Callable[[Usage], None] | None = None,
) -> Judged:
    """Grade one attempt per problem, by problem key; resumable at `path`.

    A problem without a reference solution, or without an attempt, is left ungraded, with the
    reason in `errors`.

    Raises:
        BackendError, BackendError: as for `batch.annotate`.
    """
    asked = questions(problems, attempts)
    answers, usage = annotate(asked, config, path, parse_verdict, on_progress)
    correct = {a.key: bool(a.value) for a in answers if a.ok}
    errors = {a.key: a.error for a in answers if not a.ok}
    for problem in problems:
        if problem.key not in attempts:
            errors[problem.key] = "there is no attempt"
        elif not (problem.solution or problem.answer):
            errors[problem.key] = "there is no reference solution"
    return Judged(correct, errors, usage)


def parse_verdict(reply: ChatReply) -> bool:
    """True for a last line of Yes, False for No.

    Raises:
        ValueError: the last line says neither.
    """
    lines = reply.content.strip().splitlines()
    last = lines[-1].strip(" .*_`").lower() if lines else ""
    if last not in ("yes", "no"):
        raise ValueError(f"its last line is {last[:40]!r}, not Yes or No")
    return last == "yes"
