"""`s1lab pocket`: the laptop-scale world: its models and its pool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from s1core.cli.options import echo, number

app = typer.Typer(
    help="The pocket world: pretrain its models, write its pool.", no_args_is_help=True
)


@app.command(epilog="Example: s1lab pocket pretrain large --output store/pretrain-large")
def pretrain(
    size: Annotated[str, typer.Argument(help="small or large.")],
    output: Annotated[Path, typer.Option(help="Folder of the run; holds checkpoints, log, model.")],
) -> None:
    """Train a base model from scratch (about an hour on one core); resumes when run again."""
    from s1lab.pocket.pretrain import RECIPES
    from s1lab.pocket.pretrain import pretrain as train

    if size not in RECIPES:
        raise typer.BadParameter(f"no recipe {size!r}; pick one of {', '.join(RECIPES)}")
    echo(f"model: {train(RECIPES[size], output, progress=sys.stderr.isatty())}")


@app.command(epilog="Examples: s1lab pocket ship large --run store/pretrain-large; ... ship s1")
def ship(
    size: Annotated[str, typer.Argument(help="small, large or s1.")],
    run: Annotated[Path | None, typer.Option(help="Folder that `pretrain` wrote.")] = None,
    profile: Annotated[str, typer.Option(help="Profile that s1 comes from.")] = "laptop",
) -> None:
    """For maintainers: put a trained model into the package and write its card."""
    from s1lab.cli.profile import open_pipeline
    from s1lab.pocket.ship import ship_base, ship_tuned

    if size == "s1":
        pipeline = open_pipeline(profile)
        tuned = pipeline.checkpoint()
        scores = {point.label: point.accuracy.percent() for point in pipeline.curve()}
        folder = ship_tuned(tuned.path / "sft" / "final", tuned.summary(), scores)
    elif run is None:
        raise typer.BadParameter("name the pretraining run with --run")
    else:
        folder = ship_base(size, run)  # type: ignore[arg-type] - checked when it is loaded
    echo(f"{folder}: shipped")


@app.command(epilog="Example: s1lab pocket pool --output pool.jsonl")
def pool(
    output: Annotated[Path, typer.Option(help="JSONL file to write.")],
    seed: Annotated[int, number("Seed of the pool.", 0, 2**32 - 1)] = 0,
    size: Annotated[int, number("Number of questions.", 1, 10_000_000)] = 5900,
) -> None:
    """Write the dirty pool of questions and traces that selection starts from."""
    from s1core.records import write_jsonl
    from s1lab.pocket.pool import build_pool

    count = write_jsonl(output, (row.example for row in build_pool(seed, size)))
    echo(f"{output}: {count:,} examples")
