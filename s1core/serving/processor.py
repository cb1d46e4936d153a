"""Budget forcing as a logits processor of vLLM, in `vllm.LLM` and in its server (`s1core serve`).
vLLM has two model runners, each with an interface of its own for such processors. A request says
what it wants in `extra_args` (`vllm_xargs` over HTTP): see `asked`. Others are untouched."""

import difflib
import json
import os
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality
from vllm.v1.sample.logits_processor import LogitsProcessor as FirstInterface
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SecondInterface

from s1core.backends.sampling import unknown_ids
from s1core.checkpoints import load_tokenizer
from s1core.errors import InputError
from s1core.forcing.budget import Budget, read_effort, rules
from s1core.serving.slots import Slots
from s1core.serving.table import UNKNOWN, program
from s1core.templates import Delimiters, fitting, resolve

KEY = "s1core"  # where `extra_args` hold a whole program, from `VLLMBackend`
SERVED = "S1CORE_SERVED"  # the environment's model and template that requests are checked against
EXTRAS = ("max_thinking", "waits", "min_thinking", "ignore_str", "answer_cue", "max_answer")
_LIVE: weakref.WeakSet[Slots] = weakref.WeakSet()


def asked(extra: Mapping[str, Any] | None) -> Budget | None:
    """The budget that a request's extras ask for; None where they ask for none. `EXTRAS` change
    that of an `effort`. InputError: a value is out of range, or a name is nearly one of these."""
    extra, known = dict(extra or {}), {*EXTRAS, "effort"}
    for name in extra.keys() - known:
        if near := difflib.get_close_matches(name, known, 1, 0.75):
            raise InputError(f"there is no extra {name!r}; did you mean {near[0]!r}?")
    given = {name: extra[name] for name in known & extra.keys()}
    if not given:
        return None
    effort = given.pop("effort", None)
    settings = read_effort(effort) if effort else {"max_thinking": 2**31 - 1}
    if "waits" in given:
        given["num_ignore"] = given.pop("waits")
    try:
        return Budget(**settings | given)
    except InputError as error:
        raise InputError(str(error).replace("num_ignore", "waits")) from error


@cache
def delimiters(model: str, template: str) -> tuple[Any, Delimiters]:
    """A model's tokenizer and its delimiters; template "" finds the one that fits."""
    tokenizer = load_tokenizer(model)
    return tokenizer, resolve(template or fitting(tokenizer), tokenizer)


class _Forcing:
    """What both adapters do with a request."""

    def __init__(self, config: Any, device: torch.device) -> None:
        if config.speculative_config:
            raise ValueError("budget forcing and speculative decoding exclude each other")
        model, settings = config.model_config, (config.additional_config or {}).get(KEY, {})
        self.longest, self.model = model.max_model_len, str(model.tokenizer)
        self.template = settings.get("template", "")
        tokenizer, size = load_tokenizer(self.model), model.get_vocab_size()
        texts = tokenizer.batch_decode([[token] for token in range(size)])
        lines = torch.tensor([text.endswith("\n") for text in texts], device=device)
        unknown = unknown_ids(tokenizer, size, device)
        lacking = None if unknown is None else unknown.nonzero().squeeze(1)
        self.slots = Slots(config.scheduler_config.max_num_seqs, self.longest, lines, lacking)
        # The same on every rank, so that all of them draw the same.
        self.numbers = np.random.default_rng(model.seed or 0)
        _LIVE.add(self.slots)

    def told(self, params: Any, prompt: int) -> dict[str, Any] | None:
        """A request's program; None for one that asks for nothing."""
        extra = params.extra_args or {}
        if KEY in extra:
            return extra[KEY]
        if (budget := asked(extra)) is None:
            return None
        tokenizer, ends = delimiters(self.model, self.template)
        try:
            own = rules(budget, ends, tokenizer)
        except InputError:  # `s1core serve` refuses it; a server started otherwise goes on
            return None
        room = min(self.longest - prompt, params.max_tokens)
        spare = room - len(ends.think_start_ids) - own.longest_closing
        # What nobody asked for is at most half of what there is.
        answer = budget.max_answer if "max_answer" in extra else min(budget.max_answer, room // 2)
        left = max(min(budget.max_thinking, spare - answer), 0)
        cap = answer if "max_answer" in extra else room
        seed = params.seed if params.seed is not None else int(self.numbers.integers(2**62))
        opened = {"opening": ends.think_start_ids, "final": tokenizer.eos_token_id}
        return program(own, left, cap, phase=UNKNOWN, seed=seed, **opened)


class _OnFirst(_Forcing, FirstInterface):
    """On vLLM's first runner, which tells tokens as lists on the host and rows as they move."""

    def __init__(self, config: Any, device: torch.device, is_pin_memory: bool) -> None:
        super().__init__(config, device)
        self.rows: dict[int, tuple[int, Sequence[int], Sequence[int]]] = {}
        self.free = list(range(self.slots.slots))
        self.new: dict[int, tuple[Any, ...]] = {}

    def is_argmax_invariant(self) -> bool:
        """No: it decides tokens of greedy rows too."""
        return False

    def update_state(self, batch_update: "BatchUpdate | None") -> None:
        """Follow requests as they leave, join and move within the batch."""
        if batch_update is None:
            return
        leaving = [*batch_update.removed, *(added[0] for added in batch_update.added)]
        self.free += [self.rows.pop(index)[0] for index in leaving if index in self.rows]
        for index, params, prompt, output in batch_update.added:
            slot = self.free.pop()
            self.rows[index] = slot, prompt or (0,), output
            self.new[slot] = params, prompt or (0,), output, prompt is not None
        for source, target, direction in batch_update.moved:
            moving, other = self.rows.pop(source, None), self.rows.pop(target, None)
            if moving:
                self.rows[target] = moving
            if other and direction == MoveDirectionality.SWAP:
                self.rows[source] = other
            elif other:
                self.free.append(other[0])

    def apply(self, logits: Tensor) -> Tensor:
        """Decide the next token of every row that is ours; logits are [rows, vocabulary]."""
        for slot, (params, prompt, output, ids) in self.new.items():
            told = self.told(params, len(prompt)) if ids else None
            self.slots.put(slot, told, len(prompt), len(prompt) + len(output), params)
        new, self.new = self.new, {}

        def tokens(slots: list[int], at: Tensor, width: int) -> Tensor:
            said = ([*new[slot][1], *new[slot][2]] for slot in slots)
            rows = [[*ids[:width], *[0] * (width - len(ids))] for ids in said]
            return torch.tensor(rows, device=logits.device)

        self.slots.flush(tokens)
        rows = [self.rows[index] for index in range(len(logits))]
        slots = np.array([slot for slot, _, _ in rows])
        lengths = np.array([len(prompt) + len(output) for _, prompt, output in rows])
        last = np.array([(output or prompt)[-1] for _, prompt, output in rows])
        told = torch.from_numpy(np.stack([slots, lengths, last])).to(logits.device)
        return self.slots.step(logits, slots, *told, lengths)


class _OnSecond(_Forcing, SecondInterface):
    """On Model Runner V2, whose tokens are tensors on the device and whose slots are ours."""

    def __init__(self, config: Any, req_states: Any) -> None:
        super().__init__(config, req_states.device)
        self.states = req_states

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """A request enters a slot, for the first time or again; whether it is ours."""
        prompt = int(self.states.prompt_len.np[req_idx])
        total = int(self.states.prefill_len.np[req_idx])
        told = self.told(sampling_params, prompt)
        return self.slots.put(req_idx, told, prompt, total, sampling_params)

    def apply_staged_writes(self) -> None:
        """Write the states of the requests that came in."""
        ids = self.states.all_token_ids.gpu
        self.slots.flush(lambda slots, at, width: ids[:, :width][at])

    def apply(self, logits: Tensor, ctx: LogitsContext) -> Tensor:
        """Decide the next token of every row that is ours; logits are [rows, vocabulary]."""
        at, length, last = ctx.expanded_idx_mapping.long(), ctx.pos.long() + 1, ctx.input_ids.long()
        bound = ctx.seq_lens_upper_bound_np
        return self.slots.step(logits, ctx.idx_mapping_np, at, length, last, bound)


class Processor(FirstInterface, SecondInterface):
    """Budget forcing on whichever of vLLM's runners calls it: the first with a device and whether
    memory is pinned, the second with the states of its requests."""

    def __new__(cls, vllm_config: Any, *told: Any, **named: Any) -> Any:
        adapter = _OnFirst if len(told) + len(named) == 2 else _OnSecond
        return adapter(vllm_config, *told, **named)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Refuse (InputError, over HTTP a 400) a request whose extras cannot be kept."""
        extra = sampling_params.extra_args or {}
        if KEY in extra:
            if not isinstance(extra[KEY], dict):
                raise InputError(f"{KEY!r} is no extra of a request")
            return
        if (budget := asked(extra)) is None:
            return
        if sampling_params.thinking_token_budget is not None:
            raise InputError("give max_thinking or thinking_token_budget, not both")
        if served := os.environ.get(SERVED):
            tokenizer, ends = delimiters(*json.loads(served))
            rules(budget, ends, tokenizer)


class Extension:
    """What a vLLM worker is asked besides its own work (`worker_extension_cls`)."""

    def s1core_dropped(self, keys: list[int]) -> list[tuple[int, list[int]]]:
        """Where ends of thinking were dropped, in output tokens, by the keys of requests."""
        return [row for slots in list(_LIVE) for row in slots.dropped(keys).items()]
