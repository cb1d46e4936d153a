"""The whole flow under one profile: select, fine-tune, force budgets, grade, tabulate.

A method returns a finished `Run`: made now, continued from where a killed process left it, or taken
from the store. Notebooks and the command line ask here alone, so they mean the same results. What
is measured is described in `s1lab.experiments`, how a run is made in `s1lab.kinds`.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from s1core.records import Example
from s1lab import experiments
from s1lab.evaluation.measure import Point, point
from s1lab.experiments import Condition, Training
from s1lab.kinds import curation, generate, sft
from s1lab.lab import Lab, Step
from s1lab.runs import Run, RunStore
from s1lab.traces import reading, repetition


class Pipeline(Lab):
    """A profile and a store, and every run that they may be asked for."""

    def selection(self, subset: str = "s1") -> Run:
        """Select examples from the pool; `subset` is "s1" or a baseline of Table 2."""
        return curation.selection(self, subset).make()

    def curation(self) -> curation.Material:
        """What selection works on: the annotated pool, the questions kept out, the settings."""
        return curation.material(self)

    def examples(self, subset: str = "s1") -> list[Example]:
        """The training examples of a subset, in the order of selection."""
        return curation.examples(self, subset)

    def checkpoint(self, training: Training | None = None) -> Run:
        """Fine-tune the base model (Section 4.1), by default as the paper's recipe has it, to
        `run.path / "sft" / "final"`; the log is the public file `log.jsonl`."""
        return sft.step(self, training or Training()).make()

    def run(self, condition: Condition) -> Run:
        """Generate and grade under one condition (Section 3.1); see `s1lab.kinds.generate`."""
        return generate.step(self, condition).make()

    def locate_run(self, condition: Condition) -> Run:
        """The run of `run`, made or not."""
        return generate.step(self, condition).run

    def point(self, condition: Condition) -> Point:
        """Summarise the run of a condition: what it cost and what it gave."""
        return point(condition, self.run(condition))

    def curve(self, benchmark: str | None = None) -> list[Point]:
        """Accuracy against thinking tokens: Figure 1 (budgets) and Figure 4a (Waits)."""
        return [self.point(condition) for condition in experiments.curve(self.profile, benchmark)]

    def steps(self) -> list[Step]:
        """Every run the book is made of, each once, after those it needs; nothing is computed."""
        found: dict[str, Step] = {}

        def add(step: Step, experiment: str) -> None:
            for need in step.needs:
                add(need, experiment)
            known = found.get(step.run.id, step)
            names = dict.fromkeys((*known.experiments, experiment))
            found[step.run.id] = replace(known, experiments=tuple(names))

        if self.curated is not self:  # the pool comes selected: this shows how one selects
            add(curation.selection(self.curated), "data curation")
        for experiment, condition in experiments.conditions(self.profile):
            add(generate.step(self, condition), experiment)
        for kind in (reading, repetition) if self.profile.evaluation.waits else ():
            add(kind.step(self), kind.NAME)
        if self.profile.one_training:  # the chain of fine-tunings begins as early as it can
            late = (step for step in found.values() for one in (step, *step.needs) if one.condition)
            last = {step.run.id for step in late}
            return sorted(found.values(), key=lambda step: step.run.id in last)
        return list(found.values())


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
    told = f"{same} of {len(runs)} runs are identical to the committed ones"
    if same == len(runs):
        return told
    seed = next((run.settings["seed"] for run in theirs.values() if "seed" in run.settings), None)
    here, there = _points(pipeline), _points(Pipeline(pipeline.profile.with_seed(seed), store))
    rows = []
    for name in (name for name in here if name in there):
        ours, other = here[name], replace(there[name], run=here[name].run)
        verdict = "inside the intervals" if ours.accuracy.overlaps(other.accuracy) else "MOVED"
        tokens = f"{ours.thinking_tokens:.1f} / {other.thinking_tokens:.1f}"
        shares = (point.accuracy.percent() for point in (ours, other))
        rows.append((name[0], *shares, tokens, "identical" if ours == other else verdict))
    table = pd.DataFrame(rows, columns=["condition", "here", "committed", "tokens", "verdict"])
    moved = (table.verdict == "MOVED").sum()
    return f"{told}\n{table.to_string(index=False)}\n{moved} of {len(rows)} conditions moved"


def _points(pipeline: Pipeline) -> dict[tuple[str, str], Point]:
    """The points of the finished conditions, by what they are called and their series."""
    done = [step for step in pipeline.steps() if step.condition and step.run.is_finished]
    return {(one.label, one.condition.kind): pipeline.point(one.condition) for one in done}
