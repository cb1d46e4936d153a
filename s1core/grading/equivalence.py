r"""Whether two answers are the same: cheap sure tests first, then math-verify under guard.

Almost every answer is settled by its normalised text or its exact rational value. What is left
goes to math-verify in a separate process (`verifier.py`), which the kernel stops at the time limit
and which cannot take more than its share of memory. No text is ever evaluated as code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_COMPARED = 400
"""Longest text (characters) that math-verify is asked about; longer ones are not final answers."""
MAX_PARTS = 16
"""Longest list that is compared part by part."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Same or not, and which test said so."""

    same: bool
    how: str


_SPACES = re.compile(r"\\[!,;:> ]|\\q?quad\b|~|\s+")
_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|textit|operatorname)\s*\{([^{}]*)\}")
_UNIT = re.compile(r"(?<=[\d}])\\(?:text|mathrm|mbox)\{[^{}]*\}(?:\^\{?\d\}?)?$")
_SHORT_FRAC = re.compile(r"\\frac(?:(\d)(\d)|(\d)\{([^{}]*)\}|\{([^{}]*)\}(\d))")
_RATIONAL = re.compile(r"(-?)\\frac\{(-?\d{1,40})\}\{(-?\d{1,40})\}|(-?\d{1,40})/(\d{1,40})")
_DECIMAL = re.compile(r"-?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})")
_SLASH = re.compile(r"(?<![\w}.])(\d+)/(\d+)(?![\w.{])")
_NUMERAL = re.compile(r"(-?[0-9A-Za-z]{1,60})(?:_(\d{1,2}))?")
_SUBSCRIPT = re.compile(r"_\{(\w+)\}")
_MATRIX = re.compile(r"\\begin\{([bpvBV]?matrix)\}(.*)\\end\{\1\}", re.S)
_THOUSANDS = re.compile(r"(?<![\d.,])-?\d{1,3}(?:,\d{3})+(?![\d,])")


def equivalent(gold: str, answer: str) -> Verdict:
    r"""Compare two answers: `equivalent("\\frac{1}{2}", "0.5") -> Verdict(True, "value")`.

    Tests, in order: text as it stands, normalised text, exact rational value, math-verify.
    Two rational values that differ are different without asking further.
    """
    gold, answer = gold.strip(), answer.strip()
    if gold == answer:
        return Verdict(True, "text")
    if len(answer) > MAX_COMPARED or len(gold) > 4 * MAX_COMPARED:
        return Verdict(False, "too long to compare")
    plain_gold, plain_answer = normalise(gold), normalise(answer)
    if plain_gold == plain_answer:
        return Verdict(True, "normalised text")
    if based := _same_numeral(plain_gold, plain_answer):
        return based
    values = value(plain_gold), value(plain_answer)
    if None not in values:
        return Verdict(values[0] == values[1], "value")
    lists = _items(plain_gold), _items(plain_answer)
    if lists[0] and lists[1]:
        return _same_lists(*lists)
    from s1core.grading.verifier import verify

    return verify(plain_gold, plain_answer)


def normalise(text: str) -> str:
    r"""One spelling for what LaTeX spells in many: `"$ \dfrac12 $." -> "\frac{1}{2}"`."""
    text = text.strip().rstrip(".").strip().strip("$").strip().rstrip(".").strip()
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]"), ("**", "**")):
        if text.startswith(opening) and text.endswith(closing):
            text = text[len(opening) : len(text) - len(closing)]
    text = text.replace(r"\$", "").replace(r"\%", "").replace("%", "").replace("−", "-")
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)|\\degree\b|°", "", text)
    text = re.sub(r"\\(?:left|right|displaystyle|limits)\b\s*", "", text)
    text = re.sub(r"\\[dtc]frac\b", r"\\frac", text)
    text = _UNIT.sub("", _SPACES.sub(" ", text).strip().replace(" ", ""))
    text = _WRAPPED.sub(r"\1", text)
    text = _SHORT_FRAC.sub(_full_frac, text)
    text = re.sub(r"\\sqrt(\w)", r"\\sqrt{\1}", text)
    text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text.replace("{,}", ","))
    text = _SLASH.sub(r"\\frac{\1}{\2}", _SUBSCRIPT.sub(r"_\1", text))
    return text.rstrip(".")


def value(text: str) -> Fraction | None:
    r"""Exact value of a normalised integer, decimal or simple fraction, else None."""
    text = re.sub(r"^[A-Za-z](?:\([a-z]\))?=", "", text).removeprefix("+")
    if match := _RATIONAL.fullmatch(text):
        sign, top, bottom, plain_top, plain_bottom = match.groups()
        top, bottom = int(top or plain_top), int(bottom or plain_bottom)
        return Fraction(-top if sign else top, bottom) if bottom else None
    return Fraction(text) if _DECIMAL.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class _List:
    """A comma list, tuple, interval, set or matrix: its frame and its parts."""

    frame: str
    parts: tuple[str, ...]

    @property
    def ordered(self) -> bool:
        return self.frame not in ("", "{}")


def _items(text: str) -> _List | None:
    r"""Take a list apart: `"(1,\frac{2}{3}]" -> _List("(]", ("1", "\frac{2}{3}"))`."""
    if matrix := _MATRIX.fullmatch(text):
        rows = [row.split("&") for row in matrix.group(2).removesuffix(r"\\").split(r"\\")]
        shape = "x".join(str(len(row)) for row in rows)
        return _List(f"matrix {shape}", tuple(part for row in rows for part in row))
    for opening, closing in ((r"\{", r"\}"), ("(", ")"), ("(", "]"), ("[", ")"), ("[", "]")):
        if text.startswith(opening) and text.endswith(closing):
            inside = text[len(opening) : len(text) - len(closing)]
            parts = _split_commas(inside)
            if parts and len(parts) > 1:
                return _List((opening + closing).replace("\\", ""), parts)
    parts = _split_commas(text)
    return _List("", parts) if parts and len(parts) > 1 else None


def _split_commas(text: str) -> tuple[str, ...] | None:
    """Parts between the commas outside all brackets; None when the brackets do not match."""
    depth, parts, start = 0, [], 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return None
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return tuple(parts) if depth == 0 and all(parts) else None


def _same_lists(gold: _List, answer: _List) -> Verdict:
    """Part by part; a plain list and a set have no order, so each part looks for its twin."""
    same_frame = gold.frame == answer.frame or not (gold.ordered or answer.ordered)
    if not same_frame or len(gold.parts) != len(answer.parts) or len(gold.parts) > MAX_PARTS:
        return Verdict(False, "parts: another shape")
    if gold.ordered:
        pairs = zip(gold.parts, answer.parts, strict=True)
        same = all(equivalent(left, right).same for left, right in pairs)
        return Verdict(same, "part by part")
    left_over = list(answer.parts)
    for part in gold.parts:
        twin = next((other for other in left_over if equivalent(part, other).same), None)
        if twin is None:
            return Verdict(False, "parts in any order")
        left_over.remove(twin)
    return Verdict(True, "parts in any order")


def _same_numeral(gold: str, answer: str) -> Verdict | None:
    """Numerals with a base (`4210_5`), which math-verify compares without it; else None.

    A base that is left out is taken from the other side: the question names it.
    """
    left, right = _NUMERAL.fullmatch(gold), _NUMERAL.fullmatch(answer)
    if not left or not right or not (left.group(2) or right.group(2)):
        return None
    if left.group(2) and right.group(2):
        try:
            return Verdict(int(*_based(left)) == int(*_based(right)), "numeral in its base")
        except ValueError:
            return Verdict(False, "not a numeral of its base")
    return Verdict(left.group(1).upper() == right.group(1).upper(), "numeral, base left out")


def _based(match: re.Match[str]) -> tuple[str, int]:
    return match.group(1), int(match.group(2))


def _full_frac(match: re.Match[str]) -> str:
    a, b, c, d, e, f = match.groups()
    top, bottom = (a, b) if a else (c, d) if c else (e, f)
    return rf"\frac{{{top}}}{{{bottom}}}"
