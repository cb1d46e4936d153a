"""The audit of the paper's tables: intervals, measures, sums, and the arithmetic of training.

A part of `audit`, which see.
"""

from __future__ import annotations

import math

from s1lab.audit.comparisons import Comparison, implied_discordance
from s1lab.audit.findings import AuditFinding, finding
from s1lab.audit.published import PublishedRuns, accuracy_of, published, runs
from s1lab.evaluation.metrics import (
    class_control,
    control,
    performance,
    scaling_per_doubling,
    scaling_per_token,
)
from s1lab.evaluation.statistics import mcnemar_p_value


def table2() -> list[AuditFinding]:
    """Table 2: do the printed paired intervals fit the printed accuracies?"""
    findings = []
    for row, benchmarks in published()["table2_intervals"]["rows"].items():
        for benchmark, (low, high) in benchmarks.items():
            implied, least = implied_discordance(row, benchmark)
            pair = [accuracy_of("Table 2", name, benchmark) for name in ("s1K", row)]
            best = Comparison("", benchmark, *sorted(pair, key=lambda a: -a.correct)).best_p
            excludes = high < 0 or low > 0
            zero = (
                f"it excludes 0, McNemar at best has p = {best:.3f}" if excludes else "it holds 0"
            )
            values = {"low": low, "high": high, "implied": implied, "least": least, "zero": zero}
            same = not excludes or best < 0.05
            findings.append(finding("table 2", same, row=row, benchmark=benchmark, **values))
    return findings


def table3() -> list[AuditFinding]:
    """Table 3 from Tables 12-14 and Figures 1 and 6: all three measures, Scaling in both units."""
    findings = []
    for method, row in published()["table3"]["rows"].items():
        points = runs(method)
        about = {"method": method, "where": points.where}
        tokens, exact = points.thinking_tokens, points.exact_accuracy
        doubling, per_token = scaling_per_doubling(tokens, exact), scaling_per_token(tokens, exact)
        best, share = performance(points.accuracy), _control_of(points)
        scaling = {"doubling": doubling, "thousand": 1000 * per_token, "runs": len(tokens)}
        measures = {"scaling": (round(doubling), scaling), "performance": (best, {"best": best})}
        if share is not None:
            measures["control"] = round(share), {"share": share}
        for measure, (found, values) in measures.items():
            same, values["printed"] = found == row[measure], row[measure]
            findings.append(finding(f"table 3, {measure}", same, **values, **about))
    rejection = runs("RS")
    tokens, exact = rejection.thinking_tokens[1:], rejection.exact_accuracy[1:]
    values = {"scaling": scaling_per_doubling(tokens, exact), "best": performance(exact)}
    return [*findings, finding("table 3, rejection", False, where=rejection.where, **values)]


def _control_of(points: PublishedRuns) -> float | None:
    if points.method == "CCC":
        rows = published()["class_conditional"]["rows"]
        return class_control(*(rows[name]["AIME24"][1] for name in ("default", "short", "long")))
    return control(points.thinking_tokens, points.limits) if points.limits else None


def table8() -> list[AuditFinding]:
    """Table 8: shorter training sequences make longer thoughts."""
    findings = []
    for benchmark, (cut, whole) in published()["table8"]["rows"].items():
        n = published()["questions"][benchmark]
        gap = round((whole[0] - cut[0]) * n / 100)
        p = mcnemar_p_value(max(gap, 0), 0)
        values = {
            "cut": cut,
            "whole": whole,
            "times": cut[1] / whole[1],
            "gap": gap,
            "n": n,
            "p": p,
        }
        findings.append(finding("table 8", p < 0.05 or None, benchmark=benchmark, **values))
    return findings


def totals() -> list[AuditFinding]:
    """Sums of Tables 6 and 7 against their printed totals."""
    table6, table7 = published()["table6"], published()["table7"]
    rows6, rows7, printed = table6["rows"], table7["rows"].values(), table6["printed_total"]
    tokens = sum(row[1] for row in rows6.values()) / 1000
    named = sum(not name.startswith("Remaining") for name in rows6)
    pool, length = table7["printed_total"]
    mean = sum(row[0] * row[1] for row in rows7) / sum(row[0] for row in rows7)
    millions, domains = printed["tokens_K"] / 1000, printed["domains"]
    questions, all_domains = sum(row[0] for row in rows6.values()), named + 27
    same = all_domains == domains
    return [
        _sum("rows", "Table 6: questions", printed["questions"], questions),
        finding("table 6, tokens", round(tokens, 1) == millions, printed=millions, found=tokens),
        finding("table 6, domains", same, printed=domains, named=named, found=all_domains),
        _sum("rows", "Table 7: questions", pool, sum(row[0] for row in rows7)),
        finding("table 7, length", round(mean, 1) == length, printed=length, found=mean),
    ]


def cost() -> list[AuditFinding]:
    """The arithmetic of training: steps, GPU hours, and what 59K would cost (Section 5.1)."""
    recipe, hours = published()["training"], published()["compute_h100_hours"]
    minutes, gpus, examples = recipe["minutes"], recipe["gpus"], recipe["examples"]
    steps = math.ceil(examples / recipe["batch_size"]) * recipe["epochs"]
    s1k, full, spent = hours["s1K"], hours["59K-full"], minutes / 60 * gpus
    pool = published()["selection"]["paper"]["initial"] / examples
    logged = recipe["logged_runtime_seconds"]
    seen = logged * recipe["logged_samples_per_second"]
    same = round(spent) == s1k
    return [
        _sum("recipe", "training steps", recipe["steps"], steps),
        _sum("recipe", "warm-up steps", recipe["warmup_steps"], round(0.05 * steps)),
        finding("hours of s1K", same, printed=s1k, found=spent, minutes=minutes, gpus=gpus),
        finding("hours of 59K", True, printed=full, ratio=full / s1k, pool=pool),
        finding("logged run", None, printed=minutes, minutes=logged / 60, seen=seen),
    ]


def _sum(kind: str, topic: str, printed: float, found: float) -> AuditFinding:
    source = topic.partition(":")[0] if kind == "rows" else "Appendix D"
    same, kind = printed == found, f"sum, {kind}"
    return finding(kind, same, topic=topic, printed=printed, found=found, source=source)
