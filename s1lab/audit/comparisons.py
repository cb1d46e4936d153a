"""Which of the paper's comparisons survive their own sample sizes.

The paper prints accuracies, not which questions were answered. Instead of a paired test there are
two bounds: the most favourable pairing that the two accuracies allow (every question that the
weaker run gets right, the stronger gets right too), and the cautious reading of independent runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from s1lab.audit.published import PublishedAccuracy, accuracy_of, published
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import Interval, mcnemar_p_value, newcombe, questions_needed

Outcome = Literal["survives", "undecided", "cannot survive"]

EQUIVALENCE = 0.05
"""Five points: what a claim of "no substantial gain" must rule out to be shown."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A claim that `a` is more accurate than `b` on the same questions, or (where
    `claims_difference` is False) that there is no difference worth naming."""

    claim: str
    benchmark: str
    a: PublishedAccuracy
    b: PublishedAccuracy
    claims_difference: bool = True

    @property
    def difference(self) -> Interval:
        """a - b with the interval for independent runs (fractions)."""
        return newcombe(self.a.correct, self.a.n, self.b.correct, self.b.n)

    @property
    def questions(self) -> int:
        """How many more questions a answered than b."""
        return self.a.correct - self.b.correct

    @property
    def best_p(self) -> float:
        """McNemar's exact p under the most favourable pairing: no pairing gives less."""
        return mcnemar_p_value(max(self.questions, 0), 0)

    @property
    def needed(self) -> int | None:
        """Questions for 80% power at a claimed difference with independent answers; None at 0."""
        a, b = self.a, self.b
        asked = self.claims_difference and self.questions
        return questions_needed(a.correct / a.n, b.correct / b.n) if asked else None

    @property
    def printed_interval(self) -> tuple[float, float] | None:
        """The paper's paired interval of a - b (fractions); Table 2 prints those of (row - s1K)."""
        for one, other, sign in [(self.a, self.b, 1), (self.b, self.a, -1)]:
            ends = published()["table2_intervals"]["rows"].get(one.row)
            if one.table == other.table == "Table 2" and other.row == "s1K" and ends:
                low, high = sorted(sign * end / 100 for end in ends[self.benchmark])
                return low, high
        return None

    @property
    def outcome(self) -> Outcome:
        """What is left of the claim at its own sample size.

        It survives if the independent interval excludes 0, or the paper's paired one does and some
        pairing agrees; it cannot survive if not even the most favourable pairing reaches p < 0.05;
        else only answers per question can tell. A claim of no difference survives when its interval
        (the paper's, else the independent one) stays within `EQUIVALENCE`.
        """
        low, high = self.printed_interval or (self.difference.low, self.difference.high)
        if not self.claims_difference:
            return "survives" if -EQUIVALENCE <= low and high <= EQUIVALENCE else "undecided"
        if self.difference.low > 0 or (low > 0 and self.best_p < 0.05):
            return "survives"
        return "cannot survive" if self.best_p >= 0.05 else "undecided"


def comparisons() -> list[Comparison]:
    """The paper's comparisons, one per claim and benchmark, in the paper's order."""
    found = []
    for row in published()["claims"]:
        differs = row.get("kind") != "no difference"
        for benchmark in row["benchmarks"]:
            a, b = (accuracy_of(*row[side], benchmark) for side in "ab")
            found.append(Comparison(row["claim"], benchmark, a, b, differs))
    return found


def comparison_rows(rows: Iterable[Comparison]) -> list[Row]:
    """Comparisons as lines of a table."""
    found = []
    for c in rows:
        printed, needed = f"{c.a.percent} and {c.b.percent}", c.needed
        best = f"{c.best_p:.3f}" if c.best_p >= 0.001 else "< 0.001"
        found.append((c.claim, c.benchmark, c.a.n, printed, c.difference, best, needed, c.outcome))
    head = "claim | benchmark | n | printed (%) | difference (points) | best p | needed | outcome"
    return lines(head, found)


def accuracy_rows(rows: Iterable[PublishedAccuracy]) -> list[Row]:
    """Printed accuracies as lines of a table, and whether whole questions print them."""
    head = "model | benchmark | n | accuracy (%) | whole questions"
    cells = ((f"{a.row} ({a.table})", a.benchmark, a.n, a.interval, a.exact) for a in rows)
    return lines(head, cells)


def implied_discordance(row: str, benchmark: str) -> tuple[float, int]:
    """How many questions the width of Table 2's interval implies to differ, and the least that
    must; a paired difference has the variance (discordant share - difference^2) / n."""
    low, high = published()["table2_intervals"]["rows"][row][benchmark]
    ours, theirs = (accuracy_of("Table 2", name, benchmark) for name in (row, "s1K"))
    spread = (high - low) / 100 / (2 * NormalDist().inv_cdf(0.975))
    difference = (ours.correct - theirs.correct) / ours.n
    share = spread**2 * ours.n + difference**2
    return share * ours.n, abs(ours.correct - theirs.correct)
