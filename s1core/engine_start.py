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
from collections.abc import Iterator
from contextlib import contextmanager

from s1core.errors import BackendError, S1Error

_REASON = re.compile(r"(?:^|[\s.])([A-Z]\w*(?:Error|Exception)): (\S.*)$")
_EMPTY = ("Engine core initialization failed", "See root cause", "Engine core proc", "server ended")


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
        found = [match for line in list(said) if (match := _REASON.search(line.rstrip()))]
        causes[-1:-1] = [f"{match[1]}: {match[2]}" for match in found]
        told = [" ".join(cause.split())[:400] for cause in causes]
        reason = next((c for c in told if not any(empty in c for empty in _EMPTY)), told[-1])
        raise BackendError(f"{engine} does not start: {reason}") from error
