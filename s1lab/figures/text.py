"""Model output as text on a page and nothing else.

Everything is escaped. Characters that have no shape of their own, or that move others about
(controls, terminal escapes, right-to-left overrides, lone surrogates), are shown by their code
point. What is too long is cut, and the cut is announced.
"""

from __future__ import annotations

import html
import unicodedata


def visible(text: str) -> str:
    """Text as HTML, code points in place of what cannot be seen: `a<b` -> `a&lt;b`."""
    return "".join(
        html.escape(c) if _has_a_shape(c) else _code_point(c) for c in text.replace("\r\n", "\n")
    )


def shortened(text: str, most: int) -> tuple[str, str]:
    """The first `most` characters, and a note that says how many follow ("" for none)."""
    if len(text) <= most:
        return text, ""
    return text[:most], f"{len(text) - most:,} more characters are not shown"


def first_line(text: str, most: int = 90) -> str:
    """The first line that holds anything, cut with an ellipsis."""
    line = next((line for line in text.split("\n", 20) if line.strip()), "").strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _has_a_shape(character: str) -> bool:
    return character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"


def _code_point(character: str) -> str:
    name = html.escape(unicodedata.name(character, "control character").lower())
    return f'<span class="s1-code-point" title="{name}">U+{ord(character):04X}</span>'
