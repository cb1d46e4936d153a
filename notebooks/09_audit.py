# %% [markdown]
# # What the paper's numbers can say
#
# *An audit of Tables 1 to 8, Figures 1, 2, 4 and 6, and the released code. You need no other chapter.*
#
# This page recomputes what can be recomputed without a GPU, from nothing but what the paper and its repository
# publish: intervals from the number of questions, Table 3 from the appendix, sums, costs, and tables that disagree.
#
# :::{admonition} The claim
# :class: claim
# s1-32B "exceeds o1-preview on competition math questions by up to 27% (MATH and AIME24)", and budget forcing
# extrapolates "from 50% to 57% on AIME24" (abstract).
# :::
#
# :::{admonition} What comes out here
# :class: differs
# Of {glue:text}`audit_all` numbers and statements {glue:text}`audit_agrees` come out as printed, {glue:text}`audit_differs` differ, mostly
# where paper and code or two tables say different things, and {glue:text}`audit_open` are left open. Of its {glue:text}`audit_claims`
# comparisons {glue:text}`audit_survives` survive their own sample sizes. Those of the abstract do not on AIME24: the 27% is
# relative, and the seven points are two questions.
# :::
#
# Nothing here says that the paper is wrong about its subject. It says how much each number weighs.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from collections import Counter

from s1lab.audit import audit
from s1lab.audit.published import accuracies, accuracy_of
from s1lab.book.chapter import open_chapter
from s1lab.evaluation import detectable_difference, questions_needed
from s1lab.evaluation.logs import known_logs
from s1lab.evaluation.statistics import mcnemar_p_value
from s1lab.figures.forests import comparison
from s1lab.generations.tables import checkpoints
from s1lab.runs import project_root

chapter = open_chapter("audit", PROFILE, SEED)
claims, rows = audit.comparisons(), audit.finding_rows
verdicts = Counter(finding.verdict for finding in audit.audit())
outcomes = Counter(row["outcome"].split()[0] for row in claims)
chapter.numbers(all=verdicts.total(), **verdicts)
chapter.numbers(claims=len(claims), accuracies=len(accuracies()), **outcomes)

# %% [markdown]
# ## How wide an accuracy is
#
# The number of questions alone fixes how far an accuracy may lie from what the model would score on more questions of
# the same kind. Wilson's interval says how far, and needs no generations.

# %% tags=["hide-input"]
aime = sorted(accuracies("Table 1", "AIME24"), key=lambda row: -row.percent)
look = {"series": "paper"}
bars = [{"name": a.row, **a.interval.row("accuracy"), **look} for a in aime]
chapter.figure(
    comparison(bars),
    "aime-intervals",
    "AIME24 accuracies of Table 1 with 95% intervals.",
    caption="Table 1, AIME24: accuracies as printed, intervals from n = 30.",
)
chapter.numbers(headline=accuracy_of("Table 1", "s1-32B", "AIME24").interval)
chapter.number("detectable", 100 * detectable_difference(30, 0.5), digits=0)
steps, chance = checkpoints(project_root() / "results" / "generations")
at = steps.accuracy
chapter.numbers("%", noise_low=at.min(), noise_high=at.max())
chapter.number("noise_p", chance, digits=2)
asked = 17 / 30, 15 / 30
chapter.numbers(needed=questions_needed(*asked))
chapter.numbers(needed_best=questions_needed(*asked, discordant=2 / 30))

# %% [markdown]
# The 17 of 30 of s1-32B are {glue:text}`audit_headline`. With 30 questions and independent answers, a model at 50% must gain
# {glue:text}`audit_detectable` points before a comparison sees it four times in five. All {glue:text}`audit_accuracies` in its tables:

# %% tags=["hide-output"]
chapter.table(audit.accuracy_rows(accuracies()))

# %% [markdown]
# Where whole questions do not print a score, it is an average over several runs, or rounded in another way; nearly
# all of these belong to other people's models.
#
# What that width looks like: eleven checkpoints of *one* fine-tuning run of a 32B model {cite}`skythought` go from
# {glue:text}`audit_noise_low` to {glue:text}`audit_noise_high` of AIME24, and do not differ by more than chance (Cochran's Q, p =
# {glue:text}`audit_noise_p`; {doc}`14_released_models` has them all).
#
# **What to keep.** On thirty questions a gap of {glue:text}`audit_detectable` points is seen four times in five. Before you
# discuss a smaller one, ask how many questions it takes.
#
# ## The abstract's two numbers

# %% tags=["hide-input"]
chapter.table(rows(audit.headline()))

# %% [markdown]
# Seven points on AIME24 are two questions. To see a gain of that size four times in five takes {glue:text}`audit_needed`
# questions if the two runs answer independently, and {glue:text}`audit_needed_best` at best, where no question is lost.
#
# **What to keep.** More seeds on the same questions remove the noise of sampling. They do not add questions.
#
# ## Which comparisons survive
#
# The paper prints accuracies, not which questions were answered, so its paired tests cannot be redone. Two bounds
# can. The cautious one takes the two runs as independent (Newcombe's interval). The generous one takes the most
# favourable pairing that the two accuracies allow: every question that the weaker run gets right, the stronger gets
# right too (McNemar's exact test). A comparison *survives* if the cautious bound, or the paper's own paired interval,
# excludes zero; it *cannot survive* if not even the generous one reaches p < 0.05; between the two, only answers per
# question can tell. A claim of *no* difference survives when its interval rules out five points. Of {glue:text}`audit_claims`
# comparisons, {glue:text}`audit_survives` survive, {glue:text}`audit_undecided` are undecided, and {glue:text}`audit_cannot` cannot survive:

# %% tags=["hide-input"]
chapter.table(claims, fold=("undecided", "cannot survive"))

# %% [markdown]
# **What to keep.** Two accuracies can rule a gain out, and seldom prove one. Publish the answers question by
# question, and anybody can pair them.
#
# ## Table 2's own intervals
#
# Table 2 is the one place where the paper prints intervals: a paired bootstrap with 10,000 resamples. The width of a
# paired interval tells how many questions the two runs answered differently, which cannot be fewer than the questions
# that lie between their accuracies.

# %% tags=["hide-output"]
chapter.table(rows(audit.table2()))

# %% [markdown]
# On AIME24, s1K and 1K-random lie {glue:text}`audit_apart_random` questions apart. That many, all in favour of one side, have an
# exact p of {glue:text}`audit_p_random`; the printed interval excludes zero all the same, since the percentile bootstrap is too
# narrow at thirty questions. For 1K-diverse, {glue:text}`audit_apart_diverse` questions apart (p = {glue:text}`audit_p_diverse`), both agree.
#
# **What to keep.** Where only few questions changed, trust an exact test and not a bootstrap.
#
# ## Table 3 from the appendix
#
# Control (Eq. 1), Scaling (Eq. 2) and Performance (Eq. 3) are functions of points that the paper prints in Tables 12
# to 14 and draws in Figures 1 and 6. As printed, Eq. 2 divides by thinking tokens. What the table holds comes out
# when it divides by *doublings* of thinking tokens.

# %% tags=["hide-input"]
chapter.table(rows(audit.table3()), fold=["agrees"])

# %% [markdown]
# {glue:text}`audit_slopes_agree` of {glue:text}`audit_slopes` Scaling values come out to the printed digit per doubling; per token they are
# of another order altogether. Rejection sampling does not come out: its points give another slope, and those that
# give the printed slope have another Performance.
#
# **What to keep.** A slope without its unit says nothing. Ask *per what*, and recompute it from the points.
#
# ## Figures, sums and cost; one model, one method, several texts

# %% tags=["hide-input"]
for findings in (
    audit.figure2() + audit.figure4(),
    audit.totals() + audit.table8() + audit.cost(),
    audit.same_model() + audit.reproductions(),
    audit.selection() + audit.code(),
):
    chapter.table(rows(findings), fold=["agrees"])

# %% [markdown]
# The three extrapolation points of Figure 4 are three of nine. Read in order from zero to eight Waits, the released
# logs rise and fall within less than one standard deviation of a single run.
#
# **What to keep.** Sums are seldom wrong. What differs is what is told in two places that nobody compared, so compare
# your own tables, text and code before others do.
#
# ## Does the grader matter?
#
# A grader is part of a number. Four released logs of other projects, with a verdict stored for each response, were
# graded again offline. A response that was cut off while thinking is *truncated*, neither right nor wrong.

# %% tags=["hide-input"]
logs = known_logs()["files"]
differ = [row for log in logs for row in log["disagreements"]]
names = {"question": "id", "stored": "stored", "here": "ours", "why": "why"}
chapter.table({name: row[k] for name, k in names.items()} for row in differ)
math500 = next(log for log in logs if log["n"] == 500)
moved = len(math500["disagreements"]) / math500["n"]
right = sum(row["right"] == "ours" for row in differ)
chapter.numbers(disagreements=len(differ), ours=right, moved=100 * moved)
chapter.numbers(regraded=sum(log["n"] for log in logs))
needed = next(k for k in range(30) if mcnemar_p_value(k, 0) < 0.05)
chapter.numbers(must=needed)
s1k = accuracy_of("Table 2", "s1K", "AIME24")
for name in ("random", "diverse"):
    other = accuracy_of("Table 2", f"1K-{name}", "AIME24")
    chapter.numbers(**{f"apart_{name}": s1k.correct - other.correct})
    chapter.number(f"p_{name}", audit.best_p(s1k, other), digits=3)
slopes = [one.verdict for one in audit.table3() if "Scaling of" in one.topic]
chapter.numbers(slopes=len(slopes), slopes_agree=slopes.count("agrees"))

# %% [markdown]
# {glue:text}`audit_disagreements` of {glue:text}`audit_regraded` verdicts differ, these, and in {glue:text}`audit_ours` of them the stored one is
# wrong: matrices, thousands separators, sets. On MATH500 that moves the accuracy by {glue:text}`audit_moved` points, as much
# as several of the paper's differences.
#
# **What to keep.** A grader can move a score as far as a method. Read what two graders judge differently.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# Fine-tuning on a thousand examples lifts MATH500 beyond doubt. s1K is better than 1,000 merely diverse examples, and
# no worse than 59K on MATH500 by more than five points.
# :::
#
# :::{admonition} Where it stays open
# :class: differs
# That "Wait" raises accuracy, that it beats other strings, and that it scales beyond one run, thirty questions cannot
# show. The [introduction](00_introduction) asks again, of a small model, with seeds and intervals.
# :::
#
# **What to keep.** Read a table as a list of differences, and ask of each whether its sample could have shown it.
#
# :::{admonition} Exercise
# :class: exercise
# s1 without forcing answers 15 of AIME24's 30 questions. Grant that forcing loses none of them. How many more must it
# answer before the most favourable test reaches p < 0.05? `s1lab.evaluation.statistics.mcnemar_p_value` knows.
# :::
#
# :::{admonition} Answer
# :class: dropdown
# {glue:text}`audit_must` more. The paper has two.
# :::
