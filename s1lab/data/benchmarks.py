"""The questions that the paper evaluates on (Section 4.1), with the grading that each one needs.

A benchmark is a name, a kind of grading and the number of rows it must have; where its files are
and at which revision is known to `s1lab.data.sources`. Countdown is the pocket world's benchmark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from s1core.errors import InputError
from s1core.grading.grades import Kind
from s1core.records import Problem


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A set of questions: its name in the paper, how it is graded, how many rows it has.

    `paper` says whether the paper reports it; `gated`, that its text must not be spread.
    """

    name: str
    kind: Kind
    rows: int
    paper: bool = True
    gated: bool = False


BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("AIME24", "aime", 30),
        Benchmark("AIME25", "aime", 30),
        Benchmark("MATH500", "math", 500),
        Benchmark("GPQA Diamond", "multiple_choice", 198, gated=True),
        Benchmark("GSM8K", "math", 1_319, paper=False),
        Benchmark("Countdown", "countdown", 500, paper=False),
    )
}


def benchmark(name: str) -> Benchmark:
    """Find a benchmark by name; case, spaces, "-" and "_" do not matter (`"aime24"`).

    Raises:
        InputError: there is none; the message lists them.
    """

    def plain(text: str) -> str:
        return re.sub(r"[\s_-]", "", text).lower()

    for known, entry in BENCHMARKS.items():
        if plain(name) in (plain(known), plain(known.removesuffix(" Diamond"))):
            return entry
    raise InputError(f"no benchmark is called {name!r}; pick one of {', '.join(BENCHMARKS)}")


def load(
    name: str, data_dir: str | Path | None = None, *, limit: int | None = None
) -> list[Problem]:
    """The questions of a benchmark, checked to be all there.

    Args:
        data_dir: a local mirror; None reads the Hub at its pinned revision.
        limit: only the first so many questions, for rehearsals.

    Raises:
        InputError: unknown name, another number of rows than the benchmark has, a limit below 1;
            the files cannot be read (see `s1lab.data`).
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
        raise InputError(
            f"{entry.name} has {len(problems)} questions where {entry.rows} are expected; "
            "check the revision or the mirror before comparing any number"
        )
    return problems[:limit]
