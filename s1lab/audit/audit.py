"""The paper's own numbers, recomputed: what is printed, what comes out, and how (no GPU needed).

Each function audits one part of the paper and returns findings in print order. Their words are data
(`findings.json`), their verdicts follow from the numbers in `published.json`. `comparisons` asks
which of the paper's comparisons survive their own sample sizes.
"""

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

from s1lab import packaged
from s1lab.audit import published as paper
from s1lab.audit.published import PublishedAccuracy, published
from s1lab.evaluation import (
    Interval,
    class_control,
    control,
    questions_needed,
    scaling_per_doubling,
)
from s1lab.evaluation.report import Row, lines, minus
from s1lab.evaluation.statistics import mcnemar_p_value, newcombe, performance, scaling_per_token

WORDS = packaged("audit/findings.json")


class AuditFinding(NamedTuple):
    """One audited number or statement, as printed and as recomputed. `verdict`: the recomputation
    *agrees* with print, *differs*, or leaves the matter *open*."""

    topic: str
    printed: str
    recomputed: str
    how: str
    verdict: Literal["agrees", "differs", "open"]


def _finding(kind: str, same: bool | None, **values: Any) -> AuditFinding:
    """A finding of `findings.json` with its numbers; `same` is None where the matter is open."""
    words = {name: minus(text.format(**values)) for name, text in WORDS[kind].items()}
    verdict = "open" if same is None else "agrees" if same else "differs"
    return AuditFinding(**words, verdict=verdict)


def finding_rows(findings: Iterable[AuditFinding]) -> list[Row]:
    """Findings as lines of a table: what is printed, what comes out, how, and the verdict."""
    return lines("what | printed | comes out | how | verdict", findings)


def audit() -> list[AuditFinding]:
    """Every finding, in the order of the paper."""
    parts = (
        headline, rounding, selection, figure2, figure4, table2, table3, table8, totals, cost,
        same_model, reproductions, code,
    )  # fmt: skip
    return [found for part in parts for found in part()]


def headline() -> list[AuditFinding]:
    """The abstract: "exceeds o1-preview by up to 27%" and "from 50% to 57% on AIME24"."""
    rows = ("s1-32B", "o1-preview", "s1 w/o BF")
    ours, theirs, plain = (paper.accuracy_of("Table 1", row, "AIME24") for row in rows)
    relative, points = 100 * (ours.percent / theirs.percent - 1), ours.percent - theirs.percent
    gain = ours.correct - plain.correct
    return [
        _finding("headline, relative", round(relative) == 27, relative=relative, points=points),
        _finding("headline, forcing", None, gain=gain, n=ours.n, p=mcnemar_p_value(gain, 0)),
    ]


def rounding() -> list[AuditFinding]:
    """Printed accuracies that no whole number of questions gives: averages, or another rounding."""
    odd = [a for a in paper.accuracies() if not a.exact]
    ours = [a for a in odd if a.row.startswith(("s1", "1K", "59K", "2x", "No ", "Qwen"))]
    listed = ", ".join(f"{a.row} {a.percent} on {a.benchmark} ({a.table})" for a in ours)
    near = "; ".join(f"{a.correct} of {a.n} is {100 * a.correct / a.n:.2f}" for a in ours)
    return [_finding("rounding", not ours, listed=listed, near=near, others=len(odd) - len(ours))]


def selection() -> list[AuditFinding]:
    """The funnel's counts in the paper and in the released notebook (Section 2.2)."""
    paper, notebook = published()["selection"]["paper"], published()["selection"]["notebook"]
    stages = ((s.replace("_", " "), n, notebook[s]) for s, n in paper.items() if s in notebook)
    return [_finding("selection", n == m, stage=s, paper=n, notebook=m) for s, n, m in stages]


def figure2() -> list[AuditFinding]:
    """Figure 2, right: MATH500 against the number of training examples."""
    points, examples = published()["figure2"]["points"], published()["figure2"]["examples"]
    n, ours, findings = published()["questions"]["MATH500"], points["s1"], []
    for other in ("r1-distill", "Bespoke-Stratos", "Sky-T1"):
        theirs, factor = points[other], examples[other] / examples["s1"]
        gap, thousands = (theirs - ours) * n / 100, examples[other] // 1000
        interval = paper.printed_accuracy("MATH500", theirs)
        bounds, holds = interval.percent(), "holds" if ours / 100 in interval else "excludes"
        findings.append(_finding("figure 2", ours / 100 >= interval.low, **locals()))
    return findings


def figure4() -> list[AuditFinding]:
    """Figure 4: the extrapolation points, against the released logs and against chance."""
    logs, n = published()["figure4a_logs"], published()["questions"]["AIME24"]
    correct = [paper.answered("AIME24", value)[0] for value in logs["accuracy"]]
    where = logs["where"]
    counts, spread = ", ".join(map(str, correct)), max(correct) - min(correct)
    mean = sum(correct) / len(correct) / n
    noise = math.sqrt(n * mean * (1 - mean))
    shown = ", ".join(str(value) for _, value in published()["figure4a"]["points"][-3:])
    tokens = published()["figure4b"]["majority_Qwen2.5-32B-Instruct"]["tokens"]
    first, second = tokens[1] / tokens[0], tokens[2] / tokens[1]
    return [_finding("figure 4a", None, **locals()), _finding("figure 4b", False, **locals())]


def table2() -> list[AuditFinding]:
    """Table 2: do the printed paired intervals fit the printed accuracies?"""
    findings = []
    for row, benchmarks in published()["table2_intervals"]["rows"].items():
        for benchmark, (low, high) in benchmarks.items():
            implied, least = implied_discordance(row, benchmark)
            pair = [paper.accuracy_of("Table 2", name, benchmark) for name in ("s1K", row)]
            best = best_p(*sorted(pair, key=lambda a: -a.correct))
            zero, fits = "it holds 0", True
            if high < 0 or low > 0:
                zero, fits = f"it excludes 0, McNemar at best has p = {best:.3f}", best < 0.05
            findings.append(_finding("table 2", fits, **locals()))
    return findings


def table3() -> list[AuditFinding]:
    """Table 3 from Tables 12-14 and Figures 1 and 6: all three measures, Scaling in both units."""
    findings = []
    for method, row in published()["table3"]["rows"].items():
        points = paper.runs(method)
        tokens, exact = points.thinking_tokens, points.exact_accuracy
        doubling = scaling_per_doubling(tokens, exact)
        thousand = 1000 * scaling_per_token(tokens, exact)
        best, count, share = performance(points.accuracy), len(tokens), None
        if method == "CCC":
            of = published()["class_conditional"]["rows"]
            share = class_control(*(of[name]["AIME24"][1] for name in ("default", "short", "long")))
        elif points.limits:
            share = control(tokens, points.limits)
        found = {"scaling": round(doubling), "performance": best}
        found |= {} if share is None else {"control": round(share)}
        for name, value in found.items():
            printed = row[name]
            findings.append(_finding(f"table 3, {name}", value == printed, **locals()))
    rejection = paper.runs("RS")
    tokens, exact = rejection.thinking_tokens[1:], rejection.exact_accuracy[1:]
    values = {"scaling": scaling_per_doubling(tokens, exact), "best": performance(exact)}
    return [*findings, _finding("table 3, rejection", False, **values)]


def table8() -> list[AuditFinding]:
    """Table 8: shorter training sequences make longer thoughts."""
    findings = []
    for benchmark, (cut, whole) in published()["table8"]["rows"].items():
        n, times = published()["questions"][benchmark], cut[1] / whole[1]
        gap = round((whole[0] - cut[0]) * n / 100)
        p = mcnemar_p_value(max(gap, 0), 0)
        findings.append(_finding("table 8", p < 0.05 or None, **locals()))
    return findings


def totals() -> list[AuditFinding]:
    """Sums of Tables 6 and 7 against their printed totals."""
    table6, table7 = published()["table6"], published()["table7"]
    rows6, rows7, printed = table6["rows"], table7["rows"].values(), table6["printed_total"]
    tokens = sum(row[1] for row in rows6.values()) / 1000
    named = sum(not name.startswith("Remaining") for name in rows6)
    pool, length = table7["printed_total"]
    questions = [sum(row[0] for row in rows) for rows in (rows6.values(), rows7)]
    mean = sum(row[0] * row[1] for row in rows7) / questions[1]
    millions, domains, found = printed["tokens_K"] / 1000, printed["domains"], named + 27
    same = found == domains
    return [
        _sum("rows", "Table 6: questions", printed["questions"], questions[0]),
        _finding("table 6, tokens", round(tokens, 1) == millions, printed=millions, found=tokens),
        _finding("table 6, domains", same, printed=domains, named=named, found=found),
        _sum("rows", "Table 7: questions", pool, questions[1]),
        _finding("table 7, length", round(mean, 1) == length, printed=length, found=mean),
    ]


def cost() -> list[AuditFinding]:
    """The arithmetic of training: steps, GPU hours, and what 59K would cost (Section 5.1)."""
    recipe, hours = published()["training"], published()["compute_h100_hours"]
    minutes, examples = recipe["minutes"], recipe["examples"]
    steps = math.ceil(examples / recipe["batch_size"]) * recipe["epochs"]
    s1k, full, spent = hours["s1K"], hours["59K-full"], minutes / 60 * recipe["gpus"]
    pool = published()["selection"]["paper"]["initial"] / examples
    logged = recipe["logged_runtime_seconds"]
    seen = logged * recipe["logged_samples_per_second"]
    return [
        _sum("recipe", "training steps", recipe["steps"], steps),
        _sum("recipe", "warm-up steps", recipe["warmup_steps"], round(0.05 * steps)),
        _finding("hours of s1K", round(spent) == s1k, printed=s1k, found=spent, **recipe),
        _finding("hours of 59K", True, printed=full, ratio=full / s1k, pool=pool),
        _finding("logged run", None, printed=minutes, took=logged / 60, seen=seen),
    ]


def _sum(kind: str, topic: str, printed: float, found: float) -> AuditFinding:
    return _finding(f"sum, {kind}", printed == found, topic=topic, printed=printed, found=found)


def same_model() -> list[AuditFinding]:
    """One model, several numbers: s1 without extrapolation across the paper's tables."""
    table8, default = published()["table8"]["rows"], published()["class_conditional"]["rows"]
    figure = published()["figure1"]["points"]["AIME24"]
    at_half = next(tokens for tokens, value in figure if value == 50.0)
    thinking = (at_half, default["default"]["AIME24"][1], table8["AIME24"][1][1])
    listed = ", ".join(f"{tokens:,.0f}" for tokens in thinking)
    findings = [_finding("same model, tokens", len({*map(round, thinking)}) == 1, listed=listed)]
    rows = {"Table 1": "s1 w/o BF", "Table 2": "s1K", "Table 4": "No extrapolation"}
    for benchmark in ("MATH500", "GPQA Diamond"):
        values = {table: paper.accuracy_of(table, rows[table], benchmark).percent for table in rows}
        values["Table 8"] = table8[benchmark][1][0]
        findings.append(_one_model("accuracy", values, benchmark=benchmark))
    printed = paper.accuracies(benchmark="AIME24")
    qwq = {a.table: a.percent for a in printed if a.row.startswith("QwQ")}
    most, least = (paper.answered("AIME24", end(qwq.values()))[0] for end in (max, min))
    return [*findings, _one_model("QwQ", qwq, apart=most - least)]


def _one_model(kind: str, values: dict[str, float], **more: object) -> AuditFinding:
    listed = ", ".join(f"{value} ({table})" for table, value in values.items())
    return _finding(f"same model, {kind}", len({*values.values()}) == 1, listed=listed, **more)


def reproductions() -> list[AuditFinding]:
    """What users measured where the paper prints a number, with the paper's interval."""
    findings = []
    for row in published()["reported_reproductions"]["rows"]:
        bounds = paper.printed_accuracy("AIME24", row["printed"])
        inside = row["measured"] / 100 in bounds
        words = {"place": "inside" if inside else "outside", "bounds": bounds.percent()}
        findings.append(_finding("reproduction", inside, **words, **row))
    return findings


def code() -> list[AuditFinding]:
    """Places where the paper and the released code say different things."""
    return [_finding("code", False, **row) for row in published()["disagreements"]]


EQUIVALENCE = 0.05
"""Five points: what a claim of "no substantial gain" must rule out to be shown."""


def comparisons() -> list[Row]:
    """The paper's comparisons as lines of a table, one per claim and benchmark, in its order.

    The paper prints accuracies, not which questions were answered. Instead of a paired test there
    are two bounds: the difference of independent runs with its interval, and the p-value of
    `best_p`. Questions are needed for 80% power with independent answers, None where no difference
    is claimed or printed; the outcome is `outcome_of`'s.
    """
    rows = []
    for claim in published()["claims"]:
        differs = claim.get("kind") != "no difference"
        for benchmark in claim["benchmarks"]:
            a, b = (paper.accuracy_of(*claim[side], benchmark) for side in "ab")
            gap, p = newcombe(a.correct, a.n, b.correct, b.n), best_p(a, b)
            known = differs and a.correct != b.correct
            needed = questions_needed(a.correct / a.n, b.correct / b.n) if known else None
            printed, best = f"{a.percent} and {b.percent}", f"{p:.3f}" if p >= 0.001 else "< 0.001"
            outcome = outcome_of(gap, printed_interval(a, b), p, differs)
            rows.append((claim["claim"], benchmark, a.n, printed, gap, best, needed, outcome))
    head = "claim | benchmark | n | printed (%) | difference (points) | best p | needed | outcome"
    return lines(head, rows)


def best_p(a: PublishedAccuracy, b: PublishedAccuracy) -> float:
    """McNemar's exact p under the pairing that favours `a` most: every question that b gets right,
    a gets right too. No pairing gives less."""
    return mcnemar_p_value(max(a.correct - b.correct, 0), 0)


def printed_interval(a: PublishedAccuracy, b: PublishedAccuracy) -> tuple[float, float] | None:
    """The paper's paired interval of a - b (fractions); Table 2 prints those of (row - s1K)."""
    for one, other, sign in ((a, b, 1), (b, a, -1)):
        ends = published()["table2_intervals"]["rows"].get(one.row)
        if one.table == other.table == "Table 2" and other.row == "s1K" and ends:
            low, high = sorted(sign * end / 100 for end in ends[one.benchmark])
            return low, high
    return None


def outcome_of(
    gap: Interval, printed: tuple[float, float] | None, p: float, differs: bool
) -> Literal["survives", "undecided", "cannot survive"]:
    """What is left of a claim at its own sample size.

    It survives if the independent interval excludes 0, or the paper's paired one does and some
    pairing agrees; it cannot survive if not even the most favourable pairing reaches p < 0.05;
    else only answers per question can tell. A claim that nothing `differs` survives when its
    interval (the paper's, else the independent one) stays within `EQUIVALENCE`.
    """
    low, high = printed or (gap.low, gap.high)
    if not differs:
        return "survives" if -EQUIVALENCE <= low and high <= EQUIVALENCE else "undecided"
    if gap.low > 0 or (low > 0 and p < 0.05):
        return "survives"
    return "cannot survive" if p >= 0.05 else "undecided"


def accuracy_rows(rows: Iterable[PublishedAccuracy]) -> list[Row]:
    """Printed accuracies as lines of a table, and whether whole questions print them."""
    head = "model | benchmark | n | accuracy (%) | whole questions"
    cells = ((f"{a.row} ({a.table})", a.benchmark, a.n, a.interval, a.exact) for a in rows)
    return lines(head, cells)


def implied_discordance(row: str, benchmark: str) -> tuple[float, int]:
    """How many questions the width of Table 2's interval implies to differ, and the least that
    must; a paired difference has the variance (discordant share - difference^2) / n."""
    low, high = published()["table2_intervals"]["rows"][row][benchmark]
    ours, theirs = (paper.accuracy_of("Table 2", name, benchmark) for name in (row, "s1K"))
    spread = (high - low) / 100 / (2 * NormalDist().inv_cdf(0.975))
    difference = (ours.correct - theirs.correct) / ours.n
    share = spread**2 * ours.n + difference**2
    return share * ours.n, abs(ours.correct - theirs.correct)
