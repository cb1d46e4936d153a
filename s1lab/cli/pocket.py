"""`s1lab pocket pretrain`: the base models of the laptop-scale world, from scratch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from s1core.cli.options import echo

app = typer.Typer(help="The pocket world: pretrain its models.", no_args_is_help=True)


@app.command(epilog="Example: s1lab pocket pretrain large --output store/pretrain-large")
def pretrain(
    size: Annotated[str, typer.Argument(help="small or large.")],
    output: Annotated[Path, typer.Option(help="Folder of the run; holds checkpoints, log, model.")],
) -> None:
    """Train a base model from scratch (about an hour on one core) and measure what it can do;
    resumes when run again."""
    from s1lab.pocket.pretrain import RECIPES
    from s1lab.pocket.pretrain import pretrain as train
    from s1lab.pocket.skills import measure

    if size not in RECIPES:
        raise typer.BadParameter(f"no recipe {size!r}; pick one of {', '.join(RECIPES)}")
    folder = train(RECIPES[size], output, progress=sys.stderr.isatty())
    (folder / "skills.json").write_text(json.dumps(measure(folder), indent=1) + "\n")
    echo(f"model: {folder}")
