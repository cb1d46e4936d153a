"""When an engine cannot start: its own reason, in a sentence.

An engine that runs in processes of its own says why it fails in their logs, forty lines above the
exception that reaches the caller. So what it writes while it starts is passed on and remembered.
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
_EMPTY = ("Engine core initialization failed", "See root cause", "Engine core proc")


@contextmanager
def reasoned(engine: str) -> Iterator[None]:
    """Turn whatever a start raises into one sentence with the engine's own reason.

    Raises:
        BackendError: the block failed; the message says why.
    """
    said: deque[str] = deque(maxlen=400)
    with _overheard(said):
        try:
            yield
        except S1Error:
            raise
        except Exception as error:  # engines raise whatever their libraries do
            raised = error
        else:
            return
    raise BackendError(f"{engine} does not start: {reason(raised, list(said))}") from raised


def reason(error: BaseException, said: list[str]) -> str:
    """The first cause that says something, of an exception's chain or else of what was written."""
    chain: list[str] = []
    at: BaseException | None = error
    while at is not None:
        chain.append(f"{type(at).__name__}: {at}")
        at = at.__cause__ or at.__context__
    written = [f"{m[1]}: {m[2]}" for line in said if (m := _REASON.search(line.rstrip()))]
    for text in (*reversed(chain), *written):
        line = " ".join(text.split())
        if not any(empty in line for empty in _EMPTY):
            return line[:400]
    return " ".join(str(error).split())[:400]


@contextmanager
def _overheard(said: deque[str]) -> Iterator[None]:
    """Remember what this process and its children write to standard error; it is still shown."""
    sys.stderr.flush()
    shown = os.dup(2)
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)

    def pass_on() -> None:
        with open(read, "rb", buffering=0) as pipe:
            rest = b""
            while chunk := pipe.read(1 << 16):
                os.write(shown, chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                said.extend(line.decode("utf-8", "replace") for line in lines)

    # Children keep the pipe for as long as they run, so the thread does too.
    listener = threading.Thread(target=pass_on, daemon=True)
    listener.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(shown, 2)
        listener.join(timeout=0.5)
