"""What was computed here beside the committed results: identical, inside the intervals, or moved.

On the same kind of machine a reproduction is expected to be identical to the byte; elsewhere
floating-point noise can turn a sampled token, and the accuracies should agree within intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from s1lab.evaluation.measure import Point, point
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from s1lab.steps import Step


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

    Runs are matched by name (their settings) and compared by the digests of their files; the
    conditions of another seed are matched with those of the committed one.
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
    seed = next((run.settings["seed"] for run in theirs.values() if "seed" in run.settings), None)
    before = Pipeline(pipeline.profile.with_seed(seed), store).steps()
    rows = [
        Row(ours.label, _point(ours), _point(committed))
        for ours, committed in zip(steps, before, strict=True)
        if ours.condition and ours.run.is_finished and committed.run.is_finished
    ]
    return Report(same, len(steps), tuple(rows))


def _point(step: Step) -> Point:
    condition = step.condition
    assert condition is not None
    return point(condition.label, condition.kind, condition.budget, step.run)
