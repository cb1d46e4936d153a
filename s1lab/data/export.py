"""Pools and selections as tables, for DuckDB, sqlite-utils, Datasette or a spreadsheet.

Records become flat rows; lists and mappings become JSON text. A file appears under its name only
when it is complete. Text that must not be spread (GPQA's) is left out.
"""

import contextlib
import dataclasses
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import Example, Problem
from s1core.selection import Candidate

Item = Candidate | Example | Problem | Mapping[str, Any]

_SPREAD = ("key", "source", "source_type", "domain", "model", "error")
_DTYPES = {bool: "boolean", int: "Int64", float: "Float64", str: "string"}


def flat(item: Item) -> dict[str, Any]:
    """One row: `key`, the problem's fields, the trace's, the annotations; no text of GPQA."""
    row = {} if isinstance(item, Mapping) else {"key": item.key}
    for name, value in _fields(item):
        if value is not None and type(value) not in _DTYPES:
            value = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        row[str(name)] = value
    if "gpqa" in str(row.get("source") or row.get("source_type")).lower():
        row |= {n: None for n, v in row.items() if isinstance(v, str) and n not in _SPREAD}
    return row


def _fields(record: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(record, Mapping):
        yield from record.items()
        return
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        yield from _fields(value) if dataclasses.is_dataclass(value) else [(field.name, value)]


def export(items: Iterable[Item], path: str | Path, table: str = "pool") -> int:
    """Write records to a `.sqlite`, `.db`, `.parquet` or `.csv` file; returns how many. In a CSV
    file a text that a spreadsheet would run as a formula has a `'` before it. InputError: another
    suffix, no rows, what the format cannot hold, or no place to write to."""
    check_table(path := Path(path))
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        frame = _frame([flat(item) for item in items])
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            texts = frame.select_dtypes("string")
            frame = frame.assign(**texts.map(inert)).rename(columns=inert)
            frame.to_csv(partial, index=False, lineterminator="\r\n")
        elif path.suffix == ".parquet":
            frame.to_parquet(partial, index=False, compression="zstd")
        else:
            with contextlib.closing(sqlite3.connect(partial)) as database, database:
                frame.to_sql(table, database, index=False)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except InputError:
        raise
    except (OSError, ValueError, sqlite3.Error) as error:
        raise InputError(f"{path} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return len(frame)


def check_table(path: Path) -> None:
    """Refuse, before any work, a file that `export` could not write."""
    if path.suffix not in (".sqlite", ".db", ".parquet", ".csv"):
        raise InputError(f"{str(path)!r} ends in none of .sqlite, .db, .parquet, .csv")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file: name one to write")


def _frame(rows: list[dict[str, Any]]) -> Any:
    """A data frame, a type for each column: real for whole and real numbers, else text for all."""
    import pandas

    if not any(rows):
        raise InputError("there is nothing to export: no rows")
    columns: dict[str, pandas.Series] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        kind = float if kinds == {int, float} else kinds.pop() if len(kinds) == 1 else str
        if kind is str:
            values = [None if value is None else str(value) for value in values]
        if any(type(v) is int and not -(2**63) <= v < 2**63 for v in values):
            raise InputError(f"column {name!r} holds a number beyond 64 bits")
        columns[name] = pandas.Series(values, dtype=_DTYPES[kind])
    return pandas.DataFrame(columns)


def inert(text: Any) -> Any:
    """Text that no spreadsheet takes for a formula; numbers and marks alone stay as they are."""
    formula = isinstance(text, str) and text.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    harmless = r"[+-]?[\d.]+(e[+-]?\d+)?%?|[+-]+"
    number = formula and re.fullmatch(harmless, text, re.ASCII | re.IGNORECASE)
    return f"'{text}" if formula and not number else text
