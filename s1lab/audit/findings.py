"""What an audit reports: one number or statement, as printed and as recomputed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from s1lab.evaluation.report import Table

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


def findings_table(findings: Iterable[Finding]) -> Table:
    """Findings as a table: what is printed, what comes out, how, and the verdict."""
    rows = ((f.topic, f.printed, f.recomputed, f.how, f.verdict) for f in findings)
    return Table(("what", "printed", "comes out", "how", "verdict"), tuple(rows))
