"""One run of any kind before it is made, and how a list of them is worked through.

One process at a time works on a store. It walks the runs in order: one by one, several in processes
of their own (on a laptop), or those of one checkpoint together, where a server has room for all.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace

from s1core.errors import InputError, RunError
from s1lab.experiments import Condition, Training
from s1lab.runs import Compute, Run


@dataclass(frozen=True, slots=True)
class Step:
    """One run, of whatever kind, before it is made."""

    label: str  # for people
    run: Run  # where it will be (or is): its kind and its settings name it
    compute: Compute  # makes or continues it in its folder
    needs: tuple[Step, ...] = ()  # what must be finished before
    experiments: tuple[str, ...] = ()  # names of the tables and figures that are made from it
    training: Training | None = None  # of a fine-tuning or generation: whence its checkpoint
    condition: Condition | None = None  # of a generation: what is measured

    def make(self, held: bool = False) -> Run:
        """The finished run: taken from the store, continued, or computed now (`Run.ensure`)."""
        return self.run.ensure(self.compute, held)


def add(found: dict[str, Step], step: Step, experiment: str) -> None:
    """Add a step, after those it needs, to steps by the names of their runs in the order of making;
    or note one more experiment that wants it."""
    for need in step.needs:
        add(found, need, experiment)
    known = found.get(step.run.id, step)
    names = dict.fromkeys((*known.experiments, experiment))
    found[step.run.id] = replace(known, experiments=tuple(names))


def wanted(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The steps of some experiments alone, with what they need; InputError names unknown ones."""
    known = list(dict.fromkeys(name for step in steps for name in step.experiments))
    if unknown := sorted(set(names) - set(known)):
        wrong, right = (", ".join(map(repr, listed)) for listed in (unknown, known))
        raise InputError(f"no experiment {wrong} in this profile; it has {right}")
    return [step for step in steps if set(names) & set(step.experiments)]


def work(
    steps: Sequence[Step],
    submit: Callable[[Step], Future[object]],
    *,
    at_once: int = 1,
    apart: bool = True,
    begin: Callable[[int, Step], None] = lambda number, step: None,
) -> None:
    """Make every run that is not finished, each after those it needs, in this order.

    `submit` starts one, after `begin(number, step)`; `at_once` are under way together: any of them
    where each has an engine of its own (`apart`), else generations of one checkpoint alone.
    RunError where a process that makes one is killed.
    """
    waiting = [step for step in steps if not step.run.is_finished]
    left = {step.run.id for step in waiting}
    running: dict[Future[object], Step] = {}
    while waiting or running:
        for step in list(waiting):
            ready = left.isdisjoint(need.run.id for need in step.needs)
            same = (
                one.condition and step.condition and one.training == step.training
                for one in running.values()
            )
            if ready and (apart or all(same)) and len(running) < at_once:
                begin(steps.index(step) + 1, step)
                waiting.remove(step)
                running[submit(step)] = step
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            step = running.pop(done)
            try:
                done.result()
            except BrokenProcessPool as error:
                told = f"a process was killed while it made {step.label}"
                raise RunError(f"{told}; run the same command again to go on") from error
            left.discard(step.run.id)


def end_with_parent() -> None:
    """Let this process end when the one that started it does, even by kill -9."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()  # type: ignore[union-attr] - only processes of a pool call this
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
