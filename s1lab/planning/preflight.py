"""Look for what would fail later, before anything is paid for: `s1lab preflight`.

Each check looks at the real thing (the driver, the disk, the files, the Hub) and says in one line
what it found and, where that will not do, what to change. All of them together take under a
minute; data are read by the same loaders that the run uses.
"""

from __future__ import annotations

import json
import os
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s1core.checkpoints import in_mirror, split_revision
from s1core.errors import InputError
from s1lab.data import benchmarks
from s1lab.data.load import examples, hub_revision
from s1lab.data.sources import source
from s1lab.planning import machine
from s1lab.planning.fetch import CHECKSUMS, damaged
from s1lab.planning.machine import Finding
from s1lab.planning.needs import model_info, needs
from s1lab.profiles import Profile

LARGE = 5_000
"""Rows beyond which a data set on the Hub is not read for a check, only looked up."""

HASHED = 5e9
"""Bytes up to which a model's files are compared with their checksums; larger ones by size."""

GATED_FIX = "accept its terms on the Hub and set HF_TOKEN, or go on without it (--go-on)"
MIRROR_FIX = "fetch again: s1lab fetch PROFILE --to $S1CORE_DATA_DIR"
NETWORK_FIX = "check the network, or use a mirror"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a profile is about to run.

    Attributes:
        store: folder of the run store.
        disk: bytes that the runs and downloads will take there.
        misfits: what will not fit into a GPU's memory, one sentence each.
        port: on which torchrun's processes meet.
    """

    store: Path
    disk: float = 0.0
    misfits: tuple[str, ...] = ()
    port: int = 29500


def preflight(profile: Profile, site: Site, *, go_on: bool = False) -> Iterator[Finding]:
    """Check everything; findings come as they are made.

    Args:
        go_on: what a run can do without (a benchmark, a baseline, a released model) is a warning.
    """
    for finding in _checks(profile, site):
        yield finding.softened() if finding.optional and go_on else finding


def _checks(profile: Profile, site: Site) -> Iterator[Finding]:
    yield from machine.gpus(profile)
    yield from machine.versions(profile)
    for misfit in site.misfits:
        yield Finding("memory", misfit, "change the profile, or take a larger GPU")
    if not site.misfits:
        yield Finding.fine("memory", "everything planned fits")
    yield from machine.disk(site.store, site.disk)
    yield from machine.launcher(profile)
    yield from machine.port(profile, site.port)
    unreachable = hub_out_of_reach(profile)
    if unreachable is not None:
        yield unreachable
        return
    yield from check_models(profile)
    yield from check_datasets(profile)


def hub_out_of_reach(profile: Profile) -> Finding | None:
    """A finding where the Hub is needed and does not answer; asked once, with little patience."""
    wanted = needs(profile)
    here = all(Path(model).exists() for model in wanted.models) and not wanted.datasets
    if os.environ.get("S1CORE_DATA_DIR") or here:
        return None
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        try:
            with urllib.request.urlopen(constants.ENDPOINT, timeout=10):
                return None
        except urllib.error.HTTPError:
            return None  # it answers
        except (OSError, ValueError):
            pass
    return Finding(
        "Hub",
        f"{constants.ENDPOINT} does not answer, and S1CORE_DATA_DIR names no mirror",
        "connect to a network, or fetch a mirror elsewhere and copy it (s1lab fetch)",
    )


def check_datasets(profile: Profile) -> Iterator[Finding]:
    """Read every data set by the loader of the run: revision, columns, rows, checksums."""
    wanted = needs(profile)
    mirrored = bool(os.environ.get("S1CORE_DATA_DIR"))
    if any(source(n).gated for n in wanted.benchmarks) and not mirrored:
        if not os.environ.get("HF_TOKEN"):
            yield Finding("token", "HF_TOKEN is not set", GATED_FIX, optional=True)
        else:
            yield Finding.fine("token", "HF_TOKEN is set")
    for number, name in enumerate(wanted.training):
        yield _training(name, profile, mirrored, optional=number > 0)
    for name in wanted.benchmarks:
        try:
            yield Finding.fine(name, f"{len(benchmarks.load(name)):,} questions")
        except InputError as error:
            fix = GATED_FIX if source(name).gated else MIRROR_FIX if mirrored else "see above"
            yield Finding(name, str(error), fix, optional=True)


def _training(name: str, profile: Profile, mirrored: bool, optional: bool) -> Finding:
    entry = source(name)
    fix = MIRROR_FIX if mirrored else NETWORK_FIX
    try:
        if entry.rows > LARGE and not mirrored:
            return Finding.fine(name, f"on the Hub at {hub_revision(entry)[:12]}, not read")
        found = len(examples(name))
    except InputError as error:
        return Finding(name, str(error), fix, optional)
    expected = profile.selected if profile.rehearsal else entry.rows
    if found != expected:
        return Finding(name, f"{found:,} examples where {expected:,} are expected", fix)
    return Finding.fine(name, f"{found:,} examples")


def check_models(profile: Profile) -> Iterator[Finding]:
    """Every model: whole where there is a copy, at its revision where it is on the Hub."""
    for number, model in enumerate(needs(profile).models):
        folder = Path(model) if Path(model).exists() else in_mirror(model)
        if folder is not None:
            wrong = broken_shards(folder)
            yield (
                Finding(model, "; ".join(wrong), MIRROR_FIX, optional=number > 0)
                if wrong
                else Finding.fine(model, f"whole, in {folder}")
            )
        elif os.environ.get("S1CORE_DATA_DIR"):
            yield Finding(model, "not in the mirror", MIRROR_FIX, optional=number > 0)
        else:
            yield _on_hub(model, optional=number > 0)


def broken_shards(folder: Path) -> list[str]:
    """What is wrong with a checkpoint's files: missing, truncated, garbled, or another checksum."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            shards = [folder / Path(name).name for name in sorted(set(listed))]
        except (ValueError, KeyError, TypeError, AttributeError):
            return [f"{index.name} is damaged"]
    else:
        shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        return [f"{folder} has no safetensors weights"]
    wrong = [f"{path.name} {why}" for path in shards if (why := _broken(path))]
    if not wrong and (folder / CHECKSUMS).is_file():
        if sum(path.stat().st_size for path in shards) <= HASHED:
            try:
                wrong = [f"{path.name} has another sha256 than noted" for path in damaged(folder)]
            except InputError as error:
                wrong = [str(error)]
    return wrong


def _broken(path: Path) -> str:
    """Why a safetensors file is not whole; "" when it is as long as its header says."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= size:
            return "is truncated or no safetensors file"
        try:
            header = json.loads(file.read(length))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "has a damaged header"
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"has {size:,} bytes where {expected:,} are expected"


def _on_hub(model: str, optional: bool) -> Finding:
    try:
        info = model_info(model)
    except InputError as error:
        return Finding(model, str(error), NETWORK_FIX, optional)
    if not split_revision(model)[1]:
        return Finding(model, f"no revision is pinned; main is at {info.sha}", level="warning")
    return Finding.fine(model, "on the Hub at its revision")
