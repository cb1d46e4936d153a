"""Data sets and models as the run will read them: reachable, whole, with the right columns."""

from __future__ import annotations

import json
import os
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s1core.checkpoints import in_mirror, split_revision
from s1core.errors import InputError
from s1lab.data import benchmarks
from s1lab.data.load import examples, hub_revision
from s1lab.data.sources import source
from s1lab.planning.fetch import CHECKSUMS, damaged
from s1lab.planning.needs import needs
from s1lab.planning.report import Finding
from s1lab.profiles import Profile

LARGE = 5_000
"""Rows beyond which a data set on the Hub is not read for a check, only looked up."""

HASHED = 5e9
"""Bytes up to which a model's files are compared with their checksums; larger ones by size."""

GATED_FIX = "accept its terms on the Hub and set HF_TOKEN, or go on without it (--go-on)"
MIRROR_FIX = "fetch again: s1lab fetch PROFILE --to $S1CORE_DATA_DIR"


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
    return Finding.problem(
        "Hub",
        f"{constants.ENDPOINT} does not answer, and S1CORE_DATA_DIR names no mirror",
        "connect to a network, or fetch a mirror elsewhere and copy it (s1lab fetch)",
    )


def check_datasets(profile: Profile) -> Iterator[Finding]:
    """Read every data set by the loader of the run: revision, columns, rows, checksums."""
    wanted = needs(profile)
    mirror = os.environ.get("S1CORE_DATA_DIR")
    if any(source(n).gated for n in wanted.benchmarks) and not mirror:
        if not os.environ.get("HF_TOKEN"):
            yield Finding.problem("token", "HF_TOKEN is not set", GATED_FIX, optional=True)
        else:
            yield Finding.fine("token", "HF_TOKEN is set")
    for number, name in enumerate(wanted.training):
        yield _training(name, profile, bool(mirror), optional=number > 0)
    for name in wanted.benchmarks:
        try:
            yield Finding.fine(name, f"{len(benchmarks.load(name)):,} questions")
        except (InputError, benchmarks.InputError) as error:
            fix = GATED_FIX if source(name).gated else MIRROR_FIX if mirror else "see above"
            yield Finding.problem(name, str(error), fix, optional=True)


def _training(name: str, profile: Profile, mirrored: bool, optional: bool) -> Finding:
    entry = source(name)
    fix = MIRROR_FIX if mirrored else "check the network, or use a mirror"
    try:
        if entry.rows > LARGE and not mirrored:
            return Finding.fine(name, f"on the Hub at {hub_revision(entry)[:12]}, not read")
        found = len(examples(name))
    except InputError as error:
        return Finding.problem(name, str(error), fix, optional=optional)
    expected = profile.selected if profile.rehearsal else entry.rows
    if found != expected:
        text = f"{found:,} examples where {expected:,} are expected"
        return Finding.problem(name, text, fix, optional=False)
    return Finding.fine(name, f"{found:,} examples")


def check_models(profile: Profile) -> Iterator[Finding]:
    """Every model: whole where there is a copy, at its revision where it is on the Hub."""
    for number, model in enumerate(needs(profile).models):
        folder = Path(model) if Path(model).exists() else in_mirror(model)
        if folder is not None:
            wrong = broken_shards(folder)
            yield (
                Finding.problem(model, "; ".join(wrong), MIRROR_FIX, optional=number > 0)
                if wrong
                else Finding.fine(model, f"whole, in {folder}")
            )
        elif os.environ.get("S1CORE_DATA_DIR"):
            yield Finding.problem(model, "not in the mirror", MIRROR_FIX, optional=number > 0)
        else:
            yield _on_hub(model, optional=number > 0)


def broken_shards(folder: Path) -> list[str]:
    """What is wrong with a checkpoint's files: missing, truncated, garbled, or another checksum."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        shards = [folder / name for name in sorted(set(listed))]
    else:
        shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        return [f"{folder} has no safetensors weights"]
    wrong = [f"{path.name} {why}" for path in shards if (why := _broken(path))]
    if not wrong and (folder / CHECKSUMS).is_file():
        if sum(path.stat().st_size for path in shards) <= HASHED:
            wrong = [f"{path.name} has another sha256 than noted" for path in damaged(folder)]
    return wrong


def _broken(path: Path) -> str:
    """Why a safetensors file is not whole; "" when it is as long as its header says."""
    if not path.is_file():
        return "is missing"
    with open(path, "rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= path.stat().st_size:
            return "is truncated or no safetensors file"
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return "has a damaged header"
    expected = 8 + length + max(ends, default=0)
    found = path.stat().st_size
    return "" if found == expected else f"has {found:,} bytes where {expected:,} are expected"


def _on_hub(model: str, optional: bool) -> Finding:
    from huggingface_hub import HfApi

    repository, revision = split_revision(model)
    try:
        info: Any = HfApi().model_info(
            repository,
            revision=revision or None,
            timeout=20,
            token=os.environ.get("HF_TOKEN") or None,
        )
    except Exception as error:  # the Hub's clients raise a dozen unrelated types
        summary = (str(error).splitlines() or [""])[0][:160]
        text = f"out of reach on the Hub: {type(error).__name__}: {summary}"
        return Finding.problem(model, text, "check the network, or use a mirror", optional)
    if not revision:
        return Finding.warning(model, f"no revision is pinned; main is at {info.sha}")
    return Finding.fine(model, "on the Hub at its revision")
