"""`s1lab generations`: what released models said, read and graded again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog="Examples: s1lab generations --fetch generations; s1lab generations generations "
        "--tokenizer Qwen2.5/ --check"
    )(generations)


def generations(
    folder: Annotated[Path, typer.Argument(help="Folder with the files.")],
    tokenizer: Annotated[
        Path | None, typer.Option(help="Qwen2.5's tokenizer.json, or a folder with it.")
    ] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Bring the files first.")] = False,
    hub: Annotated[
        bool, typer.Option("--hub", help="With --fetch: the authors' logs too.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare; write nothing.")] = False,
    output: Annotated[Path, typer.Option(help="Where outcomes are written.")] = Path(
        "results/generations"
    ),
) -> None:
    """Recompute every outcome of the released models from their logged generations (2 minutes)."""
    from s1core.errors import RunError
    from s1lab.generations import files, outcomes

    def say(line: str) -> None:
        typer.echo(line, err=True)

    if fetch:
        typer.echo(f"{folder}: {files.fetch(folder, say)} files brought")
        if hub:
            typer.echo(f"{files.fetch_authors(folder)}: the authors' own logs")
    if tokenizer is None:
        if not fetch:
            raise typer.BadParameter("name Qwen2.5's tokenizer with --tokenizer")
        return
    made = outcomes.recompute(folder, tokenizer, say)
    if check:
        if changed := outcomes.differences(made, output):
            raise RunError(f"{output}: {', '.join(changed)} differ from what was computed here")
        typer.echo(f"{output}: identical to what was computed here")
        return
    outcomes.write(made, output)
    typer.echo(f"{output}: {len(made)} files")
