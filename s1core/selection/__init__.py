"""59K -> 1K: the paper's data curation (Section 2.2, Appendix C).

`select` runs the whole funnel: decontaminate, deduplicate, quality, difficulty, diversity. Every
stage is a function `candidates -> (kept, dropped with reasons)` that can be called alone;
`ablations.BASELINES` has the other rows of Table 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from s1core.errors import InputError
from s1core.selection.candidate import Candidate, Dropped, Partition, annotate, deduplicate
from s1core.selection.decontaminate import BenchmarkIndex, decontaminate
from s1core.selection.difficulty import difficulty
from s1core.selection.diversity import DiversityConfig, diversify, preselect
from s1core.selection.funnel import PAPER_COUNTS, Funnel, Stage, jaccard, stage
from s1core.selection.quality import PAPER_PATTERNS, StringPattern, check_fields, check_format

__all__ = [
    "PAPER_COUNTS",
    "PAPER_PATTERNS",
    "BenchmarkIndex",
    "Candidate",
    "DiversityConfig",
    "Dropped",
    "Funnel",
    "Partition",
    "SelectionConfig",
    "InputError",
    "Stage",
    "StringPattern",
    "annotate",
    "check_fields",
    "check_format",
    "curate",
    "decontaminate",
    "deduplicate",
    "difficulty",
    "diversify",
    "jaccard",
    "preselect",
    "select",
]


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Settings of the whole selection; the defaults are the paper's.

    Attributes:
        ngram: words per n-gram in decontamination (8); None compares whole questions, for pools
            whose questions are short and alike (see `BenchmarkIndex`).
        match_short: whether a benchmark question of fewer than `ngram` words matches its own
            copies; the official code lets those through.
        patterns: signs of bad formatting.
        min_thinking_tokens, max_thinking_tokens: bounds on the trace, none in the paper.
        diversity: settings of Algorithm 1.
    """

    ngram: int | None = 8
    match_short: bool = True
    patterns: tuple[StringPattern, ...] = PAPER_PATTERNS
    min_thinking_tokens: int = 0
    max_thinking_tokens: int | None = None
    diversity: DiversityConfig = field(default_factory=DiversityConfig)


def curate(
    candidates: Iterable[Candidate],
    benchmarks: BenchmarkIndex | Mapping[str, Iterable[str]],
    config: SelectionConfig | None = None,
) -> tuple[list[Candidate], list[Stage], list[Dropped]]:
    """Decontaminate, deduplicate, check quality: the pool that Table 2's baselines draw from.

    Args:
        candidates: the annotated pool, in any order.
        benchmarks: questions by benchmark name (an empty mapping finds nothing), or an index built
            with settings of its own, which then take the place of `ngram` and `match_short`.

    Returns:
        What is left, the stages so far (the first is the pool), and all that was dropped.

    Raises:
        InputError: the pool is empty, or a benchmark has no question.
    """
    config = config or SelectionConfig()
    pool = list(candidates)
    if not pool:
        raise InputError("the pool is empty: there is nothing to select from")
    index = (
        benchmarks
        if isinstance(benchmarks, BenchmarkIndex)
        else BenchmarkIndex(benchmarks, config.ngram, config.match_short)
    )
    stages = [stage("pool", pool)]
    everything: list[Dropped] = []
    for name, step in (
        ("decontaminate", lambda items: decontaminate(items, index)),
        ("deduplicate", deduplicate),
        ("missing or failed", check_fields),
        ("format", lambda items: check_format(items, config.patterns)),
    ):
        pool, dropped = step(pool)
        stages.append(stage(name, pool, dropped))
        everything += dropped
    return pool, stages, everything


def select(
    candidates: Iterable[Candidate],
    benchmarks: BenchmarkIndex | Mapping[str, Iterable[str]],
    config: SelectionConfig | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[list[Candidate], Funnel]:
    """Run the whole funnel of Section 2.2 and return the selection and the funnel's counts.

    The same candidates (in any order), benchmarks, config and state of `rng` give the same
    selection in the same order. `rng` defaults to `numpy.random.default_rng(0)`.

    Raises:
        InputError: an empty pool, fewer candidates left than the target, an empty benchmark.
    """
    config = config or SelectionConfig()
    rng = np.random.default_rng(0) if rng is None else rng
    pool, stages, _ = curate(candidates, benchmarks, config)
    pool, dropped = difficulty(pool, config.min_thinking_tokens, config.max_thinking_tokens)
    stages.append(stage("difficulty", pool, dropped))
    taken = preselect(pool, config.diversity)
    selected, dropped = diversify(pool, config.diversity, rng)
    stages.append(stage("diversity", selected, dropped))
    return selected, Funnel(tuple(stages), preselected=len(taken))
