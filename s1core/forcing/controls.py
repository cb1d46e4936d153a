"""The paper's other ways to control test-time compute (Sections 3.1 and 5.2, Appendix E).

Conditional control tells the model its budget in the prompt, in tokens, in steps or as a class;
with forcing, the decoder enforces it too. Each method is one call::

    generate(backend, problems, Budget(8192), ask=lambda p: instructed(p.question, "tokens", 2048))
    generate(backend, problems, Budget(8192), ask=lambda p: instructed(p.question, "steps", 64),
             machine=step_machine(backend.tokenizer, 64))

With `Budget(2048)` the first is enforced as well as asked for, as steps are here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from s1core.errors import InputError
from s1core.forcing.budget import Machine, Rules
from s1core.jsonl import read_yaml
from s1core.records import Example
from s1core.templates import STEP_HEADER, STEP_MARK, encode

CLASS_INSTRUCTIONS = read_yaml(Path(__file__).with_name("classes.yaml"))
"""What follows a question that asks for short or for long thinking."""


def instructed(question: str, how: Literal["tokens", "steps", "class"], amount: Any) -> str:
    """The question, then "Think for up to 2048 tokens.", or "steps.", or what asks for a class of
    thinking, where `amount` is "short" or "long"."""
    whole = CLASS_INSTRUCTIONS[amount] if how == "class" else f"Think for up to {amount} {how}."
    return f"{question}\n\n{whole}"


def bucket(amount: int) -> int:
    """The next power of two: `bucket(1500) -> 2048`. Training instructs these sizes only."""
    return 1 << max(amount - 1, 0).bit_length()


def token_conditional(example: Example, tokenizer: Any) -> Example:
    """A training example whose question names its trace's token count, as a power of two."""
    tokens = bucket(len(encode(tokenizer, example.trace.thinking)))
    question = instructed(example.problem.question, "tokens", tokens)
    return replace(example, problem=replace(example.problem, question=question))


def step_conditional(example: Example, separator: str = "\n\n") -> Example:
    """A training example that counts its steps (paragraphs, or what `separator` parts) down, and a
    question that names their number: a power of two, so the count may stop above 0."""
    parts = (part.strip("\n") for part in example.trace.thinking.split(separator))
    steps = [part for part in parts if part]
    allowed = bucket(len(steps))
    headed = (STEP_HEADER.format(left=allowed - i) + step for i, step in enumerate(steps))
    question = instructed(example.problem.question, "steps", allowed)
    problem = replace(example.problem, question=question)
    return Example(problem, replace(example.trace, thinking=separator.join(headed)))


def count_steps(thinking: str) -> int:
    """How many step headers a trace holds."""
    return len(re.findall(re.escape(STEP_MARK) + r"\s*\d+\s*steps", thinking))


class StepMachine(Machine):
    """Forcing a budget of steps: thinking ends where one step too many would begin (Appendix E.1).
    A step and the answer may open with the same mark ("<|im_start|>"), so a mark is kept, and it
    becomes the end delimiter's first id if its second follows. `steps` are those begun so far."""

    def __init__(
        self, rules: Rules, prompt: Sequence[int], context_length: int, *, steps: int, mark: int
    ) -> None:
        if rules.num_ignore or rules.min_thinking:
            raise InputError("a budget of steps takes no Waits: set num_ignore and min_thinking 0")
        super().__init__(rules, prompt, context_length)
        self.steps, self._allowed, self._mark = 0, steps, mark
        self._answer = rules.end_ids[1] if rules.end_ids[0] == mark else -1
        self.stops = rules.stops | {mark, self._answer}

    def take(self, sampled: Sequence[int]) -> list[int]:
        """As `Machine.take`; one of `stops` that ends nothing is handed back, to be appended."""
        if self.phase == "answer" or not sampled or sampled[-1] not in self.stops:
            return super().take(sampled)
        last, before = sampled[-1], sampled[-2] if len(sampled) > 1 else self._last
        if last == self._mark and self.steps < self._allowed:
            self.steps += 1
        elif (before, last) == (self._mark, self._answer):
            self.draws += len(sampled)
            self.steps -= 1
            self._append(sampled[:-1], "sampled", "thinking")
            self._runs[-1][0].pop()  # The mark: it opens the delimiter instead.
            self._context_left += 1
            return self._begin_answer("ended", self.rules.end_ids)[1:]
        elif last in self.rules.stops:
            return self._advance(sampled, stopped=True)
        return [last, *self._advance(sampled, stopped=False)]


def step_machine(tokenizer: Any, steps: int) -> Callable[[Rules, Sequence[int], int], Machine]:
    """What `generate(machine=...)` takes to force a budget of so many steps. InputError: fewer than
    one step, a tokenizer without a step mark, or (when used) Waits."""
    mark = encode(tokenizer, STEP_MARK)
    if steps < 1:
        raise InputError(f"steps must be at least 1, not {steps}")
    if len(mark) != 1:
        raise InputError(f"this tokenizer splits {STEP_MARK!r}, so steps cannot be told apart")
    return partial(StepMachine, steps=steps, mark=mark[0])
