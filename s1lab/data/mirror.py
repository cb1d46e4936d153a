"""A local mirror (`--data-dir`): a folder of JSONL and Parquet files with the sha256 of each.

`MANIFEST.json` lists `dir`, `file`, `rows`, `bytes` and `sha256`; a file is checked before its
first row is given out, so that no truncated or edited copy passes for the data set. `s1lab fetch`
makes such a folder; its entries also name their data set (`source`).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from s1core.errors import InputError, explained
from s1core.records import read_jsonl, write_atomically

MANIFEST = "MANIFEST.json"
CHECKSUMS = "SHA256SUMS"


def inside(root: str | Path, name: str) -> Path:
    """The path of a listed name in the folder `root`; InputError where it could lead elsewhere."""
    path, pure = Path(root), PurePosixPath(name)
    odd = not pure.parts or pure.is_absolute() or ".." in pure.parts or len(name) > 255
    if odd or not name.isprintable() or "\\" in name or ":" in name:
        raise InputError(f"{name[:80]!r} is no path inside {root}: it was neither read nor removed")
    for part in pure.parts:
        path /= part
        if path.is_symlink():
            raise InputError(f"{path} is a symbolic link: a mirror holds the files themselves")
    return path


def note_checksums(folder: Path) -> None:
    """Write `SHA256SUMS` of the files of a folder."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != CHECKSUMS)
    write_atomically(folder / CHECKSUMS, [f"{sha256(path)}  {path.name}\n" for path in files])


def damaged(folder: Path) -> list[Path]:
    """The files of a folder that are not as its `SHA256SUMS` has them; InputError: that is torn."""
    path = folder / CHECKSUMS
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if not listed:
        raise InputError(f"{path} lists no file: remove it and fetch again")
    for name, digest in listed.items():
        if not _is_sha256(digest):
            raise InputError(f"{path} is torn at {name[:40]!r}: remove it and fetch again")
        inside(folder, name)
    files = {folder / name: digest for name, digest in listed.items()}
    return [file for file, digest in files.items() if not file.is_file() or sha256(file) != digest]


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder of data files, and its manifest's rows by path. Build it with `Mirror.open`."""

    root: Path
    entries: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, root: str | Path, new: bool = False) -> "Mirror":
        """Read the manifest of a mirror, which a `new` one may lack; InputError: it is none."""
        path = Path(root) / MANIFEST
        if new and not path.exists():
            return cls(Path(root), {})
        if not path.is_file():
            raise InputError(f"{root} is not a data mirror: it has no {MANIFEST}")
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON ({error}): fetch or copy it again") from error
        if not isinstance(rows, list):
            raise InputError(f"{path} is not a manifest, a list of dir, file, rows, sha256")
        entries: dict[str, dict[str, Any]] = {}
        for number, row in enumerate(rows, start=1):
            row = row if isinstance(row, dict) else {}
            count, file, folder = row.get("rows"), row.get("file"), row.get("dir") or ""
            named = isinstance(file, str) and isinstance(folder, str) and type(count) is int
            if not named or count < 0 or not _is_sha256(row.get("sha256")):
                raise InputError(f"{path}, entry {number} is not one of dir, file, rows, sha256")
            name = f"{folder}/{file}" if folder else file
            inside(root, name)
            if name in entries:
                raise InputError(f"{path}, entry {number}: {name} is listed twice")
            entries[name] = row
        return cls(Path(root), entries)

    def files_of(self, source: str) -> tuple[str, ...]:
        """The files that were fetched for a data set; empty when there are none."""
        return tuple(name for name, row in self.entries.items() if row.get("source") == source)

    def path(self, name: str) -> Path:
        """The path of a file, once it was found to agree with the manifest; else InputError."""
        if name not in self.entries:
            raise InputError(f"{self.root / MANIFEST} lists no {name}")
        path = inside(self.root, name)
        if not path.is_file():
            raise InputError(f"{path} is in the manifest but not on disk: copy the mirror again")
        if sha256(path) != self.entries[name]["sha256"]:
            told = "the copy is damaged or was edited"
            raise InputError(f"{path} has another sha256 than the manifest says: {told}")
        return path

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a JSONL or Parquet file; their number is compared at the end."""
        count, listed = 0, self.entries[name]["rows"] if name in self.entries else 0
        for count, row in enumerate(read_rows(self.path(name)), start=1):  # noqa: B007 - counted
            yield row
        if count != listed:
            raise InputError(f"{self.root / name} has {count} rows, the manifest says {listed}")

    def add(self, source: str, rows: Iterable[Mapping[str, Any]], **about: Any) -> int:
        """Write a data set, in the place of what was fetched for it; returns its rows."""
        path = self.root / "datasets" / f"{re.sub(r'[^A-Za-z0-9.]+', '-', source)}.jsonl"
        lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lines)
        with open(path, "rb") as file:
            count = sum(1 for _ in file)
        row = {"dir": path.parent.name, "file": path.name, "source": source, "rows": count, **about}
        row |= {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for name in self.files_of(source):
            del self.entries[name]
        self.entries[f"{path.parent.name}/{path.name}"] = row
        text = json.dumps([*self.entries.values()], indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.root / MANIFEST, [text])
        return count


def read_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of one `.jsonl` or `.parquet` file; InputError with file and line if it is none."""
    path = Path(path)
    if path.suffix == ".jsonl":
        yield from read_jsonl(path)
        return
    if path.suffix != ".parquet":
        raise InputError(f"{path} is neither .jsonl nor .parquet")
    import pyarrow.parquet  # only a Parquet file needs it

    with explained(f"{path} is truncated or not a Parquet file"):
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()


def sha256(path: str | Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
