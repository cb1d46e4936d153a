"""`python -m launch.rehearsal.cli h100`, in the checkout: what `make rehearse` calls."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from launch.rehearsal import rehearse as rehearsing
from s1core.cli import SETTINGS, run
from s1core.cli.options import echo
from s1lab.cli.profile import Name, note
from s1lab.runs import project_root

app = typer.Typer(**SETTINGS)


@app.command(epilog="Example: python -m launch.rehearsal.cli h100 --data-dir /data/mirror")
def rehearse(
    profile: Name = "h100",
    folder: Annotated[Path | None, typer.Option(help="Default: rehearsal/PROFILE.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Mirror with the real files.")] = None,
    model: Annotated[Path | None, typer.Option(help="A small checkpoint; default SmolLM2.")] = None,
    python: Annotated[str, typer.Option(help="Interpreter that has vLLM.")] = sys.executable,
    runs_only: Annotated[bool, typer.Option("--runs-only", help="No notebooks, no book.")] = False,
) -> None:
    """Run a large profile at rehearsal sizes: same scripts, notebooks and book, stamped figures."""
    given = {"model": model, "data_dir": data_dir, "python": python, "say": note}
    prepared = rehearsing.prepare(profile, folder, **given)
    rehearsing.compute(prepared)
    for what, (planned, used) in rehearsing.compare(prepared).items():
        echo(f"tokens {what}: {planned:,} planned, {used:,} used")
    if not runs_only:
        root = project_root()
        pages = rehearsing.show(prepared, root / "notebooks", root / "book", note)
        echo(f"{pages} pages: {prepared.folder / 'html' / 'index.html'}")
    echo(f"the rehearsal of {profile} went through: {prepared.folder}")


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    run(app, "launch.rehearsal", arguments)


if __name__ == "__main__":
    main()
