"""When an engine cannot start: its own reason, in a sentence.

One that runs in processes of its own says why in their logs, far above the exception that reaches
the caller. So what it writes while it starts is passed on and remembered.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from s1core.errors import BackendError, S1Error

_REASON = re.compile(r"(?:^|[\s.])([A-Z]\w*(?:Error|Exception):|Value error,) (\S.*)$")
_EMPTY = ("Engine core initialization failed", "See root cause", "Engine core proc", "server ended")
_EMPTY += ("validation error for",)  # pydantic's own reason is on its next line


def reason_in(lines: Iterable[str]) -> str:
    """The first error with something to say among an engine's lines, else its last word."""
    spoken = [text for line in list(lines) if (text := " ".join(line.split()))]
    found = (f"{m[1]} {m[2]}" for line in spoken if (m := _REASON.search(line)))
    told = (reason for reason in found if not any(empty in reason for empty in _EMPTY))
    return next(told, (spoken or [""])[-1])[:400]


@contextmanager
def reasoned(engine: str) -> Iterator[None]:
    """BackendError, one sentence with the engine's own reason, for whatever a start raises."""
    said: deque[str] = deque(maxlen=400)
    sys.stderr.flush()
    shown, (read, write) = os.dup(2), os.pipe()
    os.dup2(write, 2)
    os.close(write)

    def pass_on() -> None:
        rest = b""
        while chunk := os.read(read, 1 << 16):
            os.write(shown, chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            said.extend(line.decode("utf-8", "replace") for line in lines)

    # Children keep the pipe for as long as they run, so the thread does too.
    listener = threading.Thread(target=pass_on, daemon=True)
    listener.start()
    try:
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            listener.join(timeout=0.5)
    except S1Error:
        raise
    except Exception as error:  # engines raise whatever their libraries do
        causes, at = [f"{error}"], error
        while at is not None:
            causes.insert(0, f"{type(at).__name__}: {at}")
            at = at.__cause__ or at.__context__
        reason = reason_in([*causes[:-1], *said, causes[-1]])
        raise BackendError(f"{engine} does not start: {reason}") from error
