"""The errors whose message is written for the user. Any other is a fault of this package."""

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any


class S1Error(Exception):
    """The base of them all: `except S1Error` catches whatever this project refuses."""


class InputError(S1Error, ValueError):
    """Data, settings or a model that cannot be used as asked. Raised before work starts."""


class BackendError(S1Error, RuntimeError):
    """An engine or a server that cannot start, cannot be reached, or failed."""


class RunError(S1Error, RuntimeError):
    """A run that cannot be opened, read, made or finished."""


def check_number(name: str, value: Any, least: float, most: float, whole: bool = True) -> None:
    """Refuse a setting that is no finite number in [least, most], or not a whole one. InputError:
    it is not; the message has the setting's name, its range and the value."""
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
        wanted = "a whole number" if whole else "a number"
        huge = isinstance(value, int) and abs(value) > most
        shown = "one out of it" if huge else f"{value!r:.40}"
        raise InputError(f"{name} must be {wanted} from {least} to {most}, not {shown}")


def utf8(text: str) -> bytes:
    """The text in UTF-8; InputError where it holds half a character (a lone surrogate)."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{text[:40]!r} is not Unicode text (a lone surrogate)") from error


def in_a_line(error: BaseException) -> str:
    """`KeyError: ...`: an error of a library; that of one process where many fail."""
    if failures := getattr(error, "failures", None):
        error = next(iter(failures.values()))[0]
    name = type(error).__name__
    return f"{name}: {' '.join(str(error).split())[:240] or name}"


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Whatever a library raises inside is one `InputError`: `what`, then the library's reason."""
    try:
        yield
    except S1Error:
        raise
    except Exception as error:  # libraries raise dozens of unrelated types
        raise InputError(f"{what}: {in_a_line(error)}") from error


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
