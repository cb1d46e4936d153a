"""Commands about a whole profile: `reproduce`, `compare`, `accept`."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s1core.cli.options import echo, number

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline
    from s1lab.steps import Step

app = typer.Typer()

CONDITIONS = 128
"""Conditions of one checkpoint that a server is asked at one time."""

Name = Annotated[str, typer.Argument(help="smoke, laptop, desk, h100, box, paper, or a YAML file.")]
Seed = Annotated[int | None, number("Another seed than the profile's own.")]


def note(line: str) -> None:
    """Show a line beside the results, on standard error."""
    echo(line, err=True)


def open_pipeline(name: str, seed: int | None = None, progress: bool = True) -> Pipeline:
    """The pipeline of a profile over its store."""
    from s1lab import profiles
    from s1lab.pipeline import Pipeline
    from s1lab.runs import RunStore

    profile = profiles.load(name).with_seed(seed)
    shown = progress and sys.stderr.isatty()
    return Pipeline(profile, RunStore.default(profile.name), progress=shown, say=note)


@app.command(
    epilog="Examples: s1lab reproduce laptop; s1lab reproduce smoke --seed 7; "
    "s1lab reproduce laptop --only 'sequence length'"
)
def reproduce(
    profile: Name = "laptop",
    seed: Seed = None,
    jobs: Annotated[int | None, number("Processes, if not as many as it says.", 1, 256)] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this experiment, e.g. 'data subsets'; repeat it.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start more than an hour of GPU work without asking.")
    ] = False,
) -> None:
    """Compute every result of a profile; finished ones are kept, unfinished ones go on.

    One process at a time works on a store: a second one waits, and then finds what is done.
    """
    from s1lab.planning.cost import begin_with
    from s1lab.runs import lock
    from s1lab.steps import wanted

    def ask(question: str) -> bool:
        return sys.stdin.isatty() and typer.confirm(question)

    pipeline = begin_with(open_pipeline(profile, seed), None if yes else ask, only or ())
    steps = wanted(pipeline.steps(), only) if only else pipeline.steps()
    unfinished = sum(not step.run.is_finished for step in steps)
    if unfinished:
        with pipeline.store.free() as ours:
            if not ours:
                note(f"another process makes runs in {pipeline.store.root}; waiting for it")
        with lock(pipeline.store.root):
            most = min(jobs or pipeline.profile.jobs, unfinished)
            _make(pipeline, steps, most, profile, seed)
    echo(f"{len(steps)} runs of {profile} are finished in {pipeline.store.root}")


def _make(pipeline: Pipeline, steps: list[Step], jobs: int, profile: str, seed: int | None) -> None:
    """Make runs while the store is held: here, in processes, or over a server in threads."""
    from s1lab.steps import Step, work

    def begin(number: int, step: Step) -> None:
        note(f"[{number}/{len(steps)}] {step.label}")

    pool: Executor = ThreadPoolExecutor(CONDITIONS)
    try:
        if pipeline.profile.engine == "vllm":
            ask = partial(Step.make, held=True)
            work(steps, partial(pool.submit, ask), at_once=CONDITIONS, apart=False, begin=begin)
        elif jobs > 1:
            spawn = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(jobs, spawn, _join, (profile, seed))
            work(steps, lambda s: pool.submit(_make_there, s.run.id), at_once=jobs, begin=begin)
        else:
            for number, step in enumerate(steps, start=1):
                if not step.run.is_finished:
                    begin(number, step)
                    step.make(held=True)
    except BaseException:  # Ctrl-C too: nobody waits for what is under way
        pipeline.close()
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        pipeline.close()


_steps: dict[str, Step] = {}  # of a process of the pool, by the names of their runs


def _join(profile: str, seed: int | None) -> None:
    """What such a process does first; it ends with the one that started it, even by kill -9."""
    from s1lab.steps import end_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one answers for all
    end_with_parent()
    pipeline = open_pipeline(profile, seed, progress=False)
    _steps.update((step.run.id, step) for step in pipeline.steps())


def _make_there(run: str) -> None:
    _steps[run].make(held=True)


@app.command(epilog="Example: s1lab compare laptop")
def compare(
    profile: Name = "laptop",
    seed: Seed = None,
    results: Annotated[Path, typer.Option(help="Committed results.")] = Path("results"),
) -> None:
    """Compare what was computed here with the committed results: identical, inside, or moved."""
    from s1lab.compare import compare_results

    pipeline = open_pipeline(profile, seed)
    echo(compare_results(pipeline, results / pipeline.profile.name))


@app.command(epilog="Example: s1lab accept laptop")
def accept(profile: Name = "laptop", seed: Seed = None) -> None:
    """Copy the finished small result files of a profile to results/, to be committed."""
    from s1core.records import write_atomically
    from s1lab.figures.curves import headline
    from s1lab.figures.display import to_svg
    from s1lab.runs import COMMITTED, HEADLINE

    pipeline = open_pipeline(profile, seed)
    steps, chosen = pipeline.steps(), pipeline.profile
    if missing := [step.label for step in steps if not step.run.is_finished]:
        told = f"{len(missing)} runs are not finished ({missing[0]}, ...)"
        raise typer.BadParameter(f"{told}: run `s1lab reproduce {profile}` first")
    if chosen.rehearsal:
        raise typer.BadParameter("a rehearsal has no results: its model and sizes stand in")
    folder = Path(COMMITTED) / (chosen.name if seed is None else f"{chosen.name}-seed{seed}")
    count = pipeline.store.export([step.run for step in steps], folder)
    points = pipeline.curve()
    title = f"Ours: {chosen.title}, n = {points[0].accuracy.n}"
    write_atomically(folder / HEADLINE, [to_svg(headline({title: points}), "scaling")])
    echo(f"{folder}: {count} runs, and the headline figure")
