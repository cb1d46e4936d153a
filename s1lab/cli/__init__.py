"""The command line, `s1lab`: what one does with the paper. This package only wires."""

import typer

from s1core.cli import SETTINGS, run
from s1lab.cli import data, profile, store

app = typer.Typer(
    name="s1lab",
    help="Reproduce the paper: plan it, run it, compare it, and read what others generated.",
    **SETTINGS,
)
for part in (profile, data):
    app.add_typer(part.app)
app.add_typer(store.app, name="runs")
app.add_typer(data.pocket, name="pocket")


def main(arguments: list[str] | None = None) -> None:
    """The command `s1lab`."""
    run(app, "s1lab", arguments)
