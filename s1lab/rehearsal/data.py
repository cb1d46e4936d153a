"""The data of a rehearsal: a mirror of its own, with real questions and few training examples.

Benchmarks are the real files. Training sets hold a handful of s1K's questions. Where only the
questions are at hand (the traces are on the Hub), the published solution stands for the trace:
a rehearsal is about whether everything runs, and its figures say that they are no results.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import Example, Trace, write_atomically
from s1lab.data.load import examples, hub_rows, problems
from s1lab.data.mirror import MANIFEST, Mirror, sha256
from s1lab.data.sources import source
from s1lab.planning.fetch import Needs

QUESTIONS = "s1K questions"
LONGEST = 150  # characters of a question, so that a short sequence leaves room for its trace


def rehearsal_mirror(
    root: str | Path, data_dir: str | Path | None, wanted: Needs, count: int
) -> Path:
    """Make the mirror of a rehearsal in `root`; what it cannot have is simply not in it.

    Training sets hold `count` examples; `data_dir` is a mirror with the real files, None the Hub.

    Raises:
        InputError: not even s1K's questions can be had.
    """
    root, entries = Path(root), []
    whole = _pool(wanted.training[0], data_dir)
    pool = (_row(example) for example in whole if len(example.problem.question) <= LONGEST)
    for name in wanted.datasets:
        trained = name in wanted.training
        rows = list(itertools.islice(pool, count)) if trained else _questions(name, data_dir)
        if not rows:
            continue
        path = root / "datasets" / f"{name.replace(' ', '-')}.jsonl"
        text = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        write_atomically(path, text)
        entry = {"dir": "datasets", "file": path.name, "rows": len(rows), "source": name}
        entries.append(entry | {"sha256": sha256(path)})
    write_atomically(root / MANIFEST, [json.dumps(entries, indent=1, ensure_ascii=False) + "\n"])
    return root


def _pool(name: str, data_dir: str | Path | None) -> Iterator[Example]:
    """Examples of the training set; without its traces, of its questions and solutions."""
    try:
        yield from examples(name, data_dir)
        return
    except InputError:
        if data_dir is None:
            raise
    for problem in problems(QUESTIONS, data_dir):
        if problem.solution:
            yield Example(problem, Trace(problem.solution, problem.answer or "Proved.", "solution"))


def _row(example: Example) -> dict[str, Any]:
    """A row as the releases have it."""
    return {
        "question": example.problem.question,
        "solution": example.problem.solution,
        "source_type": example.problem.source,
        "thinking_trajectories": [example.trace.thinking],
        "attempt": example.trace.attempt,
    }


def _questions(name: str, data_dir: str | Path | None) -> list[dict[str, Any]]:
    """The rows of a benchmark; none where it cannot be had."""
    try:
        if data_dir is None:
            return list(hub_rows(source(name)))
        mirror = Mirror.open(data_dir)
        files = mirror.files_of(name) or source(name).mirror
        if any(file not in mirror.entries for file in files):
            return []
        return [row for file in files for row in mirror.rows(file)]
    except InputError:
        return []
