# %% [markdown]
# # Discussion: where the curve ends
#
# *Sections 4.2 and 6.2 and Appendices A and B of the paper, Figures 4 and 7, Table 5. You need [chapter
# 5](04_results).*
#
# :::{admonition} The claim
# :class: claim
# Budget forcing eventually flattens out, at six Waits on AIME24, because forbidding the end too often "can lead the
# model into repetitive loops instead of continued reasoning". The context window of the model constrains it: when a
# model is asked for up to 512 steps, 12 of 30 questions overflow. Parallel scaling complements it (Section 6.2,
# Figures 4 and 7).
# :::
#
# :::{admonition} What comes out here
# :class: agrees
# All three, and the first more strongly than claimed: the curve does not only flatten, the last doubling of Waits
# costs {glue:text}`discussion_last`. Loops grow with every Wait, and what runs into the window is hardly ever right.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import numpy as np
from s1lab.analysis import results
from s1lab.analysis.methods import EqualCompute
from s1lab.audit.published import published
from s1lab.book.chapter import open_chapter
from s1lab.figures.curves import repetition_panels

chapter = open_chapter("discussion", PROFILE, SEED)
pipeline, profile = chapter.pipeline, chapter.profile
run, traces, waits = chapter.ask(results.loops, pipeline) or (None, [], [])
samples = results.many_samples(pipeline)

# %% [markdown]
# ## Loops
#
# A *step* is a line of a trace (a paragraph in a trace of a large model). It is *repeated* when the same trace has
# written the very same step before. Two questions: how much of a trace is repetition, and does a Wait bring any step
# that was not there yet?

# %% tags=["hide-input"]
chapter.table(chapter.ask(results.loop_rows, pipeline) or [])
chapter.figure(
    chapter.ask(repetition_panels, traces, waits),
    "repetition",
    "Repeated steps grow with Waits; later Waits bring a new step less often.",
    caption="Left: share of steps that a trace had written before. Right: share "
    "of Waits that bring a new one, under the most Waits. 95% intervals.",
    runs=[run] if run else [],
)
last = chapter.ask(results.last_step, pipeline)
chapter.number("last", last, "points", says="lower")
ends = chapter.ask(results.loop_ends, pipeline) or {}
chapter.take(ends, "%", "none", "most", "first", "latest")
chapter.says("grow", bool(ends) and ends["none"].high < ends["most"].low)
chapter.says("fade", bool(ends) and ends["latest"].high < ends["first"].low)

# %% [markdown]
# Repetition grows{glue:text}`discussion_grow`: without a Wait {glue:text}`discussion_none` of the steps repeat an earlier one, under the most
# Waits {glue:text}`discussion_most`. And later Waits bring less{glue:text}`discussion_fade`: the first brings a new step in {glue:text}`discussion_first`
# of the traces, the last in {glue:text}`discussion_latest`.
#
# Not every repetition is a loop. Our teacher answers a "Wait" by checking its last line, and copies it when it was
# right; the model has learned that. A check of a right line costs a line and breaks nothing. What the right panel
# counts is whether there is *anything* besides.
#
# **What to keep.** A Wait buys tokens, not ideas. Count how often it brings a step that was not there yet.
#
# ## The window
#
# A Wait can only be obeyed while there is room. Thinking ends in one of three ways: the model *ended* it; the decoder
# *cut* it at its budget; or the *context* was nearly full.

# %% tags=["hide-input"]
window = results.window_rows(pipeline)
chapter.table(window)
none, fewer, most = window[0], window[-2:][0], window[-1]
chapter.numbers("%", cut_none=none["cut (%)"], cut_most=most["cut (%)"])
ended = [row["right when ended (%)"] for row in (fewer, most)]
chapter.numbers("%", right_cut=most["right when cut (%)"], right_ended=ended[1])
chapter.says("room", None not in ended and max(ended) - min(ended) < 0.02)
steps = published()["figure7"]["sequential_steps_32_64_256_512"]
chapter.numbers(paper_256=steps[-2][1], paper_512=steps[-1][1])
chapter.numbers(limit=profile.evaluation.max_thinking)

# %% [markdown]
# The profile lets a trace think for at most {glue:text}`discussion_limit` tokens, so that an answer always fits: what would
# overflow the window is *cut* before it. Without a Wait that happens to {glue:text}`discussion_cut_none` of the traces, under the
# most Waits to {glue:text}`discussion_cut_most`, and {glue:text}`discussion_right_cut` of those are right, against {glue:text}`discussion_right_ended` of the others. In
# the paper the same happens at 512 steps, where accuracy falls from {glue:text}`discussion_paper_256`% to {glue:text}`discussion_paper_512`%.
#
# From half as many Waits to the most, *right when ended* hardly moves{glue:text}`discussion_room`: nearly all of the fall is
# thinking that had not ended. Whether more room would have saved it, these runs do not say.
#
# **What to keep.** Where more Waits lower an accuracy, count first the traces that did not end.
#
# ## Long because wrong, or wrong because long?
#
# Zeng and others {cite}`zeng2025revisiting` find that right answers have *shorter* traces than wrong ones, on the
# same questions; Hassid and others {cite}`hassid2025dont` that the shortest of several traces is the best one to
# trust. Here is the same comparison, on questions that the model answers both rightly and wrongly.

# %% tags=["remove-input"]
both = results.right_and_wrong(samples)
chapter.take(both, "", "both", "questions")
chapter.take(both, "", "right", "wrong", digits=0)
chapter.take(both, "+tokens", gap="lower")
equal = EqualCompute(pipeline, chapter.benchmark)
for name, says in (("two", "higher"), ("eight", "cannot tell")):
    row = equal.against(
        "fine-tuned", dict(two="Wait 2x", eight="Wait 8x")[name]
    )
    chapter.number(name, row.get("difference (points)"), "points", says=says)
draws = results.small_benchmarks(samples, SEED)
low, high = np.percentile(draws, [2.5, 97.5])
chapter.numbers("%", mean=float(samples.correct.mean()), low=low, high=high)
chapter.numbers(spread=100 * float(np.std(draws)))
twice = np.abs(draws[::2] - draws[1::2])
chapter.number("apart", float((twice > 1.99 / 30).mean()), "%", 0)

# %% [markdown]
# {glue:text}`discussion_both` of {glue:text}`discussion_questions` questions have both. Right traces think {glue:text}`discussion_right` tokens, wrong ones
# {glue:text}`discussion_wrong`: a difference of {glue:text}`discussion_gap`.
#
# The comparison is within questions, so it is not that hard questions take long. In this world a trace ends when a
# try hits: a long trace is one that has not found the answer yet. Cutting it short does not mend it: when the
# *decoder* decides the length, more tokens raise accuracy ([introduction](00_introduction)).
#
# **What to keep.** A length that the model chose is a sign, a length that the decoder forced is a treatment. That
# wrong traces are long does not say that shorter ones would be right.
#
# ## Parallel instead
#
# Sampling several answers and taking a vote needs no window. [Chapter 5](04_results) draws both curves. In short:
# against a vote of the fine-tuned model that costs as many tokens, two Waits are {glue:text}`discussion_two`, and eight are
# {glue:text}`discussion_eight`, where nobody can tell.
#
# The paper finds its fine-tuned model ahead of voting over the *base* model (Figure 4b), and voting and tree search
# ahead of ever longer step limits (Figure 7). Zeng and others compare the two on QwQ, R1 and LIMO and find parallel
# scaling better; asked why they left s1 out, they answered that its own traces hardly contain the word "Wait", so
# that appending it seemed unfit ([thread](https://github.com/ZhiYuanZeng/test-time-scaling-eval/issues/1)). Ghosal
# and others {cite}`ghosal2025thinking` find voting up to 20% better at equal tokens.
#
# **What to keep.** Compare a Wait with what its tokens buy elsewhere: early ones are worth them, later ones cannot be
# told from a vote.
#
# ## A better teacher: s1.1
#
# A week after s1 its authors had DeepSeek r1 write new traces for the same thousand questions (Appendix A). In Table
# 5 nothing but the traces differs: what Wait added to s1, s1.1 has without it ([chapter 5](04_results) has the rows).
#
# **What to keep.** Before you force a second look, see whether better examples make a model take it by itself.
#
# ## How much is noise
#
# Appendix B reports that greedy scores change with batch size and with the number of GPUs. Yuan and others
# {cite}`yuan2025understanding` trace this to rounding: under bfloat16 and greedy decoding, up to 9% in accuracy and
# 9,000 tokens in length for one and the same model. Hochlehnert and others {cite}`hochlehnert2025sober` find that
# small benchmarks move by several points with the seed alone. How far would a benchmark of AIME's size move for our
# model, which does not change at all?

# %% [markdown]
# Thirty of our questions, one sample each, drawn 10,000 times: the accuracy of the same model has a standard
# deviation of {glue:text}`discussion_spread` points, and 95% of the draws lie between {glue:text}`discussion_low` and {glue:text}`discussion_high`. All
# questions and samples together give {glue:text}`discussion_mean`.
#
# :::{admonition} Exercise
# :class: exercise
# The paper's headline, from 50.0% to 56.7%, is two questions of thirty. How often do two such draws of *one
# unchanged* model lie two questions or more apart? Guess a share before you look.
# :::
#
# :::{admonition} Answer
# :class: dropdown
# In {glue:text}`discussion_apart` of the pairs. The paper's two runs share their thirty questions, which makes them more alike
# than these draws; pairing is what the [other chapters](05_data_ablations) do.
# :::
#
# **What to keep.** Before you compare two models on a small benchmark, see how far one of them moves when run twice.
#
# ## What later work found
#
# | work | what it reports | here |
# |---|---|---|
# | Wu {cite}`wu2025simple` | the curve's rise is mostly capping; Waits make models oscillate | {doc}`00_introduction`: the same division of the curve |
# | Ghosal and others {cite}`ghosal2025thinking` | accuracy rises, then falls with thinking length | the table of loops above |
# | Zeng and others {cite}`zeng2025revisiting` | right traces are shorter; parallel beats sequential | measured above |
# | Huang and others {cite}`huang2025m1` | in medicine about 4K tokens are best; Wait can spoil right answers | *mended* and *broken* in {doc}`00_introduction` |
# | Gema and others {cite}`gema2025inverse` | tasks on which longer reasoning is worse | no such task here |
# | Wang and others {cite}`wang2025thoughts` | models leave promising thoughts too early | our traces have one kind of step |
# | Ringel and others {cite}`ringel2025learning` | a learned "continue" token gains 4.2 points on GSM8K where Wait gains 1.3 | not run |
# | Ma and others {cite}`ma2025reasoning` | skipping the thinking can beat it at a low budget | the smallest caps in {doc}`00_introduction` |
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - **It flattens out**, and more than that: the last doubling of Waits is {glue:text}`discussion_last`.
# - **Loops** grow, and **the window** ends {glue:text}`discussion_cut_most` of the traces under the most Waits, hardly one right.
# :::
#
# Two things stand between these counts and a 32B model. Ours is sampled at temperature 1, since greedy decoding loops
# in this world too ({doc}`12_pocket_world`), while the paper decodes greedily: its loops may be worse. And ours was
# *taught* what to do after a "Wait"; one that never saw the word in training may treat it in its own way.
#
# **What to keep.** Before you call an end of the curve the model's limit, count repeated steps and full windows.
