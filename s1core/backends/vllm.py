"""vLLM as a backend: over several calls by its own sampler, or natively in its decoding loop.

With `native=True` a logits processor (`s1core.serving`) decides what is forced, and vLLM samples
the rest: one pass, no re-prefill. The ids that come back do not tell a "Wait" that was forced from
one that the model wrote, so the engine is asked where ends of thinking were dropped, and the
caller's machines are stepped again over the same tokens.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vllm import LLM, TokensPrompt
from vllm import SamplingParams as EngineParams

from s1core.backends.base import Completion, Params, Prompts, SamplingParams, row_seed
from s1core.checkpoints import load_tokenizer, locate
from s1core.errors import BackendError, InputError, check_number, reasoned
from s1core.forcing.budget import Machine
from s1core.serving.processor import KEY
from s1core.serving.slots import replay
from s1core.serving.table import ANSWER, THINKING, program

INSIDE = "s1core.serving.processor"
_IDS_ONLY = {"ignore_eos": True, "detokenize": False}
_KEYS = itertools.count(1)
_MOST = 4096  # rows of which the engine remembers what was forced


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
    ) -> "VLLMBackend":
        """Start vLLM on a checkpoint folder or Hub id, `engine` being arguments of `vllm.LLM`; to
        agree with others takes `dtype="float32"`. BackendError, with its reason, if it can't."""
        options = {"load_format": "safetensors", "trust_remote_code": False, **engine}
        tokenizer = load_tokenizer(path)
        if native:
            check_number("batch_size", batch_size, 1, _MOST)
            options["logits_processors"] = [f"{INSIDE}:Processor"]
            options["worker_extension_cls"] = f"{INSIDE}.Extension"
        with reasoned("vLLM"):
            llm = LLM(model=locate(path), **options)
        return (NativeVLLMBackend if native else VLLMBackend)(llm, tokenizer, batch_size)

    def complete(self, prompts: Prompts, params: Params) -> list[Completion]:
        """Continue each prompt by its own parameters; one completion per prompt, in order. Random
        numbers are vLLM's own, seeded by (seed, first_draw) of the row, whatever else is in the
        batch. (On vLLM's CPU build the engine's one seed serves all rows.)"""
        # vLLM lets a request forbid so many ids.
        bias = dict.fromkeys(self.unknown, -100.0) if len(self.unknown) <= 1024 else None
        requests = []
        for row in params:
            own = {"max_tokens": row.max_tokens, "stop_token_ids": list(row.stop_token_ids)}
            own["min_tokens"] = min(row.min_tokens, row.max_tokens)
            requests.append(self._request(row, logit_bias=bias or None, **own))
        made = []
        for out in self._generate(prompts, requests):
            ids, reason = tuple(out.token_ids), "stop" if out.finish_reason == "stop" else "length"
            outside = self.unknown.intersection(ids)
            said = f"vLLM sampled id {min(outside)}, not in the tokenizer" if outside else ""
            made.append(Completion((), "error", said) if said else Completion(ids, reason))
        return made

    def _request(self, row: SamplingParams, **own: Any) -> EngineParams:
        if row.temperature > 2:
            raise InputError(f"vLLM samples at temperatures up to 2, not {row.temperature:g}")
        if row.temperature and self._seeded:
            own["seed"] = row_seed(row.seed or 0, str(row.first_draw), 0)
        return EngineParams(temperature=row.temperature, top_p=row.top_p, **own, **_IDS_ONLY)

    def _generate(self, prompts: Prompts, requests: list[EngineParams]) -> list[Any]:
        inputs = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        outputs = self.llm.generate(inputs, requests, use_tqdm=False) if inputs else []
        return [output.outputs[0] for output in outputs]


class NativeVLLMBackend(VLLMBackend):
    """A vLLM engine, in this or another process, that forces budgets in its decoding loop."""

    def force(self, prompts: Prompts, machines: Sequence[Machine], params: Params) -> list[str]:
        """Step every machine until it is finished; returns one error per row ("" for none)."""
        requests, keys = [], [next(_KEYS) for _ in prompts]
        for key, prompt, machine, row in zip(keys, prompts, machines, params, strict=True):
            if type(machine) is not Machine:
                kind = type(machine).__name__
                raise BackendError(f"vLLM forces budgets natively, not a {kind}; use native=False")
            rules = machine.rules
            at_once = machine.phase == "answer"
            cap = machine.room if at_once else rules.max_answer
            seed = row_seed(row.seed or 0, str(row.first_draw), 1)
            phase = ANSWER if at_once else THINKING
            told = program(rules, machine.room, cap, phase=phase, key=key, seed=seed)
            own = {"max_tokens": self.context_length - len(prompt), "extra_args": {KEY: told}}
            requests.append(self._request(row, stop_token_ids=told["ends"], **own))
        outputs, errors = self._generate(prompts, requests), []
        told = self.llm.collective_rpc("s1core_dropped", args=(keys,)) if prompts else []
        dropped = {key: places for worker in told for key, places in worker}
        for key, machine, out in zip(keys, machines, outputs, strict=True):
            try:
                replay(machine, out.token_ids, dropped[key])
                errors.append("" if machine.finished else "vLLM stopped before the machine did")
            except (BackendError, KeyError) as error:
                errors.append(str(error))
        return errors
