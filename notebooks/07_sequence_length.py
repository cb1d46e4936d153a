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
# # Sequence length: training on examples without an end
#
# *Appendix D.1 of the paper, Table 8.*
#
# Fine-tuning has a longest sequence. What is longer is cut, and since thinking comes first, what is lost is
# the end of thinking and the answer. A shorter sequence length saves memory and time, so it is the first
# thing one tries on a small machine. The paper tried it.
#
# :::{admonition} The claim
# :class: claim
# Trained at 4,096 tokens, where 74% of the examples are cut, the model is less accurate than trained at
# 32,768, where none is, and thinks longer: on AIME24 30.0% with 20,721 thinking tokens against 50.0% with
# 6,984.
# :::
#
# :::{admonition} What comes out here
# :class: agrees
# Both halves come out, and so does the reason: past the length at which examples were cut, the model that saw
# them cut stops less often. The effect is smaller than in the paper.
# :::
#
# The paper's is a claim about two trainings, one each. Here every sequence length is trained with several
# seeds, which decide the order of the examples.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from s1lab.analysis import lengths
from s1lab.audit.published import published
from s1lab.book.chapter import open_chapter
from s1lab.figures.curves import tokens_and_accuracy
from s1lab.figures.runs import still_thinking

chapter = open_chapter("lengths", PROFILE, SEED)
trained = lengths.all_lengths(chapter.pipeline)
first = [one for one in trained if one.benchmark == trained[0].benchmark]
short, full = first[-2:]
cut = short.tokens

# %% [markdown]
# ## What the cut takes away
#
# An example whose thinking alone fills the sequence loses its whole answer, and with it the delimiter that
# ends thinking: all that the model sees of it is thinking that goes on.

# %% tags=["hide-input"]
cut_rows = lengths.cut_rows(chapter.pipeline, first)
chapter.table(cut_rows)

# %% tags=["remove-input"]
(lost,) = [
    row for row in cut_rows if row["sequence length"] == f"{cut:,} tokens"
]
chapter.number("cut", cut)
chapter.number("lost", lost["answers lost (%)"], "%", 0)
chapter.number("left", lost["tokens left (%)"], "%", 0)
chapter.number("minutes_cut", short.training.minutes)
chapter.number("minutes_full", full.training.minutes, "minutes")
chapter.number("seeds", len(short.seeds))
chapter.number("n", short.interval("accuracy").n)

# %% [markdown]
# At {glue:text}`lengths_cut` tokens {glue:text}`lengths_lost` of our examples lose their answer, as many as in the paper
# at 4,096: the length was chosen for that. The cut keeps {glue:text}`lengths_left` of the tokens, and training takes
# {glue:text}`lengths_minutes_cut` in place of {glue:text}`lengths_minutes_full`.
#
# **What to keep.** A cut is not a sample of shorter examples. It removes the end from the long ones and
# leaves the whole of the short ones.
#
# ## Table 8, ours and the paper's
#
# Ours are means over {glue:text}`lengths_n` questions and {glue:text}`lengths_seeds` seeds with intervals over both: they
# say what other questions *and* another training would have given. *Cut short* is the share of generations
# that were still thinking at the limit.

# %% tags=["hide-input"]
chapter.table(
    {
        "trained at": f"{length.tokens:,} tokens",
        "benchmark": length.benchmark,
        "accuracy (%)": length.interval("accuracy"),
        "thinking tokens": length.interval("thinking_tokens"),
        "cut short (%)": length.interval("cut_short"),
        "training (minutes)": length.training.minutes,
    }
    for length in trained
)

# %% [markdown]
# The paper has one training each and one greedy answer per question; the intervals are ours, Wilson's.

# %% tags=["hide-input"]
printed, asked = lengths.paper_rows(), published()["questions"]
chapter.table(
    {
        "trained at": f"{row['name']} tokens",
        "benchmark": row["benchmark"],
        "n": asked[row["benchmark"]],
        "accuracy (%)": row["interval"],
        "thinking tokens": row["thinking_tokens"],
    }
    for row in printed
)

# %% tags=["hide-input"]
chapter.figure(
    tokens_and_accuracy(lengths.rows(trained), printed),
    "accuracy",
    "Accuracy against thinking tokens for each sequence length of training.",
    caption="Accuracy against thinking tokens, with 95% intervals. Squares: trained on cut examples; "
    "circles: on whole ones. Left: this profile; small marks are single seeds. Right: Table 8.",
    runs=[run for length in trained for run in length.runs],
)

# %% tags=["remove-input"]
for name, unit, word in (
    ("accuracy", "points", "lower"),
    ("thinking_tokens", "+tokens", "higher"),
    ("cut_short", "points", "higher"),
):
    chapter.number(f"{name}_gap", short.minus(full, name), unit, says=word)
thinking = [one.interval("thinking_tokens").estimate for one in (short, full)]
chapter.number("folds", thinking[0] / thinking[1])
folds = lengths.paper_folds()
for name, gap in lengths.paper_differences().items():
    where = name.split()[0].lower()
    chapter.number(f"paper_{where}", gap, "points", says="cannot tell")
    chapter.number(f"paper_{where}_folds", folds[name])

# %% [markdown]
# Paired by question and by seed, the cut changes accuracy by {glue:text}`lengths_accuracy_gap` and thinking by
# {glue:text}`lengths_thinking_tokens_gap`. That is {glue:text}`lengths_folds` times as long; in the paper it is {glue:text}`lengths_paper_aime24_folds` times on
# AIME24, {glue:text}`lengths_paper_math500_folds` on MATH500 and {glue:text}`lengths_paper_gpqa_folds` on GPQA Diamond. The paper's fall in accuracy,
# without pairing, is {glue:text}`lengths_paper_aime24` on AIME24, {glue:text}`lengths_paper_math500` on MATH500 and {glue:text}`lengths_paper_gpqa` on
# GPQA Diamond: each of the intervals holds zero, so what stands out in its table is the number of tokens.
#
# **What to keep.** Training on cut examples costs accuracy and buys longer thinking, here with intervals over
# seeds.
#
# ## Why thinking grows
#
# A model learns when to stop from examples that stop. Cut at a sequence length, the only examples that still
# show the end of thinking are the short ones, so past the cut the model has never seen thinking end. The
# figure follows every generation: which share is still thinking after so many tokens?

# %% tags=["hide-input"]
chapter.figure(
    still_thinking(
        lengths.survival(first[::-1]),
        cuts=[(one.tokens, f"cut at {one.tokens:,}") for one in first[:-1]],
        title=f"Still thinking on {first[0].benchmark}",
    ),
    "survival",
    "Share of generations still thinking against thinking tokens.",
    caption="Bold: all seeds together; thin: each seed. A curve that stays up until the limit belongs "
    "to a model that does not stop.",
    runs=[run for length in first for run in length.runs],
)

# %% [markdown]
# The same in numbers. Of the generations that reach some number of tokens, which share goes on to twice as
# many? If the cut is the cause, the models should agree up to it and part behind it. In brackets the lowest
# and the highest seed.

# %% tags=["hide-input"]
chapter.table(
    {"trained at": f"{length.tokens:,} tokens", "benchmark": length.benchmark}
    | {
        f"{start:,.0f} to {2 * start:,.0f} (%)": length.goes_on(start)
        for start in (cut / 4, cut / 2, cut, 2 * cut)
    }
    for length in trained
)

# %% [markdown]
# And what becomes of the generations that think for longer than any example that the shorter training saw?

# %% tags=["hide-input"]
chapter.table(
    {"trained at": f"{length.tokens:,} tokens", "benchmark": length.benchmark}
    | length.stops(cut).row(cut)
    for length in trained
)

# %% tags=["remove-input"]
before, behind = (
    [one.goes_on(start) for one in (short, full)] for start in (cut / 2, cut)
)
for name, (ours, whole) in (("before", before), ("behind", behind)):
    chapter.number(f"{name}_cut", ours, "%")
    chapter.number(f"{name}_full", whole, "%")
parts = None not in behind and behind[0].low > behind[1].high
chapter.says("parts", parts)
chapter.number("half", cut / 2, digits=0)
chapter.number("double", 2 * cut)
chapter.number("ended_cut", short.mean_of_ended(), digits=0)
chapter.number("ended_full", full.mean_of_ended(), digits=0)

# %% [markdown]
# From {glue:text}`lengths_half` to {glue:text}`lengths_cut` tokens the two hardly differ: {glue:text}`lengths_before_cut` go on after
# training on cut examples, {glue:text}`lengths_before_full` after training on whole ones. From {glue:text}`lengths_cut` to
# {glue:text}`lengths_double` it is {glue:text}`lengths_behind_cut` and {glue:text}`lengths_behind_full`: they part where the examples were
# cut{glue:text}`lengths_parts`.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - Accuracy falls ({glue:text}`lengths_accuracy_gap`) and thinking grows ({glue:text}`lengths_thinking_tokens_gap`), both outside their intervals.
# - The cause that the paper suggests shows: beyond the cut, the model was never taught to stop.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# - The effect is {glue:text}`lengths_folds` times the thinking, not three times. Our cut leaves a quarter of the
#   examples whole, which is enough to learn that thinking ends; and a trace that has found its target has
#   little left to say.
# :::
#
# For anyone who trains on a smaller machine: look at what encoding reports before starting. A sequence length
# that cuts answers off trains a model not to answer; leaving the long examples out, or paying for the length,
# are the alternatives. `s1lab plan` says what a length needs in memory, and `on_too_long: error` refuses to
# cut.
#
# :::{admonition} Exercise
# :class: exercise
# Some generations never stop: they are still thinking at the limit, more of them after training on cut
# examples. Are they all that makes the average longer? Predict the two means without them, then look.
# :::
#
# :::{admonition} Answer
# :class: dropdown
# No. Among generations that ended by themselves the means are {glue:text}`lengths_ended_cut` and {glue:text}`lengths_ended_full`
# thinking tokens. Stopping is learned less sharply everywhere behind the cut, not only by the few that never
# stop.
# :::
