# %% [markdown]
# # Data ablations: which thousand, and what does it cost?
#
# *Section 5.1 of the paper, Table 2. You need [chapter 2](01_data_curation) and [chapter 3](02_training).*
#
# Selection asks three things of a training example: that it is of good quality, that it is hard, and that the whole
# set is diverse. To test that, the paper trains the same model by the same recipe on four other sets: **random**, a
# thousand questions drawn blindly (quality alone); **diverse**, a thousand drawn evenly over the subjects (no
# difficulty); **longest**, the thousand with the longest traces (no diversity); and **full**, the whole pool.
#
# :::{admonition} The claim
# :class: claim
# All three criteria matter: each thousand that drops one of them is worse than s1K, by up to 23 points on AIME24. The
# full pool of 59,000 examples is no substantial gain over s1K. And s1K is cheap, at 7 H100-hours in place of 394.
# :::
#
# :::{admonition} What comes out here
# :class: differs
# Only in part. A random thousand is worse than s1, as claimed. A diverse one cannot be told from it. The *longest*
# thousand is better than s1, by {glue:text}`ablations_longest`, and so is the whole pool, by {glue:text}`ablations_full`: two results against
# the claim. That a thousand examples are cheap to train on holds: ours took {glue:text}`ablations_minutes`.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from s1lab.analysis import ablations, results
from s1lab.book.chapter import open_chapter
from s1lab.evaluation import questions_needed
from s1lab.experiments import Training
from s1lab.figures.curves import cost_and_accuracy
from s1lab.figures.forests import differences
from s1lab.planning.sft_plan import paper_flops, paper_share

chapter = open_chapter("ablations", PROFILE, SEED)
pipeline, benchmark = chapter.pipeline, chapter.benchmark
compared = chapter.ask(ablations.compare, pipeline) or {}
rows = list(compared.values())
here = {r["trained on"]: r for r in rows if r["benchmark"] == benchmark}
made = ablations.training_sets(pipeline)
s1, full, longest = made["s1"], made.get("full"), made.get("longest")

# %% [markdown]
# ## What each set is made of, and what it costs
#
# The baselines are drawn from the pool after its quality stages, as in the paper: nothing was asked of difficulty.
# *Right* are traces whose answer is right; selection itself never looks at that. Every set goes through the same
# recipe with the same number of epochs, so arithmetic grows with the number of tokens. It is worked out as for the
# paper, from the mean length: a lower bound for both.

# %% tags=["hide-input"]
chapter.table(made.values())
hours, steps = ablations.paper_hours(), pipeline.steps()
spent = sum(step.run.minutes for step in steps)
chapter.numbers("minutes", minutes=s1["training (min)"])
chapter.numbers("minutes", minutes_full=full and full["training (min)"])
chapter.numbers(times_full=full and full["TFLOP"] / s1["TFLOP"])
chapter.number("share", paper_share(), "%", 0)
chapter.number("paper_times_full", hours["full"] / hours["s1"], digits=0)
chapter.number("flops", paper_flops() / 1e15 / s1["TFLOP"], digits=0)
chapter.number("all", spent, "minutes", 0)
cost, hardware = chapter.profile.cost, chapter.profile.hardware
chapter.numbers(hardware=hardware, runs=len(steps))
chapter.numbers(cost=cost(s1["training (min)"]), cost_all=cost(spent))

# %% [markdown]
# The paper's seven H100-hours are 26 minutes on sixteen of them; by the arithmetic that was done, they ran at
# {glue:text}`ablations_share` of their peak. Ours is the same recipe at another size: on {glue:text}`ablations_hardware`, **{glue:text}`ablations_minutes`**
# for s1 and {glue:text}`ablations_minutes_full` for the whole pool, on one core. That is cheaper because it is less: the paper's
# training took {glue:text}`ablations_flops` thousand times the arithmetic of ours. All {glue:text}`ablations_runs` runs behind this book,
# every training and every generation, add up to {glue:text}`ablations_all`.
#
# With the rent of that core, s1 comes to {glue:text}`ablations_cost`, and everything to {glue:text}`ablations_cost_all`.
# In money the paper's two trainings depend on the price of an H100-hour. Three sums went around for s1K; each implies
# a price, and the price a sum for the whole pool:

# %% tags=["hide-input"]
chapter.table(ablations.money_rows())

# %% [markdown]
# On any of them the pool costs {glue:text}`ablations_paper_times_full` times as much as the thousand. The sums leave out what came before:
# 59,029 traces from a teacher, and two models that tried every question.
#
# **What to keep.** The chosen thousand is cheap to train on, not to choose. And what a set costs is the length of its
# traces, not only the number of its examples.
#
# ## Table 2, ours and the paper's
#
# Each model answers the same held-out questions and stops thinking by itself. The difference to s1 is a paired
# bootstrap over questions, as in the paper: what makes a question hard for both cancels out.

# %% tags=["hide-input"]
chapter.table(rows)
gaps = {name: row["to s1 (points)"] for name, row in here.items()}
words = dict(random="lower", diverse="cannot tell", longest="higher")
chapter.take(gaps, "points", **words, full="higher")
printed = ablations.paper_difference_rows()
zero = [row for row in printed if row["name"] != "full" and row["high"] >= 0]
chapter.says("zero", len(zero), 6)

# %% [markdown]
# The paper's accuracies, one greedy answer per question, with Wilson's intervals, which are ours; and in the figure
# its differences, with the paired intervals that it prints.

# %% tags=["hide-input"]
chapter.table(results.paper_table("Table 2"))
chapter.figure(
    chapter.ask(differences, ablations.difference_rows(rows), printed),
    "differences",
    "Differences in accuracy to the model trained on s1, in points.",
    caption="Difference to s1 with its 95% interval; left of the line is "
    "worse. Top: this profile. Bottom: Table 2, intervals as printed.",
    runs=compared,
)

# %% [markdown]
# **Random**, quality alone, is {glue:text}`ablations_random` against s1: worse, as the paper has it. **Diverse**, no difficulty,
# is {glue:text}`ablations_diverse`: the interval holds zero. **Longest**, no diversity, is {glue:text}`ablations_longest`, and **full** is
# {glue:text}`ablations_full`: better than s1. Of the paper's own nine comparisons with another thousand, six have an interval
# that touches or includes zero{glue:text}`ablations_zero`, and the largest differences are a few of AIME24's thirty questions.
# The [audit](09_audit) asks which of them survive.
#
# **What to keep.** To show that *all three* criteria matter, every set that drops one must be worse by more than its
# interval. Neither side shows that.
#
# ## What more training buys
#
# The recipe fixes the number of epochs, so a set with more examples or longer traces also trains for more tokens.

# %% tags=["hide-input"]
costs = ablations.cost_rows(rows, made), ablations.paper_cost_rows()
chapter.figure(
    chapter.ask(cost_and_accuracy, *costs),
    "cost",
    "Accuracy against the cost of training, in multiples of s1's.",
    caption="Accuracy with its 95% interval against the cost of training. Left: "
    "this profile, FLOPs. Right: the paper, H100-hours, Wilson's intervals.",
    runs=compared,
)
dear = sorted(made, key=lambda name: made[name]["TFLOP"])[-2:]
chapter.says("costliest", dear, ["longest", "full"])
long = sorted(here, key=lambda name: here[name]["thinking tokens"])
chapter.says("thinking", long[-1:] + long[:1], ["longest", "full"])
chapter.number("trace", longest and longest["a trace (tokens)"], digits=0)
chapter.number("s1_trace", s1["a trace (tokens)"], digits=0)
done = {name: pipeline.checkpoint(Training(name)).summary() for name in made}
chapter.numbers(steps=full and done["full"]["steps"] / done["s1"]["steps"])

# %% [markdown]
# The two sets that beat s1 are the two that train for most{glue:text}`ablations_costliest`: *longest* through traces of
# {glue:text}`ablations_trace` tokens in place of {glue:text}`ablations_s1_trace`, *full* through {glue:text}`ablations_steps` times the optimizer steps.
# They get there differently. Trained on *longest*, the model thinks longest of all; trained on *full*, it thinks
# least{glue:text}`ablations_thinking` and is as good. Whether the choice of examples or the amount of training is behind it, these
# runs cannot say; one on s1 with more epochs could.
#
# An interval over questions tells of *these checkpoints*, not of what another seed of the same training would have
# given. The [next chapter but one](07_sequence_length) trains on s1 with {glue:text}`ablations_seeds` seeds: they are up to
# {glue:text}`ablations_apart` points apart. The three clear differences above are larger than that{glue:text}`ablations_beyond`.

# %% tags=["remove-input"]
seeded = chapter.ask(ablations.lengths, pipeline, benchmark) or []
by_seed = [*seeded[-1].by_seed["correct"]] if seeded else []
apart = max(by_seed) - min(by_seed) if by_seed else 1
chapter.numbers(seeds=len(by_seed), apart=100 * apart if by_seed else None)
told = [gap for gap in gaps.values() if gap and 0 not in gap]
beyond = sum(abs(gap.estimate) > apart for gap in told)
chapter.says("beyond", beyond, 3)
pair = [here[n]["accuracy (%)"] for n in ("s1", "diverse") if n in here]
needed = (
    chapter.ask(questions_needed, *(one.estimate for one in pair))
    if pair[1:]
    else None
)
chapter.numbers(needed=needed)

# %% [markdown]
# **What to keep.** Before a difference between two training sets is believed: pair the questions, train more than
# once, and put the cost beside the gain.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - A blindly drawn thousand is worse than the selected one: {glue:text}`ablations_random`.
# - Training on a thousand is cheap: {glue:text}`ablations_minutes` of one core.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# - *Longest* is better than s1: {glue:text}`ablations_longest`. A longer trace here is more tries at the same puzzle, and a subject
#   less takes nothing away that a puzzle would need. We think that is why.
# - The whole pool is a gain: {glue:text}`ablations_full`, for {glue:text}`ablations_times_full` times the arithmetic. The paper's cost
#   {glue:text}`ablations_paper_times_full` times as much and gained nothing.
# - That difficulty matters by itself is not shown: {glue:text}`ablations_diverse`.
# :::
#
# Each of these reasons would need an ablation of its own. Others found as well that a small set of chosen traces goes
# a long way, with 817 examples {cite}`ye2025limo`, and that results on thirty questions move by many points from seed
# to seed {cite}`hochlehnert2025sober`.
#
# **What to keep.** An ablation tells *that* a set is better, seldom why. Ask what else changed along with it.
#
# :::{admonition} Exercise
# :class: exercise
# *Diverse* cannot be told from s1 with these questions. If both were answered once each, independently, how many
# questions would show a difference of this size four times in five? Guess the order of magnitude, then ask
# `s1lab.evaluation.questions_needed` with the two accuracies of the table.
# :::
#
# :::{admonition} Answer
# :class: dropdown
# {glue:text}`ablations_needed` questions. Pairing lowers this, and so do several samples a question; still, AIME24 has thirty.
# :::
