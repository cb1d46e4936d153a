"""Where the generations are, and what was read off them: files, their digests, outcomes on disk."""

import hashlib
import io
import json
import urllib.request
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from s1core.checkpoints import explained
from s1core.errors import InputError
from s1core.records import write_atomically
from s1lab import packaged
from s1lab.data.mirror import sha256
from s1lab.generations.read import Count, outcomes
from s1lab.provenance import json_text

HOST = "https://raw.githubusercontent.com"
MANIFEST, AGGREGATES = "manifest.json", "aggregates.json"


# Of one file: its path here, where it is from, how large it is, and under which terms.
Entry = namedtuple("Entry", "file repository commit path bytes rows sha256 licence")


def entries() -> list[Entry]:
    """Every file, in a fixed order."""
    return sorted(Entry(**row) for row in packaged("generations/files.json"))


def located(folder: str | Path, entry: Entry) -> Path:
    """The path of a file in `folder`, whole; InputError where it is missing or another."""
    path = Path(folder) / entry.file
    if not path.is_file():
        raise InputError(f"{path} is missing; `s1lab fetch generations --to FOLDER` brings it")
    if sha256(path) != entry.sha256:
        told = f"{entry.repository}@{entry.commit[:12]} (its sha256 differs)"
        raise InputError(f"{path} is not the file at {told}; remove it and fetch again")
    return path


def fetch(folder: str | Path, say: Callable[[str], None]) -> int:
    """Bring every file that is not there yet; returns how many. Raises InputError: a file cannot be
    had or has another digest; what was brought is kept."""
    brought = 0
    for entry in entries():
        path = Path(folder) / entry.file
        if path.is_file() and sha256(path) == entry.sha256:
            continue
        address = f"{HOST}/{entry.repository}/{entry.commit}/{entry.path}"
        with explained(f"{entry.file} cannot be had from {address}"):
            with urllib.request.urlopen(address, timeout=60) as reply:
                content = reply.read(entry.bytes + 1)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise InputError(f"{address} gave another file than expected (its sha256 differs)")
        write_atomically(path, [content.decode()])
        say(f"{entry.file}: {entry.bytes / 1e6:.1f} MB")
        brought += 1
    return brought


def counter(tokenizer: str | Path) -> Count:
    """Counts tokens with a `tokenizer.json`, or that of a folder. InputError: it is not Qwen's."""
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
    Raises InputError: a file is missing, has another digest, or is not what it should be."""
    count, listed = counter(tokenizer), entries()
    paths = {entry.file: located(folder, entry) for entry in listed}  # all, before any work
    counted = {f: paths.pop(f) for f in [*paths] if f.startswith("governor/")}  # by others
    aggregates = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in counted.values()}
    tables = []
    for file, path in paths.items():
        tables.append(outcomes(path, file, count))
        say(f"{file}: {len(tables[-1])}")
    made = {
        f"{name}.csv": of.drop(columns="set").to_csv(index=False, lineterminator="\n")
        for name, of in pd.concat(tables).groupby("set", sort=False)
    }
    made[AGGREGATES] = json_text(aggregates)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in made.items()}
    sources = {f"{e.repository}@{e.commit}": e.licence for e in listed}
    manifest = {"files": digests, "sources": sources, "rows": sum(e.rows for e in listed)}
    return made | {MANIFEST: json_text(manifest)}


def write(made: dict[str, str], folder: str | Path) -> None:
    """Write what `recompute` made; each file all or nothing, the manifest last."""
    for name, text in made.items():
        write_atomically(Path(folder) / name, [text])


def differences(made: dict[str, str], folder: str | Path) -> list[str]:
    """Names of files in `folder` that are missing or not, byte for byte, what was made."""
    paths = {name: Path(folder) / name for name in made}
    kept = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    return [name for name, text in made.items() if kept.get(name) != text.encode()]


def table(name: str, folder: str | Path) -> pd.DataFrame:
    """The outcomes of one set. InputError: the file is missing, or its digest is another."""
    path = Path(folder) / f"{name}.csv"
    try:
        manifest = path.with_name(MANIFEST).read_text(encoding="utf-8")
        digest, content = json.loads(manifest)["files"][path.name], path.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} holds no outcomes of {name} ({error})") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{path} is not what was computed (its sha256 differs)")
    return pd.read_csv(io.BytesIO(content), dtype={"condition": str}, keep_default_na=False)
