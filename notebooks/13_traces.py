# %% [markdown]
# # Reading traces
#
# *Figures 3 and 5 of the paper, and a discussion that followed it. You need [budget forcing](03_budget_forcing).*
#
# An average says that Waits helped. It does not say what a model does after one. The paper shows a single trace in
# which "Wait" mends a miscount (Figure 3), and a few generations (Figure 5). Here are {glue:text}`traces_shown`, chosen by
# nothing but the order of the questions, and measurements over hundreds.
#
# :::{admonition} The claim
# :class: claim
# A forced "Wait" makes the model look again at what it wrote, and it often finds and mends its own mistake (Section
# 3.1, Figure 3).
# :::
#
# :::{admonition} What comes out here
# :class: differs
# It does look again: after a forced Wait the model writes out the line it has just written. But in the traces below
# such a second look turned {glue:text}`traces_found` of {glue:text}`traces_steps` answers from wrong to right. Where thinking helps, it
# is by tries.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from IPython.display import HTML
from s1lab.book.chapter import open_chapter
from s1lab.figures.curves import around_waits
from s1lab.figures.trace import viewer_html
from s1lab.traces import reading as analysis

chapter = open_chapter("traces", PROFILE, SEED)
run = analysis.step(chapter.pipeline).make()
condition = analysis.condition(chapter.pipeline)
traces = run.read_records("traces.jsonl")

# %% [markdown]
# ## What the model would have said
#
# Beside each step of thinking stands the answer that the model gives when its thinking is ended right there. It was
# really asked, at every step, with the delimiter and the "Final Answer:" that a budget forces. So a trace shows where
# the answer was first found, and whether thinking on kept it. They are greedy, so that a step has one answer.

# %% tags=["hide-input"]
how = f"{condition.label}, temperature {condition.temperature:g}"
told = "A triangle on the ruler is a forced Wait."
caption = f"{condition.benchmark}, {how}. {told}"
runs = [run.id, run.settings["run"]]
HTML(viewer_html(traces, "traces-viewer", caption=caption, runs=runs))

# %% [markdown]
# :::{admonition} Before you look on
# :class: exercise
# Leaf through the traces. In how many could you have stopped early, with a right answer in hand, and how many tokens
# would that save?
# :::
#
# **What to keep.** To see what thinking buys, stop it at every step and ask for the answer.
#
# ## How an answer comes and goes
#
# The same traces as a table. *First right at* is the number of thinking tokens after which the model, stopped there,
# would first answer correctly; *lost again* counts the steps that took a right answer away.

# %% tags=["hide-input"]
arrivals = analysis.arrivals(traces)
chapter.table(arrivals)
found = [row for row in arrivals if row["first right at"] != "never"]
lost = [row for row in found if row["lost again"]]
chapter.numbers(shown=len(arrivals), had=len(found), lost=len(lost))
chapter.says("usually", 2 * len(found) > len(arrivals))
after = analysis.spared(arrivals) or [None]
chapter.numbers(least=after[0], most=after[-1])
by_itself, cue = analysis.cue_costs(traces)
turns = analysis.turns(traces)
chapter.numbers(by_itself=by_itself, cue=cue, steps=turns.total())
chapter.numbers(found=turns[False, True], gone=turns[True, False])
chapter.says("rarely", turns[False, True] <= turns.total() / 4)

# %% [markdown]
# :::{admonition} So, when could one stop?
# :class: dropdown
# In {glue:text}`traces_had` of {glue:text}`traces_shown` traces a right answer could be had at some step, and in {glue:text}`traces_lost` of
# them a later step lost it, at least for a while. Where the end is right, thinking went on for {glue:text}`traces_least` to
# {glue:text}`traces_most` tokens after the answer was there: checking, and the forced Waits. A cap at exactly the right place
# would save them, if one knew the place.
# :::
#
# {glue:text}`traces_by_itself` traces end right by themselves. In {glue:text}`traces_cue` of these the answer that is forced at the very
# same token is wrong. Two things differ there, and so few traces cannot tell them apart: the forced answer follows
# the decoder's "Final Answer:", and it is greedy where the trace was sampled.
#
# **What to keep.** A right answer is usually there before thinking ends{glue:text}`traces_usually`, and sometimes it is lost
# again. Only who knows the answer can say when to stop, so this saving is a bound and not a method.
#
# ## Is the model unsure where Wait is forced?
#
# A project of late 2024, [entropix](https://github.com/xjdr-alt/entropix), asked *when* to intervene, in terms of two
# numbers. The **entropy** of the next-token distribution $p$ says how many bits of choice there are; the
# **varentropy** says how unequal the alternatives are:
#
# $$H = \sum_i p_i \log_2 \tfrac{1}{p_i}, \qquad
#   V = \sum_i p_i \left(\log_2 \tfrac{1}{p_i} - H\right)^2 .$$
#
# With two equally likely tokens $H$ is one bit and $V$ is zero; with one certain token both are zero. Its sampler
# inserts a fixed token where entropy is high and varentropy low (so its README and its code; we know of no
# measurement of what that is worth). Budget forcing asks no such question: it puts its token where the model wants to
# *stop*. So: how unsure is the model there? Here is the mean over {glue:text}`traces_n` traces, aligned at the first token
# of a step: steps that begin with a forced Wait, with a Wait that the model wrote itself, and all others. Shaded are
# 95% intervals from resampling questions.

# %% tags=["hide-input"]
around, n = run.read_table("around_waits.csv"), run.summary()["traces"]
chapter.figure(
    around_waits(around),
    "around-waits",
    "Mean entropy and varentropy by distance from the start of a step: after a Wait, forced or not, "
    "entropy stays near zero for a whole step, while an ordinary step begins with uncertain choices.",
    caption="Offset 0 is the first token of a step: the Wait itself, where there is one.",
    runs=[run.id],
)
contrasts = analysis.contrasts(run.read_table("contrasts.csv"), n)
bits = dict.fromkeys(("forced Wait", "other steps"), "bits")
chapter.table(contrasts, bits | {"difference": "+bits"}, digits=2)

# %% tags=["remove-input"]
by = {(row["measure"], row["where"]): row for row in contrasts}
words = {("entropy", "at"): "lower", ("entropy", "after"): "lower"}
for key in (*words, ("surprisal", "at")):
    row, name = by.get(key, {}), "_".join(key)
    gap, says = row.get("difference"), words.get(key, "higher")
    chapter.number(name, gap, "+bits", 2, says=says)
    chapter.number(f"{name}_forced", row.get("forced Wait"), "bits", 2)
    chapter.number(f"{name}_plain", row.get("other steps"), "bits", 2)
chapter.numbers(n=n)

# %% [markdown]
# In bits. *Before* and *after* are means over as many tokens as a step of this world has, *at* is the first token of
# the step. *Surprisal* is how unlikely the token was that stands there: at a forced Wait, how little the model
# expected to say it.
#
# **What to keep.** A Wait is not forced where the model is unsure. It is forced where it is sure, and wants to stop.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - **It looks again.** Within the step after a forced Wait the model is less unsure than within other steps, by
#   {glue:text}`traces_entropy_after`. The traces show why: it writes the line that it has just written once more, and the only open
#   question is the verdict at its end. That is the form that its teacher gave to a second look.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# - **It does not doubt.** Where a Wait is forced the model has {glue:text}`traces_entropy_at_forced` of choice, against {glue:text}`traces_entropy_at_plain`
#   at the start of any other step. What surprises it is the Wait: {glue:text}`traces_surprisal_at_forced` against {glue:text}`traces_surprisal_at_plain` for what
#   it chooses itself.
# - **Second looks rarely turn an answer**{glue:text}`traces_rarely`: {glue:text}`traces_found` found a right one, and {glue:text}`traces_gone`
#   lost one. The [introduction](00_introduction) counts them over all questions.
# :::
#
# A large model looks back more freely than one that was taught a single form for it; larger profiles measure it too.
#
# **What to keep.** Being unsure describes a model. Whether to force a Wait *because* of it, only a run can say.
