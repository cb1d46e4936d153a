"""`python -m s1lab.book execute|build|check-notebooks`: what the Makefile calls."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from s1core.errors import RunError
from s1lab.book import build, check_notebooks, execute, stale_notebooks


def main(arguments: list[str] | None = None) -> int:
    """Run one step of the book; returns the exit status (0 done, 1 refused with a message)."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m s1lab.book", description=__doc__)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("execute", help="execute, clean and stamp one notebook")
    command.add_argument("source", type=Path, help="notebooks/NN_name.py")
    command.add_argument("--profile", default="laptop")
    command.add_argument("--seed", type=int)
    command.add_argument("--output", type=Path, help="default: book/notebooks/NN_name.ipynb")
    command.set_defaults(run=_execute)

    command = commands.add_parser("build", help="render the executed notebooks into a site")
    command.add_argument("--book", type=Path, default=Path("book"))
    command.add_argument("--notebooks", type=Path, default=Path("book/notebooks"))
    command.add_argument("--results", type=Path, default=Path("results"))
    command.add_argument("--html", type=Path, default=Path("book/_build/html"))
    command.add_argument("--store", type=Path, help="take the runs that are shown from here")
    command.add_argument("--benchmarks", type=Path, default=Path("benchmarks/results"))
    command.set_defaults(run=_build)

    command = commands.add_parser("check-notebooks", help="nbval over the executed notebooks")
    command.add_argument("--sources", type=Path, default=Path("notebooks"))
    command.add_argument("--notebooks", type=Path, default=Path("book/notebooks"))
    command.add_argument("--workers", type=int, default=2)
    command.set_defaults(run=_check)
    return parser


def _execute(options: argparse.Namespace) -> int:
    output = options.output or Path("book/notebooks") / f"{options.source.stem}.ipynb"
    print(f"executing {options.source} ({options.profile})", flush=True)
    started = time.monotonic()
    changed = execute(options.source, output, options.profile, seed=options.seed)
    state = "written" if changed else "unchanged"
    print(f"{output}: {state}, {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _build(options: argparse.Namespace) -> int:
    started = time.monotonic()
    pages = build(
        options.book,
        options.notebooks,
        options.results,
        options.html,
        options.store,
        options.benchmarks,
    )
    print(f"{options.html}: {pages} pages, {time.monotonic() - started:.0f} s")
    return 0


def _check(options: argparse.Namespace) -> int:
    problems = stale_notebooks(options.sources, options.notebooks)
    if problems:
        raise RunError("\n       ".join(problems))
    notebooks = sorted(options.notebooks.glob("*.ipynb"))
    sanitize = Path("nbval.cfg")
    return check_notebooks(notebooks, sanitize if sanitize.is_file() else None, options.workers)


if __name__ == "__main__":
    sys.exit(main())
