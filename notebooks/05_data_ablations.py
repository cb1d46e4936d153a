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
# # Data ablations: does it matter which thousand?
#
# *Section 5.1 of the paper, Table 2.*
#
# Selection asks three things of a training example: that it is of good quality, that it is hard, and
# that the whole set is diverse. To see whether all three are needed, the paper trains the same model
# by the same recipe on four other sets:
#
# - **random**, a thousand questions drawn blindly: quality alone;
# - **diverse**, a thousand drawn evenly over the subjects: no difficulty;
# - **longest**, the thousand with the longest traces: no diversity;
# - **full**, the whole pool: nothing is left out, and training costs accordingly.
#
# :::{admonition} The claim
# :class: claim
# All three criteria matter: each thousand that drops one of them is worse than s1K, by up to 23
# points on AIME24. The full pool of 59,000 examples is no substantial gain over s1K, and takes 394
# H100-hours in place of 7.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
from itertools import combinations

import pandas as pd
from IPython.display import Markdown
from s1lab import profiles
from s1lab.analysis import lengths, subsets
from s1lab.audit import published
from s1lab.figures.curves import cost_and_accuracy
from s1lab.figures.display import show
from s1lab.figures.forests import differences
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
profile = pipeline.profile
benchmarks = profile.ablations.benchmarks or profile.evaluation.benchmarks
compared = [
    one
    for benchmark in benchmarks
    for one in subsets.compare(pipeline, benchmark)
]
names = list(dict.fromkeys(one.name for one in compared))
sets = [subsets.training_set(pipeline, name) for name in names]

# %% [markdown]
# ## What each set is made of
#
# The baselines are drawn from the pool after its quality stages, as in the
# paper: failed traces, broken formatting and copies of the evaluation
# questions are gone, but nothing was asked of difficulty. *Correct traces*
# are those whose answer is right; selection itself never looks at that.

# %%
pd.DataFrame(
    {
        "trained on": made.name,
        "in the paper": subsets.PAPER_NAMES[made.name],
        "examples": f"{made.examples:,}",
        "domains": made.domains or "–",
        "thinking tokens per trace": round(made.thinking_tokens, 1),
        "correct traces": "–"
        if made.correct is None
        else f"{made.correct:.1%}",
    }
    for made in sets
).set_index("trained on")

# %% [markdown]
# ## What it costs
#
# Every set goes through the same recipe with the same number of epochs, so
# steps grow with the number of examples, and arithmetic with the number of
# tokens. The FLOPs are worked out as in the training chapter.

# %%
hours = published.published()["compute_h100_hours"]
s1 = sets[0]
pd.DataFrame(
    {
        "trained on": made.name,
        "optimizer steps": f"{made.steps:,}",
        "tokens": f"{made.tokens:,}",
        "FLOPs": f"{made.flops:.2g}",
        "times s1": f"{made.flops / s1.flops:.1f}",
        "paper, H100-hours": hours.get(subsets.PAPER_NAMES[made.name], "–"),
    }
    for made in sets
).set_index("trained on")

# %% [markdown]
# In money the paper's two trainings depend on the price of an H100-hour. Three
# sums went around for s1K; each implies a price, and the price a sum for the
# whole pool:

# %%
from s1lab.planning.sft_plan import paper_arithmetic

pd.DataFrame(
    {
        "an H100-hour at": f"${row.value:.2f}",
        "s1K": f"${row.value * hours['s1K']:.0f}",
        "59K-full": f"${row.value * hours['59K-full']:,.0f}",
        "sum for s1K said by": row.source.split(";")[0],
    }
    for row in paper_arithmetic()
    if row.unit == "$"
).set_index("an H100-hour at")

# %% [markdown]
# ## Table 2, ours
#
# Each model answers the same held-out questions and stops thinking by itself.
# The interval of an accuracy resamples questions, a question with all of its
# samples. The difference to s1 is a paired bootstrap over questions with
# 10,000 resamples, as in the paper: what makes a question hard for both models
# cancels out.

# %%
pd.DataFrame(
    {
        "benchmark": one.benchmark,
        "trained on": one.name,
        "accuracy % [95%]": one.point.accuracy.percent(),
        "difference to s1 [95%]": one.difference.percent()
        if one.difference
        else "–",
        "than s1": one.verdict or "–",
        "thinking tokens": round(one.point.thinking_tokens, 1),
        "cut short": f"{one.point.cut_short:.1%}",
    }
    for one in compared
).set_index("trained on")

# %% [markdown]
# ## Table 2, the paper's
#
# One greedy answer per question: accuracy, and the difference to s1K with its
# interval as printed.

# %%
paper_rows = subsets.paper_difference_rows()
cells = {
    (row["name"], row["benchmark"]): (
        f" ({row['difference']:+.1f} [{row['low']:.1f}, {row['high']:.1f}])"
    )
    for row in paper_rows
}
pd.DataFrame(
    {
        "trained on": theirs,
        **{
            benchmark: f"{printed.percent:.1f}"
            + cells.get((name, benchmark), "")
            for benchmark in subsets.PAPER_BENCHMARKS
            for printed in [published.accuracy_of("Table 2", theirs, benchmark)]
        },
    }
    for name, theirs in subsets.PAPER_NAMES.items()
).set_index("trained on")

# %% tags=["hide-input"]
runs = [one.point.run for one in compared]
show(
    differences(subsets.difference_rows(compared), paper_rows),
    "ablations-differences",
    alt="Differences in accuracy to the model trained on s1, in points. Ours: "
    + "; ".join(
        f"{one.name} on {one.benchmark} {one.difference.percent()}"
        for one in compared
        if one.difference
    )
    + ". The paper: "
    + "; ".join(
        f"{row['name']} on {row['benchmark']} {row['difference']:+.1f} "
        f"[{row['low']:g}, {row['high']:g}]"
        for row in paper_rows
    )
    + ".",
    caption="Difference to s1 with its 95% interval; left of the line is "
    "worse. Top: this profile. Bottom: Table 2 of the paper, intervals as "
    "printed.",
    runs=runs,
)

# %% tags=["hide-input"]
small = [row for row in paper_rows if row["name"] != "full"]
clear = [row for row in small if row["high"] < 0]
Markdown(
    f"Of the paper's {len(small)} comparisons with another thousand, "
    f"{len(clear)} have an interval that lies below zero: "
    + ", ".join(f"*{row['name']}* on {row['benchmark']}" for row in clear)
    + f". The other {len(small) - len(clear)} touch or include zero. AIME24 "
    f"has {published.published()['questions']['AIME24']} questions, so its "
    "large differences are a few questions each."
)

# %% [markdown]
# ## What more training buys
#
# The recipe fixes the number of epochs, so a set with more examples or longer
# traces also trains for more tokens. The paper gives the cost of two of its
# sets, s1K and the whole pool.

# %%
costs = subsets.cost_rows(compared, sets)
costliest = max(sets, key=lambda made: made.flops)
times = costliest.flops / s1.flops
paper_times = hours["59K-full"] / hours["s1K"]

# %% tags=["hide-input"]
show(
    cost_and_accuracy(costs, subsets.paper_cost_rows()),
    "ablations-cost",
    alt="Accuracy against the cost of training, in multiples of s1's. Ours: "
    + "; ".join(
        f"{row['name']} {row['cost']:.1f}, {100 * row['accuracy']:.1f}% on "
        f"{row['benchmark']}"
        for row in costs
    )
    + f". The paper: 59K-full costs {paper_times:.0f} times as much as s1K; "
    "accuracy moves by "
    + ", ".join(
        f"{row['difference']:+.1f} on {row['benchmark']}"
        for row in paper_rows
        if row["name"] == "full"
    )
    + ".",
    caption="Accuracy with its 95% interval against the cost of training. "
    "Left: this profile, FLOPs. Right: the paper, "
    f"{hours['s1K']} and {hours['59K-full']} H100-hours, Wilson intervals of "
    "the printed accuracies.",
    runs=runs,
)

# %% tags=["hide-input"]
here = [one for one in compared if one.benchmark == benchmarks[0]]
by_cost = [row["name"] for row in costs if row["benchmark"] == benchmarks[0]]
by_accuracy = [
    one.name
    for one in sorted(here, key=lambda one: one.point.accuracy.estimate)
]
Markdown(
    f"By cost, the sets come in the order {', '.join(by_cost)}; by accuracy "
    f"on {benchmarks[0]}, in the order {', '.join(by_accuracy)}. "
    + (
        "More training and more accuracy cannot be told apart here."
        if by_cost == by_accuracy
        else f"The costliest, *{by_cost[-1]}*, is also the most accurate."
        if by_cost[-1] == by_accuracy[-1]
        else f"The costliest, *{by_cost[-1]}*, is not the most accurate."
    )
)

# %% [markdown]
# ## How far apart are two trainings anyway?
#
# An interval over questions says how sure we are about *these checkpoints*.
# It does not say what another seed of the same training would have given. The
# sequence-length chapter trains on s1 with several seeds; how far those are
# apart is a yardstick for the differences above.

# %% tags=["hide-input"]
lines, yardstick = [], {}
for benchmark in benchmarks if profile.ablations.seeds > 1 else ():
    uncut = lengths.lengths(pipeline, benchmark)[-1]
    by_seed = [100 * accuracy for accuracy in uncut.by_seed("accuracy")]
    yardstick[benchmark] = max(abs(a - b) for a, b in combinations(by_seed, 2))
    lines.append(
        f"On {benchmark}, {len(by_seed)} seeds of the training on s1 give "
        + ", ".join(f"{value:.1f}%" for value in by_seed)
        + ": trainings that differ in the seed alone are up to "
        f"**{yardstick[benchmark]:.1f} points** apart."
    )
Markdown(
    " ".join(lines)
    or "This profile trains with one seed, so it has no such yardstick."
)

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
MEANS = {
    "random": "quality alone",
    "diverse": "no difficulty",
    "longest": "no diversity",
    "full": "everything",
}
SAYS = {
    "worse": "worse than s1",
    "better": "better than s1",
    "cannot tell": "no clear difference to s1",
}


def on_benchmark(one):
    beyond = yardstick.get(one.benchmark)
    gap = one.difference
    words = f"{SAYS[one.verdict]} on {one.benchmark} ({gap.percent()} points"
    if beyond is None or one.verdict == "cannot tell":
        return words + ")"
    if abs(100 * gap.estimate) > beyond:
        return words + ", more than seeds differ)"
    return words + ", no more than seeds differ)"


found = [
    f"**{name.capitalize()}**, {MEANS[name]}: "
    + "; ".join(on_benchmark(one) for one in compared if one.name == name)
    + "."
    for name in names[1:]
]
tested = [one for one in compared if one.name not in ("s1", "full")]
worse = [one for one in tested if one.verdict == "worse"]
better = sorted({one.name for one in tested if one.verdict == "better"})
found.append(
    f"**All three criteria matter**: another thousand is worse than s1 in "
    f"{len(worse)} of {len(tested)} comparisons here. "
    + (
        f"Against the claim, *{'* and *'.join(better)}* is better."
        if better
        else "That is the claim."
        if len(worse) == len(tested)
        else "The claim is shown in part."
        if worse
        else "The claim is not shown."
    )
)
whole = [one for one in compared if one.name == "full"]
if whole:
    gain = any(one.verdict == "better" for one in whole)
    found.append(
        f"**More data is hardly better**: the whole pool costs {times:.1f} times "
        f"as much here, {paper_times:.0f} times in the paper. "
        + (
            "It helps here, which the paper does not find."
            if gain
            else "It shows no gain, as in the paper."
        )
    )
Markdown("\n".join(f"- {line}" for line in found))

# %% [markdown]
# Where we and the paper differ, these facts from the tables above bear on it:

# %% tags=["hide-input"]
most_traced = max(sets, key=lambda made: made.thinking_tokens)
thinks_most = max(here, key=lambda one: one.point.thinking_tokens)
thinks_least = min(here, key=lambda one: one.point.thinking_tokens)
best = max(here, key=lambda one: one.point.accuracy.estimate)
facts = [
    f"The longest traces are those of *{most_traced.name}* "
    f"({most_traced.thinking_tokens:.0f} tokens on average, s1's "
    f"{s1.thinking_tokens:.0f}). On {benchmarks[0]} the model trained on "
    f"*{thinks_most.name}* thinks longest "
    f"({thinks_most.point.thinking_tokens:.0f} tokens), the one trained on "
    f"*{thinks_least.name}* least ({thinks_least.point.thinking_tokens:.0f})"
    + (
        ": the longest traces make the longest thinking."
        if thinks_most.name == most_traced.name
        else "."
    ),
    f"The highest accuracy on {benchmarks[0]} is that of *{best.name}* "
    f"({best.point.accuracy.percent()}%).",
]
judged = [made for made in sets if made.correct is not None]
if judged:
    right = max(judged, key=lambda made: made.correct)
    wrong = min(judged, key=lambda made: made.correct)
    by_correct = [m.name for m in sorted(judged, key=lambda m: m.correct)]
    facts.append(
        f"Correct traces: most in *{right.name}* ({right.correct:.1%}), fewest "
        f"in *{wrong.name}* ({wrong.correct:.1%}). The sets are "
        + ("" if by_correct == by_accuracy else "not ")
        + "in the same order by accuracy."
    )
whole_pool = [made for made in sets if made.name == "full"]
facts += [
    f"*Full* makes {made.steps / s1.steps:.1f} times as many optimizer steps "
    "as s1. Whether it is the choice of examples or the amount of training "
    "that its result is due to, these runs cannot say."
    for made in whole_pool
]
spread = sorted({made.domains for made in sets})
if spread[0]:
    facts.append(
        f"Every set covers {spread[0]} domains. No set of this pool lacks a "
        "subject, so there is little for diversity to add."
        if len(spread) == 1
        else f"Domains per set: {spread[0]} to {spread[-1]}."
    )
Markdown("\n".join(f"- {fact}" for fact in facts))

# %% [markdown]
# None of these explains a difference by itself; each would need an ablation of
# its own. What carries over to any scale is the method: paired differences,
# several seeds before a difference between two training sets is believed, and
# the cost beside the gain. Others found as well that a small set of chosen
# traces goes a long way, with 817 examples {cite}`ye2025limo`, and that results
# on thirty questions move by many points from seed to seed
# {cite}`hochlehnert2025sober`.
