"""A generation as HTML: what the model sampled, what the decoder forced, and what came of it.

Model output is text on a page and nothing else: everything is escaped, control and direction
characters are made visible. Colours are the page's own, so it reads in light and dark.
"""

from __future__ import annotations

import html
from typing import Any

from s1core.records import Generation, Grade, Problem


def trace_html(
    generation: Generation, tokenizer: Any, problem: Problem, verdict: Grade | None = None
) -> str:
    """One generation, tokens marked by origin and phase, as a self-contained block of HTML.

    Forced tokens are `<mark>`s; every piece carries its count of tokens as a tooltip.
    """
    parts = []
    for phase, title in (("thinking", "Thinking"), ("answer", "Answer")):
        pieces = [s for s in generation.segments if s.phase == phase]
        body = "".join(_piece(tokenizer.decode(list(s.token_ids)), s) for s in pieces)
        count = sum(len(s.token_ids) for s in pieces)
        parts.append(f'<p class="s1-trace-phase">{title}, {count} tokens</p><pre>{body}</pre>')
    facts = [
        f"thinking {generation.outcome}",
        f"{generation.waits_used} Waits",
        *([f"{verdict.status}: {printable(verdict.extracted)}"] if verdict else []),
    ]
    return (
        f'<div class="s1-trace" role="group" aria-label="A generated trace">'
        f'<p class="s1-trace-question">{html.escape(printable(problem.question))}</p>'
        f"{''.join(parts)}"
        f'<p class="s1-trace-facts">{html.escape("; ".join(facts))}</p></div>'
    )


def printable(text: str) -> str:
    """Text with every control or formatting character replaced, line breaks and tabs kept.

    A right-to-left override or a terminal escape in a model's output must not move anything.
    """
    shown = (c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join(shown)


def _piece(text: str, segment: Any) -> str:
    shown = html.escape(printable(text))
    tip = f"{segment.origin}, {len(segment.token_ids)} tokens"
    if segment.origin == "forced":
        return f'<mark title="{tip}">{shown}</mark> '
    return f'<span title="{tip}">{shown}</span>'
