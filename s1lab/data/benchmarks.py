"""The questions that the paper evaluates on (Section 4.1), with the grading that each one needs.

A benchmark is a name, a kind of grading and the number of rows it must have; where its files are
and at which revision is known to `s1lab.data.sources`. Countdown is the pocket world's benchmark.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
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
    wanted = _plain(name)
    for known, entry in BENCHMARKS.items():
        if wanted in (_plain(known), _plain(known.removesuffix(" Diamond"))):
            return entry
    raise InputError(f"no benchmark is called {name!r}; pick one of {', '.join(BENCHMARKS)}")


def load(
    name: str,
    data_dir: str | Path | None = None,
    *,
    limit: int | None = None,
    choices_seed: int | None = None,
) -> list[Problem]:
    """The questions of a benchmark, checked to be all there.

    Args:
        data_dir: a local mirror; None reads the Hub at its pinned revision.
        limit: only the first so many questions, for rehearsals.
        choices_seed: shuffle the choices of multiple-choice questions with this seed; None keeps
            the order that `s1lab.data` fixes for each question.

    Raises:
        InputError: unknown name, or another number of rows than the benchmark has.
        InputError: the files cannot be read (see `s1lab.data`).
    """
    entry = benchmark(name)
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
    if choices_seed is not None and entry.kind == "multiple_choice":
        problems = [shuffle_choices(problem, choices_seed) for problem in problems]
    return problems[:limit]


def shuffle_choices(problem: Problem, seed: int) -> Problem:
    """The same multiple-choice question with its choices in the order of `seed`.

    The order depends on the seed and the question alone, so one question's does not change with
    what is loaded beside it. The choices follow "Answer Choices:" as `(A) ...`.

    Raises:
        InputError: the question lists no choices, or its answer is none of their letters.
    """
    head, mark, listed = problem.question.partition("\nAnswer Choices:\n")
    parts = re.split(r"(?:^|\n)\(([A-J])\) ", listed)
    letters, choices = parts[1::2], parts[2::2]
    if not mark or problem.answer not in letters:
        raise InputError(f"question {problem.key} has no choices that hold {problem.answer!r}")
    right = choices[letters.index(problem.answer)]
    random.Random(f"{seed}:{problem.key}").shuffle(choices)
    lines = "\n".join(f"({letter}) {choice}" for letter, choice in zip(letters, choices))
    return replace(
        problem, question=f"{head}{mark}{lines}", answer=letters[choices.index(right)], solution=""
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
