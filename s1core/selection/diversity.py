"""Diversity: Algorithm 1, the two-stage sampling of s1K (Section 2.2, Appendix C.4).

First every question of a trusted benchmark source with a correct trace is taken: all of AIME and
GPQA, and MATH when the trace is longer than 5,600 tokens (384 questions). Then, until the target
is reached: draw a domain uniformly ("paper"), and from it a question with weight 2^-rank, where
rank 0 is the longest trace. The notebook that made the data, `data/filter.ipynb`, differs: from 700
questions on, domains are drawn with the frequencies they have among the AIME questions of the pool
plus those among its GPQA questions, scaled to half the number of AIME's and rounded down.

In both a pre-selected question stays in its domain and can be drawn again, which adds nothing. The
result does not depend on the order of the rows; ties in length are ranked by key.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from s1core.errors import InputError
from s1core.selection.criteria import Candidate, Dropped, Partition


@dataclass(frozen=True, slots=True)
class DiversityConfig:
    """Settings of Algorithm 1. Sources match when the name given is part of `Candidate.source`."""

    target: int = 1000
    variant: Literal["paper", "notebook"] = "paper"
    # Pre-selected where the trace is correct, or correct and longer than `long_tokens`.
    correct_sources: tuple[str, ...] = ("Idavidrein/gpqa", "qq8933/AIME_1983_2024")
    long_sources: tuple[str, ...] = ("qfq/openaimath",)
    long_tokens: int = 5600
    switch_at: int = 700  # selected questions after which "notebook" imitates the domains of
    benchmark_sources: tuple[str, str] = ("qq8933/AIME_1983_2024", "Idavidrein/gpqa")


def preselect(candidates: Iterable[Candidate], config: DiversityConfig) -> list[Candidate]:
    """The questions that Algorithm 1 takes before it draws, in order of key (lines 4-12)."""

    def trusted(c: Candidate) -> bool:
        long = config.long_sources if c.thinking_tokens > config.long_tokens else ()
        return any(source in c.source for source in (*config.correct_sources, *long))

    return sorted((c for c in candidates if c.trace_correct and trusted(c)), key=lambda c: c.key)


def benchmark_domains(candidates: Iterable[Candidate], config: DiversityConfig) -> dict[str, float]:
    """Domain frequencies, in all 1, that "notebook" draws from after `switch_at` questions."""
    pool, sources = list(candidates), config.benchmark_sources
    counts, scaled = (Counter(c.domain for c in pool if source in c.source) for source in sources)
    if not counts:
        raise InputError(f"the notebook variant needs questions from {sources[0]!r}: name others")
    if scaled:
        ratio = 0.5 * counts.total() / scaled.total()
        counts += Counter({domain: int(count * ratio) for domain, count in scaled.items()})
    total = counts.total()
    return {domain: count / total for domain, count in sorted(counts.items())}


def _weighted(weights: Sequence[float] | np.ndarray, rng: np.random.Generator) -> int:
    """A place with probability proportional to its weight, from one uniform number."""
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def diversify(
    candidates: Iterable[Candidate], config: DiversityConfig, rng: np.random.Generator
) -> Partition:
    """Algorithm 1: `config.target` candidates, pre-selected ones first, then in the order drawn.
    InputError: two candidates have one key, or the settings do not fit the pool."""
    pool = sorted(candidates, key=lambda c: c.key)
    if config.variant not in ("paper", "notebook"):
        raise InputError(f"the variant is 'paper' or 'notebook', not {config.variant!r}")
    left, target = len(pool), config.target
    if not 1 <= target <= left:
        raise InputError(f"{left} questions are left for a target of {target}: lower it")
    if len({c.key for c in pool}) < left:
        raise InputError("two candidates have one key: deduplicate the pool")
    selected = {c.key: c for c in preselect(pool, config)}
    if len(selected) > target:
        advice = f"raise the target of {target} or narrow correct_sources"
        raise InputError(f"{len(selected)} questions are pre-selected: {advice}")
    domains: dict[str, list[Candidate]] = {}
    for candidate in sorted(reversed(pool), key=lambda c: c.thinking_tokens):
        domains.setdefault(candidate.domain, []).append(candidate)
    domains = dict(sorted(domains.items()))
    imitated = benchmark_domains(pool, config) if config.variant == "notebook" else {}
    while len(selected) < target and domains:
        # When every imitated domain has run out, draws are uniform again (the notebook would crash)
        if imitated and len(selected) >= config.switch_at:
            domain = list(imitated)[_weighted(list(imitated.values()), rng)]
        else:
            domain = list(domains)[int(rng.integers(len(domains)))]
        members = domains[domain]
        # Weights below 2^-63 of the largest cannot change a draw made with a double.
        weights = np.exp2(-np.arange(min(len(members), 64), dtype=float))
        chosen = members.pop(-1 - _weighted(weights, rng))  # the longest is the last
        selected.setdefault(chosen.key, chosen)
        if not members:
            del domains[domain]
            imitated.pop(domain, None)
    dropped = [Dropped(c, "not drawn") for c in pool if c.key not in selected]
    return list(selected.values()), dropped
