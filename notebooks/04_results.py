# %% [markdown]
# # Results: forcing, fine-tuning, and what else the tokens could buy
#
# *Sections 4.2 and 6.2 of the paper, Tables 1 and 5, Figures 2 and 4. You need the [introduction](00_introduction);
# [budget forcing](03_budget_forcing) helps.*
#
# :::{admonition} The claim
# :class: claim
# Fine-tuned on 1,000 examples, s1-32B is the most sample-efficient open-data reasoning model (Figure 2, right).
# Budget forcing adds to it, from 50.0% to 56.7% on AIME24 and from 56.6% to 59.6% on GPQA Diamond (Table 1).
# Sequential scaling beats a majority vote of the base model at the same number of tokens (Figure 4).
# :::
#
# :::{admonition} What comes out here
# :class: differs
# Fine-tuning helps most, Waits help too, and together they beat the base model's vote, as claimed. But the whole pool
# trains a better model than the thousand ({glue:text}`results_full`). And a vote of the *fine-tuned* model, which Figure 4
# does not draw, goes far past the best that Waits can do ({glue:text}`results_ahead`), if one pays for it.
# :::
#
#

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from s1lab import experiments
from s1lab.analysis import methods, results
from s1lab.book.chapter import open_chapter
from s1lab.evaluation.measure import difference
from s1lab.figures import curves, forests

chapter = open_chapter("results", PROFILE, SEED)
pipeline, benchmark = chapter.pipeline, chapter.benchmark
subsets = {c.label: c for c in experiments.subsets(chapter.profile)}

# %% [markdown]
# ## The paper's Table 1
#
# Each accuracy with Wilson's 95% interval from the number of questions; the last two rows are the model without and
# with budget forcing. Below, what lies between rows, in questions.

# %% tags=["hide-input"]
chapter.table(results.paper_table("Table 1"))
steps = {
    "forcing": ("s1-32B", "s1 w/o BF"),
    "fine-tuning": ("s1 w/o BF", "Qwen2.5-32B-Instruct"),
}
chapter.table(results.questions_apart("Table 1", **steps))

# %% [markdown]
# Fine-tuning is the larger step by far; [the audit](09_audit) asks what of both survives its own sample size.
#
# **What to keep.** Turn a gap in points into questions: the same gap is a few of AIME24 and dozens of MATH500.
#
# ## Ours, two by two
#
# Four arms on the same questions: the base model and the fine-tuned one, each with the think delimiter and no further
# interference, and each with Waits forced. The base model was never shown a trace in the paper's format, so it may
# not know what the delimiter is for; asked directly, without a thinking phase, it is a fifth row (the samples that
# the vote below is drawn from). The second table says what each step changes.

# %% tags=["hide-input"]
arms = results.arms(pipeline)
chapter.table(
    results.line(pipeline, c) | {"condition": name} for name, c in arms.items()
)
bars = results.bars(pipeline)
chapter.figure(
    forests.comparison(bars, metric=f"{benchmark} accuracy") if bars else None,
    "arms",
    "Only the fine-tuned model gains from Waits.",
    caption="What fine-tuning and forcing give alone and together.",
    runs=[pipeline.run(c) for c in arms.values()],
)

# %% tags=["hide-input"]
effects = results.effects(pipeline)
chapter.table(effects)
names = ("tuned", "waits", "both", "delimiters", "waits_base", "delimiter")
gaps = dict(zip(names, (row["change (points)"] for row in effects)))
words = dict.fromkeys(names[:4], "higher")
words |= {"waits_base": "cannot tell", "delimiter": "lower"}
chapter.take(gaps, "points", **words)

# %% [markdown]
# Fine-tuning is worth {glue:text}`results_tuned` against the base model at its best, and Waits on top of it {glue:text}`results_waits`.
# Waits on the base model are worth nothing that these questions can show ({glue:text}`results_waits_base`): it dutifully writes
# more, and finds no more. Measured against the base model *given the delimiter*, fine-tuning would look twice as
# large ({glue:text}`results_delimiters`), since the delimiter alone costs that model {glue:text}`results_delimiter`.
#
# **What to keep.** A Wait needs a model that has learned what to do with it: forcing adds to fine-tuning and does not
# replace it. Judge both from the model at its best.
#
# ## How few examples?
#
# Figure 2 (right) sets MATH500 accuracy against the number of training examples. Ours are the base model, asked
# directly, then the selected examples and, where the profile trains on it, the whole pool.

# %% tags=["hide-input"]
ours = results.efficiency(pipeline)
chapter.figure(
    curves.sample_efficiency(ours, results.paper_efficiency()),
    "sample-efficiency",
    "Accuracy rises with the number of training examples, up to the whole pool.",
    caption="Accuracy against training examples, with 95% intervals.",
    runs=[row["run"] for row in ours],
)
pool = subsets.get("full")
full = pool and difference(pipeline.run(pool), pipeline.run(subsets["s1"]))
chapter.number("full", full, "points", says="higher")
chapter.number("pool", ours[-1]["x"] if pool else None)

# %% [markdown]
# Training on all {glue:text}`results_pool` examples of the pool instead of the selected ones changes accuracy by
# {glue:text}`results_full`: here more data is better, and the [data chapter](05_data_ablations) says what it costs. In the
# paper's own figure the intervals of s1 and of its best rival overlap, and one run of each does not order them.
#
# **What to keep.** "Sample-efficient" counts the examples that were trained on. Count also those that a teacher
# answered, and two models tried, in order to find them ([data curation](01_data_curation)).
#
# ## Sequential scaling
#
# Figure 4a extends Figure 1 by Waits: the decoder replaces the end of thinking by "Wait" twice, four and six times.
# The logs that the authors released give all numbers from none to eight, and on AIME24 one question is 3.3 points.

# %% tags=["hide-input"]
waits = results.curve_of_waits(pipeline)
chapter.figure(
    curves.waits_curve(waits, results.released_waits()),
    "waits",
    "Ours rises up to two Waits and falls at eight; the logs hardly move.",
    caption="Accuracy against the Waits allowed; dotted: no Wait.",
    runs=[row["run"] for row in waits],
)
start, *logs = results.released_waits()
here = [row["low"] <= start["accuracy"] <= row["high"] for row in logs]
chapter.says("logs", all(here))
chapter.number("last", results.last_step(pipeline), "points", says="lower")

# %% [markdown]
# The [introduction](00_introduction) has our differences. Every interval of the released logs contains the accuracy
# without a Wait{glue:text}`results_logs`: thirty questions cannot tell the nine apart. Ours are more and can: the last
# doubling of Waits changes accuracy by {glue:text}`results_last`.
#
# **What to keep.** A few points can show any curve. Ask for all of them, and for the width of each.
#
# ## Parallel scaling
#
# The rival of thinking longer is asking again. Figure 4b votes over 2 to 64 answers of the base model and finds that
# it does not catch up with the fine-tuned model's longer thinking. That mixes two things: the fine-tuned model is
# also the better one to vote with. So there are votes of both models here, and votes over capped thinking.
#
# :::{admonition} Before you look
# :class: exercise
# Two Waits and one answer, or two answers without a Wait and a vote: the tokens are about the same. Which would you
# buy? And with five times the tokens?
# :::
#
# Two answers are one vote when they use the same numbers and come to the same value: `( 3 * 7 ) + 8` and
# `8 + ( 7 * 3 )`. An answer that is missing or cut off abstains. maj@k is averaged over every choice of k from all
# samples, so no point depends on which came first.

# %% tags=["hide-input"]
compute = methods.EqualCompute(pipeline, benchmark)
chapter.table(compute.table())
conditions = (*experiments.curve(chapter.profile), *compute.drawn)
theirs, across = methods.of_the_paper(), "tokens per question"
chapter.figure(
    curves.scaling_curve(compute.curves(), theirs, across=across),
    "equal-compute",
    "Forcing passes the base model's vote; the other vote goes on rising.",
    caption="Accuracy against all tokens of a question, every sample counted. "
    "Below: Figure 4b, GPQA Diamond, digitised.",
    runs=[pipeline.run(c) for c in conditions],
)

# %% [markdown]
# ### At the same price
#
# Each sequential setting against a vote at the same tokens per question, interpolated between votes over doublings of
# tokens. A setting outside the vote's range has nothing to be compared with and is left out.

# %% tags=["hide-input"]
chapter.table(compute.contest)
best = compute.best.setting
rivals = {
    "base": compute.against("base model"),
    "own": compute.against("fine-tuned", best),
}
for name, row in rivals.items():
    gap, tokens = row.get("difference (points)"), row.get("tokens")
    chapter.number(name, gap, "points", says="higher")
    chapter.number(f"{name}_tokens", tokens, digits=0)
ahead, price, largest = chapter.ask(compute.whatever_it_costs) or [None] * 3
chapter.number("ahead", ahead, "points", says="higher")
chapter.numbers(price=price, largest=largest)
chapter.numbers(best=compute.best.accuracy, best_name=best)

# %% [markdown]
# :::{admonition} Waits or votes?
# :class: dropdown
# At {glue:text}`results_own_tokens` tokens the Waits: {glue:text}`results_own` against a vote at the same price. With more to spend the
# vote: {glue:text}`results_largest` against {glue:text}`results_best` for the best that Waits can do ({glue:text}`results_best_name`), {glue:text}`results_ahead`
# at {glue:text}`results_price` times the price. The [model in the page](03_budget_forcing) votes over 16 samples.
# :::
#
# Cut very short, the fine-tuned model is stopped before it has found anything, and the base model's quick guesses are
# better. At the largest price that both can be had for, {glue:text}`results_base_tokens` tokens, the difference is {glue:text}`results_base`:
# there Figure 4b is confirmed. (The paper draws the other vote, over s1's own answers, in Figure 7, for AIME24.)
#
# **What to keep.** Ask of any scaling figure: *against which vote, of which model, at how many tokens?* Right answers
# agree and wrong ones scatter, so a vote goes on rising where a single trace runs out of room.
#
# ## s1.1, and the checkpoints as released
#
# After the first version the authors took DeepSeek r1's traces for the same questions (s1.1, Table 5):

# %% tags=["hide-input"]
chapter.table(results.paper_table("Table 5", only="s1"))
steps = {
    "better traces": ("s1.1 w/o BF", "s1 w/o BF"),
    "two Waits, s1": ("s1 Wait 2x", "s1 w/o BF"),
    "two Waits, s1.1": ("s1.1 Wait 2x", "s1.1 w/o BF"),
}
chapter.table(results.questions_apart("Table 5", **steps))

# %% [markdown]
# [Released models](14_released_models) grades what others have generated with s1.1; a profile with room for 32B
# parameters (`h100`) samples the checkpoints itself:

# %% tags=["hide-input"]
chapter.table(
    {"benchmark": name, **results.line(pipeline, c)}
    for name in chapter.profile.evaluation.benchmarks
    for c in experiments.released(chapter.profile, name)
)

# %% [markdown]
# **What to keep.** A gain from forcing belongs to one checkpoint. After training on better traces, measure it again.
#
# ## Low, medium, high
#
# Commercial models sell budgets by name. A profile names three: settings of the curve above, no more.

# %% tags=["hide-input"]
chapter.table(results.efforts(pipeline))

# %% [markdown]
# **What to keep.** "High" is a point on a curve. Ask what it costs, and whether a cheaper point is as good.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# Fine-tuning is the larger step, Waits add to it, and at the upper end forcing is ahead of the base model's vote.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# The whole pool beats the thousand, where the paper sees no substantial gain (Table 2). And the better vote wins in
# the end: at equal price Waits are ahead of it, but they stop rising and it does not.
# :::
#
# The pocket model learned what to do after "Wait" from its teacher, who checks a line again there; a second look at a
# wrong answer is then cheaper than a second answer from scratch. Later work on larger models finds that parallel
# sampling often does better than longer traces {cite}`zeng2025revisiting,ghosal2025thinking`.
#
# **What to keep.** Whether to think longer or to ask again has no answer without a price: a second look is cheap and
# soon used up, many answers are dear and go on paying.
