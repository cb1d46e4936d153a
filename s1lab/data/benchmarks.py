"""The questions that the paper evaluates on (Section 4.1), with the grading that each one needs."""

from pathlib import Path
from typing import NamedTuple

from s1core.errors import InputError
from s1core.grading.grades import Kind
from s1core.records import Problem
from s1lab.data.load import problems
from s1lab.data.sources import SOURCES, plain
from s1lab.pocket import evaluation_problems


class Benchmark(NamedTuple):
    """What is asked, how it is graded, and how many questions there are."""

    name: str
    kind: Kind
    rows: int


_LISTED = [Benchmark(one.name, one.grading, one.rows) for one in SOURCES.values() if one.grading]
BENCHMARKS = {one.name: one for one in (*_LISTED, Benchmark("Countdown", "countdown", 500))}


def benchmark(name: str) -> Benchmark:
    """Find a benchmark by name (`"aime24"` will do); InputError lists them where there is none."""
    for known, entry in BENCHMARKS.items():
        if plain(name) in (plain(known), plain(known.removesuffix(" Diamond"))):
            return entry
    raise InputError(f"no benchmark is called {name!r}; pick one of {', '.join(BENCHMARKS)}")


def load(name: str, data_dir: Path | str | None = None, limit: int | None = None) -> list[Problem]:
    """The first `limit` questions of a benchmark; raises as `s1lab.data.problems`, and InputError
    where it has another number of rows than is known."""
    entry = benchmark(name)
    pocket = entry.kind == "countdown"
    found = evaluation_problems() if pocket else problems(entry.name, data_dir)
    if len(found) != entry.rows:
        told = f"{entry.name} has {len(found)} questions where {entry.rows} are expected"
        raise InputError(f"{told}; check the revision or the mirror before comparing any number")
    return found[:limit]
