"""Generations as HTML to read: folded by step, what was forced marked, the answer at each step.

The markup is complete by itself: without a script every trace and every step is open, one below
the other. `book/_static/traces.js` folds the steps, shows one trace at a time and adds the keys.
Colours are the page's own, so it reads in light and dark; nothing is told by colour alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from s1core.records import Generation, Grade, Problem, printable
from s1lab.figures.display import figure_frame
from s1lab.figures.text import first_line, shortened, visible

__all__ = ["printable", "trace_html", "viewer_html"]

MOST_CHARACTERS = 4_000
"""Of one step, question or answer; the page says how many it leaves out."""
MOST_STEPS = 400
"""Steps of one trace; the rest are one last step."""

_WAIT = re.compile(r"\bWait\b")
_ENDED = {
    "ended": "thinking ended by itself",
    "truncated": "thinking cut at its budget",
    "context": "thinking cut by the context",
}
_STATUS = {
    "correct": ("✓", "right"),
    "wrong": ("✗", "wrong"),
    "no_answer": ("–", "no answer"),
    "truncated": ("–", "answer cut off"),
    "not_compared": ("?", "could not be compared"),
}
_HEAD = (
    '<p class="s1-head" aria-hidden="true"><span></span><span>thinking</span>'
    "<span>the answer, if stopped here</span></p>"
)
Row = Mapping[str, Any]


def viewer_html(
    rows: Sequence[Row], name: str, *, caption: str = "", runs: Iterable[Any] = ()
) -> str:
    """Several generations, to be leafed through, as one block of HTML.

    Args:
        rows: as `s1lab.traces.inspection.read_traces` gives them.
        name: unique in the book; names the anchor.
        caption: plain text below.
        runs: what is shown, as in `s1lab.figures.show`.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError(f"viewer {name}: there are no traces to show")
    articles = "".join(_trace(row, f"{name}-{number}") for number, row in enumerate(rows, 1))
    viewer = (
        f'<div class="s1-viewer" role="group" aria-label="Trace viewer: {len(rows)} generations">'
        f"{_key(rows)}{articles}</div>"
    )
    return figure_frame(name, viewer, caption=html.escape(caption), runs=runs)


def trace_html(
    generation: Generation,
    tokenizer: Any,
    problem: Problem,
    verdict: Grade | None = None,
    separator: str = "\n\n",
) -> str:
    """One generation as a self-contained block of HTML, its steps unfolded.

    `separator` ends a step: a blank line, or a line break where every line is a step.
    """
    from s1lab.traces.inspection import trace_row

    row = trace_row(problem, generation, tokenizer, verdict, separator=separator)
    return f'<div class="s1-viewer s1-single">{_trace(row, f"trace-{problem.key}")}</div>'


# ------------------------------------------------------------------------------- details


def _trace(row: Row, anchor: str) -> str:
    answers = {answer["thinking_tokens"]: answer for answer in row["answers"]}
    steps = _bounded(row["steps"])
    said = _pieces(row["answer"])
    items = "".join(
        _step(step, number, answers.get(step["end"])) for number, step in enumerate(steps, 1)
    )
    before = answers.get(0)
    start = f'<p class="s1-if">{_if_stopped(before)}</p>' if before else ""
    head = _HEAD if answers else ""
    return (
        f'<article class="s1-trace" aria-labelledby="{anchor}-question">'
        f'<p class="s1-trace-question" id="{anchor}-question">{_isolated(row["question"])}</p>'
        f'<p class="s1-trace-facts">{_facts(row)}</p>{_ruler(row, steps, answers)}'
        f'{start}{head}<ol class="s1-steps">{items}</ol>'
        f'<div class="s1-answer"><p class="s1-trace-facts">The answer</p>'
        f'<pre dir="ltr">{said}</pre></div></article>'
    )


def _step(step: Row, number: int, answer: Row | None) -> str:
    said = f'<p class="s1-if">{_if_stopped(answer)}</p>' if answer else ""
    verdict = _verdict(answer["status"], answer["extracted"]) if answer else ""
    opening = step["pieces"][0] if step["pieces"] else {"text": "", "origin": "sampled"}
    rest = "".join(piece["text"] for piece in step["pieces"][1:])
    if opening["origin"] == "forced":
        word = {**opening, "text": first_line(opening["text"], 40)}
        line = f"{_piece(word)} {_sampled(first_line(rest))}"
    else:
        line = _sampled(first_line(opening["text"] + rest))
    # The preview is for folded steps: a script shows it, and only where a step is folded.
    return (
        f'<li><details open><summary><span class="s1-number">step {number}</span>'
        f'<bdi class="s1-preview" hidden>{line}</bdi><span class="s1-then">{verdict}</span>'
        f'</summary><pre dir="ltr">{_pieces(step["pieces"])}</pre>{said}</details></li>'
    )


def _pieces(pieces: Sequence[Row]) -> str:
    """Text by origin, together at most `MOST_CHARACTERS`, with a note on what is left out."""
    shown, left = [], MOST_CHARACTERS
    for piece in pieces:
        if left > 0:
            shown.append(_piece({**piece, "text": piece["text"][:left]}))
        left -= len(piece["text"])
    if left < 0:
        shown.append(f'<span class="s1-note">[{-left:,} more characters are not shown]</span>')
    return "".join(shown)


def _piece(piece: Row) -> str:
    """Tokens of one origin; what the decoder forced is a `<mark>` that says so in words too."""
    if piece["origin"] == "forced":
        text = piece["text"].strip("\n")
        before, _, after = piece["text"].partition(text) if text else (piece["text"], "", "")
        return (
            f'{before}<mark class="s1-forced" title="forced by the decoder">'
            f'<span class="s1-aside">forced: </span><bdi>{visible(text)}</bdi></mark>{after}'
        )
    return f"<bdi>{_sampled(piece['text'])}</bdi>"


def _sampled(text: str) -> str:
    """Escaped text, a Wait of the model's own pointed out."""
    parts, end = [], 0
    for found in _WAIT.finditer(text):
        parts += [visible(text[end : found.start()]), '<em class="s1-own">Wait</em>']
        end = found.end()
    return "".join([*parts, visible(text[end:])])


def _facts(row: Row) -> str:
    facts = [
        f"{row['thinking_tokens']:,} thinking tokens",
        f"{row['waits_used']} forced Wait{'' if row['waits_used'] == 1 else 's'}",
        _ENDED[row["outcome"]],
    ]
    badge = ""
    if row["status"]:
        mark, word = _STATUS[row["status"]]
        badge = f'<strong class="s1-badge s1-{row["status"]}">{mark} {word}</strong> '
    return badge + " · ".join(facts)


def _verdict(status: str, extracted: str) -> str:
    mark, word = _STATUS[status]
    text, _ = shortened(first_line(extracted, 40), 40)
    return (
        f'{_isolated(text)} <span class="s1-{status}" role="img" aria-label="{word}">{mark}</span>'
    )


def _if_stopped(answer: Row) -> str:
    tokens = answer["thinking_tokens"]
    when = f"after {tokens:,} tokens" if tokens else "before it began"
    text, _ = shortened(answer["extracted"] or answer["answer"], 200)
    mark, word = _STATUS[answer["status"]]
    said = f"<q>{_isolated(text)}</q>, " if text.strip() else ""
    return f'Stopped {when}: {said}<span class="s1-{answer["status"]}">{mark} {word}</span>'


def _ruler(row: Row, steps: Sequence[Row], answers: Mapping[int, Row]) -> str:
    """The thinking as a line of tokens: steps to scale, Waits, and where stopping would do."""
    total = row["thinking_tokens"]
    if not total:
        return ""
    blocks = "".join(
        f'<i class="s1-block s1-{answers[s["end"]]["status"] if s["end"] in answers else "plain"}"'
        f' style="flex:{s["end"] - s["start"]} 0 0"></i>'
        for s in steps
    )
    waits = [s["start"] for s in steps if s["pieces"] and s["pieces"][0]["origin"] == "forced"]
    marks = "".join(f'<b style="left:{100 * at / total:.2f}%">▼</b>' for at in waits)
    label = f"{total} thinking tokens in {len(steps)} steps."
    if waits:
        label += f" Waits forced after {', '.join(map(str, waits))} tokens."
    right = [cut for cut in sorted(answers) if answers[cut]["status"] == "correct"]
    if answers:
        label += f" The answer would be right at {len(right)} of {len(answers)} places"
        label += f", the first after {right[0]} tokens." if right else "."
    scale = "".join(
        f'<span style="left:{100 * at / total:.2f}%">{at:,}</span>' for at in _ticks(total)
    )
    return (
        f'<div class="s1-ruler" role="img" aria-label="{label}"><div class="s1-waits">{marks}</div>'
        f'<div class="s1-blocks">{blocks}</div><div class="s1-scale">{scale}</div></div>'
    )


def _ticks(total: int) -> list[int]:
    """0, a few round numbers, and the end."""
    step = next(s * 10**p for p in range(9) for s in (10, 20, 50) if total <= s * 10**p * 5)
    return [*(at for at in range(0, total, step) if total - at > step / 2), total]


def _key(rows: Sequence[Row]) -> str:
    """What the marks mean."""
    entries = [
        '<mark class="s1-forced"><bdi>Wait</bdi></mark> forced by the decoder',
        '<em class="s1-own">Wait</em> the model\'s own',
    ]
    if any(row["answers"] for row in rows):
        entries += [
            '<i class="s1-block s1-correct"></i> stopped here, the answer is right',
            '<i class="s1-block s1-wrong"></i> it is wrong',
            '<i class="s1-block s1-no_answer"></i> there is none',
        ]
    return '<p class="s1-viewer-key">' + "".join(f"<span>{e}</span>" for e in entries) + "</p>"


def _bounded(steps: Sequence[Row]) -> Sequence[Row]:
    """At most `MOST_STEPS` steps: what comes after is one, so that a page stays a page."""
    if len(steps) <= MOST_STEPS:
        return steps
    rest = steps[MOST_STEPS - 1 :]
    pieces = [piece for step in rest for piece in step["pieces"]]
    return [*steps[: MOST_STEPS - 1], {**rest[0], "end": rest[-1]["end"], "pieces": pieces}]


def _isolated(text: str) -> str:
    """Escaped text whose direction cannot reach what stands beside it."""
    text, note = shortened(text, MOST_CHARACTERS)
    more = f' <span class="s1-note">[{note}]</span>' if note else ""
    return f"<bdi>{visible(text)}</bdi>{more}"
