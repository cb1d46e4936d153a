"""The paper's own numbers, recomputed: what is printed, what comes out, and how (no GPU needed).

Each function audits one part of the paper and returns findings as data, in print order. What a
finding says is decided by the numbers in `published.json`, never typed in. The comparisons between
accuracies are in `comparisons`.
"""

from __future__ import annotations

import math

from s1lab.audit.findings import Finding, verdict
from s1lab.audit.published import accuracies, accuracy_of, published
from s1lab.audit.tables import cost, table2, table3, table8, totals
from s1lab.evaluation.statistics import mcnemar_p_value, wilson


def audit() -> list[Finding]:
    """Every finding, in the order of the paper."""
    parts = (
        headline, rounding, selection, figure2, figure4, table2, table3, table8, totals, cost,
        same_model, reproductions, code,
    )  # fmt: skip
    return [finding for part in parts for finding in part()]


def headline() -> list[Finding]:
    """The abstract: "exceeds o1-preview by up to 27%" and "from 50% to 57% on AIME24"."""
    ours = accuracy_of("Table 1", "s1-32B", "AIME24")
    theirs = accuracy_of("Table 1", "o1-preview", "AIME24")
    relative = 100 * (ours.percent / theirs.percent - 1)
    points = ours.percent - theirs.percent
    gain = ours.correct - accuracy_of("Table 1", "s1 w/o BF", "AIME24").correct
    return [
        Finding(
            "up to 27% over o1-preview",
            "27%",
            f"{relative:.0f}% relative, {points:.1f} points",
            "56.7 / 44.6 - 1: the 27% is relative, on AIME24; no difference reaches 27 points",
            "abstract; Table 1",
            verdict(round(relative) == 27),
        ),
        Finding(
            "from 50% to 57% by budget forcing",
            "7 points",
            f"{gain} of {ours.n} questions, p = {mcnemar_p_value(gain, 0):.2f} at best",
            "McNemar's exact test, every changed question in favour",
            "abstract; Table 1",
            "open",
        ),
    ]


def rounding() -> list[Finding]:
    """Printed accuracies that no whole number of questions gives: averages, or another rounding."""
    odd = [a for a in accuracies() if not a.exact]
    ours = [a for a in odd if a.row.startswith(("s1", "1K", "59K", "2x", "No ", "Qwen"))]
    listed = ", ".join(f"{a.row} {a.percent} on {a.benchmark} ({a.table})" for a in ours)
    near = "; ".join(f"{a.correct} of {a.n} is {100 * a.correct / a.n:.2f}" for a in ours)
    return [
        Finding(
            "accuracies that are no number of questions",
            listed,
            near,
            f"k / n for the nearest k; {len(odd) - len(ours)} more belong to models that others "
            "measured, over several runs",
            "Tables 1-5",
            verdict(not ours),
        )
    ]


def selection() -> list[Finding]:
    """The funnel's counts in the paper and in the released notebook (Section 2.2)."""
    paper, notebook = published()["selection"]["paper"], published()["selection"]["notebook"]
    return [
        Finding(
            f"selection: {stage.replace('_', ' ')}",
            f"{count:,}",
            f"{notebook[stage]:,}",
            "outputs of data/filter.ipynb",
            "Section 2.2; released code",
            verdict(count == notebook[stage]),
        )
        for stage, count in paper.items()
        if stage in notebook
    ]


def figure2() -> list[Finding]:
    """Figure 2, right: MATH500 against the number of training examples."""
    figure = published()["figure2"]
    points, examples = figure["points"], figure["examples"]
    size = published()["questions"]["MATH500"]
    findings = []
    for other in ("r1-distill", "Bespoke-Stratos", "Sky-T1"):
        factor = examples[other] / examples["s1"]
        gap = (points[other] - points["s1"]) * size / 100
        bounds = wilson(points[other] * size / 100, size)
        inside = points["s1"] / 100 in bounds
        findings.append(
            Finding(
                f"Figure 2: s1 against {other}",
                f"{points['s1']} with 1K, {points[other]} with {examples[other] // 1000}K examples",
                f"{factor:.0f} times the examples for {gap:+.0f} of {size} questions",
                f"Wilson: {other} {bounds.percent()}, which {'holds' if inside else 'excludes'} "
                "s1's; the 1K were chosen from 59K graded traces, which the axis does not count",
                "Figure 2",
                "agrees" if points["s1"] / 100 >= bounds.low else "differs",
            )
        )
    return findings


def figure4() -> list[Finding]:
    """Figure 4: the extrapolation points, against the released logs and against chance."""
    logs, n = published()["figure4a_logs"], published()["questions"]["AIME24"]
    correct = [round(value * n / 100) for value in logs["accuracy"]]
    mean = sum(correct) / len(correct) / n
    noise = math.sqrt(n * mean * (1 - mean))
    drawn = published()["figure4a"]["points"][-3:]
    shown = ", ".join(str(value) for _, value in drawn)
    all_of_them = ", ".join(str(k) for k in correct)
    parallel = published()["figure4b"]["majority_Qwen2.5-32B-Instruct"]
    first = parallel["tokens"][1] / parallel["tokens"][0]
    second = parallel["tokens"][2] / parallel["tokens"][1]
    return [
        Finding(
            "Figure 4a: Wait 2x, 4x, 6x",
            shown,
            f"0 to 8 Waits: {all_of_them} of {n}",
            f"the released logs ({logs['where']}); their range is {max(correct) - min(correct)} "
            f"questions, one standard deviation of a single run {noise:.1f}",
            "Figure 4a; issues of the code repository",
            "open",
        ),
        Finding(
            "Figure 4b: majority voting with 2, 4, ..., 64 samples",
            "2, 4, 8, 16, 32, 64",
            f"the second dot has {first:.1f} times the tokens of the first, the third "
            f"{second:.1f} times those of the second",
            "ratios of the tokens drawn: the first dot is one sample, not two",
            "Figure 4b",
            "differs",
        ),
    ]


def same_model() -> list[Finding]:
    """One model, several numbers: s1 without extrapolation across the paper's tables."""
    table8, default = published()["table8"]["rows"], published()["class_conditional"]["rows"]
    figure = published()["figure1"]["points"]["AIME24"]
    at_half = next(tokens for tokens, value in figure if value == 50.0)
    thinking = (at_half, default["default"]["AIME24"][1], table8["AIME24"][1][1])
    findings = [
        Finding(
            "AIME24 thinking tokens of s1 at 50.0%",
            "one model",
            ", ".join(f"{tokens:,.0f}" for tokens in thinking),
            "Figure 1, Table 14 (default prompt), Table 8 (32,768)",
            "Figure 1; Tables 8 and 14",
            verdict(len({round(tokens) for tokens in thinking}) == 1),
        )
    ]
    for benchmark in ("MATH500", "GPQA Diamond"):
        values = {
            "Table 1": accuracy_of("Table 1", "s1 w/o BF", benchmark).percent,
            "Table 2": accuracy_of("Table 2", "s1K", benchmark).percent,
            "Table 4": accuracy_of("Table 4", "No extrapolation", benchmark).percent,
            "Table 8": table8[benchmark][1][0],
        }
        findings.append(
            Finding(
                f"{benchmark} of s1 without extrapolation",
                "one model",
                ", ".join(f"{value} ({table})" for table, value in values.items()),
                "Table 2 ends thinking at about 30,000 tokens, Table 8 trains the model again; "
                "Tables 1 and 4 do not say what differs",
                "Tables 1, 2, 4, 8",
                verdict(len(set(values.values())) == 1),
            )
        )
    qwq = {a.table: a.percent for a in accuracies(benchmark="AIME24") if a.row.startswith("QwQ")}
    listed = ", ".join(f"{value} ({table})" for table, value in qwq.items())
    findings.append(
        Finding(
            "AIME24 of QwQ-32B-preview",
            listed,
            f"{round(max(qwq.values()) * 0.3) - round(min(qwq.values()) * 0.3)} question apart",
            "the same model in two tables",
            "Tables 1 and 5",
            verdict(len(set(qwq.values())) == 1),
        )
    )
    return findings


def reproductions() -> list[Finding]:
    """What users measured where the paper prints a number, with the paper's interval."""
    n = published()["questions"]["AIME24"]
    findings = []
    for row in published()["reported_reproductions"]["rows"]:
        bounds = wilson(row["printed"] * n / 100, n)
        inside = row["measured"] / 100 in bounds
        findings.append(
            Finding(
                f"reproduction: {row['what']}",
                str(row["printed"]),
                str(row["measured"]),
                f"{'inside' if inside else 'outside'} the printed number's interval, "
                f"{bounds.percent()}",
                row["where"],
                "agrees" if inside else "differs",
            )
        )
    return findings


def code() -> list[Finding]:
    """Places where the paper and the released code say different things."""
    return [
        Finding(row["topic"], row["paper"], row["code"], "read side by side", "code", "differs")
        for row in published()["disagreements"]
    ]
