"""What a run leaves on disk: checkpoints to resume from, and the final model for others to load.
Each process writes the rows it owns, as safetensors, so a run resumes on another number of
processes. A folder gets its name when every file in it is on disk: one that is seen is complete."""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from s1core.errors import InputError, RunError
from s1core.records import write_atomically

Tensors = dict[str, Any]  # torch tensors by name, sharded or not
Log = list[dict[str, Any]]  # a row for each step so far
FILE = 1 << 29  # bytes of one file, more or less: each is put together in memory, twice


def save(root: Path, tensors: Tensors, log: Log, group: Any) -> None:
    """Write a checkpoint under `root`, all processes together, then drop older ones; RunError,
    and older checkpoints are untouched, where it could not be written."""
    from torch.distributed import checkpoint as dcp
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

    final = root / f"step-{len(log):06d}"
    partial = root / f".{final.name}.partial"
    if group.rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
    group.wait()
    try:
        partial.mkdir(parents=True, exist_ok=True)
        ends = np.cumsum([tensor.numel() * tensor.element_size() for tensor in tensors.values()])
        files = dict(zip(tensors, (1 + ends // FILE).tolist()))
        writer = HuggingFaceStorageWriter(str(partial), files, save_distributed=True)
        dcp.save(tensors, storage_writer=writer, no_dist=group.mesh is None)
        if group.rank == 0:
            write_log(partial, log)
    except (OSError, CheckpointException) as error:
        shutil.rmtree(partial, ignore_errors=True)
        why = f"{final} could not be saved ({first_line(error)}), the last good one is"
        raise RunError(f"{why} {latest(root)}: free some disk and start the run again") from None
    group.wait()
    if group.rank == 0:
        publish(partial, final)
        for old in set(root.glob("*step-*")) - {final}:
            shutil.rmtree(old, ignore_errors=True)


def publish(partial: Path, final: Path) -> None:
    """Give a folder its name when all that is in it is on disk."""
    for path in (*partial.iterdir(), partial, final):
        if path == final:
            os.replace(partial, final)
            path = final.parent  # the name itself
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def latest(root: Path) -> Path | None:
    """The newest complete checkpoint under `root`."""
    return max(root.glob("step-*"), default=None)


def write_log(folder: Path, log: Log) -> None:
    """Write the log of a checkpoint, or of a finished run: a row for each step so far."""
    write_atomically(folder / "state.json", [json.dumps({"step": len(log), "log": log})])


def read_log(folder: Path) -> Log:
    """What `write_log` left in a folder; RunError where it is damaged."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if [row["step"] for row in state["log"]] != list(range(1, state["step"] + 1)):
            raise ValueError("its log does not match its step")
        return state["log"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"{folder}/state.json cannot be read ({first_line(error)})"
        raise RunError(f"{problem}: delete {folder} and start the same run again") from error


def read_tensors(folder: Path, tensors: Tensors, alone: bool, advice: str) -> None:
    """Fill tensors by name from the safetensors files of a folder; InputError with
    the advice where a file is damaged, or none has a tensor of that name and shape."""
    from safetensors import SafetensorError, safe_open
    from torch.distributed import checkpoint as dcp
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

    try:
        for path in folder.glob("*.safetensors"):
            safe_open(path, framework="pt")  # a damaged file is found before torch logs it
        dcp.load(tensors, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=alone)
    except (OSError, SafetensorError, CheckpointException) as error:
        raise InputError(f"{folder} cannot be read ({first_line(error)}): {advice}") from None


def save_model(model: Any, folder: Path, dtype: Any, write: bool) -> None:
    """Write a model, sharded or not, as plain safetensors for transformers and vLLM; every process
    calls it, since each holds a part, and the one with `write` writes the whole."""
    state = {}
    for name, tensor in model.state_dict().items():
        full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
        if write:
            state[name] = full.detach().to("cpu", dtype)
        del full
    if write:
        model.config.dtype = dtype
        model.save_pretrained(folder, state_dict=state)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer so that `AutoTokenizer` reads back the same one."""
    tokenizer.save_pretrained(folder)
    # For some model types transformers 5 takes its own class, with another pre-tokenizer. An
    # `auto_map`, not followed without `trust_remote_code`, makes it honour what is written down.
    if type(tokenizer).__name__ in ("TokenizersBackend", "PreTrainedTokenizerFast"):
        path = Path(folder) / "tokenizer_config.json"
        row = json.loads(path.read_text(encoding="utf-8"))
        row.setdefault("auto_map", {"AutoTokenizer": ["none", None]})
        write_atomically(path, [json.dumps(row, indent=2, ensure_ascii=False) + "\n"])


def first_line(error: BaseException) -> str:
    """`KeyError: ...`: an error of a library, in one line; that of one process where many fail."""
    if failures := getattr(error, "failures", None):
        error = next(iter(failures.values()))[0]
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def quiet() -> None:
    """Hush the bars and warnings of libraries, which do not ask whether anybody reads them."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", "torch.distributed is disabled")
