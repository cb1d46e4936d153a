"""What was computed here beside the committed results: identical, inside the intervals, or moved.

On the same kind of machine a reproduction is expected to be identical to the byte; elsewhere
floating-point noise can turn a sampled token, and the accuracies should agree within intervals.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from s1lab.evaluation.measure import Point
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore


def compare_results(pipeline: Pipeline, committed: str | Path) -> str:
    """How many finished runs are as in a folder of committed results; if not all, each condition.
    Runs are matched by name, conditions of another seed by what they are called."""
    store = RunStore(committed, read_only=True)
    theirs = {run.id: run for run in store.runs()}
    if not theirs:
        return f"no committed results in {committed} to compare with yet"
    runs = [step.run for step in pipeline.steps()]
    known = [run for run in runs if run.id in theirs and run.is_finished]
    same = sum(run.summary()["files"] == theirs[run.id].summary()["files"] for run in known)
    lines = [f"{same} of {len(runs)} runs are identical to the committed ones"]
    if same == len(runs):
        return lines[0]
    seed = next((run.settings["seed"] for run in theirs.values() if "seed" in run.settings), None)
    before = _points(Pipeline(pipeline.profile.with_seed(seed), store))
    both = [(n[0], p, before[n]) for n, p in _points(pipeline).items() if n in before]
    lines.append(f"{'condition':28} {'here':>20} {'committed':>20}   tokens")
    for label, ours, their in both:
        verdict = "inside the intervals" if ours.accuracy.overlaps(their.accuracy) else "MOVED"
        if replace(ours, run="") == replace(their, run=""):
            verdict = "identical"
        lines.append(
            f"{label:28} {ours.accuracy.percent():>20} {their.accuracy.percent():>20}   "
            f"{ours.thinking_tokens:.1f} / {their.thinking_tokens:.1f}  {verdict}"
        )
    moved = sum(line.endswith("MOVED") for line in lines)
    return "\n".join([*lines, f"{moved} of {len(both)} conditions moved"])


def _points(pipeline: Pipeline) -> dict[tuple[str, str], Point]:
    """The points of the finished conditions, by what they are called and their series."""
    return {
        (step.label, condition.kind): pipeline.point(condition)
        for step in pipeline.steps()
        if (condition := step.condition) and step.run.is_finished
    }
