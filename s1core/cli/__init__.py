"""The command line, `s1core`: every arrow of the flow as a command.

This package only wires: arguments in, calls to the package, short lines out. `profile` has what is
asked of a whole profile, `work`, `generate` and `demo` the single arrows on any model and data,
`data` what was made elsewhere, `store` the run store.
"""

from __future__ import annotations

import os
import sys

import typer

from s1core.cli import data, demo, generate, planning, pocket, profile, store, work

app = typer.Typer(
    name="s1core",
    help="Select 1,000 examples, fine-tune on them, and force a thinking budget at test time.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
profile.register(app)
planning.register(app)
work.register(app)
generate.register(app)
demo.register(app)
data.register(app)
app.add_typer(store.app, name="runs")
app.add_typer(pocket.app, name="pocket")


def known_errors() -> tuple[type[Exception], ...]:
    """Errors whose message is written for the user; anything else is a bug and shows its trace."""
    from s1core.backends.base import BackendError
    from s1core.checkpoints import CheckpointError
    from s1core.data.batch import BatchError
    from s1core.data.chat import ChatError
    from s1core.data.rows import DataError
    from s1core.evaluation.benchmarks import BenchmarkError
    from s1core.evaluation.grading import GradingError
    from s1core.evaluation.report import ReportError
    from s1core.forcing.budget import BudgetError
    from s1core.forcing.drive import ForcingError
    from s1core.pipeline import PipelineError
    from s1core.planning.rehearse import RehearsalError
    from s1core.planning.standin import StandInError
    from s1core.planning.start import StartError
    from s1core.profiles import ProfileError
    from s1core.records import RecordError
    from s1core.runs import RunError
    from s1core.selection import SelectionError
    from s1core.sft.config import SFTError
    from s1core.templates import TemplateError

    return (
        *(BackendError, BatchError, BenchmarkError, BudgetError, ChatError, CheckpointError),
        *(DataError, ForcingError, GradingError, PipelineError, ProfileError, RecordError),
        *(
            RehearsalError,
            ReportError,
            RunError,
            SelectionError,
            SFTError,
            StandInError,
            StartError,
            TemplateError,
        ),
        OSError,
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (refused with one sentence), 2 (usage) or 130."""
    # Checkpoints are loaded many times in one run; their progress bars say nothing.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(arguments, standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit("\ns1core: interrupted; what was finished is kept, run the same command to go on")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("S1CORE_TRACEBACK") or not isinstance(error, known_errors()):
            raise
        sys.exit(f"s1core: {error}")
