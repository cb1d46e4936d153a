"""Which of the paper's comparisons survive their own sample sizes.

The paper prints accuracies, not which questions were answered, so a paired test cannot be redone.
Two bounds can: the most favourable pairing that the two accuracies allow (every question that the
weaker run gets right, the stronger gets right too), and the cautious reading of independent runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from s1lab.audit.published import PublishedAccuracy, accuracies, accuracy_of, published
from s1lab.evaluation.report import Table
from s1lab.evaluation.statistics import (
    Interval,
    mcnemar_p_value,
    newcombe,
    questions_needed,
    wilson,
)

Outcome = Literal["survives", "undecided", "cannot survive"]

EQUIVALENCE = 0.05
"""Five points: what a claim of "no substantial gain" must rule out to be shown."""


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """A printed accuracy with the interval that its number of questions allows."""

    printed: PublishedAccuracy
    interval: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """A claim of the paper about two accuracies on one benchmark.

    Attributes:
        difference: a - b with the interval for independent runs (fractions).
        questions: how many more questions a answered than b.
        best_p: McNemar's exact p under the most favourable pairing: no pairing gives less.
        needed: questions for 80% power at this difference with independent answers; None at 0.
        printed_interval: the paper's own paired interval of a - b where it prints one (Table 2).
        claims_difference: False where the paper claims that there is none worth naming.
    """

    claim: str
    where: str
    benchmark: str
    a: PublishedAccuracy
    b: PublishedAccuracy
    difference: Interval
    questions: int
    best_p: float
    needed: int | None
    printed_interval: tuple[float, float] | None = None
    claims_difference: bool = True

    @property
    def outcome(self) -> Outcome:
        """What is left of the claim at its own sample size.

        survives: the independent interval excludes 0, or the paper's paired one does and some
        pairing agrees; cannot survive: not even the most favourable pairing reaches p < 0.05;
        undecided: between the two, only answers per question can tell. A claim of no difference
        survives when its interval (the paper's, else the independent one) stays within
        `EQUIVALENCE` and is undecided otherwise.
        """
        low, high = self.printed_interval or (self.difference.low, self.difference.high)
        if not self.claims_difference:
            return "survives" if -EQUIVALENCE <= low and high <= EQUIVALENCE else "undecided"
        if self.difference.low > 0 or (low > 0 and self.best_p < 0.05):
            return "survives"
        return "cannot survive" if self.best_p >= 0.05 else "undecided"


def accuracy_rows(table: str | None = None, level: float = 0.95) -> list[AccuracyRow]:
    """Every accuracy of Tables 1-5 with its Wilson interval.

    A score that averages several runs (no whole number of questions prints it) gets the interval
    of a single run: over questions, averaging runs removes only part of the noise.
    """
    return [
        AccuracyRow(entry, wilson(entry.percent * entry.n / 100, entry.n, level))
        for entry in accuracies(table)
    ]


def comparisons() -> list[Comparison]:
    """The paper's comparisons, one per claim and benchmark, in the paper's order."""
    return [
        compare(
            claim["claim"],
            claim["where"],
            accuracy_of(*claim["a"], benchmark),
            accuracy_of(*claim["b"], benchmark),
            claims_difference=claim.get("kind") != "no difference",
        )
        for claim in published()["claims"]
        for benchmark in claim["benchmarks"]
    ]


def compare(
    claim: str,
    where: str,
    a: PublishedAccuracy,
    b: PublishedAccuracy,
    *,
    claims_difference: bool = True,
) -> Comparison:
    """Weigh the claim that `a` is more accurate than `b` on the same questions."""
    gap = a.correct - b.correct
    interval = newcombe(a.correct, a.n, b.correct, b.n)
    needed = questions_needed(a.correct / a.n, b.correct / b.n) if gap else None
    best = mcnemar_p_value(max(gap, 0), 0) if gap > 0 else 1.0
    printed = _printed_interval(a, b)
    return Comparison(
        claim, where, a.benchmark, a, b, interval, gap, best, needed, printed, claims_difference
    )


def comparison_table(rows: Iterable[Comparison]) -> Table:
    """Comparisons as a table, differences in percentage points; a claim is named once."""
    columns = ("claim", "benchmark", "printed", "difference [95%]", "best p", "needed", "outcome")
    lines, before = [], ""
    for row in rows:
        lines.append(
            (
                "" if row.claim == before else row.claim,
                row.benchmark,
                f"{row.a.percent} / {row.b.percent}",
                row.difference.percent(),
                f"{row.best_p:.3f}" if row.best_p >= 0.001 else "<0.001",
                f"{row.needed:,}" if row.needed and row.claims_difference else "-",
                row.outcome,
            )
        )
        before = row.claim
    return Table(columns, tuple(lines))


def accuracy_table(rows: Iterable[AccuracyRow]) -> Table:
    """Printed accuracies with their intervals, in percent."""
    lines = (
        (
            row.printed.table,
            row.printed.row,
            row.printed.benchmark,
            str(row.printed.n),
            row.interval.percent(),
            "" if row.printed.exact else "no whole number of questions",
        )
        for row in rows
    )
    return Table(("table", "model", "benchmark", "n", "accuracy [95%]", "note"), tuple(lines))


def implied_discordance(row: str, benchmark: str, level: float = 0.95) -> tuple[float, int]:
    """How many questions must differ for Table 2's printed interval to have its width.

    Returns the number that the width implies (the variance of a paired difference is
    (discordant share - difference^2) / n) and the least that the two accuracies allow.
    """
    from statistics import NormalDist

    low, high = published()["table2_intervals"]["rows"][row][benchmark]
    ours, theirs = accuracy_of("Table 2", row, benchmark), accuracy_of("Table 2", "s1K", benchmark)
    spread = (high - low) / 100 / (2 * NormalDist().inv_cdf((1 + level) / 2))
    difference = (ours.correct - theirs.correct) / ours.n
    share = spread**2 * ours.n + difference**2
    return share * ours.n, abs(ours.correct - theirs.correct)


def _printed_interval(a: PublishedAccuracy, b: PublishedAccuracy) -> tuple[float, float] | None:
    """Table 2 prints intervals of (row - s1K); turned into a - b, as fractions."""
    rows = published()["table2_intervals"]["rows"]
    if a.table != "Table 2" or b.table != "Table 2":
        return None
    if b.row == "s1K" and a.row in rows:
        low, high = rows[a.row][a.benchmark]
    elif a.row == "s1K" and b.row in rows:
        high, low = (-end for end in rows[b.row][a.benchmark])
    else:
        return None
    return low / 100, high / 100
