"""Near-duplicates of benchmark questions: reported, not dropped.

Shared 8-grams miss a paraphrase and catch a formula of speech (`where $m$ and $n$ are relatively
prime positive integers`); this looks at whole questions: the Jaccard similarity of word triples.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from s1core.records import Problem, question_key

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A pool question and the benchmark question most like it, by key, and how alike they are."""

    key: str
    benchmark: str
    benchmark_key: str
    similarity: float


def shingles(question: str) -> frozenset[str]:
    """Runs of three words (letters and digits, lower case); all words when there are fewer.

    `"Find x, y and z!" -> {"find x y", "x y and", "y and z"}`
    """
    words = _WORD.findall(question.lower())
    if len(words) < 3:
        return frozenset([" ".join(words)] if words else [])
    return frozenset(" ".join(words[i : i + 3]) for i in range(len(words) - 2))


def near_duplicates(
    problems: Iterable[Problem], benchmarks: Mapping[str, Iterable[str]], threshold: float = 0.5
) -> list[NearDuplicate]:
    """Pool questions at least `threshold` similar to a benchmark question, most similar first.

    `threshold` is a Jaccard similarity in (0, 1]: 1 is the same words in the same order up to
    punctuation, 0.5 a shared half. Of equally similar benchmark questions the first is named.
    """
    listed: list[tuple[str, str, int]] = []  # benchmark, key, number of shingles
    postings: dict[str, list[int]] = {}
    for name, questions in benchmarks.items():
        for question in questions:
            there = shingles(question)
            for shingle in there:
                postings.setdefault(shingle, []).append(len(listed))
            listed.append((name, question_key(question), len(there)))
    near: list[NearDuplicate] = []
    for problem in problems:
        own = shingles(problem.question)
        shared = Counter(number for shingle in own for number in postings.get(shingle, ()))
        alike = {n: count / (len(own) + listed[n][2] - count) for n, count in shared.items()}
        best = max(alike, key=lambda n: (alike[n], -n), default=None)
        if best is not None and alike[best] >= threshold:
            near.append(NearDuplicate(problem.key, *listed[best][:2], alike[best]))
    return sorted(near, key=lambda n: (-n.similarity, n.key))
