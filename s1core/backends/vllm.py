"""vLLM as a backend: multi-call over token ids, and native forcing inside its decoding loop.

Natively, `vllm_processor.ForcingLogitsProcessor` steps one state machine per request: one pass, no
re-prefill, mixed budgets in one batch, the same random numbers as every other backend. The
caller's own machine is then stepped again over the ids that come back, so it works the same
whether vLLM runs in this process, in another, or on several GPUs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vllm import LLM, TokensPrompt
from vllm import SamplingParams as EngineParams

from s1core.backends.base import Completion, SamplingParams
from s1core.backends.vllm_processor import KEY, ForcingLogitsProcessor, Mark, final_stop
from s1core.checkpoints import load_tokenizer, locate
from s1core.errors import BackendError
from s1core.forcing.budget import Machine


class VLLMBackend:
    """A vLLM engine as a backend that forces natively.

    Build it with `from_pretrained`, which sets the engine up for forcing.
    """

    def __init__(self, llm: LLM, tokenizer: Any, batch_size: int = 1024) -> None:
        self.llm = llm
        self.tokenizer = tokenizer
        self.context_length = llm.llm_engine.model_config.max_model_len
        self.batch_size = batch_size

    @classmethod
    def from_pretrained(
        cls, path: str | Path, *, batch_size: int = 1024, **engine: Any
    ) -> VLLMBackend:
        """Start vLLM on a checkpoint folder or Hub id: safetensors only, no repository code.

        Args:
            engine: further arguments of `vllm.LLM` (dtype, tensor_parallel_size, ...). Exact
                agreement with other engines takes `dtype="float32"`.
        """
        llm = LLM(
            model=locate(path),
            load_format="safetensors",
            trust_remote_code=False,
            logits_processors=[ForcingLogitsProcessor],
            logprobs_mode="processed_logprobs",
            # The processor must see each token before it decides the next one.
            async_scheduling=False,
            **engine,
        )
        return cls(llm, load_tokenizer(path), batch_size)

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

        Greedy rows use vLLM's own sampler; others are drawn with this package's random numbers,
        so that rows continued over several calls agree with rows that run through.
        """
        requests = [
            EngineParams(
                max_tokens=row.max_tokens,
                temperature=0.0,
                stop_token_ids=list(row.stop_token_ids),
                min_tokens=min(row.min_tokens, row.max_tokens),
                ignore_eos=True,
                detokenize=False,
                extra_args=None
                if row.temperature == 0
                else {KEY: {"plain": dataclasses.asdict(row), "sampling": _sampling(row)}},
            )
            for row in params
        ]
        return [
            Completion(tuple(out.token_ids), "stop" if out.finish_reason == "stop" else "length")
            for out in self._generate(prompts, requests)
        ]

    def force(
        self,
        prompts: Sequence[Sequence[int]],
        machines: Sequence[Machine],
        params: Sequence[SamplingParams],
    ) -> list[str]:
        """Step every machine until it is finished; returns one error per row ("" for none)."""
        requests = [
            EngineParams(
                max_tokens=self.context_length - len(prompt),
                temperature=0.0,
                stop_token_ids=[final_stop(machine)],
                ignore_eos=True,
                detokenize=False,
                logprobs=0,
                extra_args={KEY: {**_description(machine, prompt, self), "sampling": _sampling(p)}},
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

    def _generate(
        self, prompts: Sequence[Sequence[int]], requests: Sequence[EngineParams]
    ) -> list[Any]:
        if not prompts:
            return []
        inputs = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        outputs = self.llm.generate(inputs, list(requests), use_tqdm=False)
        return [output.outputs[0] for output in outputs]


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


def _sampling(params: SamplingParams) -> dict[str, Any]:
    return {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": params.seed or 0,
        "draw": params.first_draw,
    }


def _description(machine: Machine, prompt: Sequence[int], backend: VLLMBackend) -> dict[str, Any]:
    """A machine as plain data, for `extra_args`."""
    if type(machine) is not Machine:
        raise BackendError(f"vLLM forces budgets natively, not a {type(machine).__name__}; use "
                           "native=False")  # fmt: skip
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
    }
