"""One run of any kind before it is made, and how several processes share a list of them.

Processes on one machine, or on several that share a disk, take the next run whose needs are
finished and that nobody else is making. One that dies lets go of its run; another continues it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from s1core.errors import InputError
from s1lab.experiments import Condition, Training
from s1lab.runs import Compute, Run

POLL = 0.2  # seconds between two looks at what other processes have finished


@dataclass(frozen=True, slots=True)
class Step:
    """One run, of whatever kind, before it is made.

    Attributes:
        label: what it is, for people.
        run: where it will be (or is): its kind and its settings name it.
        compute: makes or continues it in its folder; may return facts for its summary.
        needs: what must be finished before.
        experiments: names of the tables and figures that are made from it.
        training: of a fine-tuning or generation: how its checkpoint comes about.
        condition: of a generation: what is measured.
    """

    label: str
    run: Run
    compute: Compute
    needs: tuple[Step, ...] = ()
    experiments: tuple[str, ...] = ()
    training: Training | None = None
    condition: Condition | None = None

    def make(self) -> Run:
        """The finished run: taken from the store, continued, or computed now."""
        return self.run.ensure(self.compute)


def add(found: dict[str, Step], step: Step, experiment: str) -> None:
    """Add a step, after those it needs, to steps by the names of their runs in the order of making;
    or note one more experiment that wants it."""
    for need in step.needs:
        add(found, need, experiment)
    known = found.get(step.run.id, step)
    names = dict.fromkeys((*known.experiments, experiment))
    found[step.run.id] = replace(known, experiments=tuple(names))


def wanted(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The steps of some experiments alone, with what they need; InputError where none has such a
    name."""
    known = list(dict.fromkeys(name for step in steps for name in step.experiments))
    if unknown := sorted(set(names) - set(known)):
        raise InputError(
            f"no experiment {', '.join(map(repr, unknown))} in this profile; it has "
            f"{', '.join(map(repr, known))}"
        )
    return [step for step in steps if set(names) & set(step.experiments)]


def work(steps: Sequence[Step], begin: Callable[[int, Step], None] | None = None) -> None:
    """Make every run that is not finished, sharing them with whoever else works on the store, until
    all are. `begin(number, step)` is called before each that this process makes."""
    while unfinished := [step for step in steps if not step.run.is_finished]:
        waiting = {step.run.id for step in unfinished}
        for step in unfinished:
            if waiting.intersection(need.run.id for need in step.needs):
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
