"""Generations as HTML to read: folded by step, what was forced marked, the answer at each step.

The markup (`trace.jinja`) is complete by itself: without a script every trace and every step is
open, one below the other. `book/_static/traces.js` folds the steps, shows one trace at a time and
adds the keys. Nothing is told by colour alone; what is too long is cut, and the cut announced.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from s1core.errors import InputError
from s1core.records import Generation, Grade, Problem, from_dict
from s1lab.figures.display import figure_frame, render
from s1lab.traces.steps import TraceRow, TraceStep, trace_row

MOST_STEPS = 400
"""Steps of one trace; the rest are one last step, so that a page stays a page."""


def viewer_html(
    rows: Sequence[Mapping[str, Any]], name: str, *, caption: str = "", runs: Iterable[Any] = ()
) -> str:
    """Several generations, to be leafed through, as one block of HTML.

    `rows` are those of `s1lab.traces.steps.read_traces`, as JSON has them, the rest is as in
    `figure_html`. InputError: there are no rows, or a field is not what `TraceRow` declares.
    """
    if not rows:
        raise InputError(f"viewer {name}: there are no traces to show.")
    traces = [_read(row, f"viewer {name}, trace {number}") for number, row in enumerate(rows, 1)]
    body = render("trace", traces=traces, anchor=name, single=False)
    return figure_frame(name, body=body, caption=caption, runs=runs)


def trace_html(
    generation: Generation, tokenizer: Any, problem: Problem, verdict: Grade | None = None,
    separator: str = "\n\n",
) -> str:  # fmt: skip
    """One generation as a self-contained block of HTML, its steps unfolded. `separator` ends a
    step. InputError: a field of the generation is not of its type."""
    row = asdict(trace_row(problem, generation, tokenizer, verdict, separator=separator))
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
