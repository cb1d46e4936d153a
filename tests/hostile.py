"""A results file as an attacker, or a model gone wrong, would write it."""

import json
from html.parser import HTMLParser
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


class Page(HTMLParser):
    """Everything a browser would see: elements, attributes, text; elements must be closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")], "an attribute is a script"
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag, "elements are closed in the order they were opened"

    def handle_data(self, data) -> None:
        self.text += data

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def having(self, name: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.elements if name in (a.get("class") or "").split()]
