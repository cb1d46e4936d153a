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
# # Results: forcing, fine-tuning, and what else the tokens could buy
#
# *Sections 4.2 and 6.2 of the paper, Table 1, Table 5, Figures 2 and 4.*
#
# :::{admonition} The claim
# :class: claim
# Fine-tuned on 1,000 examples, s1-32B is the most sample-efficient open-data reasoning model
# (Figure 2, right). Budget forcing adds to it, from 50.0% to 56.7% on AIME24 and from 56.6% to
# 59.6% on GPQA Diamond (Table 1). Sequential scaling beats a majority vote of the base model at
# the same number of tokens (Figure 4).
# :::
#
# The paper changes two things at once, the weights and the decoder, and compares with a third, the
# vote. Here the three are taken apart: fine-tuning without forcing and forcing without fine-tuning
# (two by two), and then every method at the same price, counted in all the tokens that a question
# costs.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown
from s1lab import experiments, profiles
from s1lab.analysis.methods import match, sequential, votes
from s1lab.audit.published import accuracies, accuracy_of, published
from s1lab.data.benchmarks import benchmark as find_benchmark
from s1lab.evaluation import paired_bootstrap, wilson
from s1lab.evaluation.measure import difference, read_samples
from s1lab.evaluation.voting import same_answer
from s1lab.figures.curves import (
    sample_efficiency,
    scaling_curve,
    waits_curve,
)
from s1lab.figures.display import show
from s1lab.figures.forests import comparison
from s1lab.figures.panels import curve, in_words
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
profile = pipeline.profile
benchmark = profile.evaluation.benchmarks[0]
paper = published()


def verdict(gap):
    """What a difference with its interval says."""
    return (
        "higher" if gap.low > 0 else "lower" if gap.high < 0 else "cannot tell"
    )


# %% [markdown]
# ## The paper's Table 1
#
# Each accuracy with Wilson's 95% interval from the number of questions. The
# [audit](09_audit) asks which of the comparisons between these rows survive.

# %% tags=["hide-input"]
table_1 = accuracies("Table 1")
columns = dict.fromkeys(row.benchmark for row in table_1)
rows = {}
for row in table_1:
    interval = wilson(row.percent * row.n / 100, row.n)
    place = rows.setdefault((row.row, row.examples), {})
    place[f"{row.benchmark}, n = {row.n}"] = interval.percent()
pd.DataFrame(
    [
        {"model": model, "examples": examples, **place}
        for (model, examples), place in rows.items()
    ]
).fillna("").set_index("model")

# %% tags=["hide-input"]
apart = []
for name in columns:
    after = accuracy_of("Table 1", "s1-32B", name)
    before = accuracy_of("Table 1", "s1 w/o BF", name)
    apart.append(
        f"{after.correct - before.correct} of {after.n} questions on {name}"
        + (
            ""
            if wilson(after.correct, after.n).overlaps(
                wilson(before.correct, before.n)
            )
            else " (intervals apart)"
        )
    )
Markdown(
    "The last two rows are the model without and with budget forcing. Between "
    "them lie "
    + ", ".join(apart)
    + ". Fine-tuning is the larger step: from "
    + ", ".join(
        f"{accuracy_of('Table 1', 'Qwen2.5-32B-Instruct', name).percent:.1f} "
        f"to {accuracy_of('Table 1', 's1 w/o BF', name).percent:.1f} on {name}"
        for name in columns
    )
    + "."
)

# %% [markdown]
# ## Ours, two by two
#
# Four arms on the same questions: the base model and the fine-tuned one, each with the think
# delimiter and no further interference, and each with Waits forced. The base model was never shown a
# trace in the paper's format, so it may not know what the delimiter is for; asked directly, without
# a thinking phase, it is a fifth row. (It is the run that the majority vote below draws from, so it
# has more samples.)

# %%
direct = experiments.voting(profile)[0]
arms = {"base, asked directly": direct} | {
    c.label: c for c in experiments.arms(profile)
}
runs = {name: pipeline.run(c) for name, c in arms.items()}
points = {name: pipeline.point(c) for name, c in arms.items()}
samples = {name: read_samples(run) for name, run in runs.items()}
pd.DataFrame(
    {
        "arm": name,
        "accuracy % [95%]": p.accuracy.percent(),
        "thinking tokens": f"{p.thinking_tokens:.1f}",
        "all tokens": f"{samples[name].tokens.mean():.1f}",
        "Waits used": f"{p.waits_used:.2f}",
        "cut short": f"{p.cut_short:.0%}",
        "no answer": f"{(samples[name].extracted == '').mean():.0%}",
        "n": "{} x {}".format(*samples[name].correct.shape),
    }
    for name, p in points.items()
).set_index("arm")

# %% tags=["hide-input"]
inks = ["base", "base", "base", "ours", "wait"]
show(
    comparison(
        [
            {
                "name": name,
                "accuracy": p.accuracy.estimate,
                "low": p.accuracy.low,
                "high": p.accuracy.high,
                "series": colour,
            }
            for (name, p), colour in zip(points.items(), inks)
        ],
        metric=f"{benchmark} accuracy",
        title="Fine-tuning by forcing",
    ),
    "results-arms",
    alt=f"Accuracy on {benchmark} with 95% intervals: "
    + "; ".join(f"{k} {p.accuracy.percent()}" for k, p in points.items())
    + ".",
    caption=f"{benchmark}: what fine-tuning and forcing give alone and "
    "together. Intervals resample questions.",
    runs=runs.values(),
)

# %% [markdown]
# What each step changes, on the same questions (paired bootstrap over questions):

# %% tags=["hide-input"]
base, base_wait, tuned, tuned_wait = list(runs)[1:]
effects = {
    "the think delimiter, base model": (base, "base, asked directly"),
    "fine-tuning, against the base asked directly": (
        tuned,
        "base, asked directly",
    ),
    "fine-tuning, no Wait": (tuned, base),
    "fine-tuning, with Waits": (tuned_wait, base_wait),
    "Waits, base model": (base_wait, base),
    "Waits, fine-tuned": (tuned_wait, tuned),
    "both, against the base asked directly": (
        tuned_wait,
        "base, asked directly",
    ),
}
gaps = {k: difference(runs[a], runs[b]) for k, (a, b) in effects.items()}
pd.DataFrame(
    {
        "effect of": name,
        "points [95%]": gap.percent(),
        "accuracy is": verdict(gap),
    }
    for name, gap in gaps.items()
).set_index("effect of")

# %% [markdown]
# ## How few examples?
#
# Figure 2 (right) sets MATH500 accuracy against the number of training examples. The paper's counts
# leave out how the thousand were found: they are the choice from 59,029 questions that a teacher had
# answered ([data curation](01_data_curation)). Ours are the base model, asked directly, then the
# selected examples and, where the profile trains on it, the whole pool.

# %% tags=["hide-input"]
efficiency = [
    (
        "base",
        0,
        points["base, asked directly"].accuracy,
        runs["base, asked directly"],
    ),
    *(
        (
            c.label,
            pipeline.checkpoint(c.training).summary()["examples"],
            pipeline.point(c).accuracy,
            pipeline.run(c),
        )
        for c in experiments.subsets(profile, benchmark)
        if c.training.subset in ("s1", "full")
    ),
]
figure_2 = paper["figure2"]
n_math = paper["questions"]["MATH500"]
theirs = [
    (
        name,
        figure_2["examples"][name],
        wilson(percent * n_math / 100, n_math),
    )
    for name, percent in figure_2["points"].items()
]


def as_curve(found):
    """Names, ink, examples and accuracies, as `curve` takes them."""
    names, examples, accuracies, *_ = zip(*found)
    return list(names), None, examples, accuracies


show(
    sample_efficiency(
        curve(*as_curve(efficiency)),
        curve(*as_curve(theirs)),
        title=f"Ours: {benchmark}",
        paper_title=f"The paper: MATH500, n = {n_math}",
    ),
    "results-sample-efficiency",
    alt="Accuracy against training examples. Ours: "
    + "; ".join(
        f"{name}, {examples:,} examples, {accuracy.percent()}"
        for name, examples, accuracy, _ in efficiency
    )
    + ". The paper's MATH500: "
    + "; ".join(f"{name} {accuracy.percent()}" for name, _, accuracy in theirs)
    + ".",
    caption="Accuracy against the number of training examples, with 95% "
    "intervals. Right: Figure 2 of the paper with intervals from its number "
    "of questions.",
    runs=[row[3] for row in efficiency],
)

# %% tags=["hide-input"]
s1_point = next(row for row in efficiency if row[0] == "s1")
lines = []
if efficiency[-1][0] == "full":
    gap_full = difference(efficiency[-1][3], s1_point[3])
    lines.append(
        f"Training on all {efficiency[-1][1]:,} examples instead of "
        f"{s1_point[1]:,} changes accuracy by {gap_full.percent()} "
        "points: "
        + {
            "higher": "here more data is better.",
            "lower": "more data is even worse.",
            "cannot tell": "no difference that these questions can show.",
        }[verdict(gap_full)]
    )
else:
    lines.append("This profile does not train on the whole pool.")
best = max(
    (row for row in theirs if row[0] != "s1"), key=lambda row: row[2].estimate
)
s1_math = next(row[2] for row in theirs if row[0] == "s1")
lines.append(
    f"In the paper's figure s1 has {s1_math.percent()}% and the best other "
    f"model, {best[0]}, {best[2].percent()}%: "
    + (
        "the intervals overlap, and one run of each does not order them."
        if s1_math.overlaps(best[2])
        else "the intervals are apart."
    )
)
Markdown(
    " ".join(lines)
    + " The [data chapter](05_data_ablations) compares with "
    + "other choices of the same size."
)

# %% [markdown]
# ## Sequential scaling
#
# Figure 4a extends Figure 1 by Waits: the decoder replaces the end of thinking by "Wait" twice, four
# and six times. Its three points are three of nine; the logs that the authors released give all
# numbers from none to eight, and on AIME24 one question is 3.3 points.

# %% tags=["hide-input"]
natural = experiments.natural(profile, benchmark)
wait_conditions = experiments.waits(profile, benchmark)
ours = [(0, pipeline.point(natural).accuracy)] + [
    (c.budget.num_ignore, pipeline.point(c).accuracy) for c in wait_conditions
]
logs = paper["figure4a_logs"]
n_aime = paper["questions"]["AIME24"]
printed = [
    (waits, wilson(round(percent * n_aime / 100), n_aime))
    for waits, percent in zip(logs["waits"], logs["accuracy"])
]
show(
    waits_curve(
        curve("", "wait", *zip(*ours)),
        curve("", "paper", *zip(*printed)),
        title=f"Ours: {benchmark}",
        paper_title=f"The paper's logs: AIME24, n = {n_aime}",
    ),
    "results-waits",
    alt="Accuracy against Waits. Ours: "
    + ", ".join(f"{k} Waits {a.percent()}" for k, a in ours)
    + ". Released logs on AIME24: "
    + ", ".join(f"{k} Waits {a.percent()}" for k, a in printed)
    + ".",
    caption="Accuracy against the number of Waits allowed, with 95% "
    "intervals; the dotted line is no Wait. Right: released logs, "
    f"{logs['where']}.",
    runs=[pipeline.run(c) for c in (natural, *wait_conditions)],
)

# %% tags=["hide-input"]
none = pipeline.run(natural)
steps = {
    c.budget.num_ignore: difference(pipeline.run(c), none)
    for c in wait_conditions
}
inside = all(printed[0][1].estimate in interval for _, interval in printed)
Markdown(
    "Against no Wait: "
    + "; ".join(
        f"{k} Wait{'s' * (k > 1)} {gap.percent()} points ({verdict(gap)})"
        for k, gap in steps.items()
    )
    + ". "
    + (
        "In the released logs every interval contains the accuracy without a "
        "Wait: thirty questions cannot tell the nine apart."
        if inside
        else "In the released logs some interval lies apart from the accuracy "
        "without a Wait."
    )
    + " The curve over budgets, with the same Waits, is in the "
    "[introduction](00_introduction)."
)

# %% [markdown]
# ## Parallel scaling
#
# The rival of thinking longer is asking again. Figure 4b votes over 2 to 64 answers of the base model
# and finds that it does not catch up with the fine-tuned model's longer thinking. That mixes two
# things: the fine-tuned model is also the better one to vote with. So there are votes of both models
# here, and votes over capped thinking.
#
# **Which answers are the same vote?** In the pocket world an answer is an expression. Two
# expressions are one vote when they use the same numbers and come to the same value: `( 3 * 7 ) + 8`
# and `8 + ( 7 * 3 )`. That uses nothing but the answers, and it never joins a right answer with a
# wrong one; but it joins wrong answers too, so whether it helps is a matter of measurement. (On AIME
# equal integers are one vote, on MATH500 whatever the grader takes for equal, on GPQA the letter.)
# An answer that was cut off, or is missing, abstains. With k
# of the drawn samples, maj@k is averaged over every choice of k, so no point depends on which
# samples came first.

# %%
same = same_answer(find_benchmark(benchmark).kind)
base_votes, *capped_votes, own_votes = experiments.voting(profile)
voted = {
    c.label: votes(read_samples(pipeline.run(c)), same, method=c.label)
    for c in experiments.voting(profile)
}
drawn = profile.methods.votes
by_text = {
    c.label: votes(read_samples(pipeline.run(c)), str.__eq__, at=[drawn])[0]
    for c in experiments.voting(profile)
}
pd.DataFrame(
    {
        "samples of": c.label.removeprefix("votes, ").replace("votes ", ""),
        "tokens per sample": f"{voted[c.label][0].cost:.1f}",
        "one answer %": voted[c.label][0].accuracy.percent(),
        f"maj@{drawn} %": voted[c.label][-1].accuracy.percent(),
        f"maj@{drawn} by text %": by_text[c.label].accuracy.percent(),
    }
    for c in experiments.voting(profile)
).set_index("samples of")

# %% tags=["hide-input"]
worth = {
    c.label: paired_bootstrap(
        voted[c.label][-1].correct, by_text[c.label].correct
    )
    for c in experiments.voting(profile)
}
Markdown(
    "Voting *by text* takes only identical answers for the same. What the "
    "equivalence is worth, in points: "
    + "; ".join(
        f"{name.removeprefix('votes, ').replace('votes ', '')} {gap.percent()}"
        for name, gap in worth.items()
    )
    + ". "
    + (
        "Where it costs, expressions of one wrong value have pooled their "
        "votes: a sum has more spellings than a product."
        if any(gap.high < 0 for gap in worth.values())
        else ""
    )
)

# %% tags=["hide-input"]
series = {}
for c in experiments.curve(profile, benchmark):
    made = sequential(read_samples(pipeline.run(c)), c.kind, c.label)
    series.setdefault("wait" if c.kind == "wait" else "capping", []).append(
        made
    )
series["wait"] = series["capping"][-1:] + series["wait"]


def costs(name, colour, made, **look):
    """The accuracy of settings against all the tokens that they cost."""
    made = list(made)
    accuracies = [run.accuracy for run in made]
    return curve(name, colour, [run.cost for run in made], accuracies, **look)


dashes = {"dashed": 1, "hollow": True}
curves = pd.concat(
    [
        costs("capping", "capping", series["capping"]),
        costs("Wait", "wait", series["wait"]),
        costs("vote, base", "base", voted[base_votes.label], marker="s"),
        costs("vote, fine-tuned", "parallel", voted[own_votes.label]),
        *(
            costs(
                f"vote at {c.budget.max_thinking}",
                "parallel",
                voted[c.label],
                **dashes,
            )
            for c in capped_votes
        ),
    ]
)
n_gpqa = paper["questions"]["GPQA Diamond"]
figure_4b = paper["figure4b"]
paper_curves = pd.concat(
    curve(
        name,
        "paper",
        [tokens / n_gpqa for tokens in figure_4b[key]["tokens"]],
        [wilson(p * n_gpqa / 100, n_gpqa) for p in figure_4b[key]["acc"]],
        marker=marker,
        dashed=dashed,
    )
    for name, key, marker, dashed in (
        ("vote, base", "majority_Qwen2.5-32B-Instruct", "s", 1),
        ("forcing", "sequential_s1", "o", 0),
    )
)
show(
    scaling_curve(
        curves,
        paper_curves,
        title=f"Ours: {benchmark}",
        paper_title="The paper: GPQA Diamond",
        across="tokens per question",
    ),
    "results-equal-compute",
    alt="Accuracy against all tokens per question. "
    + in_words(
        curves,
        "{first[name]}: from {first[percent]}% at {first[x]:.0f} tokens "
        "to {last[percent]}% at {last[x]:.0f}.",
    ),
    caption="Accuracy against all tokens spent on a question, thinking and "
    "answers of every sample, with 95% intervals over questions. Right: "
    f"Figure 4b, digitised, with intervals from n = {n_gpqa}.",
    runs=[
        *(pipeline.run(c) for c in experiments.curve(profile, benchmark)),
        *(pipeline.run(c) for c in experiments.voting(profile)),
    ],
)

# %% [markdown]
# ### At the same price
#
# Each sequential setting against a vote at the same tokens per question. The vote's curve is
# interpolated over doublings of tokens, as the axis is; a setting outside the vote's range has
# nothing to be compared with and is left out. Both sides of a difference resample the same
# questions.

# %%
contests = {
    ("sequential", "the base model's vote"): match(
        series["capping"] + series["wait"][1:], voted[base_votes.label]
    ),
    ("sequential", "the fine-tuned model's vote"): match(
        series["capping"] + series["wait"][1:], voted[own_votes.label]
    ),
    **{
        (
            "the vote at natural length",
            f"the vote at {c.budget.max_thinking} tokens",
        ): match(voted[own_votes.label], voted[c.label])
        for c in capped_votes
    },
}
pd.DataFrame(
    {
        "this": f"{here}, {found.ours.setting}",
        "against": there,
        "tokens": f"{found.ours.cost:.0f}",
        "this %": f"{100 * found.ours.correct.mean():.1f}",
        "against %": f"{100 * found.theirs:.1f}",
        "difference [95%]": found.difference.percent(),
        "this is": verdict(found.difference),
    }
    for (here, there), matches in contests.items()
    for found in matches
).set_index("this")

# %% tags=["hide-input"]
lines = []
for (here, there), matches in contests.items():
    told = [verdict(found.difference) for found in matches]
    if not told:
        lines.append(
            f"**{here.capitalize()} against {there}**: their costs do not "
            "overlap, so nothing can be said."
        )
        continue
    wins, losses = told.count("higher"), told.count("lower")
    spans = {
        outcome: [f.ours.cost for f, t in zip(matches, told) if t == outcome]
        for outcome in ("higher", "lower")
    }
    where = "; ".join(
        f"{'ahead' if outcome == 'higher' else 'behind'} between "
        f"{min(costs):.0f} and {max(costs):.0f} tokens"
        if len(costs) > 1
        else f"{'ahead' if outcome == 'higher' else 'behind'} at "
        f"{costs[0]:.0f} tokens"
        for outcome, costs in spans.items()
        if costs
    )
    lines.append(
        f"**{here.capitalize()} against {there}**: of {len(told)} settings "
        f"{wins} higher, {losses} lower, {len(told) - wins - losses} "
        f"undecided" + (f"; {where}." if where else ".")
    )
peak = max(
    series["capping"] + series["wait"], key=lambda run: run.correct.mean()
)
top = voted[own_votes.label][-1]
ahead = paired_bootstrap(top.correct, peak.correct)
lines.append(
    f"**Whatever it costs**: the best sequential setting is *{peak.setting}*, "
    f"{peak.accuracy.percent()}% for {peak.cost:.0f} tokens. A vote of "
    f"{drawn} fine-tuned answers has {top.accuracy.percent()}% for "
    f"{top.cost:,.0f}: {ahead.percent()} points more "
    f"({verdict(ahead)}), at {top.cost / peak.cost:.1f} times the price."
)
figure_7 = paper["figure7"]["majority_16x"]
lines.append(
    "**The paper's Figure 7** votes over s1's own answers on AIME24: "
    f"{figure_7[0][1]:.1f}% for {figure_7[0][0]:,} tokens, "
    f"{figure_7[1][1]:.1f}% for {figure_7[1][0]:,}."
)
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# ## s1.1, and the checkpoints as released
#
# After the first version the authors took traces of DeepSeek r1 for the same thousand questions
# (s1.1, Table 5). The rows of s1 and s1.1 with Wilson's intervals:

# %% tags=["hide-input"]
table_5 = [row for row in accuracies("Table 5") if row.row.startswith("s1")]
rows = {}
for row in table_5:
    interval = wilson(row.percent * row.n / 100, row.n)
    place = rows.setdefault(row.row, {"model": row.row})
    place[f"{row.benchmark}, n = {row.n}"] = interval.percent()
pd.DataFrame(rows.values()).set_index("model")


# %% tags=["hide-input"]
def more(after, before):
    """Questions gained on each benchmark between two rows of Table 5."""
    return ", ".join(
        f"{name} {a.correct - b.correct:+d}"
        for name in dict.fromkeys(row.benchmark for row in table_5)
        for a in [accuracy_of("Table 5", after, name)]
        for b in [accuracy_of("Table 5", before, name)]
    )


Markdown(
    "In questions, better traces are worth "
    + more("s1.1 w/o BF", "s1 w/o BF")
    + ". Two Waits are worth "
    + more("s1 Wait 2x", "s1 w/o BF")
    + " to s1, and "
    + more("s1.1 Wait 2x", "s1.1 w/o BF")
    + " to s1.1."
)

# %% tags=["hide-input"]
measured = [
    {
        "checkpoint": c.label,
        "benchmark": name,
        "thinking tokens": f"{(p := pipeline.point(c)).thinking_tokens:.0f}",
        "accuracy % [95%]": p.accuracy.percent(),
        "cut short": f"{p.cut_short:.0%}",
    }
    for name in profile.evaluation.benchmarks
    for c in experiments.released(profile, name)
]
(
    pd.DataFrame(measured).set_index("checkpoint")
    if measured
    else Markdown(
        "This profile measures none of the released checkpoints; `h100` does."
    )
)

# %% [markdown]
# ## Low, medium, high
#
# Commercial models sell their budgets by name. A profile names three, which are settings of the
# curve above; nothing else is behind the names.

# %% tags=["hide-input"]
on_curve = {
    pipeline.locate_run(c).id: c for c in experiments.curve(profile, benchmark)
}
rows = []
for effort, values in profile.efforts.items():
    wanted = experiments.condition(
        profile, effort, "effort", benchmark=benchmark, **values
    )
    known = on_curve.get(pipeline.locate_run(wanted).id)
    p = pipeline.point(known) if known else None
    rows.append(
        {
            "effort": effort,
            "budget": ", ".join(f"{k} {v}" for k, v in values.items()),
            "is": known.label if known else "not measured",
            "thinking tokens": f"{p.thinking_tokens:.1f}" if p else "",
            "accuracy % [95%]": p.accuracy.percent() if p else "",
        }
    )
pd.DataFrame(rows).set_index("effort")

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
learned = gaps["fine-tuning, against the base asked directly"]
forced, forced_base = gaps["Waits, fine-tuned"], gaps["Waits, base model"]
base_contest, own_contest, *_ = contests.values()


def standing(matches):
    """Where sequential scaling is behind and ahead, in tokens per question."""
    told = [(m.ours.cost, verdict(m.difference)) for m in matches]
    words = [
        f"{word} at {', '.join(f'{cost:.0f}' for cost in costs)} tokens"
        for word, outcome in (
            ("behind", "lower"),
            ("not told apart", "cannot tell"),
            ("ahead", "higher"),
        )
        if (costs := [cost for cost, t in told if t == outcome])
    ]
    return "; ".join(words) or "not comparable at any cost"


def ahead_at_last(matches):
    """Whether it is ahead at the largest cost at which it can be compared."""
    return bool(matches) and verdict(matches[-1].difference) == "higher"


agrees, differs = [], []
(agrees if learned.low > 0 else differs).append(
    "**Fine-tuning on the selected examples** changes accuracy by "
    f"{learned.percent()} points against the base model asked directly "
    + ("and is the larger step." if learned.low > forced.high else "only.")
)
(agrees if forced.low > 0 else differs).append(
    f"**Waits on the fine-tuned model** change it by {forced.percent()} "
    "points"
    + (
        "."
        if forced.low > 0
        else ": below zero, where the paper has a gain."
        if forced.high < 0
        else ": no gain that these questions can show."
    )
)
(agrees if ahead_at_last(base_contest) else differs).append(
    "**Sequential scaling against the base model's vote** (Figure 4b) is "
    f"{standing(base_contest)}. Cut very short, the fine-tuned model is "
    "stopped before it has found anything, and the base model's quick guesses "
    "are better; the claim is about the upper end."
)
gained = [m for m in own_contest if m.difference.low > 0]
lost = [m for m in own_contest if m.difference.high < 0]
(agrees if len(gained) > len(lost) else differs).append(
    "**Against a vote of the fine-tuned model itself**, which Figure 4b does "
    f"not draw, it is {standing(own_contest)}."
    + (
        f" Yet the vote goes on rising where Waits have stopped to help: "
        f"{top.accuracy.percent()}% against {peak.accuracy.percent()}% at the "
        "best."
        if ahead.low > 0
        else ""
    )
)
if efficiency[-1][0] == "full":
    (agrees if gap_full.low <= 0 else differs).append(
        "**A thousand examples against the whole pool**: the pool is "
        f"{gap_full.percent()} points better"
        + (
            ", where the paper sees no substantial gain (Table 2)."
            if gap_full.low > 0
            else "."
        )
    )
note = (
    "**Forcing without fine-tuning** changes the base model by "
    f"{forced_base.percent()} points ({verdict(forced_base)}): a Wait needs a "
    "model that has learned what to do with it."
    if not forced_base.low > 0
    else "**Forcing without fine-tuning** raises the base model by "
    f"{forced_base.percent()} points."
)


def box(title, kind, lines):
    body = "\n".join(f"- {line}" for line in lines)
    return f":::{{admonition}} {title}\n:class: {kind}\n{body}\n:::\n"


Markdown(
    "\n".join(
        box(title, kind, lines)
        for title, kind, lines in (
            ("Where it agrees", "agrees", agrees),
            ("Where it differs", "differs", differs),
            ("Beside the paper", "claim", [note]),
        )
        if lines
    )
)

# %% [markdown]
# The pocket model learned what to do after "Wait" from its teacher, who checks a line again there; a
# second look at a wrong answer is then cheaper than a second answer from scratch. A vote has another
# strength: right answers agree, wrong ones scatter, and it does not run out of context. Which of the
# two wins depends on the price, so the question to ask of any scaling figure is: *against which
# vote, of which model, at how many tokens?* Later work on larger models compares both and finds that
# parallel sampling often does better than longer traces {cite}`zeng2025revisiting,ghosal2025thinking`.
