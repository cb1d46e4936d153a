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
# # What the released models did
#
# *s1.1 under caps and Waits, Qwen3 and R1 distillations with Waits, and eleven checkpoints of one
# run: generations that others made and published, read and graded again.*
#
# The paper's models are too large for this book to run. But other people ran them, under caps and
# with forced Waits, and published what they said. This page counts it again: some 28,000
# generations, each graded by the rules of this package, thinking counted in tokens of the model's
# own tokenizer, with the intervals that nobody has drawn.
#
# :::{admonition} The claim
# :class: claim
# More thinking at test time gives better answers, and "Wait" makes the model "double-check its
# answer, often fixing incorrect reasoning steps" (abstract).
# :::
#
# **What comes out.** On questions of general knowledge s1.1-32B is as good with 500 thinking tokens
# as with 8,000, and on questions about culture it is worse with more. One forced Wait mends about
# as many answers as it breaks, and changes hardly any. In mathematics the authors' own logs, as
# others counted them, agree with the paper up to 8,000 tokens; beyond, Waits add tokens and no
# accuracy.
#
# No text of these generations is kept in this repository: several of the sources state no licence.
# What is committed is one row per generation, with the question as a hash: right or wrong, tokens,
# cut or not, Waits. `s1lab generations` recomputes every row from the files and compares.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from myst_nb import glue
from s1lab.figures.curves import method_panels
from s1lab.figures.display import show
from s1lab.figures.forests import comparison
from s1lab.generations import tables
from s1lab.runs import project_root

folder = project_root() / "results" / tables.FOLDER
glue_numbers = tables.numbers(folder)
for name, value in glue_numbers.items():
    glue(f"released-{name}", value, display=False)

# %% [markdown]
# ## More thinking, on questions that are not mathematics
#
# Yong and colleagues ran s1.1-32B, with the paper's own fork of the evaluation harness, on 400
# English questions of Global-MMLU and on 184 of FORK, which asks about culture, under five caps
# {cite}`yong2025crosslingual`. The stored scores are unusable (0.0 throughout), so every answer is
# read again; where the harness forced its cue, thinking was cut. Beside it stands
# Qwen2.5-32B-Instruct, from which s1.1 was fine-tuned, which answers at once.

# %%
tables.shown(tables.caps("global_mmlu", folder))

# %%
tables.shown(tables.caps("fork", folder))

# %% tags=["hide-input"]
show(
    method_panels(tables.cap_curves(folder)),
    "released-caps",
    alt="Accuracy of s1.1-32B against its mean thinking tokens under five "
    f"caps. {tables.caps_in_words(folder)}",
    caption="s1.1-32B under five caps, with 95% intervals. The dotted mark is "
    "Qwen2.5-32B-Instruct, which does not think, drawn at 100 tokens. Logs: "
    "BatsResearch/crosslingual-test-time-scaling at 39ef97cd.",
)

# %% [markdown]
# Per doubling of thinking tokens accuracy changes by {glue:text}`released-global_mmlu-slope` points
# on Global-MMLU and by {glue:text}`released-fork-slope` on FORK: nothing in the one, and a loss in
# the other. The same over questions, pair by pair:

# %%
tables.shown(tables.cap_differences("global_mmlu", folder), "difference")

# %%
tables.shown(tables.cap_differences("fork", folder), "difference")

# %% [markdown]
# Fine-tuning on a thousand traces of mathematics did not cost s1.1 its knowledge: with 500 tokens it
# is {glue:text}`released-fork-gain` points above the model it came from on FORK, and
# {glue:text}`released-global_mmlu-gain` on Global-MMLU.
#
# ## One forced Wait
#
# The same authors gave MGSM (250 grade-school problems in eleven languages) to s1.1 at four sizes,
# with exactly one Wait, translated, in the way of the official README. The Wait stands on a line of
# its own after a single line break, where the model's own "Wait" opens a paragraph; so its place
# can be found in {glue:text}`released-found` of {glue:text}`released-traces` traces. An answer counts
# as readable where the last box, or the only number of the last paragraph, states one.

# %%
tables.shown(tables.one_wait(folder, "model"), "gain", digits=2)

# %%
languages = tables.one_wait(folder, "group")
tables.shown(languages.rename(columns={"group": "language"}), "gain", digits=2)

# %% tags=["hide-input"]
gains = languages.rename(columns={"group": "name", "gain": "accuracy"})
show(
    comparison(
        gains, metric="net gain", title="One Wait, by language", gaps=True
    ),
    "released-wait-languages",
    alt="Net gain of one forced Wait among readable answers, by language, in points: "
    + ", ".join(
        f"{row.name} {100 * row.accuracy:+.2f}"
        for row in gains.itertuples(index=False)
    )
    + ".",
    caption="Answers mended less answers broken by one forced Wait, s1.1 at all sizes, with 95% "
    "intervals. Logs: BatsResearch/crosslingual-test-time-scaling at 39ef97cd.",
)

# %% [markdown]
# Of {glue:text}`released-readable` answers that can be read before and after the Wait,
# {glue:text}`released-mended` turned from wrong to right and {glue:text}`released-broken` from right
# to wrong. A Wait on problems that a model already solves {glue:text}`released-solved` of the time
# has little to mend, and it mends nothing beyond what it breaks: the interval of the net gain holds
# zero at every size.
#
# ## Many Waits, on questions of fact
#
# A public repository holds 800 questions of SimpleQA as answered by Qwen3 and R1 distillations with
# no, two and four forced Waits {cite}`ttsknowledge`. The files carry another model's verdict: right,
# wrong, or not attempted. Differences are paired with no Wait on the same questions. One file, R1
# Distill Llama 8B without Waits, holds 824 other questions and is not paired.

# %%
tables.shown(tables.more_waits(folder)).drop(
    columns=["pair n", "pair difference", "pair low", "pair high"]
)

# %%
tables.shown(tables.wait_gains(folder), "difference", digits=2)

# %% [markdown]
# The stored verdicts are another model's. Beside them a plain test: do the gold answer's words stand
# in the response? Hardly ever where the judge says wrong or not attempted (there the response names
# the gold on its way to another answer). Of those judged right many say it in other words, without a
# hyphen, a title or a state, and the judge was right to take them:

# %%
tables.judged(folder)

# %% [markdown]
# ## Mathematics: the authors' own logs, recounted
#
# The paper's authors released their logs on the Hub, which could not be reached from here. Somebody
# else counted them {cite}`governor`: MATH500 under seven caps, and with one to eight Waits;
# GPQA Diamond with one to eight.

# %% tags=["hide-input"]
show(
    method_panels(tables.recount_curves(folder)),
    "released-recount",
    alt="Accuracy of s1-32B against mean thinking tokens, as recounted from "
    f"the authors' logs. {tables.recount_in_words(folder)}",
    caption="s1-32B, from the authors' logs as counted by SYT20/Governor at "
    "d1f13344; intervals (95%) from the number of questions.",
)

# %%
tables.shown(tables.recounted(folder))

# %% [markdown]
# Caps raise MATH500 from {glue:text}`released-math-first` to {glue:text}`released-math-last` percent
# by 8,000 tokens, as the paper has it; twice and four times the cap add nothing. From one Wait to
# eight, thinking on MATH500 grows to {glue:text}`released-math-growth` times its length and accuracy
# goes from {glue:text}`released-math-one` to {glue:text}`released-math-eight` percent.
#
# With a network, `s1lab fetch generations --hub` brings the authors' logs themselves, and the next
# table has their rows.

# %%
tables.authors(folder)

# %% [markdown]
# ## Eleven checkpoints of one run
#
# How much of a difference on thirty questions is noise? NovaSky's repository holds AIME24 as
# answered by eleven checkpoints of one fine-tuning run of a 32B model {cite}`skythought`.

# %%
checkpoints, p_value = tables.checkpoints(folder)
tables.shown(checkpoints)

# %% [markdown]
# From {glue:text}`released-lowest` to {glue:text}`released-highest` percent, without a trend. Over
# the same thirty questions the eleven do not differ by more than chance (Cochran's Q,
# p = {glue:text}`released-cochran`). The paper's headline, 50.0 against 56.7, is half of this range.
#
# :::{admonition} What to keep
# :class: tip
# Where a model already knows, more thinking does not help, and it may hurt. One "Wait" is a coin
# that lands on its edge: nearly every answer stays what it was. And thirty questions cannot tell
# eleven checkpoints of one run apart.
# :::
