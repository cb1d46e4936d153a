"""The final model as plain files that transformers and vLLM load: safetensors and a tokenizer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.sft.checkpoint import write_synced

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


def save_model(
    model: Any, folder: Path, dtype: torch.dtype, write: bool, lora_scale: float | None = None
) -> None:
    """Write `model`, sharded or not, as plain safetensors; adapters are merged, given their scale.

    Every process calls it, since each holds a part; the one with `write` keeps the whole, on the
    CPU, and writes it.
    """
    state = {}
    for name, tensor in model.state_dict().items():
        full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
        if write:
            state[name] = full.detach().to("cpu", dtype)
        del full
    if write:
        if lora_scale is not None:
            state, model = merged(state, lora_scale), model.get_base_model()
        model.config.dtype = dtype
        with no_bars():
            model.save_pretrained(folder, state_dict=state)


def merged(state: dict[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """The plain state of a model with LoRA adapters: each weight plus `scale * B @ A`."""
    plain = {}
    for name, tensor in state.items():
        if ".lora_" in name:
            continue
        stem = name.removesuffix(".base_layer.weight")
        if stem != name:
            low, high = (state[f"{stem}.lora_{side}.default.weight"].float() for side in "AB")
            tensor = (tensor.float() + scale * high @ low).to(tensor.dtype)
        plain[name.removeprefix("base_model.model.").replace(".base_layer", "")] = tensor
    return plain


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a tokenizer so that `AutoTokenizer` reads back the same one.

    For some model types, Qwen2 among them, transformers 5 takes its own tokenizer class whatever
    the folder says, and silently replaces the pre-tokenizer of one that was built from a
    `tokenizer.json`. An `auto_map` entry, which is not followed without `trust_remote_code`, makes
    it honour the class that is written down.
    """
    tokenizer.save_pretrained(folder)
    if type(tokenizer).__name__ in ("TokenizersBackend", "PreTrainedTokenizerFast"):
        path = Path(folder) / "tokenizer_config.json"
        row = json.loads(path.read_text(encoding="utf-8"))
        row.setdefault("auto_map", {"AutoTokenizer": ["none", None]})
        write_synced(path, json.dumps(row, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def no_bars() -> Iterator[None]:
    """Without transformers' own progress bars, which do not look whether there is a terminal."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
