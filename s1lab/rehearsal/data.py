"""The data of a rehearsal: a mirror of its own, with real questions and few training examples.

Benchmarks are the real files. Training sets hold a handful of s1K's questions. Where only the
questions are at hand (the traces are on the Hub), the published solution stands for the trace:
a rehearsal is about whether everything runs, and its figures say that they are no results.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import Example, Trace
from s1lab.data.load import examples, problems, raw_rows
from s1lab.data.mirror import MANIFEST, add
from s1lab.data.sources import source
from s1lab.planning.fetch import Needs

LONGEST = 150  # characters of a question, so that a short sequence leaves room for its trace


def rehearsal_mirror(
    root: str | Path, data_dir: str | Path | None, wanted: Needs, count: int
) -> None:
    """Make the mirror of a rehearsal in `root`, its training sets of `count` examples; what it
    cannot have is not in it. `data_dir` is a mirror with the real files, None the Hub.

    Raises:
        InputError: not even s1K's questions can be had.
    """
    (Path(root) / MANIFEST).unlink(missing_ok=True)
    pool = _pool(wanted.training[0], data_dir)
    for name in wanted.training:
        if rows := list(itertools.islice(pool, count)):
            add(root, name, rows)
    for name in wanted.benchmarks:
        with suppress(InputError):
            add(root, name, list(raw_rows(source(name), data_dir)))


def _pool(name: str, data_dir: str | Path | None) -> Iterator[dict[str, Any]]:
    """Rows of the training set, as the releases have them, where the question is short."""
    for example in _examples(name, data_dir):
        if len(example.problem.question) <= LONGEST:
            yield {
                "question": example.problem.question,
                "solution": example.problem.solution,
                "source_type": example.problem.source,
                "thinking_trajectories": [example.trace.thinking],
                "attempt": example.trace.attempt,
            }


def _examples(name: str, data_dir: str | Path | None) -> Iterator[Example]:
    """Of the training set; without its traces, of its questions and solutions."""
    try:
        yield from examples(name, data_dir)
        return
    except InputError:
        if data_dir is None:
            raise
    for problem in problems("s1K questions", data_dir):
        if problem.solution:
            yield Example(problem, Trace(problem.solution, problem.answer or "Proved.", "solution"))
