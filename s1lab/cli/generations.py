"""`s1lab generations`: what released models said, read and graded again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s1core.cli.options import echo
from s1lab.cli.profile import note

RESULTS = Path("results/generations")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    epilog = "Example: s1lab generations generations --tokenizer Qwen2.5/ --check"
    app.command(epilog=epilog)(generations)


def generations(
    folder: Annotated[Path, typer.Argument(help="Folder with the files (see `s1lab fetch`).")],
    tokenizer: Annotated[Path, typer.Option(help="Qwen2.5's tokenizer.json, or its folder.")],
    check: Annotated[bool, typer.Option("--check", help="Compare; write nothing.")] = False,
    output: Annotated[Path, typer.Option(help="Folder of the outcomes.")] = RESULTS,
) -> None:
    """Recompute every outcome of the released models from their logged generations (2 minutes)."""
    from s1core.errors import RunError
    from s1lab.generations import outcomes

    made = outcomes.recompute(folder, tokenizer, note)
    if not check:
        outcomes.write(made, output)
    elif changed := outcomes.differences(made, output):
        raise RunError(f"{output}: {', '.join(changed)} differ from what was computed here")
    echo(f"{output}: {len(made)} files, {'as' if check else ''} computed from {folder}")
