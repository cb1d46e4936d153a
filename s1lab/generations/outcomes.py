"""Outcomes on disk: recomputed from the files, compared with what is committed, read as tables."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from s1core.errors import InputError
from s1core.records import write_atomically
from s1lab.generations.files import Entry, entries, located
from s1lab.generations.read import Count, Outcome, outcomes

SETS = ("global_mmlu", "fork", "mgsm", "simpleqa", "aime24", "authors")
MANIFEST = "manifest.json"
AGGREGATES = "aggregates.json"
AUTHORS = "simplescaling_results"
"""Folder of the authors' own logs, where the Hub was reached."""

Say = Callable[[str], None]


def counter(tokenizer: str | Path) -> Count:
    """Counts tokens with a `tokenizer.json` (a file, or a folder with one).

    Raises:
        InputError: there is none, or it is not Qwen's.
    """
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    path = path / "tokenizer.json" if path.is_dir() else path
    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare exceptions
        raise InputError(f"{path} is no tokenizer ({error})") from error
    if loaded.encode("<|im_start|>think\n").ids != [151644, 26865, 198]:
        raise InputError(f"{path} is not the tokenizer of Qwen2.5, by which s1.1 counts")
    return lambda texts: [
        len(encoding.ids)
        for first in range(0, len(texts), 64)
        for encoding in loaded.encode_batch(texts[first : first + 64], add_special_tokens=False)
    ]


def recompute(folder: str | Path, tokenizer: str | Path, say: Say = lambda line: None) -> dict:
    """Every file of `folder` read again: file name to content, as `results/generations` has it.

    Raises:
        InputError: a file is missing, has another digest, or is not what it should be.
    """
    count = counter(tokenizer)
    listed = entries()
    paths = {entry.file: located(folder, entry) for entry in listed}  # all, before any work
    rows: dict[str, list[Outcome]] = {name: [] for name in SETS}
    aggregates = {}
    for entry in listed:
        if entry.file.startswith("governor/"):
            text = paths[entry.file].read_text(encoding="utf-8")
            aggregates[Path(entry.file).stem] = json.loads(text)
            continue
        found = outcomes(paths[entry.file], entry.file, count)
        rows[found[0].set] += found
        say(f"{entry.file}: {len(found)}")
    for path in sorted(Path(folder).glob(f"{AUTHORS}/**/samples_*.jsonl")):
        rows["authors"] += outcomes(path, path.relative_to(folder).as_posix(), count)
    made = {f"{name}.csv": _csv(of) for name, of in rows.items() if of}
    made[AGGREGATES] = json.dumps(aggregates, indent=1, sort_keys=True) + "\n"
    made[MANIFEST] = json.dumps(_manifest(made, listed), indent=1, sort_keys=True) + "\n"
    return made


def _csv(found: Sequence[Outcome]) -> str:
    names = [field.name for field in dataclasses.fields(Outcome) if field.name != "set"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for outcome in found:
        values = [getattr(outcome, name) for name in names]
        writer.writerow([int(v) if isinstance(v, bool) else v for v in values])
    return out.getvalue()


def _manifest(made: dict[str, str], listed: Sequence[Entry]) -> dict:
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in made.items()}
    sources = {f"{e.repository}@{e.commit}": e.licence for e in listed}
    return {"files": digests, "sources": sources, "rows": sum(e.rows for e in listed)}


def write(made: dict[str, str], folder: str | Path) -> None:
    """Write what `recompute` made; each file all or nothing, the manifest last."""
    for name, text in made.items():
        write_atomically(Path(folder) / name, [text])


def differences(made: dict[str, str], folder: str | Path) -> list[str]:
    """Names of files in `folder` that are missing or not, byte for byte, what was made."""
    return [
        name
        for name, text in made.items()
        if not (path := Path(folder) / name).is_file() or path.read_bytes() != text.encode()
    ]


def table(name: str, folder: str | Path) -> pd.DataFrame:
    """The outcomes of one set, checked against the manifest's digest.

    Raises:
        InputError: the file is missing or was changed.
    """
    folder = Path(folder)
    try:
        digest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"][f"{name}.csv"]
        content = (folder / f"{name}.csv").read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} holds no outcomes of {name} ({error})") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{folder / name}.csv is not what was computed (its sha256 differs)")
    return pd.read_csv(io.BytesIO(content), dtype={"condition": str}, keep_default_na=False)
