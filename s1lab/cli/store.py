"""`s1lab runs`: look into the run store, check it, make room in it."""

import json
from typing import Annotated

import typer

from s1core.cli.options import echo
from s1lab.runs import RunStore

app = typer.Typer(help="List, show, verify or remove runs.", no_args_is_help=True)

Where = Annotated[str, typer.Option("--store", help="Folder of the run store.")]


def _store(where: str) -> RunStore:
    return RunStore(where) if where else RunStore.default("laptop")


@app.command("list", epilog="Example: s1lab runs list")
def list_runs(store: Where = "") -> None:
    """One line per run: name, state, size of its records, when it finished."""
    chosen = _store(store)
    for run in (runs := chosen.runs()):
        records = run.path / "results.jsonl"
        size = records.stat().st_size / 1e6 if records.exists() else 0.0
        echo(f"{run.id:26} {run.state:10} {size:8.1f} MB  {run.provenance().get('finished', '')}")
    echo(f"{len(runs)} runs in {chosen.root}")


@app.command(epilog="Example: s1lab runs show generate-3f9c")
def show(
    run: Annotated[str, typer.Argument(help="A run's name, or its beginning.")], store: Where = ""
) -> None:
    """A run's settings, provenance and files; of a damaged one, what is wrong with it."""
    found = _store(store).get(run)
    shown = {"run": found.id, "state": found.state, "settings": found.settings}
    shown |= {"provenance": found.provenance(), "problems": found.verify()}
    shown["summary"] = found.summary() if found.is_finished else {}
    echo(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command(epilog="Examples: s1lab runs verify; s1lab runs verify --store results/laptop")
def verify(store: Where = "") -> None:
    """Check every file of every finished run against its digest; fails when one differs."""
    chosen = _store(store)
    runs = chosen.runs()
    problems = [problem for run in runs for problem in run.verify()]
    for problem in problems:
        echo(problem, err=True)
    finished = sum(run.is_finished for run in runs)
    echo(f"{finished} finished runs in {chosen.root}, {len(problems)} problems")
    raise typer.Exit(bool(problems))


@app.command(epilog="Examples: s1lab runs gc --unfinished; s1lab runs gc --run sft-0b21 --yes")
def gc(
    store: Where = "",
    run: Annotated[str, typer.Option(help="Remove this run.")] = "",
    unfinished: Annotated[bool, typer.Option(help="Remove every unfinished run.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove runs: one by name, or all that are unfinished."""
    chosen = _store(store)
    named = chosen.get(run).id if run else ""
    doomed = [r for r in chosen.runs() if r.id == named or unfinished and not r.is_finished]
    if not doomed:
        echo("nothing to remove; name a run with --run, or say --unfinished")
        return
    echo("\n".join(found.id for found in doomed))
    if yes or typer.confirm(f"Remove {len(doomed)} runs?"):
        for found in doomed:
            chosen.remove(found)
        echo(f"{len(doomed)} runs removed")
