"""What grading recognises, from `patterns.yaml`: read once, when the first answer is graded."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str | None = None) -> Any:
    """A table of `patterns.yaml`; all of them without a name."""
    if name is not None:
        return table()[name]
    import yaml

    text = files("s1core.grading").joinpath("patterns.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


@cache
def pattern(name: str, letters: str = "") -> re.Pattern[str]:
    """The pattern of a name; `@` in one stands for `letters`."""
    text = table(name)
    while "(?&" in text:
        text = re.sub(r"\(\?&(\w+)\)", lambda found: f"(?:{table(found[1])})", text)
    return re.compile(text.replace("@", letters) if letters else text)


def rewritten(text: str, rules: str) -> str:
    """`text` after each replacement of a list of `patterns.yaml`, in order."""
    for found, replacement in table(rules):
        text = re.sub(found, replacement, text)
    return text
