"""What every engine offers: token ids in, token ids out; nothing about thinking or text. `complete`
is all that budget forcing needs; with `force` an engine steps machines in its own decoding loop."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from s1core.errors import check_number


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How one prompt is continued; names follow vLLM's. Over several calls, `first_draw` told, it
    uses the random numbers of a single one. InputError: a number is outside its range."""

    max_tokens: int  # most to sample, the stop token included
    temperature: float = 0.0  # 0 takes the most likely token
    top_p: float = 1.0  # sample from the smallest set of tokens that holds this much probability
    seed: int | None = None  # the row's own; None is 0
    stop_token_ids: tuple[int, ...] = ()  # sampling ends at any; it is then the last id returned
    min_tokens: int = 0  # no stop token among the first so many
    first_draw: int = 0  # draws of this seed already used

    def __post_init__(self) -> None:
        check_number("max_tokens", self.max_tokens, 1, 2**31)
        if self.temperature != 0:  # below, what is divided by it overflows
            check_number("temperature", self.temperature, 1e-4, 1e4, whole=False)
        check_number("top_p", self.top_p, 1e-9, 1, whole=False)
        check_number("min_tokens", self.min_tokens, 0, 2**31)
        check_number("first_draw", self.first_draw, 0, 2**62)
        check_number("seed", self.seed or 0, 0, 2**64 - 1)
        for stop in self.stop_token_ids:
            check_number("a stop token's id", stop, 0, 2**31)


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine sampled for one prompt, or the error that it met."""

    token_ids: tuple[int, ...]  # the stop token is the last where `finish_reason` is "stop"
    finish_reason: Literal["stop", "length", "error"]
    error: str = ""
    exact_tokens: bool = True  # ids both ways; False where text was re-tokenized


Prompts, Params = Sequence[Sequence[int]], Sequence[SamplingParams]
Machines = Sequence[Any]  # `s1core.forcing.budget.Machine`, or what is stepped as it is (`Plain`)


class Backend(Protocol):
    """An engine: `tokenizer` (transformers'), `context_length` in tokens, and `complete`. One that
    forces natively, in one pass over each row with its cache kept, has `force(prompts, machines,
    params)` too: it steps every machine until it is finished and returns errors by row, None for
    none. Of `params` only temperature, top_p, seed and first_draw count; the machines say the rest.
    """

    tokenizer: Any
    context_length: int
    batch_size: int

    def complete(self, prompts: Prompts, params: Params) -> list[Completion]:
        """Continue each prompt by its own parameters; one completion per prompt, in order."""


class Plain:
    """Ordinary sampling, stepped as a `Machine` is: up to `max_tokens`, or to a stop token."""

    def __init__(self, params: SamplingParams) -> None:
        self.stops, self._params = frozenset(params.stop_token_ids), params
        self._ids: list[int] = []
        self.take([])

    def start(self) -> list[int]:
        return []

    def take(self, sampled: Sequence[int]) -> list[int]:
        self._ids += sampled
        left = self._params.max_tokens - len(self._ids)
        self._stopped = not self.stops.isdisjoint(self._ids[-1:])
        self.finished = self._stopped or left <= 0
        self.suppress = len(self._ids) < self._params.min_tokens
        self.room = 1 if self.suppress else left  # suppression holds for the next token only
        return []

    def completion(self) -> Completion:
        """What was sampled, as a `Completion`."""
        return Completion(tuple(self._ids), "stop" if self._stopped else "length")


def row_seed(seed: int, problem_key: str, sample: int) -> int:
    """A 63-bit seed for one sample of one problem."""
    digest = hashlib.sha256(f"{seed}:{problem_key}:{sample}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def uniforms(seeds: Any, draws: Any) -> np.ndarray:
    """Uniform numbers in [0, 1), one per (seed, draw): splitmix64, whose state is a counter."""
    with np.errstate(over="ignore"):
        counter = np.asarray(draws, np.uint64) + np.uint64(1)
        state = np.asarray(seeds, np.uint64) + counter * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)) * 2.0**-53
