"""The data of a rehearsal: a mirror of its own, with real questions and few training examples.

Benchmarks are the real files. Training sets hold a handful of s1K's questions. Where only the
questions are at hand (the traces are on the Hub), the published solution stands for the trace:
a rehearsal is about whether everything runs, and its figures say that they are no results.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.records import Example, Trace, write_atomically
from s1lab.data.load import examples, problems
from s1lab.data.mirror import MANIFEST, Mirror, sha256
from s1lab.data.sources import source
from s1lab.planning.needs import Needs

QUESTIONS = "s1K questions"

LONGEST = 150
"""Characters of a question, so that a short sequence leaves room for its trace."""


def rehearsal_mirror(
    root: str | Path, data_dir: str | Path | None, wanted: Needs, count: int
) -> Path:
    """Make the mirror of a rehearsal in `root`; what it cannot have is simply not in it.

    Args:
        data_dir: a mirror with the real files; None for the Hub.
        wanted: what the profile needs.
        count: examples in each training set.

    Raises:
        InputError: not even s1K's questions can be had.
    """
    root = Path(root)
    entries: list[dict[str, Any]] = []
    whole = _pool(wanted.training[0], data_dir)
    pool = (example for example in whole if len(example.problem.question) <= LONGEST)
    for name in wanted.training:
        chosen = list(itertools.islice(pool, count))
        rows = [_row(example) for example in chosen]
        entries.append(_write(root, f"datasets/{_file(name)}", rows, name))
    for name in wanted.benchmarks:
        if data_dir is None:
            entries += _from_hub(root, name)
        else:
            entries += _copied(root, Mirror.open(data_dir), name)
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    write_atomically(root / MANIFEST, [text])
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


def _copied(root: Path, mirror: Mirror, name: str) -> list[dict[str, Any]]:
    files = mirror.files_of(name) or source(name).mirror
    entries = []
    for file in files:
        if file not in mirror.entries:
            return []
        target = root / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(mirror.path(file), target)
        entries.append(_entry(root, file, mirror.entries[file]["rows"], name))
    return entries


def _from_hub(root: Path, name: str) -> list[dict[str, Any]]:
    from s1lab.data.load import hub_rows

    try:
        rows = list(hub_rows(source(name)))
    except InputError:
        return []
    return [_write(root, f"datasets/{_file(name)}", rows, name)]


def _write(root: Path, file: str, rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(root / file, lines)
    return _entry(root, file, len(rows), name)


def _entry(root: Path, file: str, rows: int, name: str) -> dict[str, Any]:
    folder, _, last = file.rpartition("/")
    digest = sha256(root / file)
    return {"dir": folder, "file": last, "rows": rows, "sha256": digest, "source": name}


def _file(name: str) -> str:
    return name.replace(" ", "-") + ".jsonl"
