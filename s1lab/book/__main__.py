"""`python -m s1lab.book execute|build|check-notebooks`: what the Makefile calls."""

import time
from pathlib import Path

import typer

from s1core.cli import SETTINGS, run
from s1core.errors import RunError
from s1lab.book import notebooks, site

BUILT = Path("book/notebooks")
app = typer.Typer(name="s1lab.book", help="Execute, render and check the notebooks.", **SETTINGS)


@app.command()
def execute(
    source: Path, profile: str = "laptop", seed: int | None = None, output: Path | None = None
) -> None:
    """Execute, clean and stamp one notebook, by default into book/notebooks/."""
    started, output = time.monotonic(), output or BUILT / f"{source.stem}.ipynb"
    print(f"executing {source} ({profile})", flush=True)
    changed = notebooks.execute(source, output, profile, seed=seed)
    word = "written" if changed else "unchanged"
    print(f"{output}: {word}, {time.monotonic() - started:.0f} s")


@app.command()
def build(
    notebooks: Path = BUILT, html: Path = Path("book/_build/html"), store: Path | None = None
) -> None:
    """Render the executed notebooks into a site; a store has the runs that are shown."""
    started = time.monotonic()
    pages = site.build(notebooks=notebooks, html=html, store=store)
    print(f"{html}: {pages} pages, {time.monotonic() - started:.0f} s")


@app.command()
def check_notebooks() -> None:
    """Re-execute the committed notebooks with nbval and compare their outputs."""
    started = time.monotonic()
    if problems := notebooks.stale_notebooks("notebooks", BUILT):
        raise RunError("\n       ".join(problems))
    found = sorted(BUILT.glob("*.ipynb"))
    status = notebooks.check_notebooks(found)
    print(f"{len(found)} notebooks checked, {time.monotonic() - started:.0f} s")
    raise typer.Exit(status)


if __name__ == "__main__":
    run(app, "python -m s1lab.book", None)
