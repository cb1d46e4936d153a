"""The server side of `verifier.py`, run as a script: one JSON line in, one JSON line out.

It knows math-verify and nothing of s1core. Request: `[gold, answer]`; reply: `[same, how]`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
import sys
from typing import Any

HOW = "math-verify"
WALL_PER_CPU = 10.0


def serve(time_limit: float, memory_limit: int) -> None:
    """Answer requests until the input ends, forking a new worker whenever one has died."""
    import math_verify  # noqa: F401  imported before the fork, so that workers start warm

    warm_up()
    worker = None
    while request := sys.stdin.readline():
        worker = worker or Worker(time_limit, memory_limit)
        reply = worker.ask(request)
        if reply is None:
            reply = json.dumps([False, f"{HOW}: {worker.buried()}"]) + "\n"
            worker = None
        sys.stdout.write(reply)
        sys.stdout.flush()
    if worker:
        worker.buried()


class Worker:
    """One forked process and the pipes to it."""

    def __init__(self, time_limit: float, memory_limit: int) -> None:
        self.time_limit = time_limit
        requests_out, requests_in = os.pipe()
        replies_out, replies_in = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(requests_in)
            os.close(replies_out)
            try:
                work(requests_out, replies_in, time_limit, memory_limit)
            finally:
                os._exit(1)
        os.close(requests_out)
        os.close(replies_in)
        self.requests, self.replies = requests_in, replies_out

    def ask(self, request: str) -> str | None:
        """The worker's reply, or None when it died or outlived its time limit."""
        try:
            os.write(self.requests, request.encode())
        except BrokenPipeError:
            return None
        # The worker's own alarm comes first, unless it waits without computing.
        ready, _, _ = select.select([self.replies], [], [], WALL_PER_CPU * self.time_limit)
        reply = os.read(self.replies, 65_536).decode() if ready else ""
        return reply or None

    def buried(self) -> str:
        """Make sure that the worker is gone; say what ended it."""
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.requests)
        os.close(self.replies)
        alarm = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGKILL)
        return f"stopped after {self.time_limit:g} s of CPU" if alarm else "worker died"


def work(requests: int, replies: int, time_limit: float, memory_limit: int) -> None:
    """Answer requests in this process under its limits, until the pipe closes."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    sys.addaudithook(refuse)
    with os.fdopen(requests, encoding="utf-8") as lines:
        for line in lines:
            gold, answer = json.loads(line)
            signal.setitimer(signal.ITIMER_PROF, time_limit)
            verdict = compare(gold, answer)
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.write(replies, (json.dumps(verdict) + "\n").encode())


def compare(gold: str, answer: str) -> tuple[bool, str]:
    """One comparison; an answer that cannot be read is a wrong answer, and says why."""
    try:
        parsed_gold, parsed_answer = parsed(gold), parsed(answer)
        if not parsed_gold or not parsed_answer:
            return False, f"{HOW}: {'gold' if not parsed_gold else 'answer'} not understood"
        from math_verify import verify

        same = verify(parsed_gold, parsed_answer, timeout_seconds=None, raise_on_error=True)
        return bool(same), HOW
    except MemoryError:
        return False, f"{HOW}: out of memory"
    except Exception as error:
        return False, f"{HOW}: {type(error).__name__}"


def parsed(text: str) -> list[Any]:
    """LaTeX only: math-verify's reader of plain expressions would pass text to Python's eval."""
    from math_verify import LatexExtractionConfig, parse

    config = LatexExtractionConfig(boxed_match_priority=0)
    return parse(
        rf"\boxed{{{text}}}",
        extraction_config=[config],
        parsing_timeout=None,
        raise_on_error=True,
    )


def read_atom(text: str, *_: Any, **__: Any) -> Any:
    """Stands in for sympy's `parse_expr`, which runs what it reads: numerals and names only."""
    import sympy

    if re.fullmatch(r"[A-Za-z]\w{0,40}", text):
        known = getattr(sympy, text, None)
        return known if isinstance(known, sympy.Basic) else sympy.Symbol(text)

    if re.fullmatch(r"[+-]?\d{1,4000}", text):
        return sympy.Integer(int(text))
    if re.fullmatch(r"[+-]?(?:\d{1,4000}\.\d{0,4000}|\.\d{1,4000})(?:e[+-]?\d{1,4})?", text):
        return sympy.Float(text)
    raise sympy.SympifyError(f"{text[:40]!r} is not a numeral or a name")


def warm_up() -> None:
    """Close sympy's way from text to code, and touch what it imports late."""
    import sympy.parsing.sympy_parser
    import sympy.physics.units  # simplify imports it, and it names its units as text

    sympy.parsing.sympy_parser.parse_expr = read_atom
    for gold, answer in (("1/2", "0.5"), (r"\sqrt{8}", r"2\sqrt{2}"), ("(x+1)^2", "x^2")):
        compare(gold, answer)


FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.",
    "socket.",
    "ctypes.",
)


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook of the workers: no text is run as code, and nothing leaves the process."""
    if event.startswith(FORBIDDEN):
        raise PermissionError(f"{event} is not allowed while grading")
    if event == "compile" and not str(arguments[1]).startswith(("<lambdify", "<frozen", "/")):
        raise PermissionError("text is not run as code while grading")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise PermissionError("no file is written while grading")


if __name__ == "__main__":
    serve(float(sys.argv[1]), int(sys.argv[2]))
