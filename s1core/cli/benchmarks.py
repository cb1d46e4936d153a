"""Benchmarks by name: found where installed packages offer them, so that a new one is a plug-in.

A package offers benchmarks with an entry point of the group `s1core.benchmarks`: a module or object
with `benchmark(name)`, whose result has a `kind` of grading, and `load(name, data_dir, limit=...)`,
a list of problems. The paper's own come with `s1lab`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import Problem

GROUP = "s1core.benchmarks"


def find(name: str) -> Any:
    """The benchmark of that name: its `name` and `kind`.

    Raises:
        InputError: nothing that is installed offers it.
    """
    return _ask(name, lambda offer: offer.benchmark(name))


def load(name: str, data_dir: Path | None, limit: int | None = None) -> list[Problem]:
    """Its questions, from the Hub or a local mirror (`data_dir`); see `find`."""
    find(name)
    return _ask(name, lambda offer: offer.load(name, data_dir, limit=limit))


def _ask(name: str, question: Any) -> Any:
    refused = InputError(f"no benchmark {name!r}: nothing that is installed offers any")
    for point in entry_points(group=GROUP):
        try:
            return question(point.load())
        except InputError as error:
            refused = error
    raise refused
