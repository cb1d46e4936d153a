"""What every kind of run is made with: a profile, a store, and the engine at hand."""

import gc
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from s1core.backends import open_engine
from s1core.backends.base import Backend
from s1core.checkpoints import identify
from s1core.errors import BackendError, InputError, RunError
from s1core.records import Problem
from s1lab import profiles
from s1lab.data import benchmarks
from s1lab.experiments import Condition, Training
from s1lab.profiles import Profile
from s1lab.runs import Compute, Run, RunStore


@dataclass(frozen=True, slots=True)
class Step:
    """One run, of whatever kind, before it is made."""

    label: str  # for people
    run: Run  # where it will be (or is): named by its kind and settings, which fix its result
    compute: Compute  # makes or continues it in its folder
    needs: tuple["Step", ...] = ()  # what must be finished before
    experiments: tuple[str, ...] = ()  # names of the tables and figures that are made from it
    training: Training | None = None  # of a fine-tuning or generation: whence its checkpoint
    condition: Condition | None = None  # of a generation: what is measured

    def make(self, held: bool = False) -> Run:
        """The finished run: taken from the store, continued, or computed now (`Run.ensure`)."""
        return self.run.ensure(self.compute, held)


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
    running: dict[Future[object], Step] = {}
    while waiting or running:
        left = {step.run.id for step in (*waiting, *running.values())}
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


def end_with_parent() -> None:
    """Let this process end when the one that started it does, even by kill -9."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()  # type: ignore[union-attr] - only processes of a pool call this
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


STAMP_VARIABLE = "S1CORE_STAMP"
"""Names a word that is written across every figure (see `s1lab.figures.display`)."""

Say = Callable[[str], None]


class Lab:
    """A profile, without what its store knows to be missing, and the store its results live in.
    `say` is called with one line when a run is started."""

    def __init__(
        self, profile: Profile, store: RunStore, *, progress: bool = False, say: Say | None = None
    ) -> None:
        if profile.rehearsal:  # whoever draws its runs, and wherever
            os.environ.setdefault(STAMP_VARIABLE, "rehearsal")
        self.whole = profile
        self.missing = store.missing(profile.name)
        self.profile = profile.without(self.missing)
        self.store = store
        self.progress = progress and profile.engine == "hf"  # else many conditions at one time
        self.say = say or (lambda line: None)
        self.closed = False
        self._engine: tuple[str, Backend] | None = None
        self._opening = threading.Lock()

    @cached_property
    def curated(self) -> Self:
        """This lab, or where its pool is a released set, that of the profile in `curation`."""
        if not self.profile.curation:
            return self
        chosen = profiles.load(self.profile.curation).with_seed(self.profile.seed)
        return type(self)(chosen, self.store, progress=self.progress, say=self.say)

    @cached_property
    def model_id(self) -> str:
        """What identifies the base model: its name, and its digest when it ships with s1core."""
        return identify(self.profile.model)

    def problems(self, benchmark: str) -> list[Problem]:
        """The questions of a benchmark that the profile asks for, in a fixed order."""
        return benchmarks.load(benchmark, limit=self.profile.evaluation.questions_of(benchmark))

    def backend(self, model: str | Path) -> Backend:
        """The engine of the profile over a model: a folder, a Hub id, or `pocket-large`; raises as
        `s1core.backends.open_engine` does.

        The last one is kept: runs of one checkpoint share it, from several threads where it is a
        server, and one that died is started again.
        """
        with self._opening:
            if self.closed:
                raise BackendError("nothing more is started: the run is being stopped")
            if self._engine and self._engine[0] == str(model):
                if getattr(self._engine[1], "alive", True):
                    return self._engine[1]
                self.say("the server died, or one of its replicas; starting it again")
            self.release()
            self._engine = str(model), self._open(model)
            return self._engine[1]

    def _open(self, model: str | Path) -> Backend:
        profile, size = self.profile, self.profile.batch_size
        if profile.engine == "vllm":
            from s1lab.kinds.launch import ServedBackend

            options = {**profile.engine_options, "seed": profile.seed}
            for arm in profile.released.values():
                if arm["model"] == str(model):
                    options |= arm.get("engine_options", {})
            log, gpus = self.store.root / "server.log", profile.gpus or profile.processes
            return ServedBackend(model, gpus=gpus, batch_size=size, log=log, **options)
        if profile.threads:
            import torch

            torch.set_num_threads(profile.threads)
        # On the CPU transformers gives the same bytes everywhere.
        return open_engine(profile.engine, model, batch_size=size, device="cpu")

    def release(self) -> None:
        """Let go of the engine, so that its memory is free for another one or for training."""
        engine, self._engine = self._engine, None
        if engine and hasattr(engine[1], "close"):
            engine[1].close()
        del engine
        gc.collect()

    def close(self) -> None:
        """Let go of the engine for good: what is asked of it from now on fails."""
        self.closed = True
        self.release()
