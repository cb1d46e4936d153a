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
# # Reading traces
#
# *Figures 3 and 5 of the paper, and a discussion that followed it.*
#
# An average says that Waits helped. It does not say what a model does after
# one. The paper shows a single trace in which "Wait" mends a miscount
# (Figure 3), and a few generations (Figure 5). Here are twelve, chosen by
# nothing but the order of the questions, and measurements over hundreds.
#
# :::{admonition} The claim
# :class: claim
# A forced "Wait" makes the model look again at what it wrote, and it often
# finds and mends its own mistake (Section 3.1, Figure 3).
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import textwrap

import pandas as pd
from IPython.display import HTML, Markdown
from s1lab import profiles
from s1lab.figures.display import show
from s1lab.figures.runs import around_waits, uncertainty_trace
from s1lab.figures.trace import viewer_html
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from s1lab.traces import reading

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
run = reading.step(pipeline).make()
condition = reading.condition(pipeline)
traces = run.read_records("traces.jsonl")

# %% [markdown]
# ## What the model would have said
#
# Thinking is folded by step. To the right of each step stands the answer that
# the model gives when its thinking is ended right there: it was really asked,
# at every step, with the same forced delimiter and "Final Answer:" that cap a
# budget. So a trace shows where the answer was first found, and whether
# thinking on kept it. These answers are greedy, so that a step has one answer
# and not a lottery.

# %% tags=["hide-input"]
HTML(
    viewer_html(
        traces,
        "traces-viewer",
        caption=f"{len(traces)} generations of {condition.benchmark}, "
        f"{condition.label}, temperature {condition.temperature:g}. Boxed tokens "
        "were forced by the decoder, all others were sampled. The ruler counts "
        "thinking tokens; a triangle is a forced Wait.",
        runs=[run.id, run.settings["run"]],
    )
)

# %% [markdown]
# ## How an answer comes and goes
#
# The same twelve as a table. *First right* is the number of thinking tokens
# after which the model, stopped there, would first answer correctly; *lost
# again* counts the steps that took a right answer away.

# %%
rows = []
for trace in traces:
    right = [a["status"] == "correct" for a in trace["answers"]]
    first = next((a for a, ok in zip(trace["answers"], right) if ok), None)
    rows.append(
        {
            "question": trace["question"],
            "thinking tokens": trace["thinking_tokens"],
            "first right": first["thinking_tokens"] if first else "never",
            "lost again": sum(a and not b for a, b in zip(right, right[1:])),
            "in the end": trace["status"],
        }
    )
pd.DataFrame(rows).set_index("question")

# %% tags=["hide-input"]
found = [row for row in rows if row["first right"] != "never"]
early = [
    row["thinking tokens"] - row["first right"]
    for row in found
    if row["in the end"] == "correct"
]
lost = sum(row["lost again"] > 0 for row in found)
natural = [
    t for t in traces if t["status"] == "correct" and t["outcome"] == "ended"
]
cue = sum(t["answers"][-1]["status"] != "correct" for t in natural)
Markdown(
    f"In {len(found)} of {len(rows)} traces a right answer could be had at some "
    f"step, and in {lost} of them a later step lost it, at least for a while. "
    + (
        f"Where the end is right, thinking went on for {min(early)} to "
        f"{max(early)} tokens after the answer was there: checking, and the "
        "forced Waits. Capping at exactly the right place would save them, if "
        "one knew the place."
        if early
        else ""
    )
    + (
        f" In {cue} of the {len(natural)} traces that end right by themselves, the "
        "answer forced at the very same token is wrong. Two things differ there, "
        "and these few traces cannot tell them apart: the forced answer follows "
        'the decoder\'s "Final Answer:", and it is greedy where the trace was '
        "sampled."
        if cue
        else ""
    )
)

# %% [markdown]
# ## Is the model unsure where Wait is forced?
#
# A project of late 2024, [entropix](https://github.com/xjdr-alt/entropix), put
# the question of *when* to intervene in terms of two numbers. The **entropy**
# of the next-token distribution $p$ says how many bits of choice there are;
# the **varentropy** says how unequal the alternatives are:
#
# $$H = \sum_i p_i \log_2 \tfrac{1}{p_i}, \qquad
#   V = \sum_i p_i \left(\log_2 \tfrac{1}{p_i} - H\right)^2 .$$
#
# With two equally likely tokens $H$ is one bit and $V$ is zero; with one
# certain token both are zero. Its sampler acts on thresholds of both, and
# inserts a fixed token of its own where entropy is high and varentropy low.
# That much is in its README and its sampler, which is all we looked at; we do
# not know of a measurement of what the insertion is worth. Budget forcing asks
# no such question: it puts its token where the model wants to *stop*. So: how
# unsure is the model there?
#
# One trace first. Each bar is a token; thin lines are where steps begin.

# %% tags=["hide-input"]
uncertain = run.read_records("uncertainty.jsonl")
shown = next((r for r in uncertain if r["forced"] and r["own"]), uncertain[0])
question = next(
    t["question"] for t in traces if t["problem_key"] == shown["problem_key"]
)
show(
    uncertainty_trace(
        shown, title=textwrap.shorten(question, 70, placeholder=" ...")
    ),
    "traces-uncertainty",
    alt=f"Entropy and varentropy at the last tokens of one trace with "
    f"{len(shown['forced'])} forced Waits and {len(shown['own'])} of the "
    "model's own. Entropy is high where a new try is chosen and near zero "
    "elsewhere.",
    caption="Entropy and varentropy of the distribution that each thinking "
    "token was drawn from (or replaced in), for the last tokens of one trace.",
    runs=[run.id],
)

# %% [markdown]
# One trace proves nothing, so here is the mean over many, aligned at the first
# token of a step: steps that begin with a forced Wait, with a Wait the model
# wrote itself, and all others. Shaded are 95% intervals from resampling
# questions.

# %% tags=["hide-input"]
around = run.read_table("around_waits.csv")
measured = run.summary()["traces"]
positions = {
    row["group"]: int(row["positions"])
    for row in around
    if row["offset"] == "0" and row["measure"] == "entropy"
}
show(
    around_waits(around),
    "traces-around-waits",
    alt=f"Mean entropy and varentropy by distance from the start of a step, over "
    f"{measured} traces: {positions}. After a Wait, forced or not, entropy "
    "stays near zero for a whole step, while an ordinary step begins with "
    "uncertain choices.",
    caption=f"Means over {measured} traces: "
    + ", ".join(
        f"{n:,} steps of kind '{group}'" for group, n in positions.items()
    )
    + ". Offset 0 is the first token of the step: the Wait itself, where there "
    "is one.",
    runs=[run.id],
)

# %% tags=["hide-input"]
contrasts = run.read_table("contrasts.csv")
names = ["forced Wait", "other steps", "difference [95% interval]"]
pd.DataFrame(
    [
        (
            row["measure"],
            row["where"],
            f"{float(row['forced']):.2f}",
            f"{float(row['plain']):.2f}",
            f"{float(row['difference']):+.2f} "
            f"[{float(row['low']):+.2f}, {float(row['high']):+.2f}]",
        )
        for row in contrasts
    ],
    columns=["measure", "where", *names],
).set_index(["measure", "where"])

# %% [markdown]
# *Before* and *after* are means over as many tokens as a step of this world
# has, *at* is the first token of the step. *Surprisal* is how unlikely, in
# bits, the token was that stands there: at a forced Wait, how little the model
# expected to say it.

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
by = {(row["measure"], row["where"]): row for row in contrasts}


def verdict(measure, where):
    row = by[measure, where]
    if float(row["high"]) < 0:
        return "less"
    return "more" if float(row["low"]) > 0 else "neither more nor less"


def value(measure, where, group):
    return f"{float(by[measure, where][group]):.2f}"


turns = []
for trace in traces:
    status = {a["thinking_tokens"]: a["status"] for a in trace["answers"]}
    for step in trace["steps"]:
        if step["pieces"][0]["origin"] == "forced":
            before, after = status[step["start"]], status[step["end"]]
            turns.append((before == "correct", after == "correct"))
mended = turns.count((False, True))
broken = turns.count((True, False))
unsure = [
    "**Where Wait is forced** there are too few steps here to compare.",
]
if {("entropy", "at"), ("surprisal", "at"), ("entropy", "after")} <= set(by):
    unsure = [
        f"**Where Wait is forced** the model is {verdict('entropy', 'at')} unsure "
        f"of its next token than at the start of any other step: "
        f"{value('entropy', 'at', 'forced')} against "
        f"{value('entropy', 'at', 'plain')} bits. What it is surprised by is the "
        f"Wait: {value('surprisal', 'at', 'forced')} bits, against "
        f"{value('surprisal', 'at', 'plain')} for what it chooses itself elsewhere.",
        f"**After it** the model is {verdict('entropy', 'after')} unsure than "
        f"within other steps ({value('entropy', 'after', 'forced')} against "
        f"{value('entropy', 'after', 'plain')} bits per token)"
        + ". In the pocket world the traces above show why: the model writes the line "
        "it has just written once more, and the only open question is the verdict "
        "at its end. That is the form its teacher gave to a second look.",
    ]
lines = [
    *unsure,
    f"**Figure 3.** Of the {len(turns)} steps in the viewer that a forced Wait "
    f"opens, {mended} turned a wrong answer into a right one and {broken} a "
    "right one into a wrong one. These are anecdotes; the introduction counts "
    "over all questions.",
    "**What this cannot say.** A large model looks back more freely than a "
    "pocket model that was taught one form for it; the same cells measure it "
    "under the larger profiles. And a difference in entropy is a description: "
    "nothing here forces a Wait *because* of it, so nothing says that one "
    "should.",
]
Markdown("\n".join(f"- {line}" for line in lines))
