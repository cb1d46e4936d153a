"""Bring everything a profile reads into one folder with checksums: `s1lab fetch`.

::

    mirror/
        MANIFEST.json       every data file: source, revision, rows, bytes, sha256
        missing.json        what could not be had, and why
        datasets/AIME24.jsonl
        models/org/name@commit/   as on the Hub, with SHA256SUMS

The folder is what `S1CORE_DATA_DIR` names on a machine without a network. Fetching again goes on
where it was stopped: a file that agrees with its checksum is kept, a partial download continued.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.checkpoints import download
from s1core.errors import InputError
from s1core.records import write_atomically
from s1lab.data.load import hub_revision, hub_rows
from s1lab.data.mirror import CHECKSUMS, MANIFEST, inside, read_checksums, read_manifest, sha256
from s1lab.data.sources import source
from s1lab.planning.needs import model_info, needs
from s1lab.profiles import Profile

MISSING = "missing.json"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a mirror holds after fetching.

    Attributes:
        root: its folder.
        files: data sets and models that are there, checked.
        missing: name -> why it could not be had.
        essential: the missing ones without which nothing can run.
    """

    root: Path
    files: tuple[str, ...]
    missing: dict[str, str]
    essential: tuple[str, ...]


def fetch(profile: Profile, root: str | Path, say: Say = lambda line: None) -> Fetched:
    """Fetch every data set and model of a profile that the Hub gives out.

    A data set that is gated or gone is noted in `missing.json`, with the reason, and the rest is
    fetched all the same.
    """
    root, wanted = Path(root), needs(profile)
    there: list[str] = []
    missing: dict[str, str] = {}
    for name in (*wanted.datasets, *wanted.models):
        if name in wanted.models and Path(name).exists():
            continue
        bring = _model if name in wanted.models else _dataset
        try:
            say(f"{name}: {bring(name, root)}")
            there.append(name)
        except InputError as error:
            missing[name] = str(error)
    text = json.dumps(missing, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(root / MISSING, [text])
    first = (*wanted.training[:1], *wanted.models[:1])
    return Fetched(root, tuple(there), missing, tuple(name for name in first if name in missing))


def _dataset(name: str, root: Path) -> str:
    """Write one data set as JSONL and list it in the manifest; returns what was done."""
    entry = source(name)
    manifest = _manifest(root)
    file = re.sub(r"[^A-Za-z0-9.]+", "-", entry.name) + ".jsonl"
    path = root / "datasets" / file
    listed = next((row for row in manifest if row.get("source") == entry.name), None)
    if listed and path.is_file() and sha256(path) == listed["sha256"]:
        return "there already"
    revision = hub_revision(entry)
    rows = 0

    def lines() -> Iterator[str]:
        nonlocal rows
        for rows, row in enumerate(hub_rows(entry, revision), start=1):  # noqa: B007 - counted
            yield json.dumps(row, ensure_ascii=False, default=str) + "\n"

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lines())
    row = {
        "dir": "datasets",
        "file": file,
        "source": entry.name,
        "hub_id": entry.hub_id,
        "revision": revision,
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "licence": entry.licence,
        "note": "gated: do not pass on" if entry.gated else "",
    }
    others = [other for other in manifest if other.get("source") != entry.name]
    text = json.dumps([*others, row], indent=1, ensure_ascii=False) + "\n"
    write_atomically(root / MANIFEST, [text])
    return f"{rows:,} rows at {revision[:12]}"


def _manifest(root: Path) -> list[dict[str, Any]]:
    path = root / MANIFEST
    if not path.exists():
        write_atomically(path, ["[]\n"])
    return list(read_manifest(root).values())


def _model(name: str, root: Path) -> str:
    """Download one model, and check or write its checksums; returns what was done."""
    folder = inside(root / "models", name)
    if (folder / CHECKSUMS).is_file() and not damaged(folder):
        return "there already"
    for path in damaged(folder) if (folder / CHECKSUMS).is_file() else ():
        path.unlink(missing_ok=True)  # the Hub's client keeps files that are there
    download(name, folder)
    wrong = [path.name for path, digest in _published(name, folder) if sha256(path) != digest]
    if wrong:
        raise InputError(
            f"{name}: {', '.join(wrong)} has another sha256 than the Hub says; fetch again"
        )
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != CHECKSUMS)
    write_atomically(folder / CHECKSUMS, [f"{sha256(p)}  {p.name}\n" for p in files])
    return f"{sum(p.stat().st_size for p in files) / 1e9:.1f} GB"


def damaged(folder: Path) -> list[Path]:
    """The files of a mirrored model that are missing or differ from its `SHA256SUMS`."""
    paths = [(digest, inside(folder, name)) for name, digest in read_checksums(folder).items()]
    return [path for digest, path in paths if not path.is_file() or sha256(path) != digest]


def _published(name: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """Files with the sha256 that the Hub has for them (it has one for those it stores apart)."""
    for file in model_info(name, files_metadata=True).siblings or ():
        path = folder / file.rfilename
        if file.lfs is not None and path.is_file():
            yield path, file.lfs.sha256
