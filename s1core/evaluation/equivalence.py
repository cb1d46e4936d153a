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
    values = value(plain_gold), value(plain_answer)
    if None not in values:
        return Verdict(values[0] == values[1], "value")
    from s1core.evaluation.verifier import verify

    return verify(plain_gold, plain_answer)


def normalise(text: str) -> str:
    r"""One spelling for what LaTeX spells in many: `"$ \dfrac12 $." -> "\frac{1}{2}"`."""
    text = text.strip().strip("$").strip().rstrip(".").strip()
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
    return text.rstrip(".")


def value(text: str) -> Fraction | None:
    r"""Exact value of a normalised integer, decimal or simple fraction, else None."""
    text = re.sub(r"^[A-Za-z](?:\([a-z]\))?=", "", text).removeprefix("+")
    if match := _RATIONAL.fullmatch(text):
        sign, top, bottom, plain_top, plain_bottom = match.groups()
        top, bottom = int(top or plain_top), int(bottom or plain_bottom)
        return Fraction(-top if sign else top, bottom) if bottom else None
    return Fraction(text) if _DECIMAL.fullmatch(text) else None


def _full_frac(match: re.Match[str]) -> str:
    a, b, c, d, e, f = match.groups()
    top, bottom = (a, b) if a else (c, d) if c else (e, f)
    return rf"\frac{{{top}}}{{{bottom}}}"
