"""Budget forcing inside vLLM's decoding loop: an engine-level logits processor.

It steps one state machine per request where vLLM computes logits, samples with this package's
random numbers, and leaves vLLM a single possible token. A logits processor cannot answer, so how
each token came to be travels back in its log-probability (`Mark`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from s1core.backends.sampling import choose, uniforms
from s1core.checkpoints import load_tokenizer
from s1core.errors import BackendError
from s1core.forcing.budget import Machine, Rules

KEY = "s1core"  # where a request's `extra_args` describe its machine


class Mark(IntEnum):
    """How a token came to be; the log-probability it is given is -log(1 + e^-mark)."""

    FORCED = 1
    AFTER_DROP = 2  # sampled again after an end that was dropped with nothing in its place
    SAMPLED = 20

    @classmethod
    def read(cls, logprob: float) -> Mark:
        """The mark whose log-probability is nearest."""
        if logprob > -0.06:  # nearly every token, and nearer to 0 than to any other mark
            return cls.SAMPLED
        return min(cls, key=lambda mark: abs(logprob + math.log1p(math.exp(-mark))))


def final_stop(machine: Machine) -> int:
    """An id that ends the request; it is sampled in no phase, so any of the stops would do."""
    forced = {t for ids in machine.rules.ignore_ids for t in ids} | set(machine.rules.end_ids)
    return min(machine.rules.stops - forced - set(machine.rules.cue_ids))


def build_machine(told: dict[str, Any], ends_line: Callable[[int], bool]) -> Machine:
    """The machine of a request, from what the driver told the engine about it."""
    rules = told["rules"]
    lists = {k: tuple(v) for k, v in rules.items() if isinstance(v, (list, tuple))}
    lists["ignore_ids"] = tuple(tuple(ids) for ids in rules["ignore_ids"])
    rules = Rules(**{**rules, **lists}, stops=frozenset(told["stops"]), ends_line=ends_line)
    machine = Machine(rules, told["prompt"], told["context_length"])
    if told["answers_at_once"]:
        machine.skip_thinking()
    return machine


class Request:
    """One request inside the engine.

    vLLM may ask for a position twice (a prompt prefilled in chunks, a preemption), so a decision
    is a proposal until the engine's own output has grown by it.
    """

    def __init__(self, machine: Machine, told: dict[str, Any], output: list[int]) -> None:
        self.machine = machine
        self.temperature, self.top_p = told["temperature"], told["top_p"]
        self.seed, self.draw = told["seed"], told["draw"]
        self._drawn = self.draw
        self._output = output
        self._settled = 0
        self._planned: list[int] = machine.start()
        self._trial: Machine | None = None
        self._next: tuple[Machine, list[int], list[int]] = (machine, [], [])

    def settle(self) -> None:
        """Commit the last proposal if the engine took it, else forget it."""
        if len(self._output) > self._settled:
            self.machine, sampled, self._planned = self._next
            self.machine.take(sampled)
            self._drawn, self._settled = self.draw, self._settled + 1
        self.draw, self._trial = self._drawn, None

    @property
    def suppressed(self) -> frozenset[int]:
        """Ids that must not be sampled now."""
        machine = self._trial or self.machine
        return machine.stops if machine.suppress else frozenset()

    def forced(self) -> int | None:
        """The token that must come now, if one must."""
        if not self._planned and not self.machine.finished:
            return None
        self._next = (self.machine, [], self._planned[1:])
        return self._planned[0] if self._planned else final_stop(self.machine)

    def sampled(self, token: int) -> tuple[int, Mark] | None:
        """What comes now that `token` was sampled; None asks for another sample."""
        mark = Mark.AFTER_DROP if self._trial else Mark.SAMPLED
        machine = self._trial or self.machine
        self.draw += 1
        if token not in machine.stops and machine.room > 1:
            self._next = (machine, [token], [])
            return token, mark
        machine, stops = machine.clone(), machine.stops  # `take` may change them
        plan = machine.take([token])
        self._next = (machine, [], plan)
        if token not in stops:
            return token, mark
        if machine.finished:
            return final_stop(machine), mark
        if not plan:
            self._trial = machine
            return None
        self._next = (machine, [], plan[1:])
        return plan[0], Mark.FORCED


class ForcingLogitsProcessor(LogitsProcessor):
    """Leaves each row that it was told about one possible token.

    Rows without `extra_args["s1core"]` are vLLM's own, but for ids that the tokenizer lacks.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        model = vllm_config.model_config
        tokenizer = load_tokenizer(model.tokenizer)
        known = torch.zeros(model.get_vocab_size(), dtype=torch.bool)
        ids = torch.tensor(sorted(set(tokenizer.get_vocab().values())))
        known[ids[ids < len(known)]] = True
        self._unknown = None if known.all() else ~known.to(device)
        self._ends_line = lambda token: tokenizer.decode([token]).endswith("\n")
        self._rows: dict[int, Request] = {}

    def is_argmax_invariant(self) -> bool:
        """No: it decides the token, of greedy rows too."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests as they leave, join and move within the batch."""
        if batch_update is None:
            return
        for index in batch_update.removed:
            self._rows.pop(index, None)
        for index, params, _, output in batch_update.added:
            self._rows.pop(index, None)
            if told := (params.extra_args or {}).get(KEY):
                machine = build_machine(told, self._ends_line)
                self._rows[index] = Request(machine, told, output)
        for source, target, direction in batch_update.moved:
            moving, other = self._rows.pop(source, None), self._rows.pop(target, None)
            if moving:
                self._rows[target] = moving
            if other and direction == MoveDirectionality.SWAP:
                self._rows[source] = other

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Decide the next token of every row that is ours; logits are [rows, vocabulary]."""
        if self._unknown is not None:
            logits.masked_fill_(self._unknown, -torch.inf)
        decided: dict[int, tuple[int, Mark]] = {}
        free: list[int] = []
        for index, row in self._rows.items():
            row.settle()
            token = row.forced()
            if token is None:
                free.append(index)
            else:
                decided[index] = (token, Mark.FORCED)
        while free:
            for index, token in zip(free, self._sample(logits, free), strict=True):
                if made := self._rows[index].sampled(token):
                    decided[index] = made
            free = [index for index in free if index not in decided]
        if decided:
            _leave_only(logits, decided)
        return logits

    def _sample(self, logits: torch.Tensor, indices: list[int]) -> list[int]:
        rows = [self._rows[index] for index in indices]
        picked = logits[indices]
        for at, row in enumerate(rows):
            if row.suppressed:
                picked[at, list(row.suppressed)] = -torch.inf
        return choose(
            picked,
            np.array([row.temperature for row in rows]),
            np.array([row.top_p for row in rows]),
            uniforms([row.seed for row in rows], [row.draw for row in rows]),
        ).tolist()


def _leave_only(logits: torch.Tensor, decided: dict[int, tuple[int, Mark]]) -> None:
    """Make each decided token certain, but for the little that tells its mark."""
    rows = torch.tensor(list(decided), device=logits.device)
    tokens = torch.tensor([token for token, _ in decided.values()], device=logits.device)
    marks = torch.tensor([-float(mark) for _, mark in decided.values()], device=logits.device)
    logits[rows] = -torch.inf
    logits[rows, (tokens == 0).long()] = marks
    logits[rows, tokens] = 0.0


def replay(machine: Machine, token_ids: Sequence[int], marks: Sequence[Mark]) -> None:
    """Step a machine over what the engine's own machine did.

    Raises:
        BackendError: the ids are not what the machine would have produced.
    """
    stop = final_stop(machine)
    forced, sampled = list(machine.start()), []
    for token, mark in zip(token_ids, marks, strict=True):
        if machine.finished:
            return
        if not forced and (token == stop or mark is not Mark.SAMPLED):
            # A stop was dropped here. Which one does not matter to the machine.
            forced = machine.take([*sampled, stop])
            sampled = []
        if machine.finished:
            return
        if not forced:
            sampled.append(token)
            if len(sampled) == machine.room:
                forced, sampled = machine.take(sampled), []
        elif forced.pop(0) != token:
            raise BackendError(f"vLLM returned id {token} where another was forced")
    machine.take(sampled)
