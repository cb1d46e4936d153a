"""The audit of the paper's tables: intervals, measures, sums, and the arithmetic of training.

A part of `audit`, which see.
"""

from __future__ import annotations

import math

from s1lab.audit.comparisons import compare, implied_discordance
from s1lab.audit.findings import Finding, verdict
from s1lab.audit.published import accuracy_of, published, runs
from s1lab.evaluation.metrics import (
    class_control,
    control,
    performance,
    scaling_per_doubling,
    scaling_per_token,
)
from s1lab.evaluation.statistics import mcnemar_p_value


def table2() -> list[Finding]:
    """Table 2: do the printed paired intervals fit the printed accuracies?"""
    findings = []
    for row, benchmarks in published()["table2_intervals"]["rows"].items():
        for benchmark, (low, high) in benchmarks.items():
            implied, least = implied_discordance(row, benchmark)
            ours = accuracy_of("Table 2", "s1K", benchmark)
            theirs = accuracy_of("Table 2", row, benchmark)
            pair = sorted((ours, theirs), key=lambda a: -a.correct)
            best = compare("", "", pair[0], pair[1]).best_p
            excludes = high < 0 or low > 0
            findings.append(
                Finding(
                    f"Table 2: {row} on {benchmark}",
                    f"[{low}, {high}]",
                    f"{implied:.1f} questions answered differently; at least {least} must be",
                    "width of the interval as a paired difference; "
                    + (
                        f"it excludes 0, McNemar at best has p = {best:.3f}"
                        if excludes
                        else "it holds 0"
                    ),
                    "Table 2",
                    "differs" if excludes and best >= 0.05 else "agrees",
                )
            )
    return findings


def table3() -> list[Finding]:
    """Table 3 from Tables 12-14 and Figures 1 and 6: all three measures, Scaling in both units."""
    findings = []
    for method, row in published()["table3"]["rows"].items():
        points = runs(method)
        tokens, exact = points.thinking_tokens, points.exact_accuracy
        doubling, per_token = scaling_per_doubling(tokens, exact), scaling_per_token(tokens, exact)
        findings.append(
            Finding(
                f"Table 3: Scaling of {method}",
                str(row["scaling"]),
                f"{doubling:.2f} per doubling, {1000 * per_token:.2f} per 1,000 tokens",
                f"mean slope over all pairs of {len(tokens)} runs",
                f"{points.where}",
                verdict(round(doubling) == row["scaling"]),
            )
        )
        findings.append(
            Finding(
                f"Table 3: Performance of {method}",
                str(row["performance"]),
                f"{performance(points.accuracy):.1f}",
                "best accuracy of the runs",
                points.where,
                verdict(performance(points.accuracy) == row["performance"]),
            )
        )
        share = _control_of(method)
        if share is not None:
            findings.append(
                Finding(
                    f"Table 3: Control of {method}",
                    f"{row['control']}%",
                    f"{share:.0f}%",
                    "runs whose average thinking keeps its limit",
                    points.where,
                    verdict(round(share) == row["control"]),
                )
            )
    rejection = runs("RS")
    tokens, exact = rejection.thinking_tokens[1:], rejection.exact_accuracy[1:]
    findings.append(
        Finding(
            "Table 3: rejection sampling without its shortest limit",
            "Scaling -35, Performance 40.0",
            f"Scaling {scaling_per_doubling(tokens, exact):.2f}, "
            f"Performance {performance(exact):.1f}",
            "five runs, as the table says, by dropping the 3,500-token limit: one number comes "
            "out and the other does not",
            rejection.where,
            "differs",
        )
    )
    return findings


def table8() -> list[Finding]:
    """Table 8: shorter training sequences make longer thoughts."""
    findings = []
    for benchmark, ((short, used_short), (long, used_long)) in published()["table8"][
        "rows"
    ].items():
        n = published()["questions"][benchmark]
        gap = round((long - short) * n / 100)
        best = mcnemar_p_value(max(gap, 0), 0)
        findings.append(
            Finding(
                f"Table 8: {benchmark}",
                f"{short} at {used_short:,} tokens (4,096) and {long} at {used_long:,} (32,768)",
                f"{used_short / used_long:.1f} times the thinking, {gap} of {n} questions fewer",
                f"McNemar at best: p = {best:.3f}",
                "Table 8",
                "agrees" if best < 0.05 else "open",
            )
        )
    return findings


def totals() -> list[Finding]:
    """Sums of Tables 6 and 7 against their printed totals."""
    table6, table7 = published()["table6"], published()["table7"]
    questions = sum(row[0] for row in table6["rows"].values())
    tokens = sum(row[1] for row in table6["rows"].values())
    named = sum(not name.startswith("Remaining") for name in table6["rows"])
    pool = sum(row[0] for row in table7["rows"].values())
    mean = sum(row[0] * row[1] for row in table7["rows"].values()) / pool
    printed = table6["printed_total"]
    return [
        _sum("Table 6: questions", printed["questions"], questions, "Table 6"),
        Finding(
            "Table 6: thinking tokens",
            f"{printed['tokens_K'] / 1000:.1f}M",
            f"{tokens / 1000:.1f}M",
            "sum over its rows, in thousands",
            "Table 6",
            verdict(round(tokens / 1000, 1) == printed["tokens_K"] / 1000),
        ),
        Finding(
            "Table 6: domains",
            f"{printed['domains']}",
            f"{named} named and 27 remaining are {named + 27}",
            "count of its rows; Section 2.2 says 50",
            "Table 6",
            verdict(named + 27 == printed["domains"]),
        ),
        _sum("Table 7: questions", table7["printed_total"][0], pool, "Table 7"),
        Finding(
            "Table 7: average thinking length",
            f"{table7['printed_total'][1]}K",
            f"{mean:.1f}K",
            "rows weighted by their questions",
            "Table 7",
            verdict(round(mean, 1) == table7["printed_total"][1]),
        ),
    ]


def cost() -> list[Finding]:
    """The arithmetic of training: steps, GPU hours, and what 59K would cost (Section 5.1)."""
    recipe, hours = published()["training"], published()["compute_h100_hours"]
    per_epoch = math.ceil(recipe["examples"] / recipe["batch_size"])
    steps = per_epoch * recipe["epochs"]
    spent = recipe["minutes"] / 60 * recipe["gpus"]
    ratio = hours["59K-full"] / hours["s1K"]
    pool = published()["selection"]["paper"]["initial"] / recipe["examples"]
    seen = recipe["logged_runtime_seconds"] * recipe["logged_samples_per_second"]
    return [
        _sum("training steps", recipe["steps"], steps, "Appendix D"),
        _sum("warm-up steps", recipe["warmup_steps"], round(0.05 * steps), "Appendix D"),
        Finding(
            "GPU hours of s1K",
            f"{hours['s1K']} H100 hours",
            f"{spent:.1f}",
            f"{recipe['minutes']} minutes on {recipe['gpus']} H100",
            "Sections 4.1 and 5.1",
            verdict(round(spent) == hours["s1K"]),
        ),
        Finding(
            "GPU hours of 59K",
            f"{hours['59K-full']} H100 hours",
            f"{ratio:.0f} times s1K's, for {pool:.0f} times the examples",
            "their traces are shorter on average (Tables 6 and 7)",
            "Section 5.1",
            "agrees",
        ),
        Finding(
            "the run logged in the released script",
            f"{recipe['minutes']} minutes",
            f"{recipe['logged_runtime_seconds'] / 60:.0f} minutes for {seen:,.0f} examples",
            "train_runtime and samples_per_second in train/sft.sh: five epochs of 1,000, "
            "on hardware that the script does not name",
            "released code",
            "open",
        ),
    ]


def _control_of(method: str) -> float | None:
    if method == "CCC":
        rows = published()["class_conditional"]["rows"]
        tokens = {name: row["AIME24"][1] for name, row in rows.items()}
        return class_control(tokens["default"], tokens["short"], tokens["long"])
    points = runs(method)
    return control(points.thinking_tokens, points.limits) if points.limits else None


def _sum(topic: str, printed: float, found: float, source: str) -> Finding:
    how = "sum over the rows" if source.startswith("Table") else "from the recipe's own numbers"
    return Finding(topic, f"{printed:,}", f"{found:,}", how, source, verdict(printed == found))
