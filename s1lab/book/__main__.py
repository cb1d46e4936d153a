"""`python -m s1lab.book execute|build|check-notebooks`: what the Makefile calls."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from s1core.errors import RunError
from s1lab.book.notebooks import check_notebooks, execute, stale_notebooks
from s1lab.book.site import build

BUILT = Path("book/notebooks")


def main(arguments: list[str] | None = None) -> int:
    """Run one step of the book; returns the exit status (0 done, 1 refused with a message)."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()
    try:
        said, status = options.run(options)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{said}, {time.monotonic() - started:.0f} s")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m s1lab.book", description=__doc__)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("execute", help="execute, clean and stamp one notebook")
    command.add_argument("source", type=Path, help="notebooks/NN_name.py")
    command.add_argument("--profile", default="laptop")
    command.add_argument("--seed", type=int)
    command.add_argument("--output", type=Path, help="default: book/notebooks/NN_name.ipynb")
    command.set_defaults(run=_execute)

    places = {"book": "book", "notebooks": "book/notebooks", "results": "results"}
    places |= {"html": "book/_build/html", "benchmarks": "benchmarks/results"}
    command = commands.add_parser("build", help="render the executed notebooks into a site")
    for name, place in places.items():
        command.add_argument(f"--{name}", type=Path, default=Path(place))
    command.add_argument("--store", type=Path, help="take the runs that are shown from here")
    command.set_defaults(run=_build)

    command = commands.add_parser("check-notebooks", help="nbval over the executed notebooks")
    command.add_argument("--sources", type=Path, default=Path("notebooks"))
    command.add_argument("--notebooks", type=Path, default=BUILT)
    command.add_argument("--workers", type=int, default=2)
    command.set_defaults(run=_check)
    return parser


def _execute(options: argparse.Namespace) -> tuple[str, int]:
    output = options.output or BUILT / f"{options.source.stem}.ipynb"
    print(f"executing {options.source} ({options.profile})", flush=True)
    changed = execute(options.source, output, options.profile, seed=options.seed)
    return f"{output}: {'written' if changed else 'unchanged'}", 0


def _build(options: argparse.Namespace) -> tuple[str, int]:
    places = (options.book, options.notebooks, options.results, options.html)
    return f"{options.html}: {build(*places, options.store, options.benchmarks)} pages", 0


def _check(options: argparse.Namespace) -> tuple[str, int]:
    if problems := stale_notebooks(options.sources, options.notebooks):
        raise RunError("\n       ".join(problems))
    notebooks, sanitize = sorted(options.notebooks.glob("*.ipynb")), Path("nbval.cfg")
    status = check_notebooks(notebooks, sanitize if sanitize.is_file() else None, options.workers)
    return f"{len(notebooks)} notebooks checked", status


if __name__ == "__main__":
    sys.exit(main())
