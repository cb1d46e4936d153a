"""Commands about a whole profile: planned, prepared, computed, watched, compared, accepted."""

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
    from s1lab.lab import Step
    from s1lab.pipeline import Pipeline

app = typer.Typer()

CONDITIONS = 128
"""Conditions of one checkpoint that a server is asked at one time."""

Name = Annotated[str, typer.Argument(help="smoke, laptop, desk, h100, box, paper, or a YAML file.")]
Seed = Annotated[int | None, number("Another seed than the profile's own.")]
Price = Annotated[float | None, number("US$ per GPU-hour; else the profile's.", 0, 1e6)]


def note(line: str) -> None:
    """Show a line beside the results, on standard error."""
    echo(line, err=True)


def open_pipeline(name: str, seed: int | None = None, progress: bool = True) -> "Pipeline":
    """The pipeline of a profile over its store."""
    from s1lab import profiles
    from s1lab.pipeline import Pipeline
    from s1lab.runs import RunStore

    profile = profiles.load(name).with_seed(seed)
    shown = progress and sys.stderr.isatty()
    return Pipeline(profile, RunStore.default(profile.name), progress=shown, say=note)


@app.command(epilog="Examples: s1lab plan laptop; s1lab plan h100 --price 3.2")
def plan(
    profile: Name = "laptop",
    seed: Seed = None,
    price: Price = None,
    runs: Annotated[bool, typer.Option("--runs", help="List every run.")] = False,
) -> None:
    """Show what a profile computes and takes: tokens, GPU-hours, memory, disk, money."""
    from s1lab.planning.cost import cost, lines

    pipeline = open_pipeline(profile, seed)
    chosen, found = pipeline.profile, cost(pipeline)
    echo(f"{chosen.name}: {chosen.title} ({chosen.hardware}), seed {chosen.seed}")
    echo(f"store: {pipeline.store.root}")
    for step, done in zip(found.steps.step, found.steps.done, strict=True) if runs else ():
        echo(f"  {'done' if done else 'to do':5}  {step.run.id:24} {step.label}")
    echo("\n".join(lines(found, chosen.price if price is None else price)))
    if pipeline.missing:
        echo(f"goes without: {', '.join(sorted(pipeline.missing))}")


@app.command(epilog="Example: s1lab preflight h100")
def preflight(
    profile: Name = "h100",
    go_on: Annotated[bool, typer.Option("--go-on", help="What is optional only warns.")] = False,
) -> None:
    """Check in two minutes what would fail later; ends with what to fix, and status 1."""
    from s1lab.planning.cost import cost
    from s1lab.planning.preflight import preflight as check

    pipeline = open_pipeline(profile)
    chosen, found, problems = pipeline.profile, cost(pipeline, encodes=False), []
    site = {"disk": found.disk, "misfits": found.misfits, "go_on": go_on or chosen.rehearsal}
    for finding in check(chosen, pipeline.store.root, **site):
        echo(str(finding))
        problems += [finding] if finding.level == "PROBLEM" else []
    if problems:
        echo(f"\n{len(problems)} to fix before {chosen.name} can run:")
        for place, finding in enumerate(problems, start=1):
            echo(f"  {place}. {finding.about}: {finding.fix}")
        raise typer.Exit(1)
    echo(f"nothing stands in the way of {chosen.name}")


@app.command(epilog="Example: s1lab fetch h100 --to /data/mirror")
def fetch(
    profile: Name = "h100",
    to: Annotated[Path, typer.Option(help="Folder of the mirror.")] = Path("mirror"),
    given: Annotated[Path | None, typer.Option("--from", help="desk: weights or parts.")] = None,
) -> None:
    """Bring data sets and models at their revisions into one folder with checksums; resumes.

    `s1lab fetch generations` brings what released models said (see `s1lab generations`).
    """
    from s1lab import profiles
    from s1lab.planning.fetch import fetch as bring
    from s1lab.planning.fetch import needs

    if profile == "generations":
        from s1lab.generations import files

        echo(f"{to}: {files.fetch(to, note)} files brought")
        return
    chosen = profiles.load(profile)
    there, missing = bring(chosen, to, note, given or "")
    for name, reason in sorted(missing.items()):
        echo(f"missing  {name}: {reason}")
    echo(f"{to}: {len(there)} there, {len(missing)} missing")
    if lost := [name for name in needs(chosen).essential if name in missing]:
        note(f"nothing can run without {', '.join(lost)}")
        raise typer.Exit(1)
    echo(f"use it with S1CORE_DATA_DIR={to}")


@app.command(epilog="Example: s1lab status h100 --price 3.2")
def status(profile: Name = "h100", seed: Seed = None, price: Price = None) -> None:
    """How far a profile is: what runs, tokens per second, time and money spent and left."""
    from s1lab.planning import tokens

    pipeline = open_pipeline(profile, seed)
    chosen, found = pipeline.profile, tokens.status(pipeline)
    price = chosen.price if price is None else price
    echo("\n".join(tokens.lines(found, chosen.gpus, price)))


@app.command(epilog="Example: s1lab reproduce laptop --seed 7 --only 'sequence length'")
def reproduce(
    profile: Name = "laptop",
    seed: Seed = None,
    jobs: Annotated[int | None, number("Processes, if not as many as it says.", 1, 256)] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this experiment; repeat it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Start hours of GPU work unasked.")] = False,
) -> None:
    """Compute every result of a profile; finished ones are kept, unfinished ones go on.

    One process at a time works on a store: a second one waits, and then finds what is done.
    """
    from s1lab.lab import wanted
    from s1lab.planning.cost import begin_with
    from s1lab.runs import lock

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


def _make(
    pipeline: "Pipeline", steps: list["Step"], jobs: int, profile: str, seed: int | None
) -> None:
    """Make runs while the store is held: here, in processes, or over a server in threads."""
    from s1lab.lab import Step, work

    def begin(number: int, step: "Step") -> None:
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


_steps: dict[str, "Step"] = {}  # of a process of the pool, by the names of their runs


def _join(profile: str, seed: int | None) -> None:
    """What such a process does first; it ends with the one that started it, even by kill -9."""
    from s1lab.lab import end_with_parent

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
    from s1lab.pipeline import compare_results

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
