"""The errors whose message is written for the user: what was wrong, where, and what to do.

Anything else that reaches the command line is a fault of this package, and shows its traceback.
"""

from __future__ import annotations


class S1Error(Exception):
    """The base of them all: `except S1Error` catches whatever this project refuses."""


class InputError(S1Error, ValueError):
    """Data, settings or a model that cannot be used as asked. Raised before work starts."""


class BackendError(S1Error, RuntimeError):
    """An engine or a server that cannot start, cannot be reached, or failed."""


class RunError(S1Error, RuntimeError):
    """A run that cannot be opened, read, made or finished."""
