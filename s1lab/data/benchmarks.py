"""The questions that the paper evaluates on (Section 4.1), with the grading that each one needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s1core.errors import InputError
from s1core.grading.grades import Kind
from s1core.records import Problem
from s1lab.data.sources import plain


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A name, a kind of grading and a number of rows; whether the paper has it, and it is gated."""

    name: str
    kind: Kind
    rows: int
    paper: bool = True
    gated: bool = False


_LISTED = (
    Benchmark("AIME24", "aime", 30),
    Benchmark("AIME25", "aime", 30),
    Benchmark("MATH500", "math", 500),
    Benchmark("GPQA Diamond", "multiple_choice", 198, gated=True),
    Benchmark("GSM8K", "math", 1_319, paper=False),
    Benchmark("Countdown", "countdown", 500, paper=False),
)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _LISTED}


def benchmark(name: str) -> Benchmark:
    """Find a benchmark by name (`"aime24"` will do); InputError lists them where there is none."""
    for known, entry in BENCHMARKS.items():
        if plain(name) in (plain(known), plain(known.removesuffix(" Diamond"))):
            return entry
    raise InputError(f"no benchmark is called {name!r}; pick one of {', '.join(BENCHMARKS)}")


def load(
    name: str, data_dir: Path | str | None = None, *, limit: int | None = None
) -> list[Problem]:
    """The first `limit` questions of a benchmark; raises as `s1lab.data.problems`.

    Raises:
        InputError: unknown name, another number of rows than the benchmark has, a limit below 1.
    """
    entry = benchmark(name)
    if limit is not None and limit < 1:
        raise InputError(f"at least one question is needed, not {limit}")
    if entry.kind == "countdown":
        from s1lab.pocket import evaluation_problems

        problems = evaluation_problems()
    else:
        from s1lab.data.load import problems as load_problems

        problems = load_problems(entry.name, data_dir)
    if len(problems) != entry.rows:
        told = f"{entry.name} has {len(problems)} questions where {entry.rows} are expected"
        raise InputError(f"{told}; check the revision or the mirror before comparing any number")
    return problems[:limit]
