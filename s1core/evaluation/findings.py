"""What an audit reports: one number or statement, as printed and as recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["agrees", "differs", "open"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One audited number or statement.

    `verdict`: the recomputation *agrees* with print, *differs*, or leaves the matter *open*.
    """

    topic: str
    printed: str
    recomputed: str
    how: str
    source: str
    verdict: Verdict


def verdict(same: bool) -> Verdict:
    """agrees or differs."""
    return "agrees" if same else "differs"
