"""What the official loops ask of an engine, recorded: requests, outputs, results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from s1core.backends.base import Backend, SamplingParams
from s1core.errors import BackendError
from s1core.templates import encode

MARK, TURN_END = "<|im_start|>", "<|im_end|>"
START, END = MARK + "think", MARK + "answer"
CUE = "\nFinal Answer:"
SCRIPT_TOKENS = 32_768


class LoopCrash(BackendError):
    """The official loop fails here: it would have raised or gone on for ever."""


@dataclass(frozen=True, slots=True)
class LoopRequest:
    """What a loop asks of its engine. String loops send text, the harness sends ids."""

    prompt: str | tuple[int, ...]
    max_tokens: int
    min_tokens: int = 0
    stop_token_ids: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Output:
    """What the engine gave: ids with the stop token, text without it."""

    token_ids: tuple[int, ...]
    text: str
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class LoopResult:
    """What a loop did for one prompt."""

    requests: tuple[LoopRequest, ...]  # in order, the answer's included
    final_prompt: str | tuple[int, ...]  # what the answer was generated from
    thinking_ids: tuple[int, ...]  # what the loop counts as thinking, where it counts
    thinking: str  # the text that it keeps as thinking
    answer: str  # the text of the last output


class LoopEngine:
    """vLLM's `LLM.generate` on any backend, as far as the loops use it: one output per request, and
    every request kept in `requests`."""

    def __init__(self, backend: Backend, seed: int = 0) -> None:
        self.backend, self.tokenizer, self.seed = backend, backend.tokenizer, seed
        self.requests: list[LoopRequest] = []

    def generate(self, requests: Sequence[LoopRequest]) -> list[Output]:
        """Text prompts are tokenized here, as vLLM does; an empty batch raises, as it did.

        As in vLLM a request ends with the context, however many tokens it may have, and one whose
        prompt fills the context is refused.
        """
        if not requests:
            raise LoopCrash("the loop submits an empty batch, which the engine refuses")
        self.requests += requests
        prompts = [
            encode(self.tokenizer, r.prompt) if isinstance(r.prompt, str) else list(r.prompt)
            for r in requests
        ]
        longest, context = max(map(len, prompts)), self.backend.context_length
        if longest >= context:
            raise LoopCrash(
                f"the loop submits a prompt of {longest} tokens, which an engine with a context "
                f"of {context} refuses"
            )
        params = [
            SamplingParams(
                max_tokens=min(r.max_tokens, context - len(prompts[i])),
                temperature=r.temperature,
                seed=self.seed + len(self.requests) + i,
                stop_token_ids=tuple({*r.stop_token_ids, *self._single_ids(r.stop)}),
                min_tokens=r.min_tokens,
            )
            for i, r in enumerate(requests)
        ]
        return [self._output(c) for c in self.backend.complete(prompts, params)]

    def _single_ids(self, strings: Sequence[str]) -> list[int]:
        ids = [encode(self.tokenizer, string) for string in strings]
        if long := [s for s, i in zip(strings, ids, strict=True) if len(i) != 1]:
            raise ValueError(f"stop string {long[0]!r} is not one token; only such are supported")
        return [i[0] for i in ids]

    def _output(self, completion: Any) -> Output:
        if completion.finish_reason == "error":
            raise LoopCrash(f"the engine failed: {completion.error}")
        ids = completion.token_ids
        stopped = completion.finish_reason == "stop"
        text = self.tokenizer.decode(ids[:-1] if stopped else ids)
        return Output(ids, text, "stop" if stopped else "length")
