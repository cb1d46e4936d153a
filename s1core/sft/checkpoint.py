"""Resumable checkpoints: atomic folders of safetensors that any number of processes can read.

A checkpoint holds, for every trained tensor and both AdamW moments, the rows that each process
owns, one file per process, with the row ranges in the file's header. One process is the case of
one file. Reading asks for rows by name and range, so a run resumes on another number of
processes. No file is a pickle. A folder gets its name only when every file in it is on disk, so a
checkpoint that can be seen is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from s1core.errors import InputError
from s1core.sft.group import Group


class Rows(NamedTuple):
    """Rows `start : start + len(tensor)` of a named tensor that has `total` rows."""

    name: str
    tensor: torch.Tensor
    start: int
    total: int


class Reader:
    """Named tensors spread over safetensors files, read by row range.

    Raises:
        InputError: a file is missing or damaged, or rows are asked for that no file has.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._where: dict[str, list[tuple[Any, int, int]]] = {}
        for path in files:
            try:
                file = safe_open(path, framework="pt")
                ranges = json.loads((file.metadata() or {}).get("rows", "{}"))
            except (OSError, SafetensorError, ValueError) as error:
                raise InputError(f"{path} cannot be read ({error}): delete that folder") from error
            for name in file.keys():  # noqa: SIM118 (not a dict)
                shape = file.get_slice(name).get_shape()
                start = ranges.get(name, [0])[0]
                self._where.setdefault(name, []).append((file, start, start + shape[0]))

    @property
    def names(self) -> set[str]:
        return set(self._where)

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Rows `start:stop` of tensor `name`, on the CPU, in the precision stored."""
        parts = [
            file.get_slice(name)[max(start, low) - low : min(stop, high) - low]
            for file, low, high in sorted(self._where.get(name, ()), key=lambda w: w[1])
            if max(start, low) < min(stop, high)
        ]
        if sum(len(part) for part in parts) != stop - start:
            raise InputError(f"the checkpoint lacks rows {start}:{stop} of {name}")
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def pretrained_files(folder: Path) -> list[Path]:
    """The safetensors files of a plain transformers checkpoint."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise InputError(f"{folder} holds no model*.safetensors: give a transformers checkpoint")
    return files


def save(root: Path, step: int, rows: Iterable[Rows], state: dict[str, Any], group: Group) -> Path:
    """Write checkpoint `step` under `root`, all processes together, then drop older ones.

    Raises:
        InputError: it could not be written; older checkpoints are untouched.
    """
    final = root / f"step-{step:06d}"
    partial = root / f".step-{step:06d}.partial"
    problem: Exception | None = None
    if group.first:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(final, ignore_errors=True)
    group.all_well(True)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        name = f"shard-{group.rank + 1:05d}-of-{group.size:05d}.safetensors"
        write_tensors(partial / name, rows)
        if group.first:
            write_synced(partial / "state.json", json.dumps({"step": step, **state}))
        sync(partial)
    except (OSError, SafetensorError) as error:
        problem = error
    if not group.all_well(problem is None):
        if group.first:
            shutil.rmtree(partial, ignore_errors=True)
        last = latest(root)
        kept = f"the last good one is {last}" if last else "there is no earlier one"
        raise InputError(
            f"checkpoint {final} could not be saved ({problem or 'on another process'}): {kept}; "
            "free some disk space and start the same run again to resume"
        ) from problem
    if group.first:
        os.replace(partial, final)
        sync(root)
        for old in root.glob("*step-*"):
            if old != final:
                shutil.rmtree(old, ignore_errors=True)
    group.all_well(True)
    return final


def write_tensors(path: Path, rows: Iterable[Rows]) -> None:
    """One safetensors file with the row ranges in its header, synced to disk."""
    tensors: dict[str, torch.Tensor] = {}
    ranges: dict[str, list[int]] = {}
    for name, tensor, start, total in rows:
        if len(tensor):
            tensors[name] = tensor.detach().to("cpu").contiguous()
            ranges[name] = [start, total]
    save_file(tensors, path, metadata={"rows": json.dumps(ranges)})
    sync(path)


def latest(root: Path) -> Path | None:
    """The newest complete checkpoint under `root`."""
    return max(root.glob("step-*"), default=None)


def open_checkpoint(path: Path) -> tuple[dict[str, Any], Reader]:
    """The state and the tensors of a checkpoint."""
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}/state.json cannot be read ({error}): delete {path}") from error
    return state, Reader(sorted(path.glob("shard-*.safetensors")))


def write_synced(path: Path, text: str) -> None:
    """Write a small text file and sync it."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """fsync a file or a folder's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
