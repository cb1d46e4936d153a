"""vLLM as a backend: over several calls by its own sampler, or natively in its decoding loop.

By default nothing of this package runs inside the engine, so that whatever starts vLLM starts this:
a row is continued as token ids, its cache found again by prefix caching, and sampled by vLLM.

With `native=True` a logits processor (`vllm_processor`) steps one state machine per request: one
pass, no re-prefill, the random numbers of every other backend. It speaks the interface of vLLM's
first model runner, which is asked for then: the second one, vLLM's default on NVIDIA GPUs, refuses
such processors when the engine starts.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vllm import LLM, TokensPrompt
from vllm import SamplingParams as EngineParams

from s1core.backends.base import Completion, SamplingParams
from s1core.backends.sampling import row_seed
from s1core.checkpoints import load_tokenizer, locate
from s1core.engine_start import reasoned
from s1core.errors import BackendError, InputError
from s1core.forcing.budget import Machine

RUNNER_VARIABLE = "VLLM_USE_V2_MODEL_RUNNER"

HOTTEST = 2.0
"""Temperature above which vLLM refuses a request."""

MOST_BIASED = 1024
"""Ids that vLLM lets a request forbid."""


class VLLMBackend:
    """A vLLM engine that continues rows over several calls. Build it with `from_pretrained`."""

    def __init__(self, llm: LLM, tokenizer: Any, batch_size: int = 1024) -> None:
        self.llm = llm
        self.tokenizer = tokenizer
        model = llm.llm_engine.model_config
        # The CPU build fails on a row with a seed of its own whose prompt is read in pieces.
        self._seeded = llm.llm_engine.vllm_config.device_config.device_type != "cpu"
        self.context_length = model.max_model_len
        self.batch_size = batch_size
        known = set(tokenizer.get_vocab().values())
        self.unknown = frozenset(range(model.get_vocab_size())) - known
        """Ids of the output layer that the tokenizer lacks; never sampled."""

    @classmethod
    def from_pretrained(
        cls, path: str | Path, *, batch_size: int = 1024, native: bool = False, **engine: Any
    ) -> VLLMBackend:
        """Start vLLM on a checkpoint folder or Hub id: safetensors only, no repository code.

        Args:
            native: step state machines inside the engine (`NativeVLLMBackend`).
            engine: further arguments of `vllm.LLM` (dtype, tensor_parallel_size, ...). Exact
                agreement with other engines takes `dtype="float32"`.

        Raises:
            BackendError: the engine does not start; the message is its own reason.
        """
        options = {"load_format": "safetensors", "trust_remote_code": False, **engine}
        tokenizer = load_tokenizer(path)
        if native:
            from s1core.backends.vllm_processor import ForcingLogitsProcessor

            if os.environ.get(RUNNER_VARIABLE, "0") != "0":
                raise BackendError(
                    f"native forcing needs vLLM's first model runner: unset {RUNNER_VARIABLE}, or "
                    "leave native out"
                )
            os.environ[RUNNER_VARIABLE] = "0"
            options |= {
                "logits_processors": [ForcingLogitsProcessor],
                "logprobs_mode": "processed_logprobs",
                # The processor must see each token before it decides the next one.
                "async_scheduling": False,
            }
        with reasoned("vLLM"):
            llm = LLM(model=locate(path), **options)
        return (NativeVLLMBackend if native else VLLMBackend)(llm, tokenizer, batch_size)

    def close(self) -> None:
        """End the engine and its processes; the device's memory is free afterwards."""
        import gc

        import torch

        core = getattr(getattr(self.llm, "llm_engine", None), "engine_core", None)
        del self.llm
        if core is not None:
            core.shutdown()
        del core
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def complete(
        self, prompts: Sequence[Sequence[int]], params: Sequence[SamplingParams]
    ) -> list[Completion]:
        """Continue each prompt by its own parameters; one completion per prompt, in order.

        Random numbers are vLLM's own, seeded by (seed, first_draw) of the row: a row does not
        depend on its batch, and one that is continued draws anew. (On vLLM's CPU build the
        engine's one seed serves all rows.)
        """
        bias = dict.fromkeys(self.unknown, -100.0) if len(self.unknown) <= MOST_BIASED else None
        if hot := [row.temperature for row in params if row.temperature > HOTTEST]:
            raise InputError(f"vLLM samples at temperatures up to {HOTTEST:g}, not {hot[0]:g}")
        requests = [
            EngineParams(
                max_tokens=row.max_tokens,
                temperature=row.temperature,
                top_p=row.top_p,
                seed=row_seed(row.seed or 0, str(row.first_draw), 0)
                if row.temperature and self._seeded
                else None,
                stop_token_ids=list(row.stop_token_ids),
                min_tokens=min(row.min_tokens, row.max_tokens),
                logit_bias=bias or None,
                ignore_eos=True,
                detokenize=False,
            )
            for row in params
        ]
        return [self._completion(out) for out in self._generate(prompts, requests)]

    def _completion(self, out: Any) -> Completion:
        ids = tuple(out.token_ids)
        if outside := self.unknown.intersection(ids):
            return Completion((), "error", f"vLLM sampled id {min(outside)}, not in the tokenizer")
        return Completion(ids, "stop" if out.finish_reason == "stop" else "length")

    def _generate(
        self, prompts: Sequence[Sequence[int]], requests: Sequence[EngineParams]
    ) -> list[Any]:
        if not prompts:
            return []
        inputs = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        outputs = self.llm.generate(inputs, list(requests), use_tqdm=False)
        return [output.outputs[0] for output in outputs]


class NativeVLLMBackend(VLLMBackend):
    """A vLLM engine whose decoding loop steps the machines.

    The caller's own machine is stepped again over the ids that come back, so it works the same
    whether vLLM runs in this process, in another, or on several GPUs.
    """

    def force(
        self,
        prompts: Sequence[Sequence[int]],
        machines: Sequence[Machine],
        params: Sequence[SamplingParams],
    ) -> list[str]:
        """Step every machine until it is finished; returns one error per row ("" for none)."""
        from s1core.backends.vllm_processor import KEY, Mark, final_stop, replay

        requests = [
            EngineParams(
                max_tokens=self.context_length - len(prompt),
                temperature=0.0,
                stop_token_ids=[final_stop(machine)],
                ignore_eos=True,
                detokenize=False,
                logprobs=0,
                extra_args={KEY: _description(machine, prompt, self, p)},
            )
            for prompt, machine, p in zip(prompts, machines, params, strict=True)
        ]
        errors = []
        for machine, out in zip(machines, self._generate(prompts, requests), strict=True):
            marks = [
                Mark.read(at[t].logprob) for t, at in zip(out.token_ids, out.logprobs, strict=True)
            ]
            try:
                replay(machine, out.token_ids, marks)
                errors.append("" if machine.finished else "vLLM stopped before the machine did")
            except BackendError as error:
                errors.append(str(error))
        return errors


def _description(
    machine: Machine, prompt: Sequence[int], backend: VLLMBackend, params: SamplingParams
) -> dict[str, Any]:
    """A machine and how its row is sampled, as plain data for `extra_args`."""
    if type(machine) is not Machine:
        raise BackendError(
            f"vLLM forces budgets natively, not a {type(machine).__name__}; use native=False"
        )
    rules = {
        field.name: getattr(machine.rules, field.name)
        for field in dataclasses.fields(machine.rules)
        if field.name not in ("ends_line", "stops")
    }
    return {
        "rules": rules,
        "stops": sorted(machine.rules.stops),
        "answers_at_once": machine.phase == "answer",
        "prompt": list(prompt),
        "context_length": backend.context_length,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": params.seed or 0,
        "draw": params.first_draw,
    }
