"""Outcomes on disk: recomputed from the files, compared with what is committed, read as tables."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from s1core.checkpoints import explained
from s1core.errors import InputError
from s1core.records import write_atomically
from s1lab.generations.files import entries, located
from s1lab.generations.read import Count, outcomes

MANIFEST, AGGREGATES = "manifest.json", "aggregates.json"


def counter(tokenizer: str | Path) -> Count:
    """Counts tokens with a `tokenizer.json` (a file, or a folder with one).

    Raises:
        InputError: there is none, or it is not Qwen's.
    """
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    path = path / "tokenizer.json" if path.is_dir() else path
    with explained(f"{path} is no tokenizer"):
        loaded = Tokenizer.from_file(str(path))
    if loaded.encode("<|im_start|>think\n").ids != [151644, 26865, 198]:
        raise InputError(f"{path} is not the tokenizer of Qwen2.5, by which s1.1 counts")
    return lambda texts: [
        len(encoding.ids)
        for first in range(0, len(texts), 64)
        for encoding in loaded.encode_batch(texts[first : first + 64], add_special_tokens=False)
    ]


def recompute(
    folder: str | Path, tokenizer: str | Path, say: Callable[[str], None] = lambda line: None
) -> dict[str, str]:
    """Every file of `folder` read again: file name to content, as `results/generations` has it.

    Raises:
        InputError: a file is missing, has another digest, or is not what it should be.
    """
    count, listed = counter(tokenizer), entries()
    paths = {entry.file: located(folder, entry) for entry in listed}  # all, before any work
    authors = sorted(Path(folder).glob("simplescaling_results/**/samples_*.jsonl"))
    paths |= {path.relative_to(folder).as_posix(): path for path in authors}
    aggregates, tables = {}, []
    for file, path in paths.items():
        if file.startswith("governor/"):
            aggregates[path.stem] = json.loads(path.read_text(encoding="utf-8"))
            continue
        tables.append(outcomes(path, file, count))
        say(f"{file}: {len(tables[-1])}")
    made = {
        f"{name}.csv": of.drop(columns="set").to_csv(index=False, lineterminator="\n")
        for name, of in pd.concat(tables).groupby("set", sort=False)
    }
    made[AGGREGATES] = json.dumps(aggregates, indent=1, sort_keys=True) + "\n"
    manifest = {
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in made.items()},
        "sources": {f"{e.repository}@{e.commit}": e.licence for e in listed},
        "rows": sum(e.rows for e in listed),
    }
    made[MANIFEST] = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    return made


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
