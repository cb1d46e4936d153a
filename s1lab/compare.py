"""What was computed here beside the committed results: identical, inside the intervals, or moved.

On the same kind of machine a reproduction is expected to be identical to the byte; elsewhere
floating-point noise can turn a sampled token, and the accuracies should agree within intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from s1core.errors import RunError
from s1lab.evaluation.measure import Point
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore


@dataclass(frozen=True, slots=True)
class Report:
    """How many runs have identical files; where not all have, each condition here and committed."""

    identical: int
    runs: int
    rows: dict[tuple[str, str], tuple[Point, Point]]

    def text(self) -> str:
        """The report as plain text."""
        lines = [f"{self.identical} of {self.runs} runs are identical to the committed ones"]
        if self.identical == self.runs:
            return lines[0]
        lines.append(f"{'condition':28} {'here':>20} {'committed':>20}   tokens")
        moved = 0
        for (label, _), (ours, theirs) in self.rows.items():
            verdict = "inside the intervals"
            if replace(ours, run="") == replace(theirs, run=""):
                verdict = "identical"
            elif not ours.accuracy.overlaps(theirs.accuracy):
                verdict, moved = "MOVED", moved + 1
            lines.append(
                f"{label:28} {ours.accuracy.percent():>20} {theirs.accuracy.percent():>20}   "
                f"{ours.thinking_tokens:.1f} / {theirs.thinking_tokens:.1f}  {verdict}"
            )
        return "\n".join([*lines, f"{moved} of {len(self.rows)} conditions moved"])


def compare_results(pipeline: Pipeline, committed: str | Path) -> Report:
    """Compare the finished runs of a pipeline with the committed results in a folder.

    Runs are matched by name (their settings) and compared by the digests of their files; the
    conditions of another seed are matched with those of the committed one.

    Raises:
        RunError: there are no committed results to compare with.
    """
    store = RunStore(committed, read_only=True)
    theirs = {run.id: run for run in store.runs()}
    if not theirs:
        raise RunError(f"no committed results in {committed} to compare with yet")
    runs = [step.run for step in pipeline.steps()]
    known = [run for run in runs if run.id in theirs and run.is_finished]
    same = sum(run.summary()["files"] == theirs[run.id].summary()["files"] for run in known)
    if same == len(runs):
        return Report(same, len(runs), {})
    seed = next((run.settings["seed"] for run in theirs.values() if "seed" in run.settings), None)
    before = _points(Pipeline(pipeline.profile.with_seed(seed), store))
    here = _points(pipeline)
    return Report(same, len(runs), {n: (here[n], before[n]) for n in here if n in before})


def _points(pipeline: Pipeline) -> dict[tuple[str, str], Point]:
    """The points of the finished conditions, by what they are called and their series."""
    return {
        (step.label, condition.kind): pipeline.point(condition)
        for step in pipeline.steps()
        if (condition := step.condition) and step.run.is_finished
    }
