"""Commands around a large run: `plan`, `preflight`, `fetch`, `rehearse`, `status`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from s1core.cli.options import echo, number
from s1lab.cli.profile import Name, Seed, note, open_pipeline

Price = Annotated[float | None, number("US$ per GPU-hour; else the profile's.", 0, 1e6)]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(epilog="Examples: s1lab plan laptop; s1lab plan h100 --price 3.2")(plan)
    app.command(epilog="Example: s1lab preflight h100")(preflight)
    app.command(epilog="Example: s1lab fetch h100 --to /data/mirror")(fetch)
    app.command(epilog="Example: s1lab rehearse h100 --data-dir /data/mirror")(rehearse)
    app.command(epilog="Example: s1lab status h100 --price 3.2")(status)


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
    for line in lines(found, chosen.price if price is None else price):
        echo(line)
    if pipeline.missing:
        echo(f"goes without: {', '.join(sorted(pipeline.missing))}")


def preflight(
    profile: Name = "h100",
    go_on: Annotated[
        bool, typer.Option("--go-on", help="What a run can do without is only a warning.")
    ] = False,
) -> None:
    """Check in two minutes what would fail later; ends with what to fix, and status 1."""
    from s1lab.planning.cost import cost
    from s1lab.planning.preflight import preflight as check

    pipeline = open_pipeline(profile, None)
    found, problems = cost(pipeline, encodes=False), []
    for finding in check(
        pipeline.profile,
        pipeline.store.root,
        disk=found.disk,
        misfits=found.misfits,
        go_on=go_on or pipeline.profile.rehearsal,
    ):
        echo(str(finding))
        problems += [finding] if finding.level == "PROBLEM" else []
    if problems:
        echo(f"\n{len(problems)} to fix before {pipeline.profile.name} can run:")
        for number, finding in enumerate(problems, start=1):
            echo(f"  {number}. {finding.about}: {finding.fix}")
        raise typer.Exit(1)
    echo(f"nothing stands in the way of {pipeline.profile.name}")


def fetch(
    profile: Name = "h100",
    to: Annotated[Path, typer.Option(help="Folder of the mirror.")] = Path("mirror"),
    given: Annotated[
        Path | None, typer.Option("--from", help="desk: a folder that has its weights or parts.")
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help="generations: the authors' logs too.")] = False,
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
        if hub:
            echo(f"{files.fetch_authors(to)}: the authors' own logs")
        return
    chosen = profiles.load(profile)
    there, missing = bring(chosen, to, note, given or "")
    for name, reason in sorted(missing.items()):
        echo(f"missing  {name}: {reason}")
    echo(f"{to}: {len(there)} there, {len(missing)} missing")
    if lost := [name for name in needs(chosen).essential if name in missing]:
        echo(f"nothing can run without {', '.join(lost)}", err=True)
        raise typer.Exit(1)
    echo(f"use it with S1CORE_DATA_DIR={to}")


def rehearse(
    profile: Name = "h100",
    folder: Annotated[Path | None, typer.Option(help="Default: rehearsal/PROFILE.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Mirror with the real files.")] = None,
    model: Annotated[Path | None, typer.Option(help="A small checkpoint; default SmolLM2.")] = None,
    python: Annotated[str, typer.Option(help="Interpreter that has vLLM.")] = "",
    runs_only: Annotated[
        bool, typer.Option("--runs-only", help="Without the notebooks and the book.")
    ] = False,
) -> None:
    """Run a large profile at rehearsal sizes: same scripts, notebooks and book, stamped figures."""
    from s1lab.rehearsal import rehearse as rehearsing
    from s1lab.runs import project_root

    prepared = rehearsing.prepare(
        profile, folder, model=model, data_dir=data_dir, python=python or sys.executable, say=note
    )
    rehearsing.compute(prepared)
    for what, (planned, used) in rehearsing.compare(prepared).items():
        echo(f"tokens {what}: {planned:,} planned, {used:,} used")
    if not runs_only:
        root = project_root()
        pages = rehearsing.show(prepared, root / "notebooks", root / "book", note)
        echo(f"{pages} pages: {prepared.folder / 'html' / 'index.html'}")
    echo(f"the rehearsal of {profile} went through: {prepared.folder}")


def status(profile: Name = "h100", seed: Seed = None, price: Price = None) -> None:
    """How far a profile is: what runs, tokens per second, time and money spent and left."""
    from s1lab.planning.status import lines
    from s1lab.planning.status import status as look

    pipeline = open_pipeline(profile, seed)
    chosen = pipeline.profile
    price = chosen.price if price is None else price
    for line in lines(look(pipeline), chosen.gpus, price):
        echo(line)
