"""Judging correctness with a chat model (Section 2.2 and Appendix C.3).

The paper grades the attempts of Qwen2.5-7B, Qwen2.5-32B and the teacher with Claude, which sees
the question, the attempt and the reference solution and ends its answer with Yes or No. Where a
question can be graded exactly, `s1core.grading` does it offline. The official prompt is not public.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from s1core.records import Problem
from s1lab.annotation.batch import Outcome, Question, annotate
from s1lab.annotation.chat import ChatConfig, ChatReply

PROMPT = (
    "You grade attempts at solving problems. You are given a problem, an attempt and the correct "
    "answer. Decide whether the attempt reaches the correct answer. A different but equivalent "
    "form of the answer is correct; a correct approach with a wrong final answer is not. Explain "
    "your reasoning, and end your response on a new line with only Yes or No."
)


def questions(problems: Sequence[Problem], attempts: Mapping[str, str]) -> list[Question]:
    """The conversations for problems that have a reference and an attempt."""
    shown = "## Problem\n{}\n\n## Attempt\n{}\n\n## Correct answer\n{}"
    texts = {
        p.key: shown.format(p.question, attempts[p.key], p.solution or p.answer)
        for p in problems
        if p.key in attempts and (p.solution or p.answer)
    }
    return [Question(key, (("system", PROMPT), ("user", text))) for key, text in texts.items()]


def judge(
    problems: Sequence[Problem], attempts: Mapping[str, str], config: ChatConfig, path: str | Path
) -> Outcome:
    """Grade one attempt per problem, by problem key; resumable at `path`. The values are booleans.

    `errors` says which problem has no reference or attempt. Raises as `batch.annotate` does.
    """
    asked = questions(problems, attempts)
    done = annotate(asked, config, path, parse_verdict, lambda value: isinstance(value, bool))
    lacks = {
        key: "there is no reference solution" if key in attempts else "there is no attempt"
        for key in {p.key for p in problems} - {question.key for question in asked}
    }
    return replace(done, errors=done.errors | lacks)


def parse_verdict(reply: ChatReply) -> bool:
    """True for a last line of Yes, False for No, ValueError for anything else."""
    lines = reply.content.strip().splitlines()
    last = lines[-1].strip(" .*_`").lower() if lines else ""
    if last not in ("yes", "no"):
        raise ValueError(f"its last line is {last[:40]!r}, not Yes or No")
    return last == "yes"
