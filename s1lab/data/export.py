"""Pools and selections as tables, for DuckDB, sqlite-utils, Datasette or a spreadsheet.

Records become flat rows: a candidate's problem, trace and annotations side by side; lists and
mappings become JSON text. Rows are written as they come, so a pool may be larger than memory, and
the file appears under its name only when it is complete. Text from gated sources (GPQA) is left
out unless asked for.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import itertools
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import Example, Problem
from s1core.selection import Candidate
from s1lab.data.sources import is_gated

Flat = dict[str, Any]

_BATCH = 1000
_TEXT = ("question", "answer", "solution", "thinking", "attempt")
_ORDER = {"boolean": 0, "integer": 1, "real": 2, "text": 3}


def flat(item: Candidate | Example | Problem | Mapping[str, Any], gated_text: bool = False) -> Flat:
    """One row: `key`, the problem's fields, the trace's, the annotations.

    Args:
        gated_text: keep the text of gated questions; without it those columns are None.
    """
    if isinstance(item, Candidate):
        row = flat(item.example, gated_text)
        notes = ("thinking_tokens", "small_correct", "large_correct", "trace_correct", "error")
        return row | {name: getattr(item, name) for name in notes}
    if isinstance(item, Example):
        trace = dataclasses.asdict(item.trace)
        row = flat(item.problem, gated_text) | trace
    elif isinstance(item, Problem):
        row = {"key": item.key} | dataclasses.asdict(item)
    else:
        row = {name: _plain(value) for name, value in item.items()}
    if not gated_text and is_gated(str(row.get("source") or row.get("source_type") or "")):
        row |= {name: None for name in _TEXT if name in row}
    return row


def export(
    items: Iterable[Candidate | Example | Problem | Mapping[str, Any]],
    path: str | Path,
    table: str = "pool",
    gated_text: bool = False,
) -> int:
    """Write records to a `.sqlite`, `.db`, `.parquet` or `.csv` file; returns how many.

    Args:
        table: name of the table in SQLite; `key`, `source` and `domain` are indexed there.
        gated_text: write the text of gated questions too: for your own machine only.

    Raises:
        InputError: an unknown suffix, no rows, or a row with a column or a type that the first
            thousand do not have.
    """
    path = Path(path)
    writers: dict[str, Callable[[Path, _Rows, str], None]] = {
        ".sqlite": _sqlite, ".db": _sqlite, ".parquet": _parquet, ".csv": _csv,
    }  # fmt: skip
    if path.suffix not in writers:
        raise InputError(
            f"{path} ends in none of {', '.join(writers)}: the suffix names the format"
        )
    rows = _Rows(flat(item, gated_text) for item in items)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        writers[path.suffix](partial, rows, table)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return rows.count


class _Rows:
    """Rows in batches, with the columns and types that the first batch has."""

    def __init__(self, rows: Iterator[Flat]) -> None:
        self._first = list(itertools.islice(rows, _BATCH))
        if not self._first:
            raise InputError("there is nothing to export: no rows")
        self._rest = rows
        self.count = 0
        self.types: dict[str, str] = {}
        for row in self._first:
            for name, value in row.items():
                known = self.types.setdefault(name, "")
                kind = "" if value is None else _kind(value)
                self.types[name] = max(known, kind, key=lambda k: _ORDER.get(k, -1))
        self.types = {name: kind or "text" for name, kind in self.types.items()}

    def batches(self) -> Iterator[list[tuple[Any, ...]]]:
        """Values in the order of `types`, a batch at a time."""
        batch: list[Flat] = self._first
        while batch:
            yield [self._values(row) for row in batch]
            batch = list(itertools.islice(self._rest, _BATCH))

    def _values(self, row: Flat) -> tuple[Any, ...]:
        self.count += 1
        if not row.keys() <= self.types.keys():
            extra = ", ".join(sorted(row.keys() - self.types.keys()))
            raise InputError(f"row {self.count} has columns that the first rows lack: {extra}")
        return tuple(self._value(name, row.get(name)) for name in self.types)

    def _value(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        kind = self.types[name]
        if _ORDER[_kind(value)] > _ORDER[kind]:
            raise InputError(
                f"row {self.count}: column {name!r} is {kind} in the first rows, here {value!r:.60}"
            )
        return {"boolean": bool, "integer": int, "real": float, "text": str}[kind](value)


def _kind(value: Any) -> str:
    return {bool: "boolean", int: "integer", float: "real"}.get(type(value), "text")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, ensure_ascii=False, sort_keys=isinstance(value, Mapping))
    return value


def _csv(path: Path, rows: _Rows, table: str) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows.types)
        for batch in rows.batches():
            writer.writerows(batch)


def _parquet(path: Path, rows: _Rows, table: str) -> None:
    import pyarrow  # only this format needs it
    import pyarrow.parquet

    kinds = {
        "boolean": pyarrow.bool_(), "integer": pyarrow.int64(), "real": pyarrow.float64(),
        "text": pyarrow.string(),
    }  # fmt: skip
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in rows.types.items()])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in rows.batches():
            columns = [list(column) for column in zip(*batch, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(
                [pyarrow.array(c, t) for c, t in zip(columns, schema.types, strict=True)],
                schema=schema,
            ))  # fmt: skip


def _sqlite(path: Path, rows: _Rows, table: str) -> None:
    path.unlink(missing_ok=True)
    sql = {"boolean": "INTEGER", "integer": "INTEGER", "real": "REAL", "text": "TEXT"}
    name = _quoted(table)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        columns = ", ".join(f"{_quoted(c)} {sql[kind]}" for c, kind in rows.types.items())
        database.execute(f"CREATE TABLE {name} ({columns})")
        holes = ", ".join("?" * len(rows.types))
        for batch in rows.batches():
            database.executemany(f"INSERT INTO {name} VALUES ({holes})", batch)
        _index(database, table, [c for c in ("key", "source", "domain") if c in rows.types])


def _index(database: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    name = _quoted(table)
    for column in columns:
        unique = ""
        if column == "key":
            query = f"SELECT count(*) = count(DISTINCT key) FROM {name}"
            unique = "UNIQUE" if database.execute(query).fetchone()[0] else ""
        index = _quoted(f"{table}_{column}")
        database.execute(f"CREATE {unique} INDEX {index} ON {name} ({_quoted(column)})")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
