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
from s1core import ablations, experiments, profiles, published
from s1core.evaluation import wilson
from s1core.figures import show
from s1core.figures.ablations import cost_and_accuracy, differences
from s1core.measure import difference
from s1core.pipeline import Pipeline
from s1core.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
profile = pipeline.profile
benchmarks = profile.ablations.benchmarks or profile.evaluation.benchmarks
conditions = {
    benchmark: experiments.subsets(profile, benchmark)
    for benchmark in benchmarks
}
names = [condition.training.subset for condition in conditions[benchmarks[0]]]
others = [name for name in names if name != "s1"]

# %% [markdown]
# ## What each set is made of
#
# The baselines are drawn from the pool after its quality stages, as in the
# paper: failed traces, broken formatting and copies of the evaluation
# questions are gone, but nothing was asked of difficulty. *Correct traces*
# are those whose answer is right. Selection itself never looks at that: it
# drops questions that small models already solve.

# %%
sets = {name: ablations.training_set(pipeline, name) for name in names}
pd.DataFrame(
    {
        "trained on": name,
        "in the paper": ablations.PAPER_NAMES[name],
        "examples": f"{made.examples:,}",
        "domains": made.domains or "–",
        "thinking tokens per trace": round(made.thinking_tokens, 1),
        "correct traces": "–"
        if made.correct is None
        else f"{made.correct:.1%}",
    }
    for name, made in sets.items()
).set_index("trained on")

# %% [markdown]
# ## What it costs
#
# Every set goes through the same recipe with the same number of epochs, so
# steps grow with the number of examples, and arithmetic with the number of
# tokens. The FLOPs are worked out as in the training chapter.

# %%
hours = published.published()["compute_h100_hours"]
s1 = sets["s1"]
pd.DataFrame(
    {
        "trained on": name,
        "optimizer steps": f"{made.steps:,}",
        "tokens": f"{made.tokens:,}",
        "FLOPs": f"{made.flops:.2g}",
        "times s1": f"{made.flops / s1.flops:.1f}",
        "paper, H100-hours": hours.get(ablations.PAPER_NAMES[name], "–"),
    }
    for name, made in sets.items()
).set_index("trained on")

# %% [markdown]
# ## Table 2, ours
#
# Each model answers the same held-out questions and stops thinking by itself.
# The interval of an accuracy resamples questions, a question with all of its
# samples. The difference to s1 is a paired bootstrap over questions with
# 10,000 resamples, as in the paper: questions that are hard for both models
# cancel out, so it is far sharper than two intervals side by side.

# %%
points, gaps = {}, {}
for benchmark in benchmarks:
    run_of_s1 = pipeline.run(conditions[benchmark][0])
    for name, condition in zip(names, conditions[benchmark]):
        points[benchmark, name] = pipeline.point(condition)
        if name != "s1":
            gaps[benchmark, name] = difference(
                pipeline.run(condition), run_of_s1
            )


def verdict(gap):
    if gap.low > 0:
        return "better"
    return "worse" if gap.high < 0 else "cannot tell"


pd.DataFrame(
    {
        "benchmark": benchmark,
        "trained on": name,
        "accuracy % [95%]": point.accuracy.percent(),
        "difference to s1 [95%]": "–"
        if name == "s1"
        else gaps[benchmark, name].percent(),
        "verdict": "–" if name == "s1" else verdict(gaps[benchmark, name]),
        "thinking tokens": round(point.thinking_tokens, 1),
        "cut short": f"{point.cut_short:.1%}",
    }
    for (benchmark, name), point in points.items()
).set_index(["benchmark", "trained on"])

# %% [markdown]
# ## Table 2, the paper's
#
# One greedy answer per question. The accuracies and the intervals of the
# difference are as printed.

# %%
printed = published.published()["table2_intervals"]["rows"]
theirs = ("AIME24", "MATH500", "GPQA Diamond")


def accuracy_of(name, benchmark):
    return published.accuracy_of("Table 2", name, benchmark)


pd.DataFrame(
    {
        "trained on": paper_name,
        **{
            benchmark: f"{accuracy_of(paper_name, benchmark).percent:.1f}"
            + (
                " [{:+g}, {:+g}]".format(*printed[paper_name][benchmark])
                if paper_name in printed
                else ""
            )
            for benchmark in theirs
        },
    }
    for paper_name in ablations.PAPER_NAMES.values()
).set_index("trained on")

# %%
ours_rows = [
    {
        "benchmark": benchmark,
        "name": name,
        "difference": 100 * gap.estimate,
        "low": 100 * gap.low,
        "high": 100 * gap.high,
    }
    for (benchmark, name), gap in gaps.items()
]
paper_rows = [
    {
        "benchmark": benchmark,
        "name": name,
        "difference": accuracy_of(paper_name, benchmark).percent
        - accuracy_of("s1K", benchmark).percent,
        "low": printed[paper_name][benchmark][0],
        "high": printed[paper_name][benchmark][1],
    }
    for name, paper_name in ablations.PAPER_NAMES.items()
    for benchmark in theirs
    if name != "s1"
]

# %% tags=["hide-input"]
runs = [point.run for point in points.values()]
show(
    differences(ours_rows, paper_rows),
    "ablations-differences",
    alt="Differences in accuracy to the model trained on s1, in points. Ours: "
    + "; ".join(
        f"{name} on {benchmark} {gap.percent()}"
        for (benchmark, name), gap in gaps.items()
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
on_aime = [row for row in clear if row["benchmark"] == "AIME24"]
Markdown(
    f"Of the paper's {len(small)} comparisons with another thousand, "
    f"{len(clear)} have an interval that lies below zero, {len(on_aime)} of "
    f"them on the {published.published()['questions']['AIME24']} questions of "
    "AIME24. "
    + ", ".join(f"*{row['name']}* on {row['benchmark']}" for row in clear)
    + ": that is the printed evidence for the claim. The other "
    f"{len(small) - len(clear)} touch or include zero."
)

# %% [markdown]
# ## What more examples buy
#
# The thousand against the costliest set, accuracy against the cost of training.
# In the paper that is the whole pool.

# %%
costliest = max(others, key=lambda name: sets[name].flops)


def cost_row(benchmark, name, cost, accuracy):
    return {
        "benchmark": benchmark,
        "name": name,
        "cost": cost,
        "accuracy": accuracy.estimate,
        "low": accuracy.low,
        "high": accuracy.high,
    }


ours_cost = [
    cost_row(
        benchmark,
        name,
        sets[name].flops / s1.flops,
        points[benchmark, name].accuracy,
    )
    for benchmark in benchmarks
    for name in ("s1", costliest)
]
paper_cost = [
    cost_row(
        benchmark,
        name,
        hours[name] / hours["s1K"],
        wilson(printed_one.correct, printed_one.n),
    )
    for benchmark in theirs
    for name in ("s1K", "59K-full")
    for printed_one in [accuracy_of(name, benchmark)]
]
gap_words = "; ".join(
    f"{gaps[benchmark, costliest].percent()} points on {benchmark}"
    for benchmark in benchmarks
)
times = sets[costliest].flops / s1.flops
paper_times = hours["59K-full"] / hours["s1K"]

# %% tags=["hide-input"]
show(
    cost_and_accuracy(ours_cost, paper_cost),
    "ablations-cost",
    alt=f"Accuracy against the cost of training. Ours: {costliest} costs "
    f"{times:.1f} times as much as s1 and differs by {gap_words}. The paper: "
    f"59K-full costs {paper_times:.0f} times as much as s1K; accuracy moves by "
    + ", ".join(
        f"{row['difference']:+.1f} on {row['benchmark']}"
        for row in paper_rows
        if row["name"] == "full"
    )
    + ".",
    caption="Accuracy with its 95% interval against the cost of training. "
    "Left: this profile, FLOPs as multiples of s1's. Right: the paper, "
    f"{hours['s1K']} and {hours['59K-full']} H100-hours, Wilson intervals of "
    "the printed accuracies.",
    runs=runs,
)

# %% [markdown]
# ## How far apart are two trainings anyway?
#
# An interval over questions says how sure we are about *these checkpoints*.
# It does not say what another seed of the same training would have given. The
# sequence-length chapter trains on s1 with several seeds; how far those are
# apart is the yardstick for the differences above.

# %% tags=["hide-input"]
lines, typical = [], {}
for benchmark in benchmarks:
    trained = experiments.sequence_lengths(profile, benchmark)
    if not trained:
        continue
    uncut = ablations.lengths(pipeline, trained)[-1]
    by_seed = 100 * uncut.table("accuracy").mean(axis=0)
    pairs = [abs(a - b) for a, b in combinations(by_seed, 2)]
    if pairs:
        typical[benchmark] = max(pairs)
        lines.append(
            f"On {benchmark}, {len(by_seed)} seeds of the training on s1 give "
            + ", ".join(f"{value:.1f}%" for value in by_seed)
            + f": two trainings that differ in the seed alone are up to "
            f"**{max(pairs):.1f} points** apart."
        )
Markdown(
    " ".join(lines)
    or "This profile trains with one seed, so it has no such yardstick."
)

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
thousands = [name for name in others if name != "full"]
MEANS = {
    "random": "quality alone is not enough",
    "diverse": "difficulty matters",
    "longest": "diversity matters",
}


def on(name, benchmark):
    gap = gaps[benchmark, name]
    word = {
        "worse": "worse than s1, as in the paper",
        "better": "*better* than s1, against the paper",
        "cannot tell": "no clear difference",
    }[verdict(gap)]
    beyond = typical.get(benchmark)
    if beyond is not None and verdict(gap) != "cannot tell":
        word += (
            ", by more than seeds differ"
            if abs(100 * gap.estimate) > beyond
            else ", but by no more than seeds differ"
        )
    return f"{gap.percent()} points on {benchmark}: {word}"


found = [
    f"**{name.capitalize()}** ({MEANS[name]}). "
    + "; ".join(on(name, benchmark) for benchmark in benchmarks)
    + "."
    for name in thousands
]
worse = sum(
    verdict(gaps[benchmark, name]) == "worse"
    for benchmark in benchmarks
    for name in thousands
)
total = len(thousands) * len(benchmarks)
found.append(
    f"**All three criteria matter.** {worse} of {total} comparisons with "
    "another thousand show it here"
    + (
        ": the claim is reproduced."
        if worse == total
        else ", so the claim is not reproduced in this form."
        if worse == 0
        else ", so the claim is reproduced in part."
    )
)
if "full" in others:
    words = [verdict(gaps[benchmark, "full"]) for benchmark in benchmarks]
    found.append(
        f"**The whole pool** costs {times:.1f} times as much here "
        f"({paper_times:.0f} times in the paper) and is "
        + "; ".join(
            f"{word} on {benchmark} ({gaps[benchmark, 'full'].percent()} points)"
            for word, benchmark in zip(words, benchmarks)
        )
        + ". "
        + (
            "More data helps here beyond doubt, which the paper does not find."
            if "better" in words
            else "No gain for the money, as in the paper."
        )
    )
Markdown("\n".join(f"- {line}" for line in found))

# %% [markdown]
# Why may the answer differ from the paper's? The tables above hold the facts
# that bear on it:

# %% tags=["hide-input"]
longest_traces = max(sets.values(), key=lambda made: made.thinking_tokens)
first = benchmarks[0]
thinks_longest = max(
    names, key=lambda name: points[first, name].thinking_tokens
)
thinks_least = min(names, key=lambda name: points[first, name].thinking_tokens)
best = max(names, key=lambda name: points[first, name].accuracy.estimate)
facts = [
    f"The longest traces are those of *{longest_traces.name}* "
    f"({longest_traces.thinking_tokens:.0f} tokens on average, s1's "
    f"{s1.thinking_tokens:.0f}). The model that thinks longest on {first} is "
    f"the one trained on *{thinks_longest}* "
    f"({points[first, thinks_longest].thinking_tokens:.0f} tokens), the one "
    f"that thinks least is *{thinks_least}* "
    f"({points[first, thinks_least].thinking_tokens:.0f})"
    + (
        ": a model imitates the length of its traces."
        if thinks_longest == longest_traces.name
        else "."
    ),
    f"The best accuracy on {first} is that of *{best}* "
    f"({points[first, best].accuracy.percent()}%).",
]
judged = {n: m.correct for n, m in sets.items() if m.correct is not None}
if judged:
    most, least = max(judged, key=judged.get), min(judged, key=judged.get)
    facts.append(
        f"Correct traces: {judged[most]:.1%} in *{most}*, {judged[least]:.1%} "
        f"in *{least}*, {judged.get('s1', float('nan')):.1%} in s1. Asking "
        "for hard questions or long traces also asks for questions on which "
        "the teacher fails, so a set can be harder and worse at once."
    )
if s1.domains:
    spread = [made.domains for made in sets.values()]
    facts.append(
        f"Domains: {min(spread)} to {max(spread)} per set."
        + (
            " No set of this pool lacks a subject, so there is little for "
            "diversity to add; the paper's subjects run from geometry to "
            "biology."
            if min(spread) == max(spread)
            else ""
        )
    )
Markdown("\n".join(f"- {fact}" for fact in facts))

# %% [markdown]
# None of this explains a difference by itself; each would need an ablation of
# its own. What carries over to any scale is the method: paired differences,
# several seeds before a difference between two training sets is believed, and
# the cost beside the gain. That small sets of chosen traces go a long way was
# found by others as well, with 817 examples {cite}`ye2025limo`; that accuracies
# on thirty questions move by many points from seed to seed, too
# {cite}`hochlehnert2025sober`.
