"""What a check found, in one line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a preflight.

    Attributes:
        level: "problem" stops a run sooner or later, "warning" does not.
        about: what was looked at.
        text: what was found.
        fix: what to change; "" where nothing needs to be.
        optional: a run can go on without it.
    """

    level: Literal["ok", "warning", "problem"]
    about: str
    text: str
    fix: str = ""
    optional: bool = False

    @classmethod
    def fine(cls, about: str, text: str) -> Finding:
        return cls("ok", about, text)

    @classmethod
    def warning(cls, about: str, text: str, fix: str = "") -> Finding:
        return cls("warning", about, text, fix)

    @classmethod
    def problem(cls, about: str, text: str, fix: str, optional: bool = False) -> Finding:
        return cls("problem", about, text, fix, optional)

    def softened(self) -> Finding:
        """A problem that a run can go on with, as a warning."""
        return replace(self, level="warning") if self.level == "problem" else self

    def __str__(self) -> str:
        mark = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}[self.level]
        return f"{mark}  {self.about}: {self.text}"
