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
# # Introduction: more thinking, better answers?
#
# *Sections 1 and 3 of the paper, Figures 1 and 4a.*
#
# A language model that reasons before it answers has a dial that other models lack: how long it
# thinks. The paper {cite}`muennighoff2025s1` turns this dial by hand. Its model, s1-32B, was
# fine-tuned on only 1,000 examples with reasoning traces; at test time the decoder then decides when
# thinking ends. To shorten it, the decoder writes the end-of-thinking delimiter itself. To prolong
# it, the decoder takes the delimiter away and writes "Wait". That is **budget forcing**.
#
# :::{admonition} The claim
# :class: claim
# Accuracy rises with the number of thinking tokens that the decoder allows, over more than an order
# of magnitude (Figure 1), and forcing the model past its natural end raises it further, from 50.0%
# to 56.7% on AIME24 (Figure 4a, Table 1).
# :::
#
# The second half of that sentence is two questions out of thirty. So this page asks the same two
# questions again, of a model small enough that anyone can train it and sample from it hundreds of
# times: does accuracy rise with the budget, and does "Wait" add to it?
#
# ## The experiment
#
# Under the `laptop` profile the task is *Countdown*: use each of three given numbers once, with
# `+ - * /`, to make a target. Thinking is a list of tries, each judged `yes` or `no`, so it is a
# resource in the plainest sense: more tries, more hits. The rest is the paper's recipe, much
# smaller. A pool of questions is curated, a base model is fine-tuned on the selected traces, and
# the decoder forces budgets. The same cells run a 32B model under the `paper` profile.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import pandas as pd
from IPython.display import HTML, Markdown
from s1lab import experiments, profiles
from s1lab.audit import published
from s1lab.evaluation import scaling_per_doubling, wilson
from s1lab.evaluation.measure import difference, scores
from s1lab.figures.curves import BENCHMARKS, headline
from s1lab.figures.display import show
from s1lab.figures.interactive import interactive_curve
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
benchmark = pipeline.profile.evaluation.benchmarks[0]
points = pipeline.curve(benchmark)
evaluation = pipeline.profile.evaluation
n = points[0].accuracy.n
Markdown(
    f"{len(points)} conditions, each {n} held-out questions x "
    f"{evaluation.samples} samples at "
    f"temperature {evaluation.temperature:g}. No question appears in anything "
    f"the model was "
    "trained on."
    + "".join(
        f"\n\n**Missing:** {name}. {reason}"
        for name, reason in sorted(pipeline.missing.items())
    )
)

# %% [markdown]
# ## Accuracy against thinking tokens
#
# On the left our model, on the right the points of the paper's Figure 1. Capped thinking and
# thinking prolonged by "Wait" are different interventions, so they have different colours.

# %%
capped = [p for p in points if p.kind != "wait"]
waited = [p for p in points if p.kind == "wait"]
natural = next(p for p in points if p.kind == "natural")


# %% tags=["hide-input"]
first = capped[0]
text = (
    f"Our accuracy rises from {first.accuracy.percent()} percent at "
    f"{first.thinking_tokens:.0f} thinking tokens to "
    f"{natural.accuracy.percent()} percent at "
    f"{natural.thinking_tokens:.0f}, where the model stops by itself. With "
    f"Waits: "
    + ", ".join(f"{p.waits} times {p.accuracy.percent()}" for p in waited)
    + ". The paper's three benchmarks rise as well."
)
show(
    headline(points, f"Ours: {benchmark}, n = {n} x {evaluation.samples}"),
    "introduction-scaling",
    alt=text,
    caption="Accuracy against average thinking tokens, with 95% intervals. "
    "Left: this profile. "
    "Right: Figure 1 of the paper, read off its vector graphic.",
    runs=[p.run for p in points],
)

# %% [markdown]
# ### Explore
#
# An average hides what it is made of. Below is our half of the figure again,
# to be taken apart: choose a condition, and each cell is one question, filled
# by how often it was answered correctly. Move along the curve and watch which
# questions a larger budget adds, and which a Wait takes away.

# %% tags=["hide-input"]
conditions = experiments.curve(pipeline.profile, benchmark)
HTML(
    interactive_curve(
        points,
        [pipeline.run(c).read_table("grades.csv") for c in conditions],
        pipeline.problems(benchmark),
        name="introduction-explore",
        caption=f"Ours: {benchmark}, each of {n} questions sampled "
        f"{evaluation.samples} times per condition, with 95% intervals.",
    )
)

# %% [markdown]
# The conditions as a table. *Cut short* is the share of traces whose thinking the decoder ended; *Waits
# used* is how often a trace really tried to stop and was told to go on, which is less than allowed
# where the context ran out first.

# %%
pd.DataFrame(
    {
        "condition": p.label,
        "thinking tokens": round(p.thinking_tokens, 1),
        "accuracy % [95% interval]": p.accuracy.percent(),
        "cut short": f"{p.cut_short:.0%}",
        "Waits used": round(p.waits_used, 2),
    }
    for p in points
).set_index("condition")

# %% [markdown]
# ## Does it rise?
#
# The paper's summary of such a curve is *Scaling* (Equation 2): the average slope over all pairs of
# points. Its numbers come out as accuracy points per **doubling** of thinking tokens (the audit
# chapter shows how we know), so that is the unit here.

# %%
tokens = [p.thinking_tokens for p in capped]
accuracies = [100 * p.accuracy.estimate for p in capped]
ours = scaling_per_doubling(tokens, accuracies)
figure_1 = published.published()["figure1"]["points"]
theirs = {
    name: scaling_per_doubling(*zip(*figure_1[name])) for name in BENCHMARKS
}
steps = [b > a for a, b in zip(accuracies, accuracies[1:])]
Markdown(
    f"Capping gains **{ours:.1f} points per doubling** here. From the points "
    f"of Figure 1 the same "
    "measure gives "
    + ", ".join(f"{value:.1f} on {name}" for name, value in theirs.items())
    + f". {sum(steps)} of our {len(steps)} steps to a larger budget raise the "
    f"accuracy."
)

# %% [markdown]
# ## Does "Wait" help?
#
# Each row compares a number of Waits with none, on the same questions: the difference in accuracy
# and its 95% interval from a paired bootstrap over questions.

# %%
base_run = pipeline.run(experiments.natural(pipeline.profile, benchmark))
wait_runs = {
    condition.budget.num_ignore: pipeline.run(condition)
    for condition in experiments.waits(pipeline.profile, benchmark)
}
before = scores(base_run)
rows = []
for p in waited:
    run = wait_runs[p.waits]
    gap, after = difference(run, base_run), scores(run)
    verdict = (
        "helps" if gap.low > 0 else "hurts" if gap.high < 0 else "cannot tell"
    )
    rows.append(
        {
            "Waits": p.waits,
            "difference in points": gap.percent(),
            "verdict": verdict,
            "mended": f"{((before == 0) & (after == 1)).mean():.1%}",
            "broken": f"{((before == 1) & (after == 0)).mean():.1%}",
            "cut short": f"{p.cut_short:.0%}",
        }
    )
pd.DataFrame(rows).set_index("Waits")

# %% [markdown]
# *Mended* is the share of generations that were wrong without a Wait and are
# right with it, *broken* the other way round; the sampling noise of both is
# the same up to the first Wait. *Cut short* says how many ran out of tokens
# while they were still thinking.
#
# For the paper's own headline the same question has this answer:

# %%
with_forcing, without = (
    published.accuracy_of("Table 1", row, "AIME24")
    for row in ("s1-32B", "s1 w/o BF")
)
forced = wilson(with_forcing.correct, with_forcing.n)
plain = wilson(without.correct, without.n)
Markdown(
    f"{with_forcing.correct} of {with_forcing.n} with budget forcing is "
    f"{forced.percent()}%, {without.correct} of {without.n} without is "
    f"{plain.percent()}%. "
    + (
        "The intervals overlap: "
        if forced.overlaps(plain)
        else "The intervals are apart: "
    )
    + "on AIME24 alone one cannot tell whether Wait helped."
)

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
rising = capped[0].accuracy.high < natural.accuracy.low
best = max(points, key=lambda p: p.accuracy.estimate)
top = max(waited, key=lambda p: p.accuracy.estimate)
most = max(waited, key=lambda p: p.waits)
loss = difference(wait_runs[most.waits], wait_runs[top.waits])
gaps = {row["Waits"]: row["verdict"] for row in rows}
helps = [str(k) for k, verdict in gaps.items() if verdict == "helps"]
hurts = [str(k) for k, verdict in gaps.items() if verdict == "hurts"]
lines = [
    "**Rises with the budget.** "
    + (
        "Yes: the smallest budget and the natural stop are far apart, well "
        "outside their intervals."
        if rising
        else "Not shown: the intervals of the smallest budget and the natural "
        "stop overlap."
    ),
    "**Wait extends it.** "
    + (
        f"Yes for {', '.join(helps)} Wait(s) in this world."
        if helps
        else "No number of Waits helps here beyond its interval."
    )
    + (
        f" With {', '.join(hurts)} Waits accuracy falls: the table above says how much of "
        "that is right answers broken, and how much is thinking that ran out of context."
        if hurts
        else ""
    ),
    "**More is not better.** "
    + (
        f"{most.waits} Waits are {loss.percent()} points against {top.label}: "
        + ("the curve comes down again." if loss.high < 0 else "no clear fall.")
    ),
    f"**The best point** of the whole figure is *{best.label}* "
    f"({best.accuracy.percent()}%, {best.thinking_tokens:.0f} thinking "
    f"tokens).",
]
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# Two things make the pocket world kinder to the claim than AIME is. Its teacher slips now and then
# and repairs the slip after a "Wait", so the model has *learned* what the word is for. And each try
# costs the same, so tokens really are tries. What can be compared is the shape: a steep rise while
# thinking is cut, which is the larger part of the curve, and then whatever Waits add beyond the
# natural end. Later work on s1 itself finds that the rise comes mostly from capping
# {cite}`wu2025simple`, and that accuracy rises and then falls with thinking length
# {cite}`ghosal2025thinking`.
