"""Distillation: reasoning traces from a teacher (Section 2.1).

The paper asks Gemini 2.0 Flash Thinking each question of the pool, as it is, for a trace and an
attempt; s1K-1.1 asks DeepSeek r1. Any endpoint that gives its reasoning apart, or between
`<think>` and `</think>`, can take their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s1core.records import Example, Problem, Trace
from s1lab.annotation.batch import Outcome, Question, annotate
from s1lab.annotation.chat import ChatConfig, ChatReply


def questions(problems: Iterable[Problem]) -> list[Question]:
    """The conversations: the question alone, as the paper asks it."""
    return [Question(p.key, (("user", p.question),)) for p in problems]


def distill(problems: Sequence[Problem], config: ChatConfig, path: str | Path) -> Outcome:
    """Ask the teacher for a trace and an attempt on each problem; resumable at `path`.

    The values are examples. Raises as `batch.annotate` does.
    """
    done = annotate(questions(problems), config, path, parse_trace, _is_trace)
    problem = {p.key: p for p in problems}
    made = {
        key: Example(problem[key], Trace(**value, model=config.model))
        for key, value in done.values.items()
    }
    return replace(done, values=made)


def parse_trace(reply: ChatReply) -> dict[str, str]:
    """The thinking and the attempt of a reply; ValueError where one of them is missing or cut."""
    thinking, attempt = reply.reasoning, reply.content
    if not thinking and "</think>" in attempt:
        thinking, _, attempt = attempt.partition("</think>")
        thinking = thinking.strip().removeprefix("<think>")
    thinking, attempt = thinking.strip(), attempt.strip()
    if reply.finish_reason == "length":
        raise ValueError("it was cut off at max_tokens")
    if not thinking:
        raise ValueError("it holds no reasoning, neither apart nor in <think> tags")
    if not attempt:
        raise ValueError("nothing follows the reasoning")
    return {"thinking": thinking, "attempt": attempt}


def _is_trace(value: Any) -> bool:
    kinds = {"thinking": str, "attempt": str}
    return isinstance(value, dict) and {name: type(part) for name, part in value.items()} == kinds
