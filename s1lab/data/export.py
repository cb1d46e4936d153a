"""Pools and selections as tables, for DuckDB, sqlite-utils, Datasette or a spreadsheet.

Records become flat rows. A file appears under its name only when it is complete. Text that must not
be spread (GPQA's) is left out.
"""

import contextlib
import dataclasses
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import Example, Problem
from s1core.selection import Candidate

Item = Candidate | Example | Problem

_SPREAD = ("key", "source", "domain", "model", "error")


def flat(item: Item) -> dict[str, Any]:
    """One row: `key`, the problem's fields, the trace's, the annotations; no text of GPQA."""
    row = {"key": item.key, **dict(_fields(item))}
    if "gpqa" in row["source"].lower():
        row |= {n: None for n, v in row.items() if isinstance(v, str) and n not in _SPREAD}
    return row


def _fields(record: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        yield from _fields(value) if dataclasses.is_dataclass(value) else [(field.name, value)]


def export(items: Iterable[Item], path: str | Path, table: str = "pool") -> int:
    """Write records to a `.sqlite`, `.db`, `.parquet` or `.csv` file; returns how many. In a CSV
    file a text that a spreadsheet would run as a formula has a `'` before it. InputError: another
    suffix, no rows, or no place to write to."""
    import pandas

    check_table(path := Path(path))
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        frame = pandas.DataFrame(map(flat, items)).convert_dtypes()
        if frame.empty:
            raise InputError("there is nothing to export: no rows")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            frame = frame.assign(**frame.select_dtypes("string").map(inert))
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


def inert(text: Any) -> Any:
    """Text that no spreadsheet takes for a formula; numbers and marks alone stay as they are."""
    formula = isinstance(text, str) and text.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    harmless = r"[+-]?[\d.]+(e[+-]?\d+)?%?|[+-]+"
    number = formula and re.fullmatch(harmless, text, re.ASCII | re.IGNORECASE)
    return f"'{text}" if formula and not number else text
