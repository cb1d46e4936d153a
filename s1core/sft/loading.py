"""How a run gets its model: one already in memory, or a folder read shard by shard.

For a folder under `torchrun` no process ever holds the whole model: it is laid out without
storage, sharded, and each process reads the rows it owns from the safetensors files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from s1core.errors import InputError
from s1core.sft.checkpoint import Reader, pretrained_files
from s1core.sft.config import SFTConfig
from s1core.sft.engine import Engine, check_model, fingerprint, own_rows
from s1core.sft.export import no_bars
from s1core.sft.group import Group
from s1core.sft.optimizer import local

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Started:
    """A model ready to be trained.

    Attributes:
        fingerprint: identity of the weights before training.
        dtype: precision in which the final model is written (that of the given one).
        engine: builds the training engine, given the longest example in tokens.
    """

    fingerprint: str
    dtype: torch.dtype
    engine: Callable[[int], Engine]


def prepare(model: PreTrainedModel | str | Path, config: SFTConfig, group: Group) -> Started:
    """Identify a model and say how to build its engine; nothing large is loaded yet.

    Raises:
        InputError: a folder holds no safetensors checkpoint, or LoRA is asked for without peft.
    """
    if isinstance(model, str | Path):
        return _from_folder(Path(model), config, group)
    identity = fingerprint(list(model.named_parameters()))
    dtype = next(model.parameters()).dtype

    def build(longest: int) -> Engine:
        check_model(model, longest)
        model.to(group.device, getattr(torch, config.master_dtype))
        return Engine(_adapted(model, config), config, group)

    return Started(identity, dtype, build)


def _from_folder(folder: Path, config: SFTConfig, group: Group) -> Started:
    from transformers import AutoConfig, AutoModelForCausalLM

    reader = Reader(pretrained_files(folder))
    settings = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(settings, dtype=torch.float32)
    shapes = {name: tuple(p.shape) for name, p in skeleton.named_parameters()}
    missing = sorted(set(shapes) - reader.names)
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} weights of its model, such as {missing[0]}"
        )
    ends = [
        (name, _Ends(reader.rows(name, 0, 1), reader.rows(name, shape[0] - 1, shape[0]), shape))
        for name, shape in shapes.items()
    ]
    master = getattr(torch, config.master_dtype)

    def build(longest: int) -> Engine:
        check_model(skeleton, longest)
        if group.mesh is None or config.lora is not None:
            with no_bars():
                loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=master)
            return Engine(_adapted(loaded.to(group.device), config), config, group)
        engine = Engine(skeleton.to(master), config, group)
        engine.packed.to_empty(device=group.device)
        with torch.no_grad():
            for name, parameter in engine.named():
                start, _ = own_rows(parameter, group)
                rows = reader.rows(name, start, start + len(local(parameter)))
                local(parameter).copy_(rows)
        _fill_buffers(skeleton, settings, group.device)
        return engine

    return Started(fingerprint(ends), reader.rows(ends[0][0], 0, 1).dtype, build)


def _fill_buffers(model: Any, settings: Any, device: torch.device) -> None:
    """Buffers are not in checkpoints: take them from the rotary embedding of a fresh config."""
    rotary = model.get_decoder().rotary_emb
    fresh = type(rotary)(config=settings)
    for name, buffer in fresh.named_buffers():
        setattr(rotary, name, buffer.to(device))


class _Ends:
    """First and last row of a tensor on disk, looking like the tensor to `fingerprint`."""

    def __init__(self, first: torch.Tensor, last: torch.Tensor, shape: tuple[int, ...]) -> None:
        self.shape, self._rows = shape, {0: first[0], -1: last[0]}

    def __getitem__(self, row: int) -> torch.Tensor:
        return self._rows[row]


def _adapted(model: PreTrainedModel, config: SFTConfig) -> Any:
    lora = config.lora
    if lora is None:
        return model
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise InputError(
            "LoRA needs the package peft: install s1core[sft], or set lora=None"
        ) from error
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():  # every process and every resumed run starts from the same
        torch.manual_seed(config.seed)
        return get_peft_model(model, settings)
