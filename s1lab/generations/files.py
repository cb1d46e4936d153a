"""Where the generations are: repository, commit, path, digest and licence of every file."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from s1core.checkpoints import explained
from s1core.errors import InputError
from s1core.records import write_atomically
from s1lab.data.mirror import sha256

HOST = "https://raw.githubusercontent.com"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its path here, where it is from, how large it is, and under which terms."""

    file: str
    repository: str
    commit: str
    path: str
    bytes: int
    rows: int
    sha256: str
    licence: str


def entries() -> list[Entry]:
    """Every file, in a fixed order."""
    text = files("s1lab.generations").joinpath("files.json").read_text(encoding="utf-8")
    return sorted((Entry(**row) for row in json.loads(text)), key=lambda entry: entry.file)


def located(folder: str | Path, entry: Entry) -> Path:
    """The path of a file in `folder`, whole; InputError where it is missing or another."""
    path = Path(folder) / entry.file
    if not path.is_file():
        raise InputError(f"{path} is missing; `s1lab fetch generations --to FOLDER` brings it")
    if sha256(path) != entry.sha256:
        raise InputError(
            f"{path} is not the file at {entry.repository}@{entry.commit[:12]} (its sha256 "
            "differs); remove it and fetch again"
        )
    return path


def fetch(folder: str | Path, say: Callable[[str], None]) -> int:
    """Bring every file that is not there yet; returns how many were brought.

    Raises:
        InputError: a file cannot be had or has another digest; what was brought is kept.
    """
    brought = 0
    for entry in entries():
        path = Path(folder) / entry.file
        if path.is_file() and sha256(path) == entry.sha256:
            continue
        address = f"{HOST}/{entry.repository}/{entry.commit}/{entry.path}"
        try:
            with urllib.request.urlopen(address, timeout=60) as reply:
                content = reply.read(entry.bytes + 1)
        except OSError as error:
            raise InputError(f"{entry.file} cannot be had from {address}: {error}") from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise InputError(f"{address} gave another file than expected (its sha256 differs)")
        write_atomically(path, [content.decode()])
        say(f"{entry.file}: {entry.bytes / 1e6:.1f} MB")
        brought += 1
    return brought


def fetch_authors(folder: str | Path) -> Path:
    """Bring the authors' own logs from the Hub (`simplescaling/results`, Apache-2.0).

    Raises:
        InputError: the Hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    target = Path(folder) / "simplescaling_results"
    with explained("the authors' logs cannot be had from the Hub"):
        snapshot_download(
            "simplescaling/results",
            repo_type="dataset",
            allow_patterns=["*forcing*/**/samples_*.jsonl"],
            local_dir=target,
        )
    return target
