"""59K -> 1K: the paper's data curation (Section 2.2, Appendix C).

`select` runs the whole funnel: decontaminate, deduplicate, quality, difficulty, diversity. Every
stage is a function `candidates -> (kept, dropped with reasons)` that can be called alone;
The other rows of Table 2 are `s1lab.data.baselines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from s1core.errors import InputError
from s1core.selection.candidate import Candidate, Dropped, deduplicate
from s1core.selection.criteria import (
    ANNOTATIONS,
    PAPER_PATTERNS,
    StringPattern,
    check_fields,
    check_format,
    difficulty,
)
from s1core.selection.decontaminate import BenchmarkIndex, decontaminate
from s1core.selection.diversity import DiversityConfig, diversify, preselect
from s1core.selection.funnel import Funnel, Stage, jaccard

__all__ = [
    "BenchmarkIndex",
    "Candidate",
    "DiversityConfig",
    "Funnel",
    "SelectionConfig",
    "Stage",
    "StringPattern",
    "curate",
    "decontaminate",
    "difficulty",
    "diversify",
    "jaccard",
    "select",
]


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Settings of the whole selection; the defaults are the paper's.

    `ngram` is as in `BenchmarkIndex`; without one of the `required` annotations a candidate is
    dropped.
    """

    ngram: int | None = 8
    patterns: tuple[StringPattern, ...] = PAPER_PATTERNS
    required: tuple[str, ...] = tuple(ANNOTATIONS)
    diversity: DiversityConfig = field(default_factory=DiversityConfig)


def curate(
    candidates: Iterable[Candidate],
    benchmarks: BenchmarkIndex | Mapping[str, Iterable[str]],
    config: SelectionConfig | None = None,
) -> tuple[list[Candidate], list[Stage], list[Dropped]]:
    """Decontaminate, deduplicate, check quality: the pool that Table 2's baselines draw from.

    `benchmarks` are questions by benchmark name (an empty mapping finds nothing), or an index with
    settings of its own. Returned are the candidates that are left, the stages so far (the first is
    the pool), and all that was dropped.

    Raises:
        InputError: the pool is empty, or a benchmark has no question.
    """
    config, pool = config or SelectionConfig(), list(candidates)
    if not pool:
        raise InputError("the pool is empty: there is nothing to select from")
    if not isinstance(benchmarks, BenchmarkIndex):
        benchmarks = BenchmarkIndex(benchmarks, config.ngram)
    stages = [Stage.of("pool", pool)]
    everything: list[Dropped] = []
    for name, step in (
        ("decontaminate", lambda items: decontaminate(items, benchmarks)),
        ("deduplicate", deduplicate),
        ("missing or failed", lambda items: check_fields(items, config.required)),
        ("format", lambda items: check_format(items, config.patterns)),
    ):
        pool, dropped = step(pool)
        stages.append(Stage.of(name, pool, dropped))
        everything += dropped
    return pool, stages, everything


def select(
    candidates: Iterable[Candidate],
    benchmarks: BenchmarkIndex | Mapping[str, Iterable[str]],
    config: SelectionConfig | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[list[Candidate], Funnel]:
    """Run the whole funnel of Section 2.2 and return the selection and the funnel's counts.

    The same candidates (in any order), benchmarks, config and state of `rng` (by default
    `numpy.random.default_rng(0)`) give the same selection in the same order.

    Raises:
        InputError: an empty pool or benchmark, fewer candidates left than the target.
    """
    config = config or SelectionConfig()
    rng = np.random.default_rng(0) if rng is None else rng
    pool, stages, _ = curate(candidates, benchmarks, config)
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
