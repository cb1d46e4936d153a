"""Distillation: reasoning traces from a teacher (Section 2.1).

The paper asks Gemini 2.0 Flash Thinking each question of the pool, as it is, for a trace and an
attempt; s1K-1.1 asks DeepSeek r1. Any endpoint that gives its reasoning apart, or between
`<think>` and `</think>`, can take their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from s1core.records import Example, Problem, Trace
from s1lab.annotation.batch import Question, Usage, annotate
from s1lab.annotation.chat import ChatConfig, ChatReply

_OPEN, _CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Distilled:
    """Examples with traces, in the order of the problems; why others have none, by key."""

    examples: tuple[Example, ...]
    errors: dict[str, str]
    usage: Usage


def questions(problems: Iterable[Problem]) -> list[Question]:
    """The conversations: the question alone, as the paper asks it."""
    return [Question(p.key, (("user", p.question),)) for p in problems]


def distill(
    problems: Sequence[Problem],
    config: ChatConfig,
    path: str | Path,
    on_progress: Callable[[Usage], None] | None = None,
) -> Distilled:
    """Ask the teacher for a trace and an attempt on each problem; resumable at `path`.

    `errors` is what `selection.annotate` takes: a question without a trace becomes an "API error".

    Raises:
        BackendError, BackendError: as for `batch.annotate`.
    """
    answers, usage = annotate(questions(problems), config, path, parse_trace, on_progress)
    examples: list[Example] = []
    errors: dict[str, str] = {}
    for problem, answer in zip(problems, answers, strict=True):
        if answer.ok:
            trace = Trace(answer.value["thinking"], answer.value["attempt"], config.model)
            examples.append(Example(problem, trace))
        else:
            errors[problem.key] = answer.error
    return Distilled(tuple(examples), errors, usage)


def parse_trace(reply: ChatReply) -> dict[str, str]:
    """`{"thinking", "attempt"}` of a reply.

    Raises:
        ValueError: no reasoning, no attempt after it, or an answer cut off at `max_tokens`.
    """
    thinking, attempt = reply.reasoning, reply.content
    if not thinking and _CLOSE in attempt:
        thinking, _, attempt = attempt.partition(_CLOSE)
        thinking = thinking.strip().removeprefix(_OPEN)
    thinking, attempt = thinking.strip(), attempt.strip()
    if reply.finish_reason == "length":
        raise ValueError("it was cut off at max_tokens")
    if not thinking:
        raise ValueError("it holds no reasoning, neither apart nor in <think> tags")
    if not attempt:
        raise ValueError("nothing follows the reasoning")
    return {"thinking": thinking, "attempt": attempt}
