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
# # Data ablations: does it matter which thousand, and what does it cost?
#
# *Section 5.1 of the paper, Table 2.*
#
# Selection asks three things of a training example: that it is of good quality, that it is hard, and that the
# whole set is diverse. To see whether all three are needed, the paper trains the same model by the same
# recipe on four other sets:
#
# - **random**, a thousand questions drawn blindly: quality alone;
# - **diverse**, a thousand drawn evenly over the subjects: no difficulty;
# - **longest**, the thousand with the longest traces: no diversity;
# - **full**, the whole pool: nothing is left out, and training costs accordingly.
#
# :::{admonition} The claim
# :class: claim
# All three criteria matter: each thousand that drops one of them is worse than s1K, by up to 23 points on
# AIME24. The full pool of 59,000 examples is no substantial gain over s1K. And s1K is cheap: 26 minutes on 16
# H100s, 7 H100-hours in place of 394.
# :::
#
# :::{admonition} What comes out here
# :class: differs
# Only in part. A random thousand is worse than s1, as claimed. A diverse one cannot be told from it. The
# *longest* thousand is better than s1, and so is the whole pool: two results against the claim. That a
# thousand examples are cheap holds, and can be put in minutes.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from s1lab.analysis import lengths, subsets
from s1lab.audit.published import accuracy_of
from s1lab.book.chapter import open_chapter
from s1lab.evaluation import questions_needed
from s1lab.evaluation.measure import mean
from s1lab.figures.curves import cost_and_accuracy
from s1lab.figures.forests import differences
from s1lab.planning.sft_plan import paper_arithmetic

chapter = open_chapter("ablations", PROFILE, SEED)
pipeline, benchmark = chapter.pipeline, chapter.benchmark
compared, sets = subsets.compare_all(pipeline), subsets.training_sets(pipeline)
here = {one.name: one for one in compared if one.benchmark == benchmark}
made, hours = {one.name: one for one in sets}, subsets.paper_hours()
s1, full = made["s1"], made.get("full")

# %% [markdown]
# ## What each set is made of
#
# The baselines are drawn from the pool after its quality stages, as in the paper: failed traces, broken
# formatting and copies of the evaluation questions are gone, but nothing was asked of difficulty. *Correct
# traces* are those whose answer is right; selection itself never looks at that.

# %% tags=["hide-input"]
chapter.table(
    {
        "trained on": one.name,
        "in the paper": subsets.PAPER_NAMES[one.name],
        "examples": one.examples,
        "domains": one.domains or None,
        "thinking tokens per trace": one.thinking_tokens,
        "correct traces (%)": one.correct,
    }
    for one in sets
)

# %% [markdown]
# **What to keep.** The five sets differ in length more than in anything else. Hard questions have long
# traces, so s1 is longer than a random thousand; *longest* is longer still, by construction. No set of this
# pool lacks subjects, so there is little here for diversity to add.
#
# ## What it costs
#
# Every set goes through the same recipe with the same number of epochs, so steps grow with the number of
# examples and arithmetic with the number of tokens. The FLOPs are worked out as for the paper, from the mean
# length: they are a lower bound for both. The minutes are those of the machine that made the results of this
# page.

# %% tags=["hide-input"]
chapter.table(
    {
        "trained on": one.name,
        "optimizer steps": one.steps,
        "tokens": one.tokens,
        "TFLOP, at least": one.flops / 1e12,
        "times s1": one.flops / s1.flops,
        "minutes": one.minutes,
        "paper (H100-hours)": hours.get(one.name),
    }
    for one in sets
)

# %% tags=["remove-input"]
worked = {row.unit: row.value for row in paper_arithmetic()}
chapter.number("minutes", s1.minutes, "minutes")
chapter.number("minutes_full", full and full.minutes, "minutes")
chapter.number("times_full", full and full.flops / s1.flops)
chapter.number("paper_times_full", hours["full"] / hours["s1"], digits=0)
chapter.number("paper_flops", worked["FLOP"] / s1.flops / 1e3, digits=0)
chapter.number("paper_share", worked["of 1"], "%", 0)
all_minutes = sum(step.run.minutes for step in pipeline.steps())
chapter.number("all_minutes", all_minutes, "minutes", 0)
chapter.number("hardware", chapter.profile.hardware)

# %% [markdown]
# The claim of the paper is about an afternoon's budget: 26 minutes on sixteen H100s are seven GPU-hours, and
# by the arithmetic that they did they ran at {glue:text}`ablations_paper_share` of the chips' peak. Ours is
# the same recipe at another size, on {glue:text}`ablations_hardware`: **{glue:text}`ablations_minutes`** for
# s1 and {glue:text}`ablations_minutes_full` for the whole pool. The paper's training took
# {glue:text}`ablations_paper_flops` thousand times the arithmetic of ours. All runs of this book's profile
# together, every training and every generation, are {glue:text}`ablations_all_minutes` of work for one core.
#
# In money the paper's two trainings depend on the price of an H100-hour. Three sums went around for s1K; each
# implies a price, and the price a sum for the whole pool:

# %% tags=["hide-input"]
chapter.table(
    {
        "said by": row.source.split(";")[0],
        "s1K ($)": round(row.value * hours["s1"]),
        "so an H100-hour is ($)": row.value,
        "and 59K-full ($)": round(row.value * hours["full"]),
    }
    for row in paper_arithmetic()
    if row.unit == "$"
)

# %% [markdown]
# The six dollars assume a price that no one advertises for an H100; twenty to fifty are what it cost. On any
# of them the pool costs {glue:text}`ablations_paper_times_full` times as much as the thousand. These sums
# leave out what came before: 59,029 traces from a teacher, and two models that tried every question. The
# thousand is cheap to train on; it was not cheap to choose.
#
# **What to keep.** The claim of cheapness holds: here in minutes of one core, there in tens of dollars. What
# it buys is the next question.
#
# ## Table 2, ours
#
# Each model answers the same held-out questions and stops thinking by itself. The difference to s1 is a
# paired bootstrap over questions, as in the paper: what makes a question hard for both models cancels out.
# Tokens and minutes are what a better model may cost at test time and did cost in training.

# %% tags=["hide-input"]
chapter.table(
    {
        "trained on": one.name,
        "benchmark": one.benchmark,
        "n": one.point.accuracy.n,
        "accuracy (%)": one.point.accuracy,
        "to s1 (points)": one.difference,
        "thinking tokens": one.point.thinking_tokens,
        "cut short (%)": one.point.cut_short,
        "training (minutes)": made[one.name].minutes,
    }
    for one in compared
)

# %% tags=["remove-input"]
says = dict(
    random="lower", diverse="cannot tell", longest="higher", full="higher"
)
for name, word in says.items():
    gap = here[name].difference if name in here else None
    chapter.number(name, gap, "points", says=word)

# %% [markdown]
# - **Random**, quality alone: {glue:text}`ablations_random`. Worse than s1, as the paper has it.
# - **Diverse**, no difficulty: {glue:text}`ablations_diverse`. The interval holds zero.
# - **Longest**, no diversity: {glue:text}`ablations_longest`. *Better* than s1, against the claim.
# - **Full**, everything: {glue:text}`ablations_full`. Better as well, against the claim.
#
# ## Table 2, the paper's
#
# One greedy answer per question. The intervals of the accuracies are ours, Wilson's; those of the
# differences, in the figure, are the paper's as printed.

# %% tags=["hide-input"]
chapter.table(
    {"trained on": theirs}
    | {
        f"{name}, n = {printed.n} (%)": printed.interval
        for name in subsets.PAPER_BENCHMARKS
        for printed in [accuracy_of("Table 2", theirs, name)]
    }
    for theirs in subsets.PAPER_NAMES.values()
)

# %% tags=["hide-input"]
paper_rows = subsets.paper_difference_rows()
runs = [one.point.run for one in compared]
chapter.figure(
    differences(subsets.difference_rows(compared), paper_rows),
    "differences",
    "Differences in accuracy to the model trained on s1, in points.",
    caption="Difference to s1 with its 95% interval; left of the line is worse. Top: this profile. "
    "Bottom: Table 2 of the paper, intervals as printed.",
    runs=runs,
)

# %% tags=["remove-input"]
small = [row for row in paper_rows if row["name"] != "full"]
clear = {(row["name"], row["benchmark"]) for row in small if row["high"] < 0}
aime, math = "AIME24", "MATH500"
told = {("random", aime), ("diverse", aime), ("longest", math)}
chapter.number("paper_small", len(small))
chapter.number("paper_clear", len(clear))
chapter.says("paper_which", clear == told)
chapter.number("aime", accuracy_of("Table 2", "s1K", aime).n)

# %% [markdown]
# Of the paper's {glue:text}`ablations_paper_small` comparisons with another thousand,
# {glue:text}`ablations_paper_clear` have an interval that lies below zero: *random* and *diverse* on AIME24,
# *longest* on MATH500{glue:text}`ablations_paper_which`. The others touch or include zero. AIME24 has
# {glue:text}`ablations_aime` questions, so its large differences are a few questions each; the
# [audit](09_audit) asks which of them survive.
#
# **What to keep.** Two of our four differences contradict the paper, and six of its own nine comparisons
# could be chance. Neither side shows that all three criteria matter.
#
# ## What more training buys
#
# The recipe fixes the number of epochs, so a set with more examples or longer traces also trains for more
# tokens. The paper gives the cost of two of its sets, s1K and the whole pool.

# %% tags=["hide-input"]
chapter.figure(
    cost_and_accuracy(
        subsets.cost_rows(compared, sets), subsets.paper_cost_rows()
    ),
    "cost",
    "Accuracy against the cost of training, in multiples of s1's.",
    caption="Accuracy with its 95% interval against the cost of training. Left: this profile, FLOPs. "
    "Right: the paper, H100-hours, Wilson's intervals of the printed accuracies.",
    runs=runs,
)

# %% tags=["remove-input"]
costliest = sorted(made, key=lambda name: made[name].flops)[-2:]
chapter.says("most_cost", set(costliest) == {"longest", "full"})
thinking = sorted(here, key=lambda name: here[name].point.thinking_tokens)
chapter.says("most_thinking", thinking[-1], "longest")
chapter.says("least_thinking", thinking[0], "full")
trace = made["longest"].thinking_tokens if "longest" in made else None
chapter.number("longest_trace", trace, digits=0)
chapter.number("s1_trace", s1.thinking_tokens, digits=0)
chapter.number("full_steps", full and full.steps / s1.steps)

# %% [markdown]
# The two sets that beat s1 are the two that train for more arithmetic{glue:text}`ablations_most_cost`:
# *longest* through traces of {glue:text}`ablations_longest_trace` tokens in place of
# {glue:text}`ablations_s1_trace`, *full* through {glue:text}`ablations_full_steps` times the optimizer steps.
# They get there differently. Trained on *longest*, the model thinks
# longest{glue:text}`ablations_most_thinking`; trained on *full*, it thinks
# least{glue:text}`ablations_least_thinking` and is as good. Whether the choice of examples or the amount of
# training is behind it, these runs cannot say; a run of s1 with more epochs could.
#
# ## How far apart are two trainings anyway?
#
# An interval over questions says how sure we are about *these checkpoints*. It does not say what another seed
# of the same training would have given. The [chapter on sequence length](07_sequence_length) trains on s1
# with several seeds; how far those are apart is a yardstick for the differences above.

# %% tags=["hide-input"]
s1_seeds = lengths.lengths(pipeline, benchmark)[-1]
chapter.table(
    {"training on s1, seed": str(seed), "accuracy (%)": mean(run)}
    for seed, run in zip(s1_seeds.seeds, s1_seeds.runs)
)

# %% tags=["remove-input"]
found = s1_seeds.by_seed("accuracy")
apart = max(found) - min(found) if len(found) > 1 else None
chapter.number("apart", apart and 100 * apart)
clear = [one for one in here.values() if one.verdict in ("worse", "better")]
beyond = [abs(one.difference.estimate) > (apart or 1) for one in clear]
chapter.says("beyond_seeds", all(beyond) and len(clear), 3)
pair = [here[name].point.accuracy for name in ("s1", "diverse") if name in here]
needed = len(pair) == 2 and questions_needed(*(one.estimate for one in pair))
chapter.number("needed", needed or None)

# %% [markdown]
# Trainings that differ in nothing but the seed are up to {glue:text}`ablations_apart` points apart. The three
# clear differences above are larger than that{glue:text}`ablations_beyond_seeds`; *diverse* is not.
#
# **What to keep.** Before a difference between two training sets is believed: pair the questions, and train
# more than once.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - A blindly drawn thousand is worse than the selected one: {glue:text}`ablations_random`.
# - Training on a thousand is cheap: {glue:text}`ablations_minutes` here.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# - *Longest* is better than s1, not worse: {glue:text}`ablations_longest`. In our world a longer trace is
#   more tries at the same puzzle, and more tries are what the model is to learn; there is nothing in it that
#   a subject less could spoil.
# - The whole pool is a gain, {glue:text}`ablations_full`, at {glue:text}`ablations_times_full` times the
#   arithmetic. The paper's cost {glue:text}`ablations_paper_times_full` times as much and gained nothing.
# - That difficulty matters by itself is not shown: {glue:text}`ablations_diverse`.
# :::
#
# None of these reasons was tested by itself; each would need an ablation of its own. What carries over to any
# scale is the method: paired differences, several seeds, and the cost beside the gain. Others found as well
# that a small set of chosen traces goes a long way, with 817 examples {cite}`ye2025limo`, and that results on
# thirty questions move by many points from seed to seed {cite}`hochlehnert2025sober`.
#
# :::{admonition} Exercise
# :class: exercise
# *Diverse* cannot be told from s1 with these questions. If both were answered once each, independently, how
# many questions would show a difference of this size four times in five? Guess an order of magnitude, then
# ask `s1lab.evaluation.questions_needed` with the two accuracies of the table.
# :::
#
# :::{admonition} Answer
# :class: dropdown
# {glue:text}`ablations_needed` questions. Pairing lowers this, and several samples a question lower it
# further; still, AIME24 has thirty.
# :::
