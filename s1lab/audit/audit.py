"""The paper's own numbers, recomputed: what is printed, what comes out, and how (no GPU needed).

Each function audits one part of the paper and returns findings as data, in print order. What a
finding says is decided by the numbers in `published.json`, never typed in. The comparisons between
accuracies are in `comparisons`.
"""

from __future__ import annotations

import math

from s1lab.audit.findings import AuditFinding, finding
from s1lab.audit.published import accuracies, accuracy_of, answered, published
from s1lab.audit.tables import cost, table2, table3, table8, totals
from s1lab.evaluation.statistics import mcnemar_p_value, wilson


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
    ours, theirs, plain = (accuracy_of("Table 1", row, "AIME24") for row in rows)
    relative, points = 100 * (ours.percent / theirs.percent - 1), ours.percent - theirs.percent
    gain = ours.correct - plain.correct
    return [
        finding("headline, relative", round(relative) == 27, relative=relative, points=points),
        finding("headline, forcing", None, gain=gain, n=ours.n, p=mcnemar_p_value(gain, 0)),
    ]


def rounding() -> list[AuditFinding]:
    """Printed accuracies that no whole number of questions gives: averages, or another rounding."""
    odd = [a for a in accuracies() if not a.exact]
    ours = [a for a in odd if a.row.startswith(("s1", "1K", "59K", "2x", "No ", "Qwen"))]
    listed = ", ".join(f"{a.row} {a.percent} on {a.benchmark} ({a.table})" for a in ours)
    near = "; ".join(f"{a.correct} of {a.n} is {100 * a.correct / a.n:.2f}" for a in ours)
    others = len(odd) - len(ours)
    return [finding("rounding", not ours, listed=listed, near=near, others=others)]


def selection() -> list[AuditFinding]:
    """The funnel's counts in the paper and in the released notebook (Section 2.2)."""
    paper, notebook = published()["selection"]["paper"], published()["selection"]["notebook"]
    counts = {s: (n, notebook[s]) for s, n in paper.items() if s in notebook}
    return [
        finding("selection", ours == theirs, stage=s.replace("_", " "), paper=ours, notebook=theirs)
        for s, (ours, theirs) in counts.items()
    ]


def figure2() -> list[AuditFinding]:
    """Figure 2, right: MATH500 against the number of training examples."""
    points, examples = published()["figure2"]["points"], published()["figure2"]["examples"]
    n, ours = published()["questions"]["MATH500"], points["s1"]
    findings = []
    for other in ("r1-distill", "Bespoke-Stratos", "Sky-T1"):
        bounds = wilson(points[other] * n / 100, n)
        values = {
            "factor": examples[other] / examples["s1"],
            "thousands": examples[other] // 1000,
            "gap": (points[other] - ours) * n / 100,
            "bounds": bounds.percent(),
            "holds": "holds" if ours / 100 in bounds else "excludes",
        }
        same, theirs = ours / 100 >= bounds.low, points[other]
        findings.append(
            finding("figure 2", same, other=other, ours=ours, theirs=theirs, n=n, **values)
        )
    return findings


def figure4() -> list[AuditFinding]:
    """Figure 4: the extrapolation points, against the released logs and against chance."""
    logs, n = published()["figure4a_logs"], published()["questions"]["AIME24"]
    correct = [answered("AIME24", value)[0] for value in logs["accuracy"]]
    mean = sum(correct) / len(correct) / n
    values = {
        "shown": ", ".join(str(value) for _, value in published()["figure4a"]["points"][-3:]),
        "counts": ", ".join(map(str, correct)),
        "spread": max(correct) - min(correct),
        "noise": math.sqrt(n * mean * (1 - mean)),
    }
    tokens = published()["figure4b"]["majority_Qwen2.5-32B-Instruct"]["tokens"]
    first, second = tokens[1] / tokens[0], tokens[2] / tokens[1]
    return [
        finding("figure 4a", None, n=n, where=logs["where"], **values),
        finding("figure 4b", False, first=first, second=second),
    ]


def same_model() -> list[AuditFinding]:
    """One model, several numbers: s1 without extrapolation across the paper's tables."""
    table8, default = published()["table8"]["rows"], published()["class_conditional"]["rows"]
    figure = published()["figure1"]["points"]["AIME24"]
    at_half = next(tokens for tokens, value in figure if value == 50.0)
    thinking = (at_half, default["default"]["AIME24"][1], table8["AIME24"][1][1])
    listed = ", ".join(f"{tokens:,.0f}" for tokens in thinking)
    findings = [finding("same model, tokens", len({*map(round, thinking)}) == 1, listed=listed)]
    rows = {"Table 1": "s1 w/o BF", "Table 2": "s1K", "Table 4": "No extrapolation"}
    for benchmark in ("MATH500", "GPQA Diamond"):
        values = {table: accuracy_of(table, rows[table], benchmark).percent for table in rows}
        values["Table 8"] = table8[benchmark][1][0]
        findings.append(_one_model("accuracy", values, benchmark=benchmark))
    qwq = {a.table: a.percent for a in accuracies(benchmark="AIME24") if a.row.startswith("QwQ")}
    most, least = (answered("AIME24", end(qwq.values()))[0] for end in (max, min))
    return [*findings, _one_model("QwQ", qwq, apart=most - least)]


def _one_model(kind: str, values: dict[str, float], **more: object) -> AuditFinding:
    listed = ", ".join(f"{value} ({table})" for table, value in values.items())
    same = len(set(values.values())) == 1
    return finding(f"same model, {kind}", same, listed=listed, **more)


def reproductions() -> list[AuditFinding]:
    """What users measured where the paper prints a number, with the paper's interval."""
    n = published()["questions"]["AIME24"]
    findings = []
    for row in published()["reported_reproductions"]["rows"]:
        bounds = wilson(row["printed"] * n / 100, n)
        inside = row["measured"] / 100 in bounds
        words = {"place": "inside" if inside else "outside", "bounds": bounds.percent()}
        findings.append(finding("reproduction", inside, **words, **row))
    return findings


def code() -> list[AuditFinding]:
    """Places where the paper and the released code say different things."""
    return [finding("code", False, **row) for row in published()["disagreements"]]
