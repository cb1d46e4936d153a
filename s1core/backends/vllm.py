"""vLLM as a backend: over several calls by its own sampler, or natively in its decoding loop.

By default nothing of this package runs inside the engine: a row is continued as token ids, its
cache found again by prefix caching, and sampled by vLLM.

With `native=True` a logits processor steps one state machine per request, samples with the random
numbers of every other backend, and leaves vLLM a single possible token: one pass, no re-prefill. It
cannot answer, so how each token came to be travels back in its log-probability. It speaks the
interface of vLLM's first model runner, which is asked for then: the second one, vLLM's default on
NVIDIA GPUs, refuses such processors when the engine starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from vllm import LLM, TokensPrompt
from vllm import SamplingParams as EngineParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from s1core.backends.base import Completion, Params, Prompts
from s1core.backends.sampling import choose, row_seed, uniforms, unknown_ids
from s1core.checkpoints import load_tokenizer, locate
from s1core.engine_start import reasoned
from s1core.errors import BackendError, InputError
from s1core.forcing.budget import Machine, Rules

RUNNER_VARIABLE = "VLLM_USE_V2_MODEL_RUNNER"
_IDS_ONLY = {"ignore_eos": True, "detokenize": False}
_KEY = "s1core"  # where a request's `extra_args` describe its machine
_REST = {True: -20.0, False: -1.0}
"""Logit of another id beside a token's 0, by whether the token was sampled, no stop before it."""


class VLLMBackend:
    """A vLLM engine that continues rows over several calls. Build it with `from_pretrained`."""

    def __init__(self, llm: LLM, tokenizer: Any, batch_size: int = 1024) -> None:
        self.llm, self.tokenizer, self.batch_size = llm, tokenizer, batch_size
        model = llm.llm_engine.model_config
        # The CPU build fails on a row with a seed of its own whose prompt is read in pieces.
        self._seeded = llm.llm_engine.vllm_config.device_config.device_type != "cpu"
        self.context_length = model.max_model_len
        # Ids of the output layer that the tokenizer lacks; never sampled.
        self.unknown = set(range(model.get_vocab_size())) - set(tokenizer.get_vocab().values())

    @classmethod
    def from_pretrained(
        cls, path: str | Path, *, batch_size: int = 1024, native: bool = False, **engine: Any
    ) -> VLLMBackend:
        """Start vLLM on a checkpoint folder or Hub id: safetensors only, no repository code.

        `native` steps state machines inside the engine; `engine` goes to `vllm.LLM`. To agree with
        other engines takes `dtype="float32"`. BackendError, with its reason, if it does not start.
        """
        options = {"load_format": "safetensors", "trust_remote_code": False, **engine}
        tokenizer = load_tokenizer(path)
        if native:
            if os.environ.setdefault(RUNNER_VARIABLE, "0") != "0":
                needs = f"native forcing needs vLLM's first model runner: unset {RUNNER_VARIABLE}"
                raise BackendError(f"{needs}, or leave native out")
            options["logits_processors"] = [ForcingLogitsProcessor]
            options["logprobs_mode"] = "processed_logprobs"
            options["async_scheduling"] = False  # it sees each token before it decides the next
        with reasoned("vLLM"):
            llm = LLM(model=locate(path), **options)
        return (NativeVLLMBackend if native else VLLMBackend)(llm, tokenizer, batch_size)

    def complete(self, prompts: Prompts, params: Params) -> list[Completion]:
        """Continue each prompt by its own parameters; one completion per prompt, in order.

        Random numbers are vLLM's own, seeded by (seed, first_draw) of the row, whatever else is in
        the batch. (On vLLM's CPU build the engine's one seed serves all rows.)
        """
        if hot := [row.temperature for row in params if row.temperature > 2]:
            raise InputError(f"vLLM samples at temperatures up to 2, not {hot[0]:g}")
        # vLLM lets a request forbid so many ids.
        bias = dict.fromkeys(self.unknown, -100.0) if len(self.unknown) <= 1024 else None
        requests = []
        for row in params:
            own = {name: getattr(row, name) for name in ("max_tokens", "temperature", "top_p")}
            own["stop_token_ids"] = list(row.stop_token_ids)
            own["min_tokens"] = min(row.min_tokens, row.max_tokens)
            if row.temperature and self._seeded:
                own["seed"] = row_seed(row.seed or 0, str(row.first_draw), 0)
            requests.append(EngineParams(logit_bias=bias or None, **own, **_IDS_ONLY))
        return [self._completion(out) for out in self._generate(prompts, requests)]

    def _completion(self, out: Any) -> Completion:
        ids = tuple(out.token_ids)
        if outside := self.unknown.intersection(ids):
            return Completion((), "error", f"vLLM sampled id {min(outside)}, not in the tokenizer")
        return Completion(ids, "stop" if out.finish_reason == "stop" else "length")

    def _generate(self, prompts: Prompts, requests: list[EngineParams]) -> list[Any]:
        if not prompts:
            return []
        inputs = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        outputs = self.llm.generate(inputs, requests, use_tqdm=False)
        return [output.outputs[0] for output in outputs]


class NativeVLLMBackend(VLLMBackend):
    """A vLLM engine, in this or another process, whose decoding loop steps the machines.

    The caller's own machines are stepped again over the ids that come back.
    """

    def force(self, prompts: Prompts, machines: Sequence[Machine], params: Params) -> list[str]:
        """Step every machine until it is finished; returns one error per row ("" for none)."""
        requests = []
        for prompt, machine, row in zip(prompts, machines, params, strict=True):
            if type(machine) is not Machine:
                kind = type(machine).__name__
                raise BackendError(f"vLLM forces budgets natively, not a {kind}; use native=False")
            rules = {f.name: getattr(machine.rules, f.name) for f in fields(machine.rules)}
            del rules["ends_line"]  # data alone travels
            told = {
                "rules": rules | {"stops": sorted(machine.rules.stops)},
                "row": [list(prompt), self.context_length],
                "answers_at_once": machine.phase == "answer",
                "sampling": [row.temperature, row.top_p, row.seed or 0, row.first_draw],
            }
            room, stops = self.context_length - len(prompt), [final_stop(machine)]
            options = {"max_tokens": room, "stop_token_ids": stops, "extra_args": {_KEY: told}}
            requests.append(EngineParams(temperature=0.0, logprobs=0, **options, **_IDS_ONLY))
        errors = []
        for machine, out in zip(machines, self._generate(prompts, requests), strict=True):
            told = zip(out.token_ids, out.logprobs, strict=True)
            try:
                replay(machine, out.token_ids, [at[token].logprob for token, at in told])
                errors.append("" if machine.finished else "vLLM stopped before the machine did")
            except BackendError as error:
                errors.append(str(error))
        return errors


def final_stop(machine: Machine) -> int:
    """An id that ends the request; it is sampled in no phase, so any of the stops would do."""
    forced = {t for ids in machine.rules.ignore_ids for t in ids} | set(machine.rules.end_ids)
    return min(machine.rules.stops - forced - set(machine.rules.cue_ids))


class _Request:
    """One request inside the engine, from what the driver told about it.

    vLLM may ask for a position twice (a prompt prefilled in chunks, a preemption), so a decision
    is a proposal until the engine's own output has grown by it.
    """

    def __init__(self, told: dict, ends_line: Callable[[int], bool], output: list[int]) -> None:
        rules = {k: tuple(v) if isinstance(v, list) else v for k, v in told["rules"].items()}
        rules["ignore_ids"] = tuple(map(tuple, rules["ignore_ids"]))
        rules |= {"stops": frozenset(rules["stops"]), "ends_line": ends_line}
        self.machine = self.trying = machine = Machine(Rules(**rules), *told["row"])
        if told["answers_at_once"]:
            machine.skip_thinking()
        self.temperature, self.top_p, self.seed, self.draw = told["sampling"]
        self._drawn, self._output, self._settled = self.draw, output, 0
        self._planned: list[int] = machine.start()
        self._next: tuple[Machine, list[int], list[int]] = (machine, [], [])

    def forced(self) -> int | None:
        """Commit the last proposal if the engine took it; the token that must come now, if any."""
        if len(self._output) > self._settled:
            self.machine, sampled, self._planned = self._next
            self.machine.take(sampled)
            self._drawn, self._settled = self.draw, self._settled + 1
        self.draw, self.trying = self._drawn, self.machine
        if not self._planned and not self.machine.finished:
            return None
        self._next = (self.machine, [], self._planned[1:])
        return self._planned[0] if self._planned else final_stop(self.machine)

    def sampled(self, token: int) -> tuple[int, bool] | None:
        """What comes now (None: sample again); whether it is `token`, with no stop before it."""
        machine, plain = self.trying, self.trying is self.machine
        dropped = token in machine.stops
        self.draw += 1
        if not dropped and machine.room > 1:
            self._next = (machine, [token], [])
            return token, plain
        machine = machine.clone()
        plan = machine.take([token])
        if dropped and machine.finished:
            token = final_stop(machine)
        elif dropped and plan:
            token, plain, plan = plan[0], False, plan[1:]
        elif dropped:
            self.trying = machine
            return None
        self._next = (machine, [], plan)
        return token, plain


class ForcingLogitsProcessor(LogitsProcessor):
    """Leaves each row that it was told about one possible token.

    Rows without `extra_args["s1core"]` are vLLM's own, but for ids that the tokenizer lacks.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        size = vllm_config.model_config.get_vocab_size()
        tokenizer = load_tokenizer(vllm_config.model_config.tokenizer)
        self._unknown = unknown_ids(tokenizer, size, device)
        self._ends_line = lambda token: tokenizer.decode([token]).endswith("\n")
        self._rows: dict[int, _Request] = {}

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
            if told := (params.extra_args or {}).get(_KEY):
                self._rows[index] = _Request(told, self._ends_line, output)
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
        decided: dict[int, tuple[int, bool]] = {}
        for index, row in self._rows.items():
            if (token := row.forced()) is not None:
                decided[index] = (token, False)
        while free := [index for index in self._rows if index not in decided]:
            for index, token in zip(free, self._sample(logits, free), strict=True):
                if made := self._rows[index].sampled(token):
                    decided[index] = made
        if decided:
            rows = torch.tensor(list(decided), device=logits.device)
            tokens = torch.tensor([token for token, _ in decided.values()], device=logits.device)
            rest = torch.tensor([_REST[plain] for _, plain in decided.values()])
            logits[rows] = -torch.inf
            logits[rows, (tokens == 0).long()] = rest.to(logits)
            logits[rows, tokens] = 0.0
        return logits

    def _sample(self, logits: torch.Tensor, indices: list[int]) -> list[int]:
        rows = [self._rows[index] for index in indices]
        picked = logits[indices]
        for at, row in enumerate(rows):
            if row.trying.suppress:
                picked[at, list(row.trying.stops)] = -torch.inf
        uniform = uniforms([row.seed for row in rows], [row.draw for row in rows])
        heat, top_p = np.array([(row.temperature, row.top_p) for row in rows], dtype=float).T
        return choose(picked, heat, top_p, uniform).tolist()


def replay(machine: Machine, token_ids: Sequence[int], logprobs: Sequence[float]) -> None:
    """Step a machine over what the engine's own did; BackendError where the ids are not its own."""
    stop, sampled, forced = final_stop(machine), list[int](), list(machine.start())
    for token, logprob in zip(token_ids, logprobs, strict=True):
        if not forced and (token == stop or logprob < -0.1):
            # A stop was dropped here. Which one does not matter to the machine.
            forced, sampled = machine.take([*sampled, stop]), []
        if machine.finished:
            return
        if not forced:
            sampled.append(token)
            if len(sampled) == machine.room:
                forced, sampled = machine.take(sampled), []
        elif forced.pop(0) != token:
            raise BackendError(f"vLLM returned id {token} where another was forced")
    machine.take(sampled)
