# %% [markdown]
# # Sequence length: training on examples without an end
#
# *Appendix D.1 of the paper, Table 8. You need [chapter 3](02_training).*
#
# Fine-tuning has a longest sequence. What is longer is cut, and since thinking comes first, what is lost is the end
# of thinking and the answer. A shorter sequence length saves memory and time, so it is the first thing one tries on a
# small machine. The paper tried it.
#
# :::{admonition} The claim
# :class: claim
# Trained at 4,096 tokens, where 74% of the examples are cut, the model is less accurate than trained at 32,768, where
# none is, and thinks longer: on AIME24 30.0% with 20,721 thinking tokens against 50.0% with 6,984.
# :::
#
# :::{admonition} What comes out here
# :class: agrees
# Both halves come out, and so does the reason: past the length at which examples were cut, the model that saw them
# cut stops less often. The effect is smaller than in the paper, which trained once at each length; here every length
# is trained with several seeds, which decide the order of the examples.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from functools import partial

from s1lab.analysis import ablations
from s1lab.book.chapter import open_chapter
from s1lab.figures.curves import still_thinking, tokens_and_accuracy

chapter = open_chapter("lengths", PROFILE, SEED)
trained = chapter.ask(ablations.lengths, chapter.pipeline) or []
first = [one for one in trained if one.benchmark == trained[0].benchmark]
found = ablations.cut_against_whole(*first[-2:]) if first else {}
cut = found.get("cut", 0)

# %% [markdown]
# ## What the cut takes away
#
# An example whose thinking alone fills the sequence loses its whole answer, and with it the delimiter that ends
# thinking: all that the model sees of it is thinking that goes on.

# %% tags=["hide-input"]
cut_rows = ablations.cut_rows(chapter.pipeline, first) if first else []
chapter.table(cut_rows)
(row,) = cut_rows[len(first) - 2 : len(first) - 1] or [{}]
chapter.number("lost", row.get("answers lost (%)"), "%", 0)
chapter.number("left", row.get("tokens left (%)"), "%", 0)
chapter.take(found, "", "cut", "half", "double", "folds")
chapter.take(found, "", "ended_cut", "ended_whole")
chapter.take(found, "minutes", "minutes_cut", "minutes_whole")

# %% [markdown]
# At {glue:text}`lengths_cut` tokens {glue:text}`lengths_lost` of our examples lose their answer, as many as in the paper at 4,096: the
# length was chosen for that. The cut keeps {glue:text}`lengths_left` of the tokens, and training takes {glue:text}`lengths_minutes_cut` in
# place of {glue:text}`lengths_minutes_whole`.
#
# **What to keep.** A cut is not a sample of shorter examples. It takes the end from the long ones alone.
#
# ## Table 8, ours and the paper's
#
# Ours are means over questions and seeds with intervals over both: they say what other questions *and* another
# training would have given. *Cut short* is the share of generations that were still thinking at the limit. Then the
# paper's, one training each and one greedy answer per question, with Wilson's intervals, which are ours.

# %% tags=["hide-input"]
chapter.table(one.row() for one in trained)
chapter.table(ablations.paper_lengths())
ours, theirs = ablations.length_rows(trained), ablations.paper_length_rows()
chapter.figure(
    chapter.ask(tokens_and_accuracy, ours, theirs),
    "accuracy",
    "Accuracy against thinking tokens for each sequence length of training.",
    caption="95% intervals. Squares: trained on cut examples; circles: on whole "
    "ones. Left: this profile, seeds small. Right: Table 8 of the paper.",
    runs=[run for length in trained for run in length.runs],
)
chapter.take(found, "points", accuracy="lower")
thinking = found.get("thinking_tokens")
chapter.number("thinking", thinking, "+tokens", says="higher")
paper = ablations.paper_length_effects()
chapter.numbers(**{name: folds for name, (folds, _) in paper.items()})
for name, (_, gap) in paper.items():
    chapter.number(f"paper_{name}", gap, "points", says="cannot tell")

# %% [markdown]
# Paired by question and by seed, the cut changes accuracy by {glue:text}`lengths_accuracy` and thinking by {glue:text}`lengths_thinking`. That
# is {glue:text}`lengths_folds` times as long; in the paper it is {glue:text}`lengths_AIME24` times on AIME24, {glue:text}`lengths_MATH500` on MATH500
# and {glue:text}`lengths_GPQA` on GPQA Diamond. The paper's fall in accuracy, without pairing, is {glue:text}`lengths_paper_AIME24` on AIME24,
# {glue:text}`lengths_paper_MATH500` on MATH500 and {glue:text}`lengths_paper_GPQA` on GPQA Diamond: each of the intervals holds zero, so what stands
# out in its table is the number of tokens.
#
# **What to keep.** A shorter sequence saves once, in training, and costs at every answer that is longer for it.
#
# ## Why thinking grows
#
# Where examples are cut, only the short ones still show the end of thinking. The figure follows every generation:
# which share is still thinking after so many tokens?

# %% tags=["hide-input"]
drawn = partial(still_thinking, cuts=[(cut, f"cut at {cut:,}")])
chapter.figure(
    chapter.ask(drawn, ablations.survival(first[::-1])),
    "survival",
    "Share of generations still thinking against thinking tokens.",
    caption="Bold: all seeds together; thin: each seed. A curve that stays up "
    "until the limit belongs to a model that does not stop.",
    runs=[run for length in first for run in length.runs],
)

# %% [markdown]
# Of the generations that reach some number of tokens, which share goes on to twice as many? If the cut is the cause,
# the models should agree up to it and part behind it. In brackets the lowest and the highest seed. And what becomes
# of those that think for longer than any example that the shorter training saw?

# %% tags=["hide-input"]
chapter.table(one.course(cut) for one in trained)
chapter.table(one.outcomes(cut) for one in trained)
before, behind = ("before_cut", "before_whole"), ("behind_cut", "behind_whole")
chapter.take(found, "%", *before, *behind)
ours, whole = (found.get(name) for name in behind)
chapter.says("part", bool(ours and whole) and ours.low > whole.high)

# %% [markdown]
# From {glue:text}`lengths_half` to {glue:text}`lengths_cut` tokens the two hardly differ: {glue:text}`lengths_before_cut` go on after training on cut
# examples, {glue:text}`lengths_before_whole` after training on whole ones. From {glue:text}`lengths_cut` to {glue:text}`lengths_double` it is
# {glue:text}`lengths_behind_cut` and {glue:text}`lengths_behind_whole`: they part where the examples were cut{glue:text}`lengths_part`.
#
# **What to keep.** A model learns to stop from examples that stop. Beyond their ends, stopping is a guess.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - Accuracy falls ({glue:text}`lengths_accuracy`) and thinking grows ({glue:text}`lengths_thinking`), both outside their intervals.
# - The cause that the paper suggests shows: beyond the cut, the model was never taught to stop.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# - The effect is smaller: {glue:text}`lengths_folds` times the thinking, where the paper's AIME24 has {glue:text}`lengths_AIME24`. We
#   think that is because thinking has a visible reason to end here, a try that hits, and short examples teach it too.
# :::
#
# **What to keep.** On a smaller machine pay for the length or leave long examples out: one that cuts answers off
# trains a model not to answer. `s1lab plan` says what a length needs, and `on_too_long: error` refuses to cut.
#
# :::{admonition} Exercise
# :class: exercise
# Some generations never stop: they are still thinking at the limit, more of them after training on cut examples. Are
# they all that makes the average longer? Predict the two means without them, then look.
# :::
#
# :::{admonition} Answer
# :class: dropdown
# No. Among generations that ended by themselves the means are {glue:text}`lengths_ended_cut` and {glue:text}`lengths_ended_whole` thinking tokens.
# Stopping is learned less sharply everywhere behind the cut, not only by the few that never stop.
# :::
