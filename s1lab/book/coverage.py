"""What the paper shows, figure by figure and table by table, and where this book answers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Item:
    """A figure, table or algorithm of the paper (version 3); see `coverage.yaml`."""

    name: str
    about: str
    chapters: list[str]
    note: str


COVERAGE = tuple(
    Item(**item)
    for item in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
)
