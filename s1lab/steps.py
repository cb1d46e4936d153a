"""Every run of a profile in the order in which they depend on each other, and who makes which.

Several processes may work on one store, on one machine or on several that share a disk: each takes
the next run whose needs are finished and that nobody else is making. A process that dies lets go
of its run, and another continues it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from s1core.errors import InputError
from s1lab import experiments
from s1lab.experiments import Condition, Training
from s1lab.runs import Run
from s1lab.traces import reading, repetition

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline

POLL = 0.2
"""Seconds between two looks at what other processes have finished."""


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a reproduction, before it is made.

    Attributes:
        label: what it is, for people.
        run: where it will be (or is) in the store.
        make: computes or continues it; returns the finished run.
        needs: names of the runs that must be finished before.
        experiments: names of the tables and figures that are made from it.
        training: of a fine-tuning or generation: how its checkpoint comes about.
        condition: of a generation: what is measured.
    """

    label: str
    run: Run
    make: Callable[[], Run]
    needs: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    training: Training | None = None
    condition: Condition | None = None


def steps(pipeline: Pipeline) -> list[Step]:
    """Every run the book is made of, each after those it needs; nothing is computed.

    The headline figure's come first. A run wanted by several experiments is one step.
    """
    found: dict[str, Step] = {}
    if pipeline.curated is not pipeline:
        _add_selection(pipeline.curated, found, "s1", "data curation")
    for experiment, condition in experiments.conditions(pipeline.profile):
        needs: tuple[str, ...] = ()
        if condition.training is not None and not condition.training.released:
            needs = (_add_training(pipeline, found, condition.training, experiment.name),)
        _add(
            found,
            Step(
                f"{condition.benchmark}, {condition.label}",
                pipeline.locate_run(condition),
                partial(pipeline.run, condition),
                needs,
                (experiment.name,),
                condition.training,
                condition,
            ),
        )
    if pipeline.profile.evaluation.waits:
        _add_reading(pipeline, found)
        _add_repetition(pipeline, found)
    return list(found.values())


def wanted(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The steps of some experiments alone; what they need is among them.

    Raises:
        InputError: no step belongs to an experiment of such a name.
    """
    known = list(dict.fromkeys(name for step in steps for name in step.experiments))
    if unknown := sorted(set(names) - set(known)):
        raise InputError(
            f"no experiment {', '.join(map(repr, unknown))} in this profile; it has "
            f"{', '.join(map(repr, known))}"
        )
    return [step for step in steps if set(names) & set(step.experiments)]


def _add_training(pipeline: Pipeline, found: dict[str, Step], training: Training, name: str) -> str:
    """Add a checkpoint and what it needs; returns its run's name."""
    needs: tuple[str, ...] = ()
    if pipeline.profile.pool == "pocket":
        needs = (_add_selection(pipeline, found, training.subset, name),)
    run = pipeline.locate_checkpoint(training)
    make = partial(pipeline.checkpoint, training)
    _add(found, Step(f"fine-tuning, {training.label}", run, make, needs, (name,), training))
    return run.id


def _add_reading(pipeline: Pipeline, found: dict[str, Step]) -> None:
    """Add the look into the traces of one run, and the run."""
    condition = reading.condition(pipeline)
    read, run = reading.locate(pipeline), pipeline.locate_run(condition)
    trained = _add_training(pipeline, found, condition.training, reading.NAME)
    _add(found, replace(found[run.id], experiments=(reading.NAME,)))
    make = partial(reading.reading, pipeline)
    _add(found, Step(reading.NAME, read, make, (trained, run.id), (reading.NAME,)))


def _add_repetition(pipeline: Pipeline, found: dict[str, Step]) -> None:
    """Add the count of repeated steps, which reads every generation of its runs."""
    needs = tuple(pipeline.locate_run(c).id for c in repetition.conditions(pipeline))
    for name in needs:
        _add(found, replace(found[name], experiments=(repetition.NAME,)))
    run, make = repetition.locate(pipeline), partial(repetition.repetition, pipeline)
    _add(found, Step(repetition.NAME, run, make, needs, (repetition.NAME,)))


def _add_selection(pipeline: Pipeline, found: dict[str, Step], subset: str, name: str) -> str:
    """Add a selection and the difficulty it rests on; returns its run's name."""
    graded, selected = pipeline.locate_difficulty(), pipeline.locate_selection(subset)
    select = partial(pipeline.selection, subset)
    _add(found, Step("difficulty of the pool", graded, pipeline.difficulty, (), (name,)))
    _add(found, Step(f"selection, {subset}", selected, select, (graded.id,), (name,)))
    return selected.id


def _add(found: dict[str, Step], step: Step) -> None:
    """Add a step, or note one more experiment that wants it."""
    known = found.get(step.run.id)
    if known is not None:
        step = replace(
            known, experiments=tuple(dict.fromkeys(known.experiments + step.experiments))
        )
    found[step.run.id] = step


def work(steps: Sequence[Step], begin: Callable[[int, Step], None] | None = None) -> None:
    """Make every run that is not finished, sharing them with whoever else works on the store.

    Returns when all are finished, by whomever. `begin(number, step)` is called before each that
    this process makes.
    """
    while unfinished := [step for step in steps if not step.run.is_finished]:
        done = {step.run.id for step in steps} - {step.run.id for step in unfinished}
        for step in unfinished:
            if not done.issuperset(step.needs):
                continue
            with step.run.claim() as ours:
                if not ours:
                    continue
                if begin and not step.run.is_finished:
                    begin(steps.index(step) + 1, step)
                step.make()
            break
        else:
            time.sleep(POLL)
