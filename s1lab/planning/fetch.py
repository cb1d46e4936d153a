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
from functools import partial
from pathlib import Path

from s1core.checkpoints import download
from s1core.errors import InputError
from s1core.records import write_atomically
from s1lab.data.load import hub_revision, hub_rows
from s1lab.data.mirror import CHECKSUMS, MANIFEST, inside, read_checksums, read_manifest, sha256
from s1lab.data.sources import source
from s1lab.desk import weights
from s1lab.planning.needs import model_info, needs
from s1lab.profiles import Profile


def fetch(
    profile: Profile, root: str | Path, say: Callable[[str], None], given: str | Path = ""
) -> tuple[list[str], dict[str, str]]:
    """Fetch every data set and model of a profile that the Hub gives out.

    `given` is a folder that has the weights of the `desk` profile (see `s1lab.desk.weights`).

    Returns:
        What is there, checked; and what could not be had (gated, gone), with the reason, as
        `missing.json` has it.
    """
    root, wanted = Path(root), needs(profile)
    readers = dict.fromkeys(wanted.datasets, _dataset)
    readers |= {name: _model for name in wanted.models if not Path(name).exists()}
    if weights.MODEL in readers:
        readers[weights.MODEL] = partial(_gguf, given, say)
    there: list[str] = []
    missing: dict[str, str] = {}
    for name, bring in readers.items():
        try:
            say(f"{name}: {bring(name, root)}")
            there.append(name)
        except InputError as error:
            missing[name] = str(error)
    text = json.dumps(missing, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(root / "missing.json", [text])
    return there, missing


def _dataset(name: str, root: Path) -> str:
    """Write one data set as JSONL and list it in the manifest; returns what was done."""
    entry, path = source(name), root / MANIFEST
    if not path.exists():
        write_atomically(path, ["[]\n"])
    manifest = list(read_manifest(root).values())
    listed = next((row["sha256"] for row in manifest if row.get("source") == name), "")
    path = root / "datasets" / (re.sub(r"[^A-Za-z0-9.]+", "-", name) + ".jsonl")
    if path.is_file() and sha256(path) == listed:
        return "there already"
    revision, rows = hub_revision(entry), 0

    def lines() -> Iterator[str]:
        nonlocal rows
        for rows, row in enumerate(hub_rows(entry, revision), start=1):  # noqa: B007 - counted
            yield json.dumps(row, ensure_ascii=False, default=str) + "\n"

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lines())
    row = {
        "dir": "datasets",
        "file": path.name,
        "source": name,
        "hub_id": entry.hub_id,
        "revision": revision,
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "licence": entry.licence,
        "note": "gated: do not pass on" if entry.gated else "",
    }
    others = [other for other in manifest if other.get("source") != name]
    text = json.dumps([*others, row], indent=1, ensure_ascii=False) + "\n"
    write_atomically(root / MANIFEST, [text])
    return f"{rows:,} rows at {revision[:12]}"


def _model(name: str, root: Path) -> str:
    """Download one model, and check or write its checksums; returns what was done."""
    folder = inside(root / "models", name)
    known = (folder / CHECKSUMS).is_file()
    wrong = damaged(folder) if known else []
    if known and not wrong:
        return "there already"
    for path in wrong:
        path.unlink(missing_ok=True)  # the Hub's client keeps files that are there
    download(name, folder)
    for file in model_info(name, files_metadata=True).siblings or ():
        path = folder / file.rfilename  # the Hub has digests of the files that it stores apart
        if file.lfs is not None and path.is_file() and sha256(path) != file.lfs.sha256:
            raise InputError(f"{name}: {path.name} has another sha256 than on the Hub; fetch again")
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != CHECKSUMS)
    write_atomically(folder / CHECKSUMS, [f"{sha256(p)}  {p.name}\n" for p in files])
    return f"{sum(p.stat().st_size for p in files) / 1e9:.1f} GB"


def _gguf(given: str | Path, say: Callable[[str], None], name: str, root: Path) -> str:
    """Make the checkpoint of the `desk` profile; returns what was done."""
    return weights.make(inside(root / "models", name), given, say)


def damaged(folder: Path) -> list[Path]:
    """The files of a mirrored model that are missing or differ from its `SHA256SUMS`."""
    paths = [(digest, inside(folder, name)) for name, digest in read_checksums(folder).items()]
    return [path for digest, path in paths if not path.is_file() or sha256(path) != digest]
