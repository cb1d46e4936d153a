"""What was computed here beside the committed results: identical, inside the intervals, or moved.

On the same kind of machine a reproduction is expected to be identical to the byte; elsewhere
floating-point noise can turn a sampled token, and the accuracies should agree within intervals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s1core.measure import Point, point
from s1core.pipeline import Pipeline
from s1core.runs import Run, RunStore


@dataclass(frozen=True, slots=True)
class Row:
    """One condition: ours beside the committed one."""

    label: str
    here: Point
    committed: Point

    @property
    def verdict(self) -> str:
        if replace(self.here, run="") == replace(self.committed, run=""):
            return "identical"
        inside = self.here.accuracy.overlaps(self.committed.accuracy)
        return "inside the intervals" if inside else "MOVED"


@dataclass(frozen=True, slots=True)
class Report:
    """The comparison: runs whose files are identical, and the curve point by point."""

    identical: int
    runs: int
    rows: tuple[Row, ...]
    missing: str = ""

    @property
    def moved(self) -> list[Row]:
        return [row for row in self.rows if row.verdict == "MOVED"]

    def text(self) -> str:
        """The report as plain text."""
        if self.missing:
            return self.missing
        lines = [f"{self.identical} of {self.runs} runs are identical to the committed ones"]
        if self.identical < self.runs:
            lines.append(f"{'condition':28} {'here':>20} {'committed':>20}   tokens")
            for row in self.rows:
                tokens = f"{row.here.thinking_tokens:.1f} / {row.committed.thinking_tokens:.1f}"
                lines.append(
                    f"{row.label:28} {row.here.accuracy.percent():>20} "
                    f"{row.committed.accuracy.percent():>20}   {tokens}  {row.verdict}"
                )
            lines.append(f"{len(self.moved)} of {len(self.rows)} conditions moved")
        return "\n".join(lines)


def compare_results(pipeline: Pipeline, committed: str | Path) -> Report:
    """Compare the finished runs of a pipeline with the committed results in a folder.

    Runs are matched by name (their settings) and compared by the digests of their files. The
    conditions are matched by their budget, so a run with another seed can be compared too.
    """
    store = RunStore(committed, read_only=True)
    theirs = {run.id: run for run in store.runs()}
    if not theirs:
        return Report(0, 0, (), f"no committed results in {committed} to compare with yet")
    steps = pipeline.steps()
    same = sum(
        step.run.id in theirs
        and step.run.is_finished
        and step.run.summary()["files"] == theirs[step.run.id].summary()["files"]
        for step in steps
    )
    if same == len(steps):
        return Report(same, len(steps), ())
    rows = []
    for benchmark in pipeline.profile.evaluation.benchmarks:
        for label, kind, budget in pipeline.conditions():
            here = pipeline.generation(budget, benchmark)
            before = _counterpart(here, theirs.values())
            if before is not None:
                rows.append(
                    Row(
                        f"{benchmark}, {label}",
                        point(label, kind, budget, here),
                        point(label, kind, budget, before),
                    )
                )
    return Report(same, len(steps), tuple(rows))


def _counterpart(run: Run, committed: Iterable[Run]) -> Run | None:
    """The committed run under the same budget on the same benchmark, whatever its seed."""
    for other in committed:
        same = ("benchmark", "budget", "questions")
        if other.kind == "generate" and all(
            _plain(other.settings[name]) == _plain(run.settings[name]) for name in same
        ):
            return other
    return None


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
