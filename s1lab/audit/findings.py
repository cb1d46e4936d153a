"""What an audit reports: one number or statement, as printed and as recomputed.

The words of a finding are data (`findings.json`), its numbers are put in by who recomputes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from s1lab.evaluation.report import Table


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One audited number or statement.

    `verdict`: the recomputation *agrees* with print, *differs*, or leaves the matter *open*.
    """

    topic: str
    printed: str
    recomputed: str
    how: str
    source: str
    verdict: Literal["agrees", "differs", "open"]


def finding(kind: str, same: bool | None, **values: Any) -> AuditFinding:
    """A finding of `findings.json` with its numbers; `same` is None where the matter is open."""
    words = {name: text.format(**values) for name, text in _words()[kind].items()}
    return AuditFinding(
        **words, verdict="open" if same is None else "agrees" if same else "differs"
    )


def findings_table(findings: Iterable[AuditFinding]) -> Table:
    """Findings as a table: what is printed, what comes out, how, and the verdict."""
    rows = ((f.topic, f.printed, f.recomputed, f.how, f.verdict) for f in findings)
    return Table(("what", "printed", "comes out", "how", "verdict"), tuple(rows))


@cache
def _words() -> dict[str, dict[str, str]]:
    return json.loads(files("s1lab.audit").joinpath("findings.json").read_text(encoding="utf-8"))
