"""Commands about a whole profile: `reproduce`, `compare`, `accept`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1core.cli.options import echo, number
from s1core.errors import S1Error

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline
    from s1lab.steps import Step

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="smoke, laptop, h100, paper, or a YAML file.")]
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

    Started several times, also on several machines that share the store, they share the work.
    """
    from s1lab.planning.cost import begin_with

    def ask(question: str) -> bool:
        return sys.stdin.isatty() and typer.confirm(question)

    pipeline = begin_with(open_pipeline(profile, seed), None if yes else ask, only or ())
    steps = _wanted(pipeline, only)
    unfinished = sum(not step.run.is_finished for step in steps)
    with _helpers(min(jobs or pipeline.profile.jobs, unfinished) - 1, profile, seed, only):
        _work(steps)
    echo(f"{len(steps)} runs of {profile} are finished in {pipeline.store.root}")


def _wanted(pipeline: Pipeline, only: Sequence[str] | None) -> list[Step]:
    from s1lab.steps import wanted

    return wanted(pipeline.steps(), only) if only else pipeline.steps()


def _work(steps: list[Step]) -> None:
    from s1lab.steps import work

    work(steps, lambda number, step: note(f"[{number}/{len(steps)}] {step.label}"))


@contextmanager
def _helpers(count: int, *asked: Any) -> Iterator[None]:
    """Further processes that share the work while the block lasts, and never longer."""
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=_help, args=asked) for _ in range(count)]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.join()


def _help(profile: str, seed: int | None, only: list[str] | None) -> None:
    """What such a process does; it ends with the first one, even by kill -9."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one answers for all
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(S1Error):  # which the first one meets as well, and says
        _work(_wanted(open_pipeline(profile, seed, progress=False), only))


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


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
