"""A results file as an attacker, or a model gone wrong, would write it."""

import json
from pathlib import Path
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
    shape = (Path(__file__).parent / "data/hostile_row.json").read_text(encoding="utf-8")
    said = shape.replace("<TEXT>", json.dumps(text)[1:-1])
    return {"problem_key": f"{number:016x}", **json.loads(said)}


ROWS = [row(number, text) for number, text in enumerate(HOSTILE)]


def paths(value: object, here: tuple = ()) -> list[tuple]:
    """Where every single value of a row is."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        place
        for key, one in inside
        for place in (paths(one, (*here, key)) if isinstance(one, (dict, list)) else [(*here, key)])
    ]
