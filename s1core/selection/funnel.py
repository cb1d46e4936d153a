"""The funnel: how many questions each stage kept and dropped, of which source and domain, and why.

A `Funnel` is a return value of `select`, never a log: it can be saved, compared, and drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from s1core.selection.candidate import Candidate, Dropped


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage left, and why the rest was dropped; the first stage is the pool itself."""

    name: str
    kept: int
    dropped: int
    by_source: Mapping[str, int]
    by_domain: Mapping[str, int]
    reasons: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, kept: Sequence[Candidate], dropped: Iterable[Dropped] = ()) -> Stage:
        """Count a stage's output; sources, domains and reasons in order of name."""
        sources, domains = Counter(c.source for c in kept), Counter(c.domain for c in kept)
        reasons = Counter(d.reason for d in dropped)
        counts = (dict(sorted(count.items())) for count in (sources, domains, reasons))
        return cls(name, len(kept), reasons.total(), *counts)


@dataclass(frozen=True, slots=True)
class Funnel:
    """The stages of a selection in order, and how many were pre-selected (Algorithm 1)."""

    stages: tuple[Stage, ...]
    preselected: int = 0

    def rows(self) -> list[dict[str, Any]]:
        """`stage`, `kept`, `dropped` and `reasons`, one row per stage.

        The pre-selection stands before the last stage; it drops nothing (`dropped` is None).
        """
        rows: list[dict[str, Any]] = [
            {"stage": s.name, "kept": s.kept, "dropped": s.dropped, "reasons": dict(s.reasons)}
            for s in self.stages
        ]
        taken = {"stage": "pre-selected", "kept": self.preselected, "dropped": None, "reasons": {}}
        return [*rows[:-1], taken, *rows[-1:]]

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `from_json` rebuilds the funnel."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Funnel:
        """The funnel that `to_json` described."""
        return cls(tuple(Stage(**stage) for stage in value["stages"]), value["preselected"])


def jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    """Overlap of two sets, such as the keys of two selections: |A & B| / |A | B|."""
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 1.0
