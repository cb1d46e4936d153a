"""Difficulty: keep what neither grader model solves (Section 2.2, Difficulty).

A question that Qwen2.5-7B-Instruct or Qwen2.5-32B-Instruct answers correctly is taken to be too
easy and is dropped (51,581 -> 24,496). The length of the trace, the paper's second measure of
difficulty, is not a filter there: it weighs the draw in `diversity`. Bounds on it are offered for
pools whose longest traces would not fit the model.
"""

from __future__ import annotations

from collections.abc import Iterable

from s1core.selection.candidate import Candidate, Partition, partition

STAGE = "difficulty"


def difficulty(
    candidates: Iterable[Candidate],
    min_thinking_tokens: int = 0,
    max_thinking_tokens: int | None = None,
) -> Partition:
    """Drop candidates that either grader solves, or whose trace is outside the bounds.

    An ungraded candidate (None) counts as not solved; `quality.check_fields` drops those first.

    Args:
        min_thinking_tokens: shortest trace kept.
        max_thinking_tokens: longest trace kept; None for no limit.
    """

    def reason(candidate: Candidate) -> tuple[str, str] | None:
        if candidate.small_correct and candidate.large_correct:
            return "solved by both models", ""
        if candidate.small_correct:
            return "solved by the small model only", ""
        if candidate.large_correct:
            return "solved by the large model only", ""
        if candidate.thinking_tokens < min_thinking_tokens:
            return "trace too short", f"{candidate.thinking_tokens} < {min_thinking_tokens} tokens"
        if max_thinking_tokens is not None and candidate.thinking_tokens > max_thinking_tokens:
            return "trace too long", f"{candidate.thinking_tokens} > {max_thinking_tokens} tokens"
        return None

    return partition(candidates, STAGE, reason)
