"""The baselines of the data ablation (Section 5.1, Table 2): random, diverse, longest, full.

They start from the pool after the quality stages: the paper draws them "after obtaining our
high-quality reasoning chains". A pool smaller than the target is an InputError.
"""

from collections.abc import Callable, Iterable

from numpy.random import Generator

from s1core.errors import InputError
from s1core.selection import Candidate


def _by_key(candidates: Iterable[Candidate], target: int) -> list[Candidate]:
    pool = sorted(candidates, key=lambda c: c.key)
    if not 0 < target <= len(pool):
        raise InputError(f"{target} of {len(pool)} questions cannot be selected: lower the target")
    return pool


def random(candidates: Iterable[Candidate], target: int, rng: Generator) -> list[Candidate]:
    """1K-random, "only quality": `target` questions uniformly, without replacement."""
    pool = _by_key(candidates, target)
    return [pool[i] for i in rng.choice(len(pool), size=target, replace=False)]


def diverse(candidates: Iterable[Candidate], target: int, rng: Generator) -> list[Candidate]:
    """1K-diverse, "only diversity": uniformly a domain that is left, then a question of it."""
    domains: dict[str, list[Candidate]] = {}
    for candidate in _by_key(candidates, target):
        domains.setdefault(candidate.domain, []).append(candidate)
    names = sorted(domains)
    selected: list[Candidate] = []
    while len(selected) < target:
        place = int(rng.integers(len(names)))
        members = domains[names[place]]
        selected.append(members.pop(int(rng.integers(len(members)))))
        if not members:
            del names[place]
    return selected


def longest(candidates: Iterable[Candidate], target: int, rng: Generator) -> list[Candidate]:
    """1K-longest, "only difficulty": the longest traces, longest first; ties by key."""
    return sorted(_by_key(candidates, target), key=lambda c: -c.thinking_tokens)[:target]


def full(candidates: Iterable[Candidate], target: int, rng: Generator) -> list[Candidate]:
    """59K-full, "maximize quantity": the whole pool in order of key."""
    return sorted(candidates, key=lambda c: c.key)


Baseline = Callable[[Iterable[Candidate], int, Generator], list[Candidate]]
BASELINES: dict[str, Baseline] = {f.__name__: f for f in (random, diverse, longest, full)}
"""The rows of Table 2 beside s1K, by name."""
