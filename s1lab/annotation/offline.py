"""Domains without a key: a multinomial naive Bayes classifier over words.

Trained on questions that already have a label. It is a fallback, far from what a language model
reads out of a question: say its accuracy, from `cross_validated_accuracy`, next to anything that is
made with it. Measured, five folds: 73% of 747 TheoremQA questions over 22 subjects, 66% of 1,500
MATH questions over its 7 (always guessing the most frequent one: 20% and 24%).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s1core.records import Problem
from s1lab.annotation.classify import Subject

_WORD = re.compile(r"\\?[a-z]{2,}|[^\w\s]")


def words(text: str) -> list[str]:
    r"""Words, LaTeX commands and single signs: `"Find $\sin x$" -> ["find", "$", "\sin", "$"]`."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class NaiveBayes:
    """A trained classifier. Build it with `train`.

    Attributes:
        labels: the classes, sorted.
        vocabulary: word -> column.
        scores: log P(word | label), of shape (labels, words).
        priors: log P(label), of shape (labels,).
    """

    labels: tuple[str, ...]
    vocabulary: Mapping[str, int]
    scores: np.ndarray
    priors: np.ndarray

    @classmethod
    def train(
        cls, texts: Sequence[str], labels: Sequence[str], smoothing: float = 0.3
    ) -> NaiveBayes:
        """Count words per label; a word counts once per text, which suits short questions.

        Raises:
            ValueError: no texts, or another number of labels.
        """
        if not texts or len(texts) != len(labels):
            raise ValueError(f"{len(texts)} texts with {len(labels)} labels cannot be learnt from")
        names = tuple(sorted(set(labels)))
        row = {name: number for number, name in enumerate(names)}
        counts = [Counter[str]() for _ in names]
        for text, label in zip(texts, labels, strict=True):
            counts[row[label]].update(set(words(text)))
        vocabulary = {word: i for i, word in enumerate(sorted(set().union(*counts)))}
        table = np.full((len(names), len(vocabulary)), smoothing)
        for number, counter in enumerate(counts):
            for word, count in counter.items():
                table[number, vocabulary[word]] += count
        sizes = Counter(labels)
        priors = np.log([sizes[name] / len(labels) for name in names])
        return cls(names, vocabulary, np.log(table / table.sum(axis=1, keepdims=True)), priors)

    def predict(self, texts: Iterable[str]) -> list[str]:
        """The most probable label of each text; ties and unknown words go to the priors."""
        found: list[str] = []
        for text in texts:
            columns = [self.vocabulary[w] for w in sorted(set(words(text))) if w in self.vocabulary]
            total = self.priors + self.scores[:, columns].sum(axis=1)
            found.append(self.labels[int(np.argmax(total))])
        return found


def classify_offline(problems: Iterable[Problem], model: NaiveBayes) -> dict[str, str]:
    """Domains by problem key, in the shape of `classify.Classified.domains`."""
    listed = list(problems)
    return dict(
        zip((p.key for p in listed), model.predict(p.question for p in listed), strict=True)
    )


def cross_validated_accuracy(
    texts: Sequence[str], labels: Sequence[str], folds: int = 5, seed: int = 0
) -> tuple[int, int]:
    """(correct, n) when every text is classified by a model trained on the other folds.

    Labels that occur once can never be right: they are counted as wrong, not left out.

    Raises:
        ValueError: fewer than two folds, or fewer texts than folds.
    """
    if not 2 <= folds <= len(texts):
        raise ValueError(f"{len(texts)} texts cannot be split into {folds} folds")
    order = np.random.default_rng(seed).permutation(len(texts))
    correct = 0
    for fold in range(folds):
        held = set(order[fold::folds].tolist())
        rest = [i for i in range(len(texts)) if i not in held]
        model = NaiveBayes.train([texts[i] for i in rest], [labels[i] for i in rest])
        guesses = model.predict(texts[i] for i in sorted(held))
        correct += sum(g == labels[i] for g, i in zip(guesses, sorted(held), strict=True))
    return correct, len(texts)


def theoremqa_training_set(
    rows: Iterable[Mapping[str, Any]], taxonomy: Mapping[str, Subject]
) -> tuple[list[str], list[str]]:
    """Questions of TheoremQA and the titles of their subjects: labels at hand for `train`.

    `rows` are TheoremQA's own; those with a picture or an unmapped subfield are left out.
    """
    texts: list[str] = []
    titles: list[str] = []
    for row in rows:
        code = THEOREMQA_SUBJECTS.get(row.get("subfield", ""))
        if row.get("Picture") is None and code in taxonomy:
            texts.append(row["Question"])
            titles.append(taxonomy[code].title)
    return texts, titles


THEOREMQA_SUBJECTS: Mapping[str, str] = {
    "Algebra": "08", "Calculus": "26", "Combinatorics": "05", "Graph theory": "05",
    "Complex analysis": "30", "Mathematical analysis": "26", "Real analysis": "26",
    "Functional analysis": "46", "Geometry": "51", "Group theory": "20", "Number theory": "11",
    "Numerical analysis": "65", "Probability theory": "60", "Stochastic process": "60",
    "Statistics": "62", "Information theory": "94", "Signal processing": "94",
    "Computer networking": "68", "Machine learning": "68", "Economics": "91",
    "Derivatives": "91", "Equity investments": "91", "Fixed income": "91",
    "Portfolio management": "91", "Quantitive methods": "91", "Atomic physics": "81",
    "Quantum": "81", "Condensed matter physics": "82", "Particle": "81",
    "Statistical physics": "82", "Celestial mechanics": "85", "Classic mechanics": "70",
    "Kinetics": "70", "Electromagnetism": "78", "Optics": "78", "Wave": "78",
    "Fluid mechanics": "76", "Relativity": "83", "Thermodynamics": "80",
}  # fmt: skip
"""TheoremQA's own subfields as subjects of the classification: mapped by hand, roughly."""
