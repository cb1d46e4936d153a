"""Commands around a large run: `plan`, `preflight`, `fetch`, `rehearse`, `status`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s1core.cli.options import echo, number
from s1lab.cli.profile import Name, Seed, note, open_pipeline

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline
    from s1lab.planning.cost import Cost

PRICE = 2.5
"""Money per GPU-hour where none is given."""

Price = Annotated[float, number("Money per GPU-hour.", 0, 1e6)]


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
    price: Price = PRICE,
    runs: Annotated[bool, typer.Option("--runs", help="List every run.")] = False,
) -> None:
    """Show what a profile computes and takes: tokens, GPU-hours, memory, disk, money."""
    from s1lab.experiments import EXPERIMENTS
    from s1lab.planning.cost import cost as cost_of
    from s1lab.planning.cost import lines

    pipeline = open_pipeline(profile, seed)
    chosen = pipeline.profile
    echo(f"{chosen.name}: {chosen.title} ({chosen.hardware}), seed {chosen.seed}")
    echo(f"store: {pipeline.store.root}")
    found = cost_of(pipeline)
    for item in found.steps if runs else ():
        state = "done" if item.step.run.is_finished else "to do"
        echo(f"  {state:5}  {item.step.run.id:24} {item.step.label}")
    for line in lines(found, pipeline, price, EXPERIMENTS):
        echo(line)
    _totals(found, pipeline, price)


def _totals(found: Cost, pipeline: Pipeline, price: float) -> None:
    left = sum(not item.step.run.is_finished for item in found.steps)
    how = "counted from the data" if found.counted else "assumed, since the data are not at hand"
    echo(f"{left} of {len(found.steps)} runs to do; finished ones count what they used")
    echo(f"training tokens: {how}")
    if pipeline.missing:
        echo(f"goes without: {', '.join(sorted(pipeline.missing))}")
    if not found.gpus:
        return
    low, high = found.seconds
    echo(
        f"wall time: {low / 3600:.1f} to {high / 3600:.1f} hours on {found.gpus} GPU(s), "
        f"{found.gpu_hours[0] * price:,.0f} to {found.gpu_hours[1] * price:,.0f} "
        f"at {price:g} per GPU-hour"
    )
    echo(f"peak memory of a GPU: {found.memory / 1e9:.0f} GB")
    echo(
        f"disk: {found.disk / 1e9:.0f} GB for the store, "
        f"{found.downloads / 1e9:.0f} GB of downloads"
    )
    for misfit in found.misfits:
        echo(f"does not fit: {misfit}")


def preflight(
    profile: Name = "h100",
    go_on: Annotated[
        bool, typer.Option("--go-on", help="What a run can do without is only a warning.")
    ] = False,
) -> None:
    """Check in under a minute what would fail later; ends with what to fix, and status 1."""
    from s1lab.planning.cost import cost as cost_of
    from s1lab.planning.preflight import Site
    from s1lab.planning.preflight import preflight as check

    pipeline = open_pipeline(profile, None)
    found = cost_of(pipeline, encodes=False)
    port = os.environ.get("PORT", "29500")
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise typer.BadParameter(f"PORT is a number from 1 to 65535, not {port[:40]!r}")
    site = Site(pipeline.store.root, found.disk, found.misfits, int(port))
    problems = []
    go_on = go_on or pipeline.profile.rehearsal
    for finding in check(pipeline.profile, site, go_on=go_on):
        echo(str(finding))
        problems += [finding] if finding.level == "problem" else []
    if problems:
        echo(f"\n{len(problems)} to fix before {pipeline.profile.name} can run:")
        for number, finding in enumerate(problems, start=1):
            echo(f"  {number}. {finding.about}: {finding.fix}")
        raise typer.Exit(1)
    echo(f"nothing stands in the way of {pipeline.profile.name}")


def fetch(
    profile: Name = "h100",
    to: Annotated[Path, typer.Option(help="Folder of the mirror.")] = Path("mirror"),
    hub: Annotated[bool, typer.Option("--hub", help="generations: the authors' logs too.")] = False,
) -> None:
    """Bring data sets and models at their revisions into one folder with checksums; resumes.

    `s1lab fetch generations` brings what released models said (see `s1lab generations`).
    """
    from s1lab import profiles
    from s1lab.planning.fetch import fetch as bring

    if profile == "generations":
        from s1lab.generations import files

        echo(f"{to}: {files.fetch(to, note)} files brought")
        if hub:
            echo(f"{files.fetch_authors(to)}: the authors' own logs")
        return
    done = bring(profiles.load(profile), to, note)
    for name, reason in sorted(done.missing.items()):
        echo(f"missing  {name}: {reason}")
    echo(f"{to}: {len(done.files)} there, {len(done.missing)} missing")
    if done.essential:
        echo(f"nothing can run without {', '.join(done.essential)}", err=True)
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
    planned, used = rehearsing.compare(prepared)
    echo(f"tokens trained on:  {planned.trained:,} planned, {used.trained:,} used")
    echo(f"tokens generated:   {planned.expected:,} planned, {used.expected:,} used")
    if not runs_only:
        root = project_root()
        pages = rehearsing.show(prepared, root / "notebooks", root / "book", note)
        echo(f"{pages} pages: {prepared.folder / 'html' / 'index.html'}")
    echo(f"the rehearsal of {profile} went through: {prepared.folder}")


def status(profile: Name = "h100", seed: Seed = None, price: Price = PRICE) -> None:
    """How far a profile is: what runs, tokens per second, time and money spent and left."""
    from s1lab.planning.status import lines
    from s1lab.planning.status import status as look

    for line in lines(look(open_pipeline(profile, seed)), price):
        echo(line)
