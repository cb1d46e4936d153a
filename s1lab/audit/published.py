"""The paper's numbers as data, each with its source (`published.json` beside this file).

Everything that the book compares with, audits or recomputes is read from here and never typed
into a notebook. The file restates arXiv 2501.19393v3 and, where it differs or says more, version 2
and the released code; its "sources" explain the short names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from s1lab.evaluation.statistics import Interval, wilson


@dataclass(frozen=True, slots=True)
class PublishedAccuracy:
    """One accuracy of Tables 1-5 as printed, in percent.

    `correct` is the nearest whole number of questions, and `exact` says whether it prints the
    same. A score that no whole number prints is an average over several runs.
    """

    table: str
    row: str
    benchmark: str
    percent: float
    n: int
    examples: str
    source: str
    note: str = ""

    @property
    def correct(self) -> int:
        return answered(self.benchmark, self.percent)[0]

    @property
    def interval(self) -> Interval:
        """Wilson's interval from the number of questions.

        A score that averages several runs gets the interval of a single one: over questions,
        averaging runs removes only part of the noise.
        """
        return wilson(self.percent * self.n / 100, self.n)

    @property
    def exact(self) -> bool:
        return abs(round(100 * self.correct / self.n, 1) - self.percent) < 0.051


@dataclass(frozen=True, slots=True)
class PublishedRuns:
    """The runs of one method on AIME24 (Tables 12-14, Figures 1 and 6): what Table 3 is made of.

    `limits` are the instructed thinking tokens where the method has any.
    """

    method: str
    thinking_tokens: tuple[float, ...]
    accuracy: tuple[float, ...]
    limits: tuple[float, ...]
    where: str
    source: str

    @property
    def exact_accuracy(self) -> tuple[float, ...]:
        """The accuracies before rounding: the nearest multiples of 1/30, in percent."""
        n = published()["questions"]["AIME24"]
        return tuple(100 * round(percent * n / 100) / n for percent in self.accuracy)


@cache
def published() -> dict[str, Any]:
    """The whole file, parsed once. Treat it as read-only."""
    return json.loads(files("s1lab.audit").joinpath("published.json").read_text(encoding="utf-8"))


def answered(benchmark: str, percent: float) -> tuple[int, int]:
    """The number of questions nearest to a printed accuracy, and of how many.

    `answered("AIME24", 56.7) -> (17, 30)`.
    """
    n = published()["questions"][benchmark]
    return round(percent * n / 100), n


def accuracies(table: str | None = None, benchmark: str | None = None) -> list[PublishedAccuracy]:
    """Accuracies of Tables 1-5 in print order: `accuracies("Table 1", "AIME24")`."""
    questions = published()["questions"]
    return [
        PublishedAccuracy(n=questions[row["benchmark"]], **row)
        for row in published()["accuracies"]
        if table in (None, row["table"]) and benchmark in (None, row["benchmark"])
    ]


def accuracy_of(table: str, row: str, benchmark: str) -> PublishedAccuracy:
    """One printed accuracy: `accuracy_of("Table 1", "s1-32B", "AIME24").percent -> 56.7`.

    Raises:
        KeyError: the paper prints no such number; the message lists the table's rows.
    """
    found = [a for a in accuracies(table, benchmark) if a.row == row]
    if not found:
        rows = ", ".join(dict.fromkeys(a.row for a in accuracies(table)))
        raise KeyError(f"{table} prints no {benchmark} for {row!r}; its rows are: {rows}")
    return found[0]


def runs(method: str) -> PublishedRuns:
    """The AIME24 runs of a method of Table 3: BF, TCC, TCC+BF, SCC, SCC+BF, CCC or RS."""
    row = published()["runs_aime24"].get(method)
    if row is None:
        known = ", ".join(published()["runs_aime24"])
        raise KeyError(f"no runs are published for {method!r}; pick one of {known}")
    return PublishedRuns(
        method,
        tuple(row["thinking_tokens"]),
        tuple(row["accuracy"]),
        tuple(row.get("limit", ())),
        row["from"],
        row["source"],
    )
