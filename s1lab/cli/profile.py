"""Commands about a whole profile: `reproduce`, `compare`, `accept`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline
    from s1lab.steps import Step

HELPER_VARIABLE = "S1CORE_HELPER"

Name = Annotated[str, typer.Argument(help="smoke, laptop, h100, paper, or a YAML file.")]
Seed = Annotated[int | None, typer.Option(help="Another seed than the profile's own.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(
        epilog="Examples: s1lab reproduce laptop; s1lab reproduce smoke --seed 7; "
        "s1lab reproduce laptop --only 'sequence length'"
    )(reproduce)
    app.command(epilog="Example: s1lab compare laptop")(compare)
    app.command(epilog="Example: s1lab accept laptop")(accept)
    app.command(epilog="Example: s1lab select laptop --output s1-pocket.jsonl")(select)


def open_pipeline(name: str, seed: int | None) -> Pipeline:
    """The pipeline of a profile over its store."""
    from s1lab import profiles
    from s1lab.pipeline import Pipeline
    from s1lab.runs import RunStore

    profile = profiles.load(name).with_seed(seed)
    return Pipeline(
        profile,
        RunStore.default(profile.name),
        progress=sys.stderr.isatty() and not os.environ.get(HELPER_VARIABLE),
        say=lambda line: typer.echo(line, err=True),
    )


def reproduce(
    profile: Name = "laptop",
    seed: Seed = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes that share the work; the profile's own if left.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this experiment, e.g. 'data subsets'; repeat it.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start more than an hour of GPU work without asking.")
    ] = False,
) -> None:
    """Compute every result of a profile; finished ones are kept, unfinished ones go on.

    Start it in several terminals, or on several machines that share the store, and they share the
    work.
    """
    from s1lab.planning.start import begin_with
    from s1lab.steps import wanted, work

    if os.environ.get(HELPER_VARIABLE):
        _end_with_parent()
    pipeline = open_pipeline(profile, seed)
    if not os.environ.get(HELPER_VARIABLE):
        pipeline = begin_with(pipeline, None if yes else _ask, only or ())
    steps = pipeline.steps() if not only else wanted(pipeline.steps(), only)

    def begin(number: int, step: Step) -> None:
        typer.echo(f"[{number}/{len(steps)}] {step.label}", err=True)

    unfinished = sum(not step.run.is_finished for step in steps)
    options = [] if seed is None else ["--seed", str(seed)]
    options += [part for name in only or () for part in ("--only", name)]
    with _helpers(min(jobs or pipeline.profile.jobs, unfinished) - 1, [profile, *options]):
        work(steps, begin)
    typer.echo(f"{len(steps)} runs of {profile} are finished in {pipeline.store.root}")


def _ask(question: str) -> bool:
    """Ask at a terminal; without one, refuse."""
    return sys.stdin.isatty() and typer.confirm(question)


@contextmanager
def _helpers(count: int, arguments: list[str]) -> Iterator[None]:
    """Further processes of the same command while the block lasts.

    They end when this process does, even by kill -9: each watches its standard input, a pipe
    whose other end is here.
    """
    command = [sys.executable, "-m", "s1lab.cli", "reproduce", *arguments, "--jobs", "1"]
    environment = {**os.environ, HELPER_VARIABLE: "1"}
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in started:
            process.stdin.close()  # type: ignore[union-attr] - it is a pipe
        for process in started:
            process.wait()


def _end_with_parent() -> None:
    """End this process when its standard input does."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def compare(
    profile: Name = "laptop",
    seed: Seed = None,
    results: Annotated[Path, typer.Option(help="Folder of the committed results.")] = Path(
        "results"
    ),
) -> None:
    """Compare what was computed here with the committed results: identical, inside, or moved."""
    from s1lab.compare import compare_results

    pipeline = open_pipeline(profile, seed)
    report = compare_results(pipeline, results / pipeline.profile.name)
    typer.echo(report.text())


def select(
    profile: Name = "laptop",
    output: Annotated[Path | None, typer.Option(help="JSONL file for the examples.")] = None,
    seed: Seed = None,
) -> None:
    """Curate a pool into the training set: quality, difficulty, diversity (Section 2.2)."""
    from s1core.records import write_jsonl
    from s1core.selection import Funnel

    pipeline = open_pipeline(profile, seed)
    funnel = Funnel.from_json(pipeline.selection().read_json("funnel.json"))
    typer.echo(f"{'stage':20} {'kept':>8} {'dropped':>8}   paper")
    for row in funnel.rows():
        paper = "" if row["paper"] is None else f"{row['paper']:,}"
        dropped = "" if row["dropped"] is None else f"{row['dropped']:,}"
        typer.echo(f"{row['stage']:20} {row['kept']:8,} {dropped:>8}   {paper}")
    if output is not None:
        typer.echo(f"{output}: {write_jsonl(output, pipeline.examples()):,} examples")


def accept(profile: Name = "laptop", seed: Seed = None) -> None:
    """Copy the finished small result files of a profile to results/, to be committed."""
    from s1core.records import write_atomically
    from s1lab.figures.curves import headline
    from s1lab.figures.display import to_svg

    pipeline = open_pipeline(profile, seed)
    steps = pipeline.steps()
    missing = [step.label for step in steps if not step.run.is_finished]
    if missing:
        raise typer.BadParameter(
            f"{len(missing)} runs are not finished ({missing[0]}, ...): "
            f"run `s1lab reproduce {profile}` first"
        )
    if pipeline.profile.rehearsal:
        raise typer.BadParameter("a rehearsal has no results: its model and sizes stand in")
    name = pipeline.profile.name if seed is None else f"{pipeline.profile.name}-seed{seed}"
    folder = Path("results") / name
    count = pipeline.store.export([step.run for step in steps], folder)
    points = pipeline.curve()
    title = f"Ours: {pipeline.profile.title}, n = {points[0].accuracy.n}"
    svg = to_svg(headline(points, title), "scaling")
    write_atomically(folder / "scaling.svg", [svg])
    typer.echo(f"{folder}: {count} runs, and the headline figure")
