"""The server side of `verifier.py`, run as a script: one JSON line in, one JSON line out.

Request: `[gold, answer, bounds]`; reply: `[same, how]`, same null when they cannot be compared.
Plain expressions are compared by their values, at points when they have variables: right for tiny
numbers too, unlike math-verify's own comparison, to which relations and sets are left.
"""

import json
import os
import re
import resource
import signal
import sys
from typing import Any

import math_verify
import sympy
import sympy.parsing.sympy_parser
import sympy.physics.units  # simplify imports it, and it names its units as text
from latex2sympy2_extended import NormalizationConfig, latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig

HOW = "math-verify"
WALL_PER_CPU = 10.0
ALARMS = (signal.SIGPROF, signal.SIGALRM)
PLAIN = NormalizationConfig(boxed="none")
KEEP_CASE = ConversionConfig(lowercase_symbols=False)
POINTS = tuple(
    zip((3, 11, 17, 19, 29, 31, 2, 5), (7, 13, 5, 23, 8, 6, 1, 1), (0, 0, 0, 1, 2, 3, 0, 0))
)
refused: list[str] = []


def serve(time_limit: float, memory_limit: int) -> None:
    """Say that it is ready, then answer requests until the input ends, by a forked worker. One that
    its alarm ended is forked again (10 ms); one that died otherwise ends the server."""
    for gold, answer in ((r"\frac{x^2-1}{x-1}", "x+1"), (r"\int_0^1 x^2 dx", "1"), ("x=1", "2x=2")):
        compare(gold, answer, None)  # so that workers start warm
    sympy.parsing.sympy_parser.parse_expr = read_atom
    print("ready", flush=True)
    while worker := os.fork():
        _, status = os.waitpid(worker, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) not in ALARMS:
            return
        print(json.dumps([None, f"stopped after {time_limit:g} s of CPU"]), flush=True)
    limit_worker(memory_limit)
    while request := sys.stdin.readline():
        print(json.dumps(work(request, time_limit)), flush=True)


def limit_worker(memory_limit: int) -> None:
    """Put this process behind the wall."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(refuse)


def work(line: str, time_limit: float) -> tuple[bool | None, str]:
    """One request, under alarms that the kernel delivers even inside C code."""
    signal.setitimer(signal.ITIMER_PROF, time_limit)
    signal.setitimer(signal.ITIMER_REAL, WALL_PER_CPU * time_limit)  # should it wait for something
    refused.clear()
    try:
        same, how = compare(*json.loads(line))
    except Exception as error:  # a memory limit or a depth of recursion among them
        same, how = None, f"{HOW}: {type(error).__name__}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return (None, f"{HOW} needed {refused[0]}") if refused and not same else (same, how)


def compare(gold: str, answer: str, bounds: list[str] | None) -> tuple[bool | None, str]:
    """Whether two LaTeX texts are the same, or the gold one's value lies within `bounds`."""
    trees = []
    for name, text in (("gold", gold), ("answer", answer)):
        try:
            trees.append(read(text))
        except (MemoryError, RecursionError):
            raise
        except Exception:
            return (None if name == "gold" else False), f"{HOW}: {name} not understood"
    left, right = trees
    if bounds:
        size = number(left)
        known = size is not None and size.is_real
        within = known and sympy.Rational(bounds[0]) <= size < sympy.Rational(bounds[1])
        return bool(within), f"{HOW}, to the digits given"
    same = same_trees(left, right)
    return same, HOW if same is not None else f"{HOW}: undecided"


def read(text: str) -> Any:
    """LaTeX as a sympy tree: exact decimals, upper and lower case apart, i the imaginary unit."""
    tree = latex2sympy(text, normalization_config=PLAIN, conversion_config=KEEP_CASE)
    if isinstance(tree, (list, tuple)) or tree is None:
        raise ValueError("not one expression")
    return tree.xreplace({s: sympy.I for s in tree.free_symbols if s.name == "i"})


def same_trees(left: Any, right: Any) -> bool | None:
    """None when neither values nor algebra decide."""
    if isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr):
        return same_values(left, right)
    if isinstance(left, sympy.MatrixBase) and isinstance(right, sympy.MatrixBase):
        if left.shape != right.shape:
            return False
        parts = [same_values(a, b) for a, b in zip(left.flat(), right.flat(), strict=True)]
        return None if None in parts and False not in parts else all(parts)
    if isinstance(left, sympy.Eq) and isinstance(right, sympy.Eq):
        ratio = (left.lhs - left.rhs) / (right.lhs - right.rhs)
        if ratio.free_symbols and same_values(ratio, ratio.subs(point(ratio, *POINTS[0]))):
            return True
    settings = {"timeout_seconds": None, "raise_on_error": True, "float_rounding": 12}
    return math_verify.verify([left], [right], allow_set_relation_comp=True, **settings)


def same_values(left: Any, right: Any) -> bool | None:
    """Equal at every point where both have a value, and different where one differs."""
    if left == right:
        return True
    left, right = left.doit(), right.doit()  # a sum to n is no sum at n = 3/7
    agreed = 0
    for place in POINTS:
        at = point(left + right, *place)
        a, b = number(left.subs(at)), number(right.subs(at))
        if a is None or b is None:
            continue
        gap = number(a - b)
        if gap is not None and abs(gap) <= sympy.Float("1e-18") * max(abs(a), abs(b)):
            agreed += 1
        elif not at or a.is_real and b.is_real or left.has(sympy.I) or right.has(sympy.I):
            return False
        if not at:
            break
    enough = agreed > 1 or agreed and not at
    return True if enough or sympy.simplify(left - right) == 0 else None


def point(tree: Any, top: int, bottom: int, signs: int) -> dict[Any, Any]:
    """Numbers for the variables of a tree, no two alike; bits of `signs` make them negative."""
    names = sorted(tree.free_symbols, key=str)
    return {
        name: sympy.Rational(top + 2 * k, bottom) * (-1 if signs >> (k % 2) & 1 else 1)
        for k, name in enumerate(names)
    }


def number(tree: Any) -> Any:
    """A tree without variables as a number of 30 digits; None when it has no finite value."""
    try:
        real, imaginary = tree.doit().evalf(30).as_real_imag()
    except (ArithmeticError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    if not (real.is_Number and imaginary.is_Number and real.is_finite and imaginary.is_finite):
        return None
    # One bit of precision: a zero that evaluation could not prove.
    real, imaginary = (0 if getattr(x, "_prec", 99) == 1 else x for x in (real, imaginary))
    return sympy.sympify(real) + sympy.I * imaginary


def read_atom(text: str, *_: Any, **__: Any) -> Any:
    """Stands in for sympy's `parse_expr`, which runs what it reads: numerals and names only."""
    if re.fullmatch(r"[A-Za-z]\w{0,40}", text):
        known = getattr(sympy, text, None)
        return known if isinstance(known, sympy.Basic) else sympy.Symbol(text)
    if re.fullmatch(r"[+-]?(?:\d{1,4000}\.?\d{0,4000}|\.\d{1,4000})(?:e[+-]?\d{1,4})?", text, re.A):
        return sympy.Rational(text)
    raise sympy.SympifyError(f"{text[:40]!r} is not a numeral or a name")


HARMLESS = ("os.listdir", "os.scandir")
FORBIDDEN = ("os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pty.", "urllib.")
GENERATORS = ("sympy/polys/monomials.py", "collections/__init__.py", "dataclasses.py")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook of the workers: no text is run as code, and nothing leaves the process. sympy's
    polynomials generate loops over a number of variables; those three files may."""
    bad = event.startswith(FORBIDDEN) and event not in HARMLESS
    if event == "compile" and not str(arguments[1]).startswith(("<frozen", "/")):
        bad = not sys._getframe(1).f_code.co_filename.endswith(GENERATORS)
    if event == "open" and len(arguments) > 2:
        bad = bool((arguments[2] or 0) & WRITING)
    if bad:
        refused.append(event)
        raise PermissionError(f"{event} is not allowed while grading")


if __name__ == "__main__":
    serve(float(sys.argv[1]), int(sys.argv[2]))
