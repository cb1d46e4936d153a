"""Generations as HTML to read: folded by step, what was forced marked, the answer at each step.

The markup (`trace.jinja`) is complete by itself: without a script every trace and every step is
open, one below the other. `book/_static/traces.js` folds the steps, shows one trace at a time and
adds the keys. Colours are the page's own, so it reads in light and dark; nothing is told by colour
alone. What is too long is cut, and the cut is announced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from s1core.errors import InputError
from s1core.records import Generation, Grade, Problem
from s1lab.figures.display import checked, figure_frame, render

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
_PIECES = [{"text": str, "origin": ("sampled", "forced")}]
_ANSWER = {"thinking_tokens": int, "answer": str, "status": (*STATUS,), "extracted": str}
ROW = {
    "question": str,
    "status": (*STATUS, ""),
    "outcome": (*ENDED,),
    "waits_used": int,
    "thinking_tokens": int,
    "steps": [{"start": int, "end": int, "pieces": _PIECES}],
    "answer": _PIECES,
    "answers": [_ANSWER],
}
"""What the viewer reads of a row, and the kind of every field."""
Row = Mapping[str, Any]


def viewer_html(
    rows: Sequence[Row], name: str, *, caption: str = "", runs: Iterable[Any] = ()
) -> str:
    """Several generations, to be leafed through, as one block of HTML.

    Args:
        rows: as `s1lab.traces.inspection.read_traces` gives them (see `ROW`).
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


def _trace(given: Row, where: str) -> dict[str, Any]:
    """What the template shows of a row."""
    row = checked(given, ROW, where)
    steps = _bounded(row["steps"])
    answers = {answer["thinking_tokens"]: _answer(answer) for answer in row["answers"]}
    waits = row["waits_used"]
    facts = [f"{row['thinking_tokens']:,} thinking tokens", ENDED[row["outcome"]]]
    facts.insert(1, f"{waits} forced Wait{'' if waits == 1 else 's'}")
    return {
        "question": _shortened(row["question"]),
        "facts": facts,
        **_badge(row["status"]),
        "ruler": _ruler(row["thinking_tokens"], steps, answers),
        "before": answers.get(0),
        "judged": bool(answers),
        "steps": [_step(step, answers.get(step["end"])) for step in steps],
        "answer": _pieces(row["answer"]),
    }


def _step(step: Row, answer: Row | None) -> dict[str, Any]:
    opening, *others = step["pieces"] or [{"text": "", "origin": "sampled"}]
    line, word = "".join(piece["text"] for piece in others), None
    if opening["origin"] == "forced":
        word = _piece({**opening, "text": _first_line(opening["text"], 40)})
    else:
        line = opening["text"] + line
    return {**_pieces(step["pieces"]), "word": word, "line": _first_line(line), "answer": answer}


def _pieces(pieces: Sequence[Row]) -> dict[str, Any]:
    """Text by origin, together at most `MOST_CHARACTERS`, and how much that leaves out."""
    shown, left = [], MOST_CHARACTERS
    for piece in pieces:
        if left > 0:
            shown.append(_piece({**piece, "text": piece["text"][:left]}))
        left -= len(piece["text"])
    return {"pieces": shown, "left": f"{-left:,}" if left < 0 else ""}


def _piece(piece: Row) -> dict[str, Any]:
    """Tokens of one origin; line breaks stand outside the mark of what the decoder forced."""
    if piece["origin"] == "sampled":
        return {"forced": False, "text": piece["text"]}
    text = piece["text"].strip("\n")
    before, _, after = piece["text"].partition(text) if text else (piece["text"], "", "")
    return {"forced": True, "text": text, "before": before, "after": after}


def _answer(answer: Row) -> dict[str, Any]:
    tokens = answer["thinking_tokens"]
    return {
        **_badge(answer["status"]),
        "when": f"after {tokens:,} tokens" if tokens else "before it began",
        "said": ((answer["extracted"] or answer["answer"])[:200], ""),
        "brief": _first_line(answer["extracted"], 40),
    }


def _badge(status: str) -> dict[str, str]:
    mark, word = STATUS.get(status, ("", ""))
    return {"status": status, "mark": mark, "word": word}


def _ruler(total: int, steps: Sequence[Row], answers: Mapping[int, Row]) -> dict[str, Any]:
    """The thinking as a line of tokens: steps to scale, Waits, and where stopping would do."""
    if not total:
        return {}
    waits = [s["start"] for s in steps if s["pieces"] and s["pieces"][0]["origin"] == "forced"]
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
            (max(s["end"] - s["start"], 0), answers.get(s["end"], plain)["status"]) for s in steps
        ],
        "scale": [(f"{100 * at / total:.2f}", f"{at:,}") for at in _ticks(total)],
    }


def _ticks(total: int) -> list[int]:
    """0, a few round numbers, and the end."""
    step = next(s * 10**p for p in range(16) for s in (10, 20, 50) if total <= s * 10**p * 5)
    return [*(at for at in range(0, total, step) if total - at > step / 2), total]


def _bounded(steps: Sequence[Row]) -> Sequence[Row]:
    """At most `MOST_STEPS` steps: what comes after is one, so that a page stays a page."""
    if len(steps) <= MOST_STEPS:
        return steps
    rest = steps[MOST_STEPS - 1 :]
    pieces = [piece for step in rest for piece in step["pieces"]]
    return [*steps[: MOST_STEPS - 1], {**rest[0], "end": rest[-1]["end"], "pieces": pieces}]


def _shortened(text: str) -> tuple[str, str]:
    """The start of a text, and a note that says how much follows ("" for nothing)."""
    more = len(text) - MOST_CHARACTERS
    return text[:MOST_CHARACTERS], f"{more:,} more characters are not shown" if more > 0 else ""


def _first_line(text: str, most: int = 90) -> str:
    """The first line that holds anything, cut with an ellipsis."""
    line = next((line for line in text.split("\n", 20) if line.strip()), "").strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"
