"""A local mirror: a folder of JSONL and Parquet files with the sha256 of each.

For machines without the Hub (`--data-dir`). `MANIFEST.json` at its root is a list of entries with
`dir`, `file`, `rows`, `bytes` and `sha256`; a file is checked against its entry before the first
row is given out, so that a truncated or edited copy never passes for the data set. `s1lab fetch`
makes such a folder; its entries also name the data set they belong to (`source`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import read_jsonl

MANIFEST = "MANIFEST.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a mirror: its path relative to the root, its sha256 and its number of rows.

    `source` is the data set that it was fetched for (a key of `sources.SOURCES`), "" where the
    mirror was made by hand.
    """

    path: str
    sha256: str
    rows: int
    licence: str = ""
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder of data files whose manifest was read. Build it with `Mirror.open`."""

    root: Path
    entries: dict[str, Entry]
    _checked: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def open(cls, root: str | Path) -> Mirror:
        """Read the manifest of a mirror.

        Raises:
            InputError: the folder or its manifest is missing or cannot be read.
        """
        root = Path(root)
        path = root / MANIFEST
        if not path.is_file():
            raise InputError(f"{root} is not a data mirror: it has no {MANIFEST}")
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))
            entries = [
                Entry(
                    f"{row['dir']}/{row['file']}" if row.get("dir") else row["file"],
                    row["sha256"],
                    int(row["rows"]),
                    row.get("licence", ""),
                    row.get("note", ""),
                    row.get("source") if isinstance(row.get("source"), str) else "",
                )
                for row in listed
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is not a manifest of dir, file, rows, sha256: {error}"
            ) from error
        return cls(root, {entry.path: entry for entry in entries})

    def files_of(self, source: str) -> tuple[str, ...]:
        """The files that were fetched for a data set; empty when there are none."""
        return tuple(entry.path for entry in self.entries.values() if entry.source == source)

    def path(self, name: str) -> Path:
        """The path of a file, once its content was found to agree with the manifest.

        Raises:
            InputError: the manifest does not list it, it is missing, or its sha256 differs.
        """
        if name not in self.entries:
            raise InputError(f"{self.root / MANIFEST} lists no {name}")
        path = self.root / name
        if not path.is_file():
            raise InputError(f"{path} is in the manifest but not on disk: copy the mirror again")
        if name not in self._checked:
            found = sha256(path)
            if found != self.entries[name].sha256:
                raise InputError(
                    f"{path} has sha256 {found[:12]}…, the manifest says "
                    f"{self.entries[name].sha256[:12]}…: the copy is damaged or was edited"
                )
            self._checked.add(name)
        return path

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a JSONL or Parquet file, as dicts.

        Raises:
            InputError: as for `path`; the file cannot be parsed; it has another number of rows
                than the manifest says (found out at the end).
        """
        count = 0
        for row in read_rows(self.path(name)):
            count += 1
            yield row
        if count != self.entries[name].rows:
            raise InputError(
                f"{self.root / name} has {count} rows, the manifest says {self.entries[name].rows}"
            )


def read_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of one `.jsonl` or `.parquet` file.

    Raises:
        InputError: the suffix is another, the file is not UTF-8 JSONL, or the Parquet file is
            truncated or damaged; the message names the file, and the line for JSONL.
    """
    path = Path(path)
    if path.suffix == ".jsonl":
        try:
            yield from read_jsonl(path)
        except InputError as error:
            raise InputError(str(error)) from error
    elif path.suffix == ".parquet":
        yield from _parquet(path)
    else:
        raise InputError(f"{path} is neither .jsonl nor .parquet")


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow  # only a Parquet file needs it
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is truncated or not a Parquet file: {reason}") from error


def sha256(path: str | Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
