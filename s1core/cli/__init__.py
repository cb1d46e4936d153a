"""The command line, `s1core`: arguments in, calls to the package, short lines out."""

import os
import sys

import typer

from s1core.cli import demo, generate, serve, work
from s1core.errors import S1Error
from s1core.records import printable

SETTINGS = {"no_args_is_help": True, "add_completion": False, "rich_markup_mode": None}
SETTINGS |= {"pretty_exceptions_enable": False}
SETTINGS |= {"context_settings": {"help_option_names": ["-h", "--help"]}}
"""How both command lines are set up."""

app = typer.Typer(
    name="s1core",
    help="Select 1,000 examples, fine-tune on them, and force a thinking budget at test time.",
    **SETTINGS,
)
for command in (demo.demo, generate.generate, work.select, work.sft, work.grade):
    app.command()(command)
passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command(context_settings=passed_on)(serve.serve)


def main(arguments: list[str] | None = None) -> None:
    """The command `s1core`."""
    run(app, "s1core", arguments)


def run(app: typer.Typer, name: str, arguments: list[str] | None = None) -> None:
    """Run a command line; exits with 0, 1 (refused with one sentence), 2 (usage) or 130."""
    # Checkpoints are loaded many times in one run; their progress bars say nothing.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(arguments)
    except SystemExit as done:
        if done.code == 130:  # typer's word for Ctrl-C
            kept = "what was finished is kept, run the same command to go on"
            print(f"\n{name}: interrupted; {kept}", file=sys.stderr)
        raise
    except Exception as error:
        if os.environ.get("S1CORE_TRACEBACK") or not isinstance(error, (S1Error, OSError)):
            raise
        sys.exit(printable(f"{name}: {error}"))
