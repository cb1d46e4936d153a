"""Countdown, checked exactly: each number of the question once, and its target (no `eval`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from s1core.errors import InputError

_QUESTION = re.compile(r"Use ((?:\d+ )+)to make (\d+)")


def read_question(question: str) -> tuple[tuple[int, ...], int]:
    """`"Use 3 7 8 to make 29" -> ((3, 7, 8), 29)`; a control prompt may follow it.

    Raises:
        InputError: the text holds no Countdown question.
    """
    match = _QUESTION.search(question)
    if match is None:
        raise InputError(
            f"not a Countdown question (expected 'Use 3 7 8 to make 29'): {question[:80]!r}"
        )
    return tuple(int(n) for n in match[1].split()), int(match[2])


_TOKEN = re.compile(r"\s*(\d{1,6}|[-+*/()])")
_LONGEST = 200


def check(question: str, expression: str) -> bool:
    """Whether `expression` uses each number of the question once and makes its target.

    Any arithmetic over + - * / and parentheses is understood, fractions on the way included,
    so an answer is not bound to the form that the teacher writes. Text after a newline or an
    equals sign is not part of the expression. Never raises on bad expressions: they are wrong.

    Raises:
        InputError: the question is not a Countdown question.
    """
    numbers, target = read_question(question)
    return worked_out(expression) == (target, tuple(sorted(numbers)))


@lru_cache(maxsize=4096)
def worked_out(expression: str) -> tuple[Fraction, tuple[int, ...]] | None:
    """What an expression comes to and the numbers it uses: `worked_out("( 3 * 7 ) + 8")` is 29
    with (3, 7, 8). None when it is no arithmetic, or too long to be an answer."""
    expression = expression.split("\n")[0].split("=")[0].strip()
    if not expression or len(expression) > _LONGEST:
        return None
    try:
        value, used = _evaluate(_tokens(expression))
    except (ValueError, ZeroDivisionError):
        return None
    return value, tuple(sorted(used))


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"unexpected {text[at]!r}")
        tokens.append(match[1])
        at = match.end()
    return tokens


def _evaluate(tokens: Sequence[str]) -> tuple[Fraction, list[int]]:
    """Recursive descent over sums of products; the value, and the numbers in order of use."""
    used: list[int] = []
    at = 0

    def peek() -> str:
        return tokens[at] if at < len(tokens) else ""

    def take() -> str:
        nonlocal at
        at += 1
        return tokens[at - 1]

    def factor() -> Fraction:
        if peek() == "(":
            take()
            value = total()
            if peek() != ")":
                raise ValueError("unbalanced parenthesis")
            take()
            return value
        if not peek().isdigit():
            raise ValueError("expected a number")
        used.append(int(take()))
        return Fraction(used[-1])

    def product() -> Fraction:
        value = factor()
        while peek() in ("*", "/"):
            value = value * factor() if take() == "*" else value / factor()
        return value

    def total() -> Fraction:
        value = product()
        while peek() in ("+", "-"):
            value = value + product() if take() == "+" else value - product()
        return value

    value = total()
    if at != len(tokens):
        raise ValueError("trailing text")
    return value, used
