"""Decontamination: drop pool questions that share an n-gram with a benchmark question.

Section 2.1 and Appendix C.5: 8-grams over lower-cased words, against MATH500, GPQA Diamond and
AIME24. (The official script compares with more, and adds the pool's AIME questions uncompared.)

Any window of n words contains one of the blocks of n - s + 1 words that start at multiples of
s = n // 2: one lookup per s words rules out nearly all, n-grams are compared around matches only.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

from s1core.errors import InputError
from s1core.selection.criteria import Candidate, Partition, partition

Questions = Mapping[str, Iterable[str]]  # by benchmark name


class BenchmarkIndex:
    """The n-grams of the benchmark questions, by benchmark name, ready to be looked up.

    With `n` None whole questions are compared instead, word by word, as is done for a benchmark
    question of fewer than n words: `find x` matches its copy, not half of mathematics. (The
    official code lets short ones pass.) `normalize` brings questions that say the same to one text.
    InputError: n is smaller than 1, or a benchmark has no question.
    """

    def __init__(
        self, benchmarks: Questions, n: int | None = 8, normalize: Callable[..., str] | None = None
    ) -> None:
        if n is not None and n < 1:
            raise InputError(f"an n-gram has at least one word, not {n}")
        self.n = n = n or sys.maxsize  # None: no question is as long
        self._normalize = normalize
        self._stride = max(1, n // 2)
        self._block = n - self._stride + 1
        self._grams: dict[str, str] = {}  # n-gram -> the first benchmark that has it
        self._whole: dict[str, str] = {}  # a question shorter than n (or any, when n is None)
        self._blocks: set[str] = set()
        for name, questions in benchmarks.items():
            every = [self._words(question) for question in questions]
            if not every:
                raise InputError(f"the benchmark {name!r} has no question: load it or leave it out")
            for words in every:
                if 0 < len(words) < n:
                    self._whole.setdefault(" ".join(words), name)
                    continue
                for gram in _windows(words, n):
                    self._grams.setdefault(gram, name)
                self._blocks.update(_windows(words, self._block))

    def _words(self, question: str) -> list[str]:
        return (self._normalize(question) if self._normalize else question).lower().split()

    def overlap(self, question: str) -> tuple[str, str] | None:
        """The first n-gram that a question shares, after the name of its benchmark; or None."""
        words = self._words(question)
        if self._whole and (text := " ".join(words)) in self._whole:
            return self._whole[text], text
        n, block, blocks = self.n, self._block, self._blocks
        for start in range(0, len(words) - block + 1, self._stride):
            if " ".join(words[start : start + block]) in blocks:
                # A window of n words that contains this block starts in [start + block - n, start].
                for gram in _windows(words[max(0, start + block - n) : start + n], n):
                    if gram in self._grams:
                        return self._grams[gram], gram
        return None


def _windows(words: list[str], n: int) -> Iterator[str]:
    """The runs of n words, in order."""
    return (" ".join(words[start : start + n]) for start in range(len(words) - n + 1))


def decontaminate(candidates: Iterable[Candidate], index: BenchmarkIndex) -> Partition:
    """Drop candidates that share an n-gram with a benchmark (Section 2.1)."""

    def reason(candidate: Candidate) -> str:
        found = index.overlap(candidate.question)
        return f"overlaps {found[0]}" if found else ""

    return partition(candidates, reason)
