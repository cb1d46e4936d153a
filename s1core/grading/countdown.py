"""Countdown, checked exactly: each number of the question once, and its target (no `eval`)."""

import ast
import re
from fractions import Fraction
from functools import lru_cache
from operator import add, mul, sub, truediv

from s1core.errors import InputError

_QUESTION = re.compile(r"Use ((?:\d+ )+)to make (\d+)")


def read_question(question: str) -> tuple[tuple[int, ...], int]:
    """`"Use 3 7 8 to make 29" -> ((3, 7, 8), 29)`, whatever follows; InputError where none is."""
    match = _QUESTION.search(question)
    if match is None:
        raise InputError(f"not a Countdown question like 'Use 3 7 8 to make 29': {question[:80]!r}")
    return tuple(int(n) for n in match[1].split()), int(match[2])


_ARITHMETIC = re.compile(r"[\d\s+\-*/()]{1,200}")
_TOO_LONG = re.compile(r"\d{7}|\*\s*\*|/\s*/")
_DO = dict(zip((ast.Add, ast.Sub, ast.Mult, ast.Div), (add, sub, mul, truediv)))


def check(question: str, expression: str) -> bool:
    """Whether `expression` (see `worked_out`) uses each number of the question once and makes its
    target. What is no expression is wrong. InputError: the question is none of Countdown."""
    numbers, target = read_question(question)
    return worked_out(expression) == (target, tuple(sorted(numbers)))


@lru_cache(maxsize=4096)
def worked_out(expression: str) -> tuple[Fraction, tuple[int, ...]] | None:
    """What an expression over + - * / comes to, exactly, and the numbers it uses, up to a newline
    or an equals sign: `worked_out("( 3 * 7 ) + 8")` is 29 with (3, 7, 8). None: no arithmetic."""
    expression = expression.split("\n")[0].split("=")[0].strip()
    if not _ARITHMETIC.fullmatch(expression) or _TOO_LONG.search(expression):
        return None
    text = re.sub(r"\d+", lambda number: str(int(number[0])), " ".join(expression.split()))
    used: list[int] = []
    try:
        return _value(ast.parse(text, mode="eval").body, used), tuple(sorted(used))
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def _value(node: ast.expr, used: list[int]) -> Fraction:
    """What a parsed expression comes to (nothing is run); its numbers are added to `used`."""
    if isinstance(node, ast.Constant):
        used.append(node.value)
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _DO:
        return _DO[type(node.op)](_value(node.left, used), _value(node.right, used))
    raise ValueError("a sign or a call is no arithmetic on the given numbers")
