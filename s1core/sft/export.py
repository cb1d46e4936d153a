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


def save_model(model: Any, folder: Path, dtype: torch.dtype, write: bool) -> None:
    """Write `model`, sharded or not, as plain safetensors.

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
        model.config.dtype = dtype
        with no_bars():
            model.save_pretrained(folder, state_dict=state)


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
