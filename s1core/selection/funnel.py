"""The funnel: how many questions each stage kept and dropped, of which source and domain, and why.

A `Funnel` is a return value of `select`, never a log: it can be saved, compared with the paper's
counts, and drawn. `PAPER_COUNTS` are those of Section 2.2 beside those of the official notebook.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s1core.selection.candidate import Candidate, Dropped

PAPER_COUNTS: Mapping[str, tuple[int, int]] = {
    "pool": (59_029, 59_029),
    "missing or failed": (54_116, 54_116),
    "format": (51_581, 51_607),
    "difficulty": (24_496, 24_517),
    "pre-selected": (384, 393),
    "diversity": (1_000, 1_000),
}
"""Questions kept after each stage: (paper, Section 2.2; official notebook, data/filter.ipynb)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage left: counts in total, by source and by domain, and why the rest was dropped.

    The first stage is the pool itself, with nothing dropped.
    """

    name: str
    kept: int
    dropped: int
    by_source: Mapping[str, int]
    by_domain: Mapping[str, int]
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Funnel:
    """The stages of a selection in order, and how many were pre-selected (Algorithm 1)."""

    stages: tuple[Stage, ...]
    preselected: int = 0

    def counts(self) -> dict[str, int]:
        """Questions kept after each stage, by stage name, in order."""
        return {stage.name: stage.kept for stage in self.stages}

    def rows(self) -> list[dict[str, Any]]:
        """One row per stage with the paper's and the notebook's counts (None where there is none).

        The pre-selection stands before the last stage, as in `PAPER_COUNTS`.
        """
        found = [
            (stage.name, stage.kept, stage.dropped, dict(stage.reasons)) for stage in self.stages
        ]
        if found:
            found.insert(len(found) - 1, ("pre-selected", self.preselected, None, {}))
        return [
            {
                "stage": name,
                "kept": kept,
                "dropped": dropped,
                "paper": PAPER_COUNTS.get(name, (None, None))[0],
                "notebook": PAPER_COUNTS.get(name, (None, None))[1],
                "reasons": reasons,
            }
            for name, kept, dropped, reasons in found
        ]

    def table(self, by: str = "source", label: Callable[[str], str] = str) -> list[dict[str, Any]]:
        """Counts per source or domain, one row each, one column per stage, largest pool first.

        `label` maps a source to the name to count under, e.g. `data.sources.table7_name`.

        Raises:
            ValueError: `by` is neither "source" nor "domain".
        """
        if by not in ("source", "domain"):
            raise ValueError(f"the funnel is counted by 'source' or by 'domain', not by {by!r}")
        columns: list[tuple[str, Counter[str]]] = []
        for stage in self.stages:
            counts: Counter[str] = Counter()
            for name, count in (stage.by_source if by == "source" else stage.by_domain).items():
                counts[label(name)] += count
            columns.append((stage.name, counts))
        names = (
            sorted(columns[0][1], key=lambda name: (-columns[0][1][name], name)) if columns else []
        )
        return [{by: name} | {stage: counts[name] for stage, counts in columns} for name in names]

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `from_json` rebuilds the funnel."""
        return {
            "preselected": self.preselected,
            "stages": [
                {
                    "name": s.name,
                    "kept": s.kept,
                    "dropped": s.dropped,
                    "by_source": dict(s.by_source),
                    "by_domain": dict(s.by_domain),
                    "reasons": dict(s.reasons),
                }
                for s in self.stages
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Funnel:
        """The funnel that `to_json` described."""
        return cls(tuple(Stage(**stage) for stage in value["stages"]), value["preselected"])


def stage(name: str, kept: Sequence[Candidate], dropped: Iterable[Dropped] = ()) -> Stage:
    """Count a stage's output; sources, domains and reasons in order of name."""
    reasons = Counter(d.reason for d in dropped)
    return Stage(
        name,
        len(kept),
        reasons.total(),
        _sorted(Counter(c.source for c in kept)),
        _sorted(Counter(c.domain for c in kept)),
        _sorted(reasons),
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    """Overlap of two sets of keys: |A & B| / |A | B|; 1.0 when both are empty.

    The measure for a reproduced selection beside the published s1K: Algorithm 1 is random and
    the official run had no seed, so equality cannot be expected.
    """
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 1.0
