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
# # Discussion: where the curve ends
#
# *Sections 4.2 and 6.2 and Appendices A and B of the paper, Figures 4 and 7, Table 5.*
#
# The paper names two limits of its own method, and one way around them.
#
# :::{admonition} The claim
# :class: claim
# Budget forcing eventually flattens out, at six Waits on AIME24, because forbidding the end too often
# "can lead the model into repetitive loops instead of continued reasoning". The context window of
# the model constrains it: when a model is asked for up to 512 steps, 12 of 30 questions overflow.
# Parallel scaling complements it (Section 6.2, Figures 4 and 7).
# :::
#
# Loops and windows can be counted. So this chapter counts them in our runs, and then goes through
# what others found when they took the method apart.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown
from s1lab import experiments, profiles
from s1lab.analysis.methods import match, sequential, votes
from s1lab.audit.published import accuracy_of, published
from s1lab.data import benchmarks
from s1lab.evaluation import paired_bootstrap
from s1lab.evaluation.measure import difference, read_samples
from s1lab.evaluation.voting import same_answer
from s1lab.figures.curves import repetition_panels
from s1lab.figures.display import show
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from s1lab.traces import repetition

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
curve = experiments.curve(pipeline.profile)
points = {c.label: pipeline.point(c) for c in curve}
(natural,) = [c for c in curve if c.kind == "natural"]
waited = [c for c in curve if c.kind == "wait"]

# %% [markdown]
# ## Loops
#
# A *step* is a line of a trace (a paragraph in a trace of a large model). It is *repeated* when the
# same trace has written the very same step before. Two questions: how much of a trace is
# repetition, and does a Wait bring any step that was not there yet?

# %%
run = repetition.step(pipeline).make()


def numbers(rows):
    """Rows of a table with numbers where they are numbers."""
    return [
        {k: v if k == "label" else float(v) for k, v in row.items()}
        for row in rows
    ]


traces = numbers(run.read_table("traces.csv"))
most = waited[-1].label
per_wait = [
    row for row in numbers(run.read_table("waits.csv")) if row["label"] == most
]
pd.DataFrame(
    {
        "condition": row["label"],
        "traces": int(row["n"]),
        "steps": round(row["steps"], 1),
        "repeated % [95% interval]": f"{100 * row['repeated']:.1f} "
        f"[{100 * row['repeated_low']:.1f}, "
        f"{100 * row['repeated_high']:.1f}]",
        "accuracy %": points[row["label"]].accuracy.percent(),
    }
    for row in traces
).set_index("condition")

# %% tags=["hide-input"]
if per_wait:
    first, last = per_wait[0], per_wait[-1]
    show(
        repetition_panels(traces, per_wait),
        "discussion-repetition",
        alt=f"Left: {100 * traces[0]['repeated']:.0f} percent of the steps are "
        f"repetitions without a Wait, {100 * traces[-1]['repeated']:.0f} percent "
        f"with {traces[-1]['waits']:.0f}. Right: "
        f"{100 * first['new']:.0f} percent of first Waits bring a new step, "
        f"{100 * last['new']:.0f} percent of those at place {last['wait']:.0f}.",
        caption="Left: share of steps that a trace had written before. Right: "
        f"share of Waits after which it writes a new one, under {most}. "
        "95% intervals over questions.",
        runs=[run],
    )

# %% tags=["hide-input"]
still = traces[-1]["repeated_low"] > traces[0]["repeated_high"]
fades = bool(per_wait) and last["new_high"] < first["new_low"]
Markdown(
    "**Repetition grows with Waits**: "
    + ("yes, far outside the intervals. " if still else "not shown. ")
    + "**Later Waits bring less that is new**: "
    + (
        f"yes. The first Wait brings a new step in {first['new']:.0%} of the "
        f"traces, number {last['wait']:.0f} in {last['new']:.0%}."
        if fades
        else "not shown."
    )
)

# %% [markdown]
# Not every repetition is a loop. Our teacher answers a "Wait" by checking its last line, and copies
# it when it was right; the model has learned that. A check of a right line costs a line and breaks
# nothing. What the right panel counts is whether there is *anything* besides.
#
# ## The window
#
# A Wait can only be obeyed while there is room. Thinking ends in one of three ways: the model
# *ended* it; the decoder *cut* it at its budget; or the *context* was nearly full.

# %%
rows = []
right_when_cut = []
for c in [natural, *waited]:
    graded = pipeline.run(c).read_table("grades.csv")
    ended = [row["outcome"] for row in graded]
    right = {
        name: [
            row["status"] == "correct"
            for row in graded
            if (row["outcome"] == "ended") == (name == "ended")
        ]
        for name in ("ended", "cut")
    }
    right_when_cut += right["cut"]
    rows.append(
        {
            "condition": c.label,
            "ended": f"{ended.count('ended') / len(ended):.1%}",
            "cut": f"{ended.count('truncated') / len(ended):.1%}",
            "context": f"{ended.count('context') / len(ended):.1%}",
            **{
                f"right when {name}": f"{np.mean(found):.0%} of {len(found)}"
                if found
                else "–"
                for name, found in right.items()
            },
        }
    )
pd.DataFrame(rows).set_index("condition")

# %% tags=["hide-input"]
limit = pipeline.profile.evaluation.max_thinking
Markdown(
    f"The profile lets a trace think for at most {limit:,} tokens, so that an "
    "answer always fits: what would overflow the window is *cut* before it. "
    f"Of the {len(right_when_cut)} traces that run into it "
    f"{np.mean(right_when_cut):.0%} are right. "
    "In the paper the same thing happens at 512 steps: "
    f"{published()['figure7']['note']}, and its accuracy falls from "
    + " to ".join(
        f"{accuracy:.1f}%"
        for _, accuracy in published()["figure7"][
            "sequential_steps_32_64_256_512"
        ][-2:]
    )
    + "."
)

# %% [markdown]
# ## Long because wrong, or wrong because long?
#
# Zeng and others {cite}`zeng2025revisiting` find that right answers have *shorter* traces than wrong
# ones, on the same questions; Hassid and others {cite}`hassid2025dont` that the shortest of several
# traces is the best one to trust. Here is the same comparison: questions that the model answers both
# rightly and wrongly, and the thinking tokens of the two.

# %%
sampled = [
    c for c in experiments.voting(pipeline.profile) if c.kind == "natural"
]
samples = read_samples(pipeline.run(sampled[0] if sampled else natural))
share = samples.correct.mean(axis=1)
both = (share > 0) & (share < 1)


def mean_tokens(chosen):
    """Mean thinking tokens of the chosen samples of each mixed question."""
    picked = np.where(chosen, samples.thinking, np.nan)[both]
    return np.nanmean(picked, axis=1)


text = (
    f"{both.sum()} of {len(share)} questions have both, among "
    f"{samples.correct.shape[1]} samples each."
)
if both.any():
    right, wrong = (mean_tokens(samples.correct == value) for value in (1, 0))
    gap = paired_bootstrap(right, wrong)
    text += (
        f" Right traces think {right.mean():.0f} tokens, wrong ones "
        f"{wrong.mean():.0f}: a difference of {gap.estimate:+.0f} "
        f"[{gap.low:+.0f}, {gap.high:+.0f}] tokens. "
        + (
            "Shorter is righter here too"
            if gap.high < 0
            else "Longer is righter here"
            if gap.low > 0
            else "No difference is shown here"
        )
        + "."
    )
Markdown(text)

# %% [markdown]
# The comparison is within questions, so it is not that hard questions take long. In this world a
# trace ends when a try hits: a long trace is one that has not found the answer yet. Length is then
# the sign of a failure and not its cause, and cutting long traces short does not mend them: when the
# *decoder* decides the length, more tokens raise accuracy ({doc}`00_introduction`).
#
# ## Parallel instead
#
# Sampling several answers and taking a vote needs no window. The [results chapter](04_results) draws
# both curves; in short:

# %% tags=["hide-input"]
if sampled:
    kind = benchmarks.benchmark(natural.benchmark).kind
    ballots = votes(samples, same_answer(kind))
    contests = match(
        [
            sequential(read_samples(pipeline.run(c)), "Wait", c.label)
            for c in waited
        ],
        ballots,
    )
    shown = pd.DataFrame(
        {
            "sequential": m.ours.setting,
            "tokens per question": round(m.ours.cost),
            "accuracy %": round(100 * m.ours.accuracy.estimate, 1),
            "a vote at that price %": round(100 * m.theirs, 1),
            "difference": m.difference.percent(),
        }
        for m in contests
    ).set_index("sequential")
else:
    shown = Markdown("*This profile draws no votes.*")
shown

# %% [markdown]
# The paper finds its fine-tuned model ahead of voting over the *base* model (Figure 4b), and voting
# and tree search ahead of ever longer step limits (Figure 7). Zeng and others compare the two on
# QwQ, R1 and LIMO and find parallel scaling better; asked why they left s1 out, they answered that
# its own traces hardly contain the word "Wait", so that appending it seemed unfit
# ([thread](https://github.com/ZhiYuanZeng/test-time-scaling-eval/issues/1)). Ghosal and others
# {cite}`ghosal2025thinking` find voting up to 20% better at equal tokens.
#
# ## A better teacher: s1.1
#
# A week after s1 its authors had DeepSeek r1 write new traces for the same thousand questions
# (Appendix A). Table 5 is the cleanest test of "Wait" in the paper, since nothing but the traces
# differs; the [results chapter](04_results) has its rows with intervals.

# %% tags=["hide-input"]
plain, two = (
    accuracy_of("Table 5", name, "AIME24")
    for name in ("s1.1 w/o BF", "s1.1 Wait 2x")
)
teacher = [
    accuracy_of("Table 5", name, "AIME25")
    for name in ("s1 w/o BF", "s1.1 w/o BF")
]
Markdown(
    f"With the better teacher, two Waits move AIME24 from {plain.correct} to "
    f"{two.correct} questions of {plain.n}, and the teacher alone moves "
    f"AIME25 from {teacher[0].correct} to {teacher[1].correct}. What Wait "
    "added to s1, s1.1 has without it."
)

# %% [markdown]
# ## How much is noise
#
# Appendix B reports that greedy scores change with batch size and with the number of GPUs. Yuan and
# others {cite}`yuan2025understanding` trace this to rounding: under bfloat16 and greedy decoding, up
# to 9% in accuracy and 9,000 tokens in length for one and the same model. Hochlehnert and others
# {cite}`hochlehnert2025sober` find that small benchmarks move by several points with the seed alone.
# How far would a benchmark of AIME's size move for our model, which does not change at all?

# %%
scores = samples.correct
rng = np.random.default_rng(SEED)
small = min(30, len(scores))
draws = [
    scores[
        rng.choice(len(scores), small, replace=False),
        rng.integers(scores.shape[1], size=small),
    ].mean()
    for _ in range(10_000)
]
low, high = np.percentile(draws, [2.5, 97.5])
Markdown(
    f"{small} of our questions, one sample each, drawn 10,000 times: the "
    f"accuracy of the same model has a standard deviation of "
    f"{100 * np.std(draws):.1f} points, and 95% of the draws lie between "
    f"{100 * low:.0f}% and {100 * high:.0f}%. All questions and samples "
    f"together give {100 * scores.mean():.1f}%."
)

# %% [markdown]
# ## What later work found
#
# | work | what it reports | here |
# |---|---|---|
# | Wu {cite}`wu2025simple` | the curve's rise is mostly capping; Waits make models oscillate | {doc}`00_introduction`: the same division of the curve |
# | Ghosal and others {cite}`ghosal2025thinking` | accuracy rises, then falls with thinking length | the table of loops above |
# | Zeng and others {cite}`zeng2025revisiting` | right traces are shorter; parallel beats sequential | measured above |
# | Hassid and others {cite}`hassid2025dont` | voting among the first traces to finish | not run |
# | Huang and others {cite}`huang2025m1` | in medicine about 4K tokens are best; Wait can spoil right answers | *mended* and *broken* in {doc}`00_introduction` |
# | Gema and others {cite}`gema2025inverse` | tasks on which longer reasoning is worse | no such task here |
# | Wang and others {cite}`wang2025thoughts` | models leave promising thoughts too early | our traces have one kind of step |
# | Ringel and others {cite}`ringel2025learning` | a learned "continue" token gains 4.2 points on GSM8K where Wait gains 1.3 | not run |
# | Aggarwal and Welleck {cite}`aggarwal2025l1` | length control by reinforcement learning, better than budget forcing | not run |
# | Ma and others {cite}`ma2025reasoning` | skipping the thinking can beat it at a low budget | the smallest caps in {doc}`00_introduction` |
# | Ye and others {cite}`ye2025limo` | 817 examples suffice for mathematics | {doc}`05_data_ablations` |
#
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
flat = difference(*(pipeline.run(c) for c in (waited[-1], waited[0])))
lines = [
    "**It flattens out.** "
    + (
        f"More than that: {waited[-1].label} is {flat.percent()} points "
        f"against {waited[0].label}, so the curve comes down."
        if flat.high < 0
        else f"Between {waited[0].label} and {waited[-1].label} no gain is "
        f"shown ({flat.percent()} points)."
        if flat.low <= 0
        else f"Not here: {waited[-1].label} still gains {flat.percent()} "
        f"points over {waited[0].label}."
    ),
    "**Loops.** "
    + (
        "Repetition grows with every Wait, and later Waits bring less that "
        "is new."
        if still and fades
        else "Not shown by these counts."
    ),
    f"**The window.** What runs into the limit is right in "
    f"{np.mean(right_when_cut):.0%} of the cases; with {waited[-1].label} "
    f"{rows[-1]['cut']} of the traces are cut there, without a Wait "
    f"{rows[0]['cut']}.",
]
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# Two things stand between these counts and a 32B model. Our model is sampled at temperature 1, since
# greedy decoding loops in this world too ({doc}`12_pocket_world`), while the paper decodes greedily:
# its loops can only be worse. And our model was *taught* what to do after a "Wait"; one that never
# saw the word in training may treat it in its own way.
