"""The errors whose message is written for the user: what was wrong, where, and what to do.

Anything else that reaches the command line is a fault of this package, and shows its traceback.
"""

from __future__ import annotations

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
    """Refuse a setting that is no finite number in [least, most], or not a whole one.

    Raises:
        InputError: it is not; the message has the setting's name, its range and the value.
    """
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
        wanted = "a whole number" if whole else "a number"
        shown = (
            "one out of it" if isinstance(value, int) and abs(value) > most else f"{value!r:.40}"
        )
        raise InputError(f"{name} must be {wanted} from {least} to {most}, not {shown}")
