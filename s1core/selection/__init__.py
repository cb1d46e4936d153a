"""59K -> 1K: the paper's data curation (Section 2.2, Appendix C). `select` runs the whole funnel;
each stage is a function `candidates -> (kept, dropped with reasons)` that can be called alone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from s1core.errors import InputError
from s1core.selection import criteria
from s1core.selection.criteria import ANNOTATIONS, Candidate, Dropped, StringPattern, difficulty
from s1core.selection.decontaminate import BenchmarkIndex, Questions, decontaminate
from s1core.selection.diversity import DiversityConfig, diversify, preselect

__all__ = ["ANNOTATIONS", "BenchmarkIndex", "Candidate", "DiversityConfig", "Funnel", "Stage"]
__all__ += ["SelectionConfig", "StringPattern", "curate", "decontaminate", "difficulty"]
__all__ += ["diversify", "jaccard", "select"]

Benchmarks = BenchmarkIndex | Questions  # n-grams, or questions by benchmark name


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
    def of(cls, name: str, kept: Sequence[Candidate], dropped: Iterable[Dropped] = ()) -> "Stage":
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
        """`stage`, `kept`, `dropped` and `reasons`, one row per stage; the pre-selection is one."""
        names = ("stage", "kept", "dropped", "reasons")
        rows = [(s.name, s.kept, s.dropped, dict(s.reasons)) for s in self.stages]
        rows.insert(-1, ("pre-selected", self.preselected, None, {}))
        return [dict(zip(names, row, strict=True)) for row in rows]


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Settings of the whole selection; the defaults are the paper's. `ngram` is as in
    `BenchmarkIndex`; a candidate without a `required` annotation is dropped."""

    ngram: int | None = 8
    patterns: tuple[StringPattern, ...] = criteria.PAPER_PATTERNS
    required: tuple[str, ...] = tuple(ANNOTATIONS)
    diversity: DiversityConfig = field(default_factory=DiversityConfig)


def curate(
    candidates: Iterable[Candidate], benchmarks: Benchmarks, config: SelectionConfig | None = None
) -> tuple[list[Candidate], list[Stage]]:
    """Decontaminate, deduplicate, check quality: the pool that Table 2's baselines draw from, and
    the stages so far. InputError: the pool is empty, or one of the `benchmarks`."""
    config, pool = config or SelectionConfig(), list(candidates)
    if not pool:
        raise InputError("the pool is empty: there is nothing to select from")
    if not isinstance(benchmarks, BenchmarkIndex):
        benchmarks = BenchmarkIndex(benchmarks, config.ngram)
    stages = [Stage.of("pool", pool)]
    for name, step in (
        ("decontaminate", lambda items: decontaminate(items, benchmarks)),
        ("deduplicate", criteria.deduplicate),
        ("missing or failed", lambda items: criteria.check_fields(items, config.required)),
        ("format", lambda items: criteria.check_format(items, config.patterns)),
    ):
        pool, dropped = step(pool)
        stages.append(Stage.of(name, pool, dropped))
    return pool, stages


def select(
    candidates: Iterable[Candidate],
    benchmarks: Benchmarks,
    config: SelectionConfig | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[list[Candidate], Funnel]:
    """Run the whole funnel of Section 2.2: the selection, and the funnel's counts. The same
    candidates (in any order), settings and state of `rng` give the same selection, in order.
    InputError: an empty pool or benchmark, fewer candidates left than the target."""
    config = config or SelectionConfig()
    rng = np.random.default_rng(0) if rng is None else rng
    pool, stages = curate(candidates, benchmarks, config)
    pool, dropped = difficulty(pool)
    stages.append(Stage.of("difficulty", pool, dropped))
    taken = preselect(pool, config.diversity)
    try:
        selected, dropped = diversify(pool, config.diversity, rng)
    except InputError as error:
        left = ", ".join(f"{stage.name} {stage.kept:,}" for stage in stages)
        raise InputError(f"{error} (left by stage: {left})") from error
    stages.append(Stage.of("diversity", selected, dropped))
    return selected, Funnel(tuple(stages), preselected=len(taken))


def jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    """Overlap of two sets, such as the keys of two selections: |A & B| / |A | B|."""
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 1.0
