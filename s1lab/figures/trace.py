"""Generations as HTML to read: folded by step, what was forced marked, the answer at each step.

The markup (`trace.jinja`) is complete by itself: without a script every trace and every step is
open, one below the other. `book/_static/traces.js` folds the steps, shows one trace at a time and
adds the keys. Colours are the page's own, so it reads in light and dark; nothing is told by colour
alone. What is too long is cut, and the cut is announced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from s1core.errors import InputError
from s1core.records import Generation, Grade, Outcome, Problem, Status, from_dict
from s1lab.figures.display import figure_frame, render
from s1lab.traces.steps import Piece, Step

MOST_CHARACTERS = 4_000
"""Of one step, question or answer; the page says how many it leaves out."""
MOST_STEPS = 400
"""Steps of one trace; the rest are one last step."""

ENDED = {
    "ended": "thinking ended by itself",
    "truncated": "thinking cut at its budget",
    "context": "thinking cut by the context",
}
STATUS = {
    "correct": ("✓", "right"),
    "wrong": ("✗", "wrong"),
    "no_answer": ("–", "no answer"),
    "truncated": ("–", "answer cut off"),
}


@dataclass(frozen=True, slots=True)
class TraceAnswer:
    """What is answered when thinking stops after `thinking_tokens` tokens, graded."""

    thinking_tokens: int
    answer: str
    status: Status
    extracted: str


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One generation as the viewer reads it (`s1lab.traces.inspection.trace_row`)."""

    question: str
    status: Literal["correct", "wrong", "no_answer", "truncated", ""]
    outcome: Outcome
    waits_used: int
    thinking_tokens: int
    steps: tuple[Step, ...]
    answer: tuple[Piece, ...]
    answers: tuple[TraceAnswer, ...] = ()
    extracted: str = ""
    finish_reason: str = ""
    problem_key: str = ""
    sample: int = 0


def viewer_html(
    rows: Sequence[Mapping[str, Any]], name: str, *, caption: str = "", runs: Iterable[Any] = ()
) -> str:
    """Several generations, to be leafed through, as one block of HTML.

    Args:
        rows: as `s1lab.traces.inspection.read_traces` gives them (see `TraceRow`).
        name: unique in the book; names the anchor.
        caption: plain text below.
        runs: what is shown, as in `s1lab.figures.show`.

    Raises:
        InputError: there are no rows, or a field is not of its kind.
    """
    if not rows:
        raise InputError(f"viewer {name}: there are no traces to show.")
    traces = [_trace(row, f"viewer {name}, trace {number}") for number, row in enumerate(rows, 1)]
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
        InputError: a field of the generation is not of its kind.
    """
    from s1lab.traces.inspection import trace_row

    row = trace_row(problem, generation, tokenizer, verdict, separator=separator)
    trace = _trace(row, f"trace of {problem.key}")
    return render("trace", traces=[trace], anchor=f"trace-{problem.key}", single=True)


# ------------------------------------------------------------------------------- details


def _trace(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What the template shows of a row."""
    try:
        row = from_dict(TraceRow, dict(given))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    steps = _bounded(row.steps)
    answers = {answer.thinking_tokens: _answer(answer) for answer in row.answers}
    return {
        **_badge(row.status),
        "question": _shortened(row.question),
        "facts": [
            f"{row.thinking_tokens:,} thinking tokens",
            f"{row.waits_used} forced Wait{'' if row.waits_used == 1 else 's'}",
            ENDED[row.outcome],
        ],
        "ruler": _ruler(row.thinking_tokens, steps, answers),
        "before": answers.get(0),
        "judged": bool(answers),
        "steps": [{**_step(step), "answer": answers.get(step.end)} for step in steps],
        "answer": _pieces(row.answer),
    }


def _step(step: Step) -> dict[str, Any]:
    opening, word = step.pieces[0] if step.pieces else None, None
    line = step.text
    if opening and opening.origin == "forced":
        line = line[len(opening.text) :]
        word = _piece(opening, _first_line(opening.text, 40))
    return {**_pieces(step.pieces), "word": word, "line": _first_line(line)}


def _pieces(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Text by origin, together at most `MOST_CHARACTERS`, and how much that leaves out."""
    shown, left = [], MOST_CHARACTERS
    for piece in pieces:
        if left > 0:
            shown.append(_piece(piece, piece.text[:left]))
        left -= len(piece.text)
    return {"pieces": shown, "left": f"{-left:,}" if left < 0 else ""}


def _piece(piece: Piece, text: str) -> dict[str, Any]:
    """Tokens of one origin; line breaks stand outside the mark of what the decoder forced."""
    if piece.origin == "sampled":
        return {"forced": False, "text": text}
    inside = text.strip("\n")
    before, _, after = text.partition(inside) if inside else (text, "", "")
    return {"forced": True, "text": inside, "before": before, "after": after}


def _answer(answer: TraceAnswer) -> dict[str, Any]:
    tokens = answer.thinking_tokens
    return {
        **_badge(answer.status),
        "when": f"after {tokens:,} tokens" if tokens else "before it began",
        "said": ((answer.extracted or answer.answer)[:200], ""),
        "brief": _first_line(answer.extracted, 40),
    }


def _badge(status: str) -> dict[str, str]:
    mark, word = STATUS.get(status, ("", ""))
    return {"status": status, "mark": mark, "word": word}


def _ruler(total: int, steps: Sequence[Step], answers: Mapping[int, Any]) -> dict[str, Any]:
    """The thinking as a line of tokens: steps to scale, Waits, and where stopping would do."""
    if not total:
        return {}
    waits = [step.start for step in steps if step.pieces and step.pieces[0].origin == "forced"]
    label = f"{total} thinking tokens in {len(steps)} steps."
    if waits:
        label += f" Waits forced after {', '.join(map(str, waits))} tokens."
    right = [cut for cut in sorted(answers) if answers[cut]["status"] == "correct"]
    if answers:
        label += f" The answer would be right at {len(right)} of {len(answers)} places"
        label += f", the first after {right[0]} tokens." if right else "."
    plain = {"status": "plain"}
    return {
        "label": label,
        "waits": [f"{100 * at / total:.2f}" for at in waits],
        "blocks": [
            (max(step.end - step.start, 0), answers.get(step.end, plain)["status"])
            for step in steps
        ],
        "scale": [(f"{100 * at / total:.2f}", f"{at:,}") for at in _ticks(total)],
    }


def _ticks(total: int) -> list[int]:
    """0, a few round numbers, and the end."""
    step = next(s * 10**p for p in range(16) for s in (10, 20, 50) if total <= s * 10**p * 5)
    return [*(at for at in range(0, total, step) if total - at > step / 2), total]


def _bounded(steps: Sequence[Step]) -> Sequence[Step]:
    """At most `MOST_STEPS` steps: what comes after is one, so that a page stays a page."""
    if len(steps) <= MOST_STEPS:
        return steps
    rest = steps[MOST_STEPS - 1 :]
    pieces = tuple(piece for step in rest for piece in step.pieces)
    return [*steps[: MOST_STEPS - 1], Step(rest[0].start, rest[-1].end, pieces)]


def _shortened(text: str) -> tuple[str, str]:
    """The start of a text, and a note that says how much follows ("" for nothing)."""
    more = len(text) - MOST_CHARACTERS
    return text[:MOST_CHARACTERS], f"{more:,} more characters are not shown" if more > 0 else ""


def _first_line(text: str, most: int = 90) -> str:
    """The first line that holds anything, cut with an ellipsis."""
    line = next((line for line in text.split("\n", 20) if line.strip()), "").strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"
