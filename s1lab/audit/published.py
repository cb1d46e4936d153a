"""The paper's numbers as data, each with its source (`published.json` beside this file).

Never typed into a notebook. The file restates arXiv 2501.19393v3 and, where it differs or says
more, version 2 and the released code; its "sources" explain the short names.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from s1core.errors import InputError
from s1lab import packaged
from s1lab.evaluation.statistics import Interval, wilson


@dataclass(frozen=True, slots=True)
class PublishedAccuracy:
    """One accuracy of Tables 1-5 as printed, in percent, of `n` questions."""

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
        """The nearest whole number of questions."""
        return answered(self.benchmark, self.percent)[0]

    @property
    def interval(self) -> Interval:
        """Wilson's (see `printed_accuracy`)."""
        return printed_accuracy(self.benchmark, self.percent)

    @property
    def exact(self) -> bool:
        """Whether `correct` prints it; if not, it is an average over several runs."""
        return _prints(self.correct, self.n, self.percent)


class PublishedRuns(NamedTuple):
    """The runs of one method on AIME24, what Table 3 is made of; `limits` where it has any."""

    thinking_tokens: tuple[float, ...]
    accuracy: tuple[float, ...]
    limits: tuple[float, ...]

    @property
    def exact_accuracy(self) -> tuple[float, ...]:
        """The accuracies before rounding: the nearest multiples of 1/30, in percent."""
        pairs = (answered("AIME24", percent) for percent in self.accuracy)
        return tuple(100 * correct / n for correct, n in pairs)


@cache
def published() -> dict[str, Any]:
    """The whole file, parsed once. Treat it as read-only."""
    return packaged("audit/published.json")


def answered(benchmark: str, percent: float) -> tuple[int, int]:
    """The number of questions nearest to a printed accuracy, and of how many. `answered("AIME24",
    56.7) -> (17, 30)`."""
    n = published()["questions"][benchmark]
    return round(percent * n / 100), n


def printed_accuracy(benchmark: str, percent: float) -> Interval:
    """A printed accuracy with Wilson's interval, by the one rule of every page. It is a number of
    questions where one prints it (56.7 of AIME24 are 17 of 30), else the average of several runs,
    which removes only part of the noise over questions."""
    correct, n = answered(benchmark, percent)
    found = wilson(correct if _prints(correct, n, percent) else percent * n / 100, n)
    return replace(found, about=f"printed of {benchmark}: {percent:g}")


def _prints(correct: int, n: int, percent: float) -> bool:
    return abs(round(100 * correct / n, 1) - percent) < 0.051


def accuracies(table: str | None = None, benchmark: str | None = None) -> list[PublishedAccuracy]:
    """Accuracies of Tables 1-5 in print order: `accuracies("Table 1", "AIME24")`."""
    questions = published()["questions"]
    return [
        PublishedAccuracy(n=questions[row["benchmark"]], **row)
        for row in published()["accuracies"]
        if table in (None, row["table"]) and benchmark in (None, row["benchmark"])
    ]


def accuracy_of(table: str, row: str, benchmark: str) -> PublishedAccuracy:
    """One printed accuracy: `accuracy_of("Table 1", "s1-32B", "AIME24").percent -> 56.7`. Raises
    InputError: the paper prints no such number; the message lists the table's rows."""
    found = [a for a in accuracies(table, benchmark) if a.row == row]
    if not found:
        rows = ", ".join(dict.fromkeys(a.row for a in accuracies(table)))
        raise InputError(f"{table} prints no {benchmark} for {row!r}; its rows are: {rows}")
    return found[0]


def runs(method: str) -> PublishedRuns:
    """The AIME24 runs of a method of Table 3: BF, TCC, TCC+BF, SCC, SCC+BF, CCC or RS."""
    row = published()["runs_aime24"][method]
    columns = ("thinking_tokens", "accuracy", "limit")
    return PublishedRuns(*(tuple(row.get(column, ())) for column in columns))
