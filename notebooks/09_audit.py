# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What the paper's numbers can say
#
# *An audit of Tables 1 to 8, Figures 1, 2, 4 and 6, and the released code.*
#
# A paper prints numbers; a reader wants to know which of them would come out again. This page
# recomputes what can be recomputed without a GPU, from nothing but what the paper and its
# repository publish: intervals from the number of questions, Table 3 from the appendix, sums,
# costs, and places where two tables disagree. Each finding says what is printed, what comes out,
# and how.
#
# :::{admonition} The claim
# :class: claim
# s1-32B "exceeds o1-preview on competition math questions by up to 27% (MATH and AIME24)", and
# budget forcing extrapolates "from 50% to 57% on AIME24" (abstract).
# :::
#
# Nothing here says that the paper is wrong about its subject. It says how much each number
# weighs.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from collections import Counter

from myst_nb import glue
from s1lab.audit import audit
from s1lab.audit.comparisons import (
    accuracy_table,
    comparison_table,
    comparisons,
)
from s1lab.audit.published import accuracies, accuracy_of
from s1lab.evaluation import detectable_difference, questions_needed, wilson
from s1lab.evaluation.logs import known_logs
from s1lab.evaluation.report import Table
from s1lab.figures.display import show
from s1lab.figures.forests import comparison
from s1lab.generations.tables import checkpoints
from s1lab.runs import project_root

findings = audit.audit()
verdicts = Counter(finding.verdict for finding in findings)

# %% [markdown]
# ## How wide an accuracy is
#
# AIME24 has 30 questions, GPQA Diamond 198, MATH500 500. The number of questions alone fixes how
# far an accuracy may lie from what the model would score on more questions of the same kind.
# Wilson's interval says how far; it needs no generations, so it can be drawn for every number in
# the paper.

# %% tags=["hide-input"]
rows = accuracies("Table 1", "AIME24")
bars = [
    {
        "name": row.row,
        "accuracy": row.interval.estimate,
        "low": row.interval.low,
        "high": row.interval.high,
        "series": "paper",
    }
    for row in sorted(rows, key=lambda row: -row.interval.estimate)
]
show(
    comparison(
        bars,
        metric="AIME24 accuracy",
        title="Table 1 with the intervals of 30 questions",
    ),
    "audit-aime-intervals",
    alt="AIME24 accuracies of Table 1 with 95% intervals: "
    + ", ".join(f"{row.row} {row.interval.percent()}" for row in rows)
    + ".",
    caption="Table 1, AIME24: accuracies as printed, intervals from n = 30.",
)

# %% tags=["hide-input"]
headline = wilson(accuracy_of("Table 1", "s1-32B", "AIME24").correct, 30)
glue("audit_headline", headline.percent(), display=False)
seen = f"{100 * detectable_difference(30, 0.5):.0f}"
glue("audit_detectable", seen, display=False)
glue("audit_accuracies", len(accuracies()), display=False)

# %% [markdown]
# The 56.7% of s1-32B is {glue:text}`audit_headline`. With 30 questions and independent answers, a
# model at 50% must gain {glue:text}`audit_detectable` points before a comparison sees it four
# times in five. All {glue:text}`audit_accuracies` accuracies of Tables 1 to 5:

# %% tags=["hide-output"]
accuracy_table(accuracies())

# %% [markdown]
# A score that no whole number of questions prints is an average over several runs, or rounded in
# another way. Nearly all of those belong to other people's models.

# %%
audit.findings_table(audit.rounding())

# %% [markdown]
# What that width looks like: AIME24 as answered by eleven checkpoints of *one* fine-tuning run of a
# 32B model, published by NovaSky {cite}`skythought` and graded again. Nothing in their order
# foretells which comes out ahead.

# %% tags=["hide-input"]
steps, chance = checkpoints(project_root() / "results" / "generations")
glue("audit_noise_low", f"{100 * steps.accuracy.min():.1f}", display=False)
glue("audit_noise_high", f"{100 * steps.accuracy.max():.1f}", display=False)
glue("audit_noise_p", f"{chance:.2f}", display=False)
wandering = steps.assign(name=[f"step {step}" for step in steps.step])
show(
    comparison(
        wandering.assign(series="base"),
        metric="AIME24 accuracy",
        title="Eleven checkpoints of one run",
    ),
    "audit-noise",
    alt="AIME24 accuracy of eleven checkpoints with 95% intervals: "
    + ", ".join(
        f"{row.name} {100 * row.accuracy:.1f}"
        for row in wandering.itertuples(index=False)
    )
    + " percent.",
    caption="Thirty questions, eleven checkpoints, 95% intervals. Logs: "
    "NovaSky-AI/SkyThought at 9a750c72 (Apache-2.0).",
)

# %% [markdown]
# From {glue:text}`audit_noise_low` to {glue:text}`audit_noise_high` percent; over the same thirty
# questions the eleven do not differ by more than chance (Cochran's Q,
# p = {glue:text}`audit_noise_p`).

# %% [markdown]
# ## The abstract's two numbers

# %%
audit.findings_table(audit.headline())

# %% tags=["hide-input"]
needed = questions_needed(17 / 30, 15 / 30)
best = questions_needed(17 / 30, 15 / 30, discordant=2 / 30)
glue("audit_needed", f"{needed:,}", display=False)
glue("audit_needed_best", f"{best:,}", display=False)

# %% [markdown]
# Seven points on AIME24 are two questions. To see a gain of that size four times in five takes
# {glue:text}`audit_needed` questions if the two runs answer independently, and
# {glue:text}`audit_needed_best` in the best of cases, in which no question is ever lost. More
# seeds on the same thirty questions remove the noise of sampling; they do not make the thirty
# more.

# %% [markdown]
# ## Which comparisons survive
#
# The paper prints accuracies, not which questions were answered, so its paired tests cannot be
# redone. Two bounds can. The cautious one takes the two runs as independent (Newcombe's
# interval). The generous one takes the most favourable pairing that the two accuracies allow:
# every question that the weaker run gets right, the stronger gets right too (McNemar's exact
# test). A comparison *survives* if the cautious bound, or the paper's own paired interval,
# excludes zero; it *cannot survive* if not even the generous one reaches p < 0.05; between the
# two, only answers per question can tell. A claim of *no* difference survives when its interval
# rules out five points.

# %% tags=["hide-input"]
claims = comparisons()
outcomes = Counter(claim.outcome for claim in claims)
for name in ("survives", "undecided", "cannot survive"):
    glue("audit_" + name.replace(" ", "_"), outcomes[name], display=False)
glue("audit_claims", len(claims), display=False)

# %% [markdown]
# Of {glue:text}`audit_claims` comparisons, {glue:text}`audit_survives` survive,
# {glue:text}`audit_undecided` are undecided, and {glue:text}`audit_cannot_survive` cannot survive
# at their sample size:

# %%
comparison_table(claims)

# %% tags=["hide-input"]
wanted = ("budget forcing extrapolates", "fine-tuning on s1K", "s1K beats 1K")
shown = [claim for claim in claims if claim.claim.startswith(wanted)]
points = [
    {
        "name": f"{claim.a.row} - {claim.b.row}, {claim.benchmark}",
        "accuracy": claim.difference.estimate,
        "low": claim.difference.low,
        "high": claim.difference.high,
        "series": "ours" if claim.outcome == "survives" else "paper",
    }
    for claim in shown
]
show(
    comparison(
        points,
        metric="difference",
        title="Differences with independent intervals",
    ),
    "audit-differences",
    alt="Differences between accuracies with 95% intervals: "
    + "; ".join(
        f"{point['name']} {100 * point['accuracy']:.1f} points"
        for point in points
    )
    + ".",
    caption="Differences in percentage points, intervals for independent runs. Blue: survives, by "
    "this interval or by the paper's own paired one.",
)

# %% [markdown]
# ## Table 2's own intervals
#
# Table 2 is the one place where the paper prints intervals: a paired bootstrap with 10,000
# resamples. The width of a paired interval tells how many questions the two runs answered
# differently, which cannot be fewer than the questions that lie between their accuracies.

# %% tags=["hide-output"]
audit.findings_table(audit.table2())

# %% tags=["hide-input"]
apart = {
    c.b.row: c for c in claims if c.benchmark == "AIME24" and c.a.row == "s1K"
}
for row in ("1K-random", "1K-diverse"):
    glue(f"audit_apart_{row[3:]}", apart[row].questions, display=False)
    glue(f"audit_p_{row[3:]}", f"{apart[row].best_p:.3f}", display=False)

# %% [markdown]
# :::{admonition} Where it differs
# :class: differs
# On AIME24, s1K and 1K-random lie {glue:text}`audit_apart_random` questions apart. That many, all
# in favour of one side, have an exact p of {glue:text}`audit_p_random`; the printed interval
# excludes zero all the same, since the percentile bootstrap is too narrow at thirty questions.
# For 1K-diverse, {glue:text}`audit_apart_diverse` questions apart (p =
# {glue:text}`audit_p_diverse`), both agree.
# :::

# %% [markdown]
# ## Table 3 from the appendix
#
# Control (Eq. 1), Scaling (Eq. 2) and Performance (Eq. 3) are functions of points that the paper
# prints in Tables 12 to 14 and draws in Figures 1 and 6. As printed, Eq. 2 divides by thinking
# tokens. What the table holds comes out when it divides by *doublings* of thinking tokens.

# %%
audit.findings_table(audit.table3())

# %% tags=["hide-input"]
scaling = [
    finding for finding in audit.table3() if "Scaling of" in finding.topic
]
agreeing = sum(finding.verdict == "agrees" for finding in scaling)
glue("audit_scaling", f"{agreeing} of {len(scaling)}", display=False)

# %% [markdown]
# {glue:text}`audit_scaling` Scaling values come out to the printed digit per doubling; per token
# they are of another order altogether. Rejection sampling does not come out: its points give
# another slope, and those that give the printed slope have another Performance.

# %% [markdown]
# ## Figures 2 and 4

# %%
audit.findings_table(audit.figure2() + audit.figure4())

# %% [markdown]
# The three extrapolation points of Figure 4 are three of nine. Read in order from zero to eight
# Waits, the released logs rise and fall within less than one standard deviation of a single run.
# The axis of Figure 2 counts the examples that a model was trained on; the 1,000 were chosen from
# 59,029 that a teacher had answered and two models had tried.

# %% [markdown]
# ## Sums, sequence length, and cost

# %%
audit.findings_table(audit.totals() + audit.table8() + audit.cost())

# %% [markdown]
# ## One model, several numbers

# %%
audit.findings_table(audit.same_model() + audit.reproductions())

# %% [markdown]
# ## Where paper and code disagree

# %%
audit.findings_table(audit.selection() + audit.code())

# %% [markdown]
# ## Does the grader matter?
#
# A grader is part of a number. Four released logs of other projects, with a verdict stored for
# each response, were graded again offline. What a thought contains is not graded, so a response
# that was cut off while thinking is *truncated*, neither right nor wrong.

# %%
logs = known_logs()["files"]
rows = [
    (log["file"].removesuffix(".jsonl"), str(log["n"]), f"{100 * log['agreement']:.1f}%",
     str(sum(n for pair, n in log["confusion"].items() if pair.endswith("truncated"))))
    for log in logs
]  # fmt: skip
Table(("log", "responses", "same verdict", "truncated"), tuple(rows))

# %% [markdown]
# Every disagreement, and who is right:

# %%
different = [row for log in logs for row in log["disagreements"]]
Table(
    ("question", "gold", "extracted", "stored", "here", "why"),
    tuple(
        (
            row["id"],
            row["gold"],
            row["extracted"],
            row["stored"],
            row["ours"],
            row["why"],
        )
        for row in different
    ),
)

# %% tags=["hide-input"]
total = sum(log["n"] for log in logs)
glue("audit_regraded", f"{total:,}", display=False)
glue("audit_disagreements", len(different), display=False)
glue(
    "audit_ours",
    sum(row["right"] == "ours" for row in different),
    display=False,
)
math500 = next(log for log in logs if log["n"] == 500)
moved = len(math500["disagreements"]) / math500["n"]
glue("audit_moved", f"{100 * moved:.1f}", display=False)

# %% [markdown]
# {glue:text}`audit_disagreements` of {glue:text}`audit_regraded` verdicts differ, and in
# {glue:text}`audit_ours` of them the stored one is wrong: matrices, thousands separators, sets.
# On MATH500 that moves the accuracy by {glue:text}`audit_moved` points, as much as several of the
# paper's differences.

# %% [markdown]
# ## What survives

# %% tags=["hide-input"]
for name in ("agrees", "differs", "open"):
    glue(f"audit_{name}", verdicts[name], display=False)
survivors = [claim for claim in claims if claim.outcome == "survives"]
comparison_table(survivors)

# %% [markdown]
# {glue:text}`audit_agrees` numbers come out as printed, {glue:text}`audit_differs` do not, and
# {glue:text}`audit_open` are left open by their sample size. The arithmetic of the paper is
# sound: its costs, its sums, and Table 3 but for one row.
#
# :::{admonition} What to keep
# :class: agrees
# Fine-tuning on a thousand examples lifts MATH500 beyond doubt. s1K is better than 1,000 merely
# diverse examples, and no worse than 59K on MATH500 by more than five points. That "Wait" raises
# accuracy, that it beats other strings, and that it scales beyond one run, thirty questions
# cannot show; the introduction
# asks again, of a small model, with seeds and intervals.
# :::
