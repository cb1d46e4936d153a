"""Decoding with transformers: batched, one pass, each row stepped by its own machine. A row that is
finished leaves the batch at once; one that forces feeds a token per step while others sample."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.cache_utils import Cache

from s1core.architectures import check_twin
from s1core.backends.base import Completion, Params, Plain, Prompts, SamplingParams, uniforms
from s1core.backends.kv import GrowingLayer, attention_mask, decoding, pack, windows
from s1core.backends.sampling import choose, unknown_ids
from s1core.checkpoints import load_model, load_tokenizer
from s1core.errors import InputError, check_number, explained


class HFBackend:
    """A transformers causal language model as a backend that forces natively: any whose batched
    rows come out as each does alone. Ids that the tokenizer lacks are never sampled; a `device` of
    None leaves the model where it is. InputError for an architecture or a device that won't do."""

    def __init__(
        self, model: Any, tokenizer: Any, batch_size: int = 256, device: str | None = None
    ) -> None:
        check_number("batch_size", batch_size, 1, 2**20)
        check_attention(model)
        self.model = model.to(_usable(device)) if device else model
        self.tokenizer, self.batch_size = tokenizer, batch_size
        self.context_length = model.config.max_position_embeddings
        rope = getattr(model.config, "rope_parameters", None) or {}
        if rope.get("rope_type") == "longrope":  # another scale for every row once one is longer
            self.context_length = rope["original_max_position_embeddings"]
        self._windows = windows(model.config)
        self._unknown = unknown_ids(tokenizer, model.config.vocab_size, self.model.device)

    @classmethod
    def from_pretrained(
        cls, path: str | Path, *, dtype: str = "auto", device: str | None = None, **kwargs: Any
    ) -> "HFBackend":
        """Load a checkpoint (safetensors, no code of its own); InputError for what is not there."""
        if dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise InputError(f"no dtype {dtype!r:.40}; pick auto, float32, bfloat16 or float16")
        _usable(device)
        made = cls(load_model(path, dtype=dtype), load_tokenizer(path), device=device, **kwargs)
        pack(made.model)
        return made

    def complete(self, prompts: Prompts, params: Params) -> list[Completion]:
        """Continue each prompt by its own parameters; one completion per prompt, in order."""
        rows = [Plain(row) for row in params]
        self.force(prompts, rows, params)
        return [row.completion() for row in rows]

    def force(self, prompts: Prompts, machines: Sequence[Any], params: Params) -> None:
        """Step every machine until it is finished (see `base.Backend`)."""
        with decoding(self.model):
            for first in range(0, len(prompts), self.batch_size):
                chunk = slice(first, first + self.batch_size)
                _Batch(self, prompts[chunk], machines[chunk], params[chunk]).run()

    def logits(self, real: Tensor | None, **inputs: Any) -> Tensor:
        """Next-token logits, [rows, vocabulary], with ids outside the tokenizer at -inf. `real`
        [rows, 1, queries, keys]: what may be attended to, windows apart; None for all."""
        masks: Any = None
        if real is not None:
            eager = self.model.config._attn_implementation == "eager"
            masks = {kind: attention_mask(real, w, eager) for kind, w in self._windows.items()}
            masks = masks if len(masks) > 1 else masks.popitem()[1]
        made = self.model(attention_mask=masks, use_cache=True, logits_to_keep=1, **inputs)
        logits = made.logits[:, -1]
        return logits if self._unknown is None else logits.masked_fill(self._unknown, -torch.inf)


def check_attention(model: Any) -> None:
    """Refuse a model whose rows in a batch are not what transformers computes alone."""
    attention = model.config._attn_implementation
    if attention not in ("sdpa", "eager"):
        raise InputError(f"sdpa or eager attention decodes here, not {attention!r}; load with one")
    advice = "use the vllm or completions backend for this model"
    check_twin(model, "decoding a {} model in batches", _as_alone, advice)


class _Twin(HFBackend):
    """A tiny model decoded as the large one will be; keeps the logits of every step."""

    def __init__(self, model: Any) -> None:
        self.model, self.batch_size, self.steps = model, 8, list[Tensor]()
        self._unknown, self._windows = None, windows(model.config)

    def logits(self, real: Tensor | None, **inputs: Any) -> Tensor:
        self.steps.append(super().logits(real, **inputs))
        return self.steps[-1]


def _as_alone(twin: Any) -> bool:
    """Whether rows of a padded batch, and of one that is not, get the logits of each row alone."""
    for lengths in ((3, 11), (11,)):
        backend, prompts = _Twin(twin), [list(range(5, 5 + length)) for length in lengths]
        made = backend.complete(prompts, [SamplingParams(4)] * len(prompts))
        for row, (prompt, completion) in enumerate(zip(prompts, made, strict=True)):
            ids = torch.tensor([[*prompt, *completion.token_ids[:-1]]])
            with torch.inference_mode():
                alone = twin(input_ids=ids, use_cache=False).logits[0, -4:]
            batched = torch.stack([logits[row] for logits in backend.steps])
            if not torch.allclose(batched, alone, rtol=1e-3, atol=1e-3 * float(alone.std())):
                return False
    return True


def _usable(device: Any) -> Any:
    """The device, or one sentence why there is no such."""
    with explained(f"there is no device {device!r} here; pick cpu, or cuda"):
        return torch.empty(0, device=device).device


class _Batch:
    """Rows decoded together. The *tape* holds one token per row and step: forced ones are written
    ahead, and where a step finds -1, it writes what the model samples."""

    def __init__(self, backend: Any, prompts: Prompts, machines: list[Any], params: Params) -> None:
        self.backend, self.device = backend, backend.model.device
        self.prompts, self.machines, rows = prompts, list(machines), len(prompts)
        self.temperature, self.top_p = np.array([(p.temperature, p.top_p) for p in params], float).T
        self.seeds = np.array([p.seed or 0 for p in params], dtype=np.uint64)
        self.draws = np.array([p.first_draw for p in params], dtype=np.int64)
        # Of `unread`: the first step whose token the machine lacks.
        self.room, self.unread = np.zeros((2, rows), dtype=np.int64)
        self.suppress, self.done = np.zeros((2, rows), dtype=bool)
        self.tape = np.full((rows, 64), -1, dtype=np.int64)

    def run(self) -> None:
        for row, machine in enumerate(self.machines):
            self._plan(row, 0, machine.start())
        logits = self._prefill()
        for step in itertools.count():
            self._decide(logits, step)
            if self.done.all():
                return
            if self.done.any():
                self._leave()
            logits = self._forward(step)

    def _prefill(self) -> Tensor:
        """Run each distinct prompt once, left-padded; returns logits [rows, vocabulary]. Many long
        prompts are read in groups of about one length, which saves padding and memory."""
        distinct = list(dict.fromkeys(map(tuple, self.prompts)))
        self.width = max(map(len, distinct))
        if grouped := len(distinct) * self.width > _AT_ONCE:
            distinct.sort(key=len)
        ids = pad_sequence([torch.tensor(p) for p in distinct], True, -1, "left").to(self.device)
        real = ids >= 0
        size = max(1, _GROUP // self.width) if grouped else len(distinct)
        parts = [self._read(ids[first : first + size]) for first in range(0, len(ids), size)]
        self.cache, logits = parts[0][0], torch.cat([part[1] for part in parts])
        if len(parts) > 1:
            for layer, *others in zip(*(cache.layers for cache, _ in parts), strict=True):
                layer.join_rows(others, self.width)
        index = {prompt: i for i, prompt in enumerate(distinct)}
        rows = torch.tensor([index[tuple(p)] for p in self.prompts], device=self.device)
        if len(parts) > 1 or len(distinct) < len(self.prompts):
            for layer in self.cache.layers:
                layer.repeat_rows(rows)
        self.position = real.sum(-1)[rows]
        self.mask = None if bool(real.all()) else real[rows]
        return logits[rows]

    def _read(self, ids: Tensor) -> tuple[Cache, Tensor]:
        """The cache and the logits after prompts, left-padded with -1 to one width or more."""
        ids = ids[:, int((ids < 0).sum(-1).min()) :]
        real, mask = ids >= 0, None
        if not bool(real.all()):
            itself = torch.eye(ids.shape[1], dtype=torch.bool, device=self.device)
            causal = torch.ones_like(itself).tril()
            # A padding position sees itself: a row without any visible key would give NaN.
            mask = ((causal & real[:, None, :]) | itself)[:, None]
        layers = self.backend.model.config.num_hidden_layers
        cache = Cache(layers=[GrowingLayer() for _ in range(layers)])
        told = {"input_ids": ids.clamp(min=0), "past_key_values": cache}
        told["position_ids"] = (real.long().cumsum(-1) - 1).clamp(min=0)
        return cache, self.backend.logits(mask, **told)

    def _decide(self, logits: Tensor, step: int) -> None:
        """Complete the tape's column of this step with sampled tokens."""
        self._lengthen_tape(step + 1)
        self.tape[self.done, step] = 0
        free = np.flatnonzero(self.tape[:, step] < 0)
        while len(free):
            sampled = self._sample(logits if len(free) == len(self.tape) else logits[free], free)
            self.tape[free, step] = sampled
            self.room[free] -= 1
            pairs = zip(free.tolist(), sampled.tolist(), strict=True)
            stopped = np.array([token in self.machines[row].stops for row, token in pairs])
            events = stopped | (self.room[free] <= 0)
            for row, dropped in zip(free[events], stopped[events], strict=True):
                new = self.tape[row, self.unread[row] : step + 1].tolist()
                self.tape[row, step] = -1 if dropped else new[-1]
                self._plan(row, step + (not dropped), self.machines[row].take(new))
            # A row whose stop was dropped with nothing in its place samples this step again.
            free = free[(self.tape[free, step] < 0) & ~self.done[free]]

    def _sample(self, logits: Tensor, rows: np.ndarray) -> np.ndarray:
        if (quiet := self.suppress[rows]).any():
            logits = logits.clone()
            for place in np.flatnonzero(quiet):
                stops = self.machines[rows[place]].stops
                logits[place, [stop for stop in stops if stop < logits.shape[1]]] = -torch.inf
            self.suppress[rows] = False
        uniform = uniforms(self.seeds[rows], self.draws[rows])
        self.draws[rows] += 1
        return choose(logits, self.temperature[rows], self.top_p[rows], uniform).cpu().numpy()

    def _plan(self, row: int, step: int, forced: Sequence[int]) -> None:
        """Put what a row's machine forces on the tape, and note what it allows next."""
        end = step + len(forced)
        self._lengthen_tape(end)
        self.tape[row, step:end] = forced
        machine = self.machines[row]
        self.unread[row], self.room[row] = end, machine.room
        self.suppress[row], self.done[row] = machine.suppress, machine.finished

    def _lengthen_tape(self, end: int) -> None:
        if end >= self.tape.shape[1]:
            self.tape = np.pad(self.tape, ((0, 0), (0, end)), constant_values=-1)

    def _leave(self) -> None:
        """Let finished rows leave: the last rows that stay take their places, and are copied."""
        staying = np.flatnonzero(~self.done)
        rows = len(staying)
        sources, targets = staying[staying >= rows], np.flatnonzero(self.done[:rows])
        moves = [torch.from_numpy(index).to(self.device) for index in (sources, targets)]
        for layer in self.cache.layers:
            layer.move_rows(*moves, rows)
        for source, target in zip(sources, targets, strict=True):
            self.machines[target] = self.machines[source]
        for name in _PER_ROW.split():
            array = getattr(self, name)
            if array is not None:
                array[targets] = array[sources]
                setattr(self, name, array[:rows])

    def _forward(self, step: int) -> Tensor:
        """Feed the tape's column; returns the logits that follow it."""
        mask, length = self.mask, self.width + step + 1
        if mask is not None:
            if length > mask.shape[1]:
                self.mask = mask = torch.nn.functional.pad(mask, (0, length), value=True)
            mask = mask[:, None, None, :length]
        ids = torch.from_numpy(self.tape[:, step, None]).to(self.device)
        told = {"input_ids": ids, "position_ids": (self.position + step)[:, None]}
        return self.backend.logits(mask, past_key_values=self.cache, **told)


_AT_ONCE, _GROUP = 1 << 15, 1 << 13
"""Positions of all prompts up to which they are read at once; and of a group beyond that."""
_PER_ROW = "temperature top_p seeds draws room suppress done unread tape position mask"
