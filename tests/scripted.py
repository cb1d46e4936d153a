"""A model that says what it is told, so that every path of forcing shows on three lines of text."""

from collections.abc import Callable, Sequence
from typing import Any

from s1core.backends.base import Completion, Machines, Params, Plain, Prompts, SamplingParams

Policy = Callable[[Sequence[int]], int]  # the ids so far, prompt included -> the next id


class ScriptedBackend:
    """A backend whose next token is a function of the tokens so far; `requests` were its calls.

    `fallback` is sampled where the policy says a stop that is suppressed.
    """

    batch_size = 64

    def __init__(
        self, tokenizer: Any, policy: Policy, context_length: int = 4096, fallback: int = 0
    ) -> None:
        self.tokenizer, self.context_length = tokenizer, context_length
        self.requests: list[tuple[list[int], SamplingParams]] = []
        self._policy, self._fallback = policy, fallback

    def complete(self, prompts: Prompts, params: Params) -> list[Completion]:
        """Continue each prompt by the policy."""
        self.requests += [(list(p), q) for p, q in zip(prompts, params, strict=True)]
        plain = [Plain(row) for row in params]
        self._step(prompts, plain, params)
        return [row.completion() for row in plain]

    def _step(self, prompts: Prompts, machines: Machines, params: Params) -> None:
        """Step every machine until it is finished."""
        for prompt, row in zip(prompts, machines, strict=True):
            context = [*prompt, *row.start()]
            while not row.finished:
                token = self._policy(context)
                if row.suppress and token in row.stops:
                    token = self._fallback
                if len(context) >= self.context_length:
                    raise ValueError(f"a scripted prompt outgrew {self.context_length} tokens")
                kept = [] if token in row.stops else [token]  # `take` may change the stops
                context += [*kept, *row.take([token])]


class NativeScriptedBackend(ScriptedBackend):
    """The same, forcing natively: one pass per row."""

    force = ScriptedBackend._step
