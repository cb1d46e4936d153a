"""The data sets of the paper: 16 pool sources (Table 7), benchmarks, and what was released.

`sources.yaml` lists them. A revision is a full commit that was seen on a public page; where none
could be seen, `note` says so: `main` is read, and the commit found there reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from s1core.errors import InputError
from s1lab.data import rows


@dataclass(frozen=True, slots=True)
class Source:
    """A data set, where it comes from and how its rows become problems. Where it is `gated`, the
    Hub asks for an account that accepted terms, and the text must not be spread."""

    name: str  # in the paper (Table 7 for the pool)
    hub_id: str
    convert: rows.Converter  # row -> `Problem`, `Example` (releases), or None: it is left out
    kind: Literal["pool", "benchmark", "release", "questions"]  # the last: without traces
    rows: int  # after `convert`, in the pool (Table 7) or the benchmark; the Hub may hold more
    grading: str = ""  # of a benchmark: math, aime, multiple_choice
    revision: str = ""  # full commit to read
    main_seen: str = ""  # short one that `main` had when it was last seen
    licence: str = ""
    configs: tuple[str, ...] = ()  # all are read, in this order; () for the default one
    splits: tuple[str, ...] = ("train",)
    files: tuple[str, ...] = ()  # of the repository, to read instead of these
    mirror: tuple[str, ...] = ()  # files of a mirror; several: one for each of `configs`
    source_types: tuple[str, ...] = ()  # prefixes of what s1 recorded for it
    gated: bool = False
    note: str = ""


def _entry(row: dict[str, Any]) -> Source:
    row = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    how = row["convert"]
    row["convert"] = getattr(rows, how) if isinstance(how, str) else rows.by_columns(**how)
    if row["kind"] == "pool":
        row.setdefault("source_types", (row["hub_id"],))
    if row["hub_id"] and "revision" not in row:
        missing = "no full commit could be verified: main is read, and its commit reported"
        row["note"] = "; ".join([row["note"], missing] if "note" in row else [missing])
    return Source(**row)


_LISTED = yaml.safe_load(Path(__file__).with_name("sources.yaml").read_text(encoding="utf-8"))

SOURCES: dict[str, Source] = {row["name"]: _entry(row) for row in _LISTED}
"""Every data set by name, in the order of the paper's tables."""
POOL: tuple[Source, ...] = tuple(entry for entry in SOURCES.values() if entry.kind == "pool")
"""The 16 sources of Table 7."""

SUBSETS = {name: f"1K-{name}" for name in ("random", "diverse", "longest")} | {"full": "59K-full"}
"""The released selections behind the baselines of Table 2 (`baselines.BASELINES`)."""


def plain(name: str) -> str:
    """A name without what people write differently: case, spaces, "-" and "_"."""
    return "".join(char for char in name.lower() if char.isalnum() or char == ".")


def source(name: str) -> Source:
    """The data set of this name (`"gpqa-diamond"` will do); InputError lists them otherwise."""
    if found := [entry for known, entry in SOURCES.items() if plain(known) == plain(name)]:
        return found[0]
    raise InputError(f"no data set is called {name!r}: choose one of {', '.join(SOURCES)}")


def table7_name(source_type: str) -> str:
    """The row of Table 7 that a recorded source belongs to; the source itself when there is none.

    `"qfq/openaimath/Algebra" -> "MATH"`
    """
    found = (entry.name for entry in POOL if source_type.startswith(entry.source_types))
    return next(found, source_type)


def is_gated(source_type: str) -> bool:
    """Whether text from this source must not be spread (GPQA)."""
    return "gpqa" in source_type.lower()
