"""A results file as an attacker, or a model gone wrong, would write it."""

from __future__ import annotations

from typing import Any

SCRIPT = "<script>document.title='owned';alert(1)</script>"
HANDLER = "<img src=x onerror=\"document.title='owned';alert(2)\"><svg/onload=alert(3)>"
CLOSING = "</pre></details></script></figure><h1 id=owned>owned</h1>"
BIDI = "abc\u202egnp.exe\u2066\u200f"
CONTROLS = "\x1b[31mred\x07\x00\ud800\u2028end"
LONG = "x" * 100_000
HOSTILE = (SCRIPT, HANDLER, CLOSING, BIDI, CONTROLS, LONG, "&lt;b&gt;", "\\u003c/script")


def row(number: int, text: str) -> dict[str, Any]:
    """A row of the trace viewer in which everything that a model writes is `text`."""
    return {
        "problem_key": f"{number:016x}",
        "sample": 0,
        "question": text,
        "status": "wrong",
        "extracted": text,
        "outcome": "ended",
        "finish_reason": "stop",
        "waits_used": 1,
        "thinking_tokens": 9,
        "steps": [
            {
                "start": 0,
                "end": 4,
                "pieces": [{"text": f"{text}\n", "origin": "sampled", "tokens": 4}],
            },
            {
                "start": 4,
                "end": 9,
                "pieces": [
                    {"text": text, "origin": "forced", "tokens": 1},
                    {"text": f" Wait {text}", "origin": "sampled", "tokens": 4},
                ],
            },
        ],
        "answer": [
            {"text": "\nFinal Answer:", "origin": "forced", "tokens": 3},
            {"text": text, "origin": "sampled", "tokens": 5},
        ],
        "answers": [
            {"thinking_tokens": cut, "answer": text, "status": status, "extracted": text}
            for cut, status in ((0, "no_answer"), (4, "correct"), (9, "wrong"))
        ],
    }


ROWS = [row(number, text) for number, text in enumerate(HOSTILE)]


def paths(value: object, here: tuple = ()) -> list[tuple]:
    """Where every single value of a row is."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        place
        for key, one in inside
        for place in (paths(one, (*here, key)) if isinstance(one, (dict, list)) else [(*here, key)])
    ]
