"""Generations as HTML to read: folded by step, what was forced marked, the answer at each step.

The markup (`trace.jinja`) is complete by itself: without a script every trace and every step is
open, one below the other. `book/_static/traces.js` folds the steps, shows one trace at a time and
adds the keys. Nothing is told by colour alone; what is too long is cut, and the cut announced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from s1core.errors import InputError
from s1core.records import Generation, Grade, Outcome, Problem, Status, from_dict
from s1lab.figures.display import figure_frame, render
from s1lab.traces.steps import Piece, TraceStep

MOST_STEPS = 400
"""Steps of one trace; the rest are one last step, so that a page stays a page."""


@dataclass(frozen=True, slots=True)
class TraceAnswer:
    """What is answered when thinking stops after `thinking_tokens` tokens, graded."""

    thinking_tokens: int
    answer: str
    status: Status
    extracted: str


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One generation as the viewer reads it (`s1lab.traces.steps.trace_row`)."""

    question: str
    status: Literal[Status, ""]
    outcome: Outcome
    waits_used: int
    thinking_tokens: int
    steps: tuple[TraceStep, ...]
    answer: tuple[Piece, ...]
    answers: tuple[TraceAnswer, ...] = ()
    extracted: str = ""
    finish_reason: str = ""
    problem_key: str = ""
    sample: int = 0

    @property
    def by_cut(self) -> dict[int, TraceAnswer]:
        """The answers, by the thinking tokens after which they are given."""
        return {answer.thinking_tokens: answer for answer in self.answers}

    @property
    def waits(self) -> list[int]:
        """After how many tokens a Wait was forced."""
        return [s.start for s in self.steps if s.pieces and s.pieces[0].origin == "forced"]


def viewer_html(
    rows: Sequence[Mapping[str, Any]], name: str, *, caption: str = "", runs: Iterable[Any] = ()
) -> str:
    """Several generations, to be leafed through, as one block of HTML.

    Args:
        rows: as `s1lab.traces.steps.read_traces` gives them (see `TraceRow`).
        name, caption, runs: as in `s1lab.figures.display.figure_html`.

    Raises:
        InputError: there are no rows, or a field is not what `TraceRow` declares.
    """
    if not rows:
        raise InputError(f"viewer {name}: there are no traces to show.")
    traces = [_read(row, f"viewer {name}, trace {number}") for number, row in enumerate(rows, 1)]
    body = render("trace", traces=traces, anchor=name, single=False)
    return figure_frame(name, body=body, caption=caption, runs=runs)


def trace_html(
    generation: Generation,
    tokenizer: Any,
    problem: Problem,
    verdict: Grade | None = None,
    separator: str = "\n\n",
) -> str:
    """One generation as a self-contained block of HTML, its steps unfolded.

    `separator` ends a step: a blank line, or a line break where every line is a step.

    Raises:
        InputError: a field of the generation is not of its type.
    """
    from s1lab.traces.steps import trace_row

    row = trace_row(problem, generation, tokenizer, verdict, separator=separator)
    trace = _read(row, f"trace of {problem.key}")
    return str(render("trace", traces=[trace], anchor=f"trace-{problem.key}", single=True))


def _read(given: Mapping[str, Any], where: str) -> TraceRow:
    """A row with every field typed, and with at most `MOST_STEPS` steps that run forwards."""
    try:
        row = from_dict(TraceRow, dict(given))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if any(step.end < step.start for step in row.steps):
        raise InputError(f"{where}: a step ends before it starts; make the row again.")
    if len(row.steps) <= MOST_STEPS:
        return row
    kept, rest = row.steps[: MOST_STEPS - 1], row.steps[MOST_STEPS - 1 :]
    pieces = tuple(piece for step in rest for piece in step.pieces)
    return replace(row, steps=(*kept, TraceStep(rest[0].start, rest[-1].end, pieces)))
