"""Asking a model without thinking: how the difficulty stage and the baselines ask (Section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

from s1core import templates
from s1core.backends.base import Backend, SamplingParams
from s1core.errors import BackendError
from s1core.records import Problem
from s1core.templates import Template


def direct_answers(
    backend: Backend,
    problems: Sequence[Problem],
    *,
    template: str | Template = "s1",
    max_answer: int = 512,
    progress: bool = False,
) -> list[str]:
    """The model's greedy answers, asked in its chat format with no think delimiter.

    Returns:
        One text per problem, in order, cut after `max_answer` tokens.

    Raises:
        BackendError: the engine failed on a question.
    """
    from tqdm import tqdm

    stops = tuple(sorted(templates.resolve(template, backend.tokenizer).eos_ids))
    params = SamplingParams(max_tokens=max_answer, stop_token_ids=stops)
    answers: list[str] = []
    starts = range(0, len(problems), backend.batch_size)
    for first in tqdm(starts, unit="batch", leave=False, disable=None if progress else True):
        block = problems[first : first + backend.batch_size]
        prompts = [
            templates.answer_prompt_ids(template, backend.tokenizer, problem.question)
            for problem in block
        ]
        for problem, done in zip(
            block, backend.complete(prompts, [params] * len(block)), strict=True
        ):
            if done.finish_reason == "error":
                raise BackendError(f"problem {problem.key} could not be asked: {done.error}")
            answers.append(backend.tokenizer.decode(done.token_ids, skip_special_tokens=True))
    return answers
