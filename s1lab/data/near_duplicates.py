"""Near-duplicates of benchmark questions: reported, not dropped.

Shared 8-grams miss a paraphrase and catch a formula of speech (`where $m$ and $n$ are relatively
prime positive integers`). This report looks at the whole question: the Jaccard similarity of two
questions' word triples, letters and digits only. Like `decontaminate` it holds the benchmarks alone
and lets the pool stream past.
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


class SimilarityIndex:
    """Benchmark questions, by name, to find the one most like a given question."""

    def __init__(self, benchmarks: Mapping[str, Iterable[str]]) -> None:
        self._questions: list[tuple[str, str, int]] = []  # benchmark, key, number of shingles
        self._postings: dict[str, list[int]] = {}
        for name, questions in benchmarks.items():
            for question in questions:
                found = shingles(question)
                for shingle in found:
                    self._postings.setdefault(shingle, []).append(len(self._questions))
                self._questions.append((name, question_key(question), len(found)))

    def nearest(self, question: str) -> NearDuplicate | None:
        """The most similar benchmark question, the first of equals; None if nothing is shared."""
        found = shingles(question)
        shared: Counter[int] = Counter()
        for shingle in found:
            shared.update(self._postings.get(shingle, ()))
        if not shared:
            return None

        def similarity(number: int) -> float:
            count = shared[number]
            return count / (len(found) + self._questions[number][2] - count)

        best = max(shared, key=lambda number: (similarity(number), -number))
        name, key, _ = self._questions[best]
        return NearDuplicate(question_key(question), name, key, similarity(best))


def near_duplicates(
    problems: Iterable[Problem], benchmarks: Mapping[str, Iterable[str]], threshold: float = 0.5
) -> list[NearDuplicate]:
    """Pool questions at least `threshold` similar to a benchmark question, most similar first.

    `threshold` is a Jaccard similarity in (0, 1]: 1 is the same words in the same order up to
    punctuation, 0.5 a shared half. Nothing is dropped: look at the pairs and decide.
    """
    nearest = map(SimilarityIndex(benchmarks).nearest, (p.question for p in problems))
    found = [n for n in nearest if n is not None and n.similarity >= threshold]
    return sorted(found, key=lambda n: (-n.similarity, n.key))
