"""The command line, `s1lab`: what one does with the paper. This package only wires."""

from __future__ import annotations

import typer

from s1core.cli import SETTINGS, run
from s1lab.cli import data, official, planning, pocket, profile, store

app = typer.Typer(
    name="s1lab",
    help="Reproduce the paper: plan it, run it, compare it, and read what others generated.",
    **SETTINGS,
)
for part in (planning, official):
    part.register(app)
app.add_typer(profile.app)
app.add_typer(data.app)
app.add_typer(store.app, name="runs")
app.add_typer(pocket.app, name="pocket")


def main(arguments: list[str] | None = None) -> None:
    """The command `s1lab`."""
    run(app, "s1lab", arguments)
