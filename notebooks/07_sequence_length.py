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
# Fine-tuning has a longest sequence. What is longer is cut, and since thinking comes first, what is
# lost is the end of thinking and the answer. A shorter sequence length saves memory and time, so it
# is the first thing one tries on a small machine. The paper tried it.
#
# :::{admonition} The claim
# :class: claim
# Trained at 4,096 tokens, where 74% of the examples are cut, the model is less accurate than trained
# at 32,768, where none is, and thinks longer: on AIME24 30.0% with 20,721 thinking tokens against
# 50.0% with 6,984.
# :::
#
# It is a claim about two trainings, one each. Here every sequence length is trained with several
# seeds, which decide the order of the examples.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
from math import isnan

import pandas as pd
from IPython.display import Markdown
from s1lab import profiles
from s1lab.analysis.lengths import (
    encoded_at,
    lengths,
    paper_differences,
    paper_rows,
    rows,
)
from s1lab.audit import published
from s1lab.figures.curves import tokens_and_accuracy
from s1lab.figures.display import show
from s1lab.figures.runs import still_thinking
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
profile = pipeline.profile
benchmarks = profile.ablations.benchmarks or profile.evaluation.benchmarks
trained = [
    length
    for benchmark in benchmarks
    for length in lengths(pipeline, benchmark)
]
first = [length for length in trained if length.benchmark == benchmarks[0]]
*shorter, full = [length.tokens for length in first]
evaluation = profile.evaluation
Markdown(
    f"Trained at {', '.join(map(str, shorter))} and {full:,} tokens on the "
    f"same examples, with {len(first[0].seeds)} seed(s) each. Every model "
    f"answers the same questions, {evaluation.samples} sample(s) each, and "
    f"stops thinking by itself or at {evaluation.max_thinking:,} tokens."
)

# %% [markdown]
# ## What the cut takes away
#
# An example whose thinking alone fills the sequence loses its whole answer, and
# with it the delimiter that ends thinking: all the model sees of it is thinking
# that goes on.

# %%
encoded = {tokens: encoded_at(pipeline, tokens) for tokens in (*shorter, full)}
ours = [
    {
        "sequence length": f"{tokens:,}",
        "examples cut": f"{cut.truncated / len(cut.examples):.0%}",
        "answers lost": f"{cut.answers_lost / len(cut.examples):.0%}",
        "answers cut": f"{cut.answers_cut / len(cut.examples):.0%}",
        "tokens left": f"{sum(cut.lengths) / sum(encoded[full].lengths):.0%}",
    }
    for tokens, cut in encoded.items()
]
table8 = published.published()["table8"]
theirs = [
    {"sequence length": f"paper: {tokens:,}", "examples cut": f"{percent}%"}
    for tokens, percent in zip(
        table8["sequence_length"], table8["percent_cut_off"]
    )
]
pd.DataFrame(ours + theirs).fillna("–").set_index("sequence length")

# %% [markdown]
# The trainings kept the same account while they ran. This is what they wrote
# down:

# %%
recorded = []
for length in first:
    words = length.training.summary()["encoding"]
    assert words == encoded[length.tokens].report()
    recorded.append(f"- {words}")
Markdown("\n".join(recorded))

# %% [markdown]
# ## Table 8, ours
#
# Accuracy and thinking tokens are means over questions and seeds, with 95%
# intervals over both: they say what other questions *and* another training
# would have given. With few seeds such an interval is wide where seeds
# disagree, and rightly so. *Cut short* is the share of generations that were
# still thinking at the limit.


# %%
def tokens_text(interval):
    ends = f"[{interval.low:,.0f}, {interval.high:,.0f}]"
    return f"{interval.estimate:,.0f} {ends}"


pd.DataFrame(
    {
        "benchmark": length.benchmark,
        "trained at": f"{length.tokens:,}",
        "accuracy % [95%]": length.interval("accuracy").percent(),
        "thinking tokens [95%]": tokens_text(
            length.interval("thinking_tokens")
        ),
        "cut short % [95%]": length.interval("cut_short").percent(),
    }
    for length in trained
).set_index("trained at")

# %% [markdown]
# The same seed by seed: accuracy, and thinking tokens.

# %%
pd.DataFrame(
    {
        "benchmark": length.benchmark,
        "trained at": f"{length.tokens:,}",
        **{
            f"seed {seed}": f"{accuracy:.1%} · {tokens:,.0f}"
            for seed, accuracy, tokens in zip(
                length.seeds,
                length.by_seed("accuracy"),
                length.by_seed("thinking_tokens"),
            )
        },
    }
    for length in trained
).set_index("trained at")

# %% [markdown]
# ## Table 8, the paper's
#
# One training each, and one greedy answer per question. The intervals are ours:
# Wilson's, from the number of questions.

# %%
printed = paper_rows()
pd.DataFrame(
    {
        "benchmark": row["benchmark"],
        "trained at": row["name"],
        "accuracy %": f"{100 * row['accuracy']:.1f} "
        f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]",
        "thinking tokens": f"{row['thinking_tokens']:,}",
    }
    for row in printed
).set_index("trained at")

# %% tags=["hide-input"]
points = rows(trained)


def in_words(found):
    return "; ".join(
        f"{row['benchmark']} trained at {row['name']}: "
        f"{100 * row['accuracy']:.1f}%, {row['thinking_tokens']:,.0f} tokens"
        for row in found
    )


show(
    tokens_and_accuracy(points, printed),
    "sequence-length",
    alt="Accuracy against thinking tokens for each sequence length of "
    f"training. Ours: {in_words(points)}. The paper: {in_words(printed)}.",
    caption="Accuracy against thinking tokens, with 95% intervals. Squares: "
    "trained on cut examples; circles: on whole ones. Left: this profile; "
    "small marks are single seeds. Right: Table 8 of the paper.",
    runs=[run for length in trained for run in length.runs],
)

# %% [markdown]
# ## Does the cut change anything?
#
# Differences to the full length, paired by question and by seed:

# %%
uncut = {
    length.benchmark: length for length in trained if length.tokens == full
}
changes = {
    length: {
        measure: length.minus(uncut[length.benchmark], measure)
        for measure in ("accuracy", "thinking_tokens", "cut_short")
    }
    for length in trained
    if length.tokens != full
}
pd.DataFrame(
    {
        "benchmark": length.benchmark,
        "trained at": f"{length.tokens:,} less {full:,}",
        "accuracy, points": change["accuracy"].percent(),
        "thinking tokens": tokens_text(change["thinking_tokens"]),
        "cut short, points": change["cut_short"].percent(),
    }
    for length, change in changes.items()
).set_index("trained at")

# %% [markdown]
# The paper's printed accuracies, compared without pairing:

# %%
paper_gaps = paper_differences()
pd.DataFrame(
    {
        "benchmark": benchmark,
        "questions": gap.n,
        "4,096 less 32,768, points": gap.percent(),
    }
    for benchmark, gap in paper_gaps.items()
).set_index("benchmark")

# %% [markdown]
# ## Why thinking grows
#
# A model learns when to stop from examples that stop. Cut at a sequence length,
# the only examples that still show the end of thinking are the short ones, so
# past the cut the model has never seen thinking end. The figure follows every
# generation: which share is still thinking after so many tokens?

# %% tags=["hide-input"]
cut = shorter[-1]
longest_first = first[::-1]


def share(part, whole):
    return f"{part / whole:.1%}" if whole else "–"


show(
    still_thinking(
        pd.DataFrame(
            {
                "name": f"trained at {length.tokens:,}",
                "seed": seed,
                "tokens": tokens,
            }
            for length in longest_first
            for seed, tokens in enumerate(length.thinking_tokens())
        ).explode("tokens"),
        cuts=[(tokens, f"cut at {tokens:,}") for tokens in shorter],
        title=f"Still thinking on {benchmarks[0]}",
    ),
    "sequence-length-survival",
    alt="Share of generations still thinking against thinking tokens. "
    + "; ".join(
        f"trained at {length.tokens:,}, "
        f"{share(length.stops(cut).longer, length.generations)} think for more "
        f"than {cut:,} tokens and {length.interval('cut_short').percent()} "
        "percent are still thinking at the limit"
        for length in longest_first
    )
    + ".",
    caption="Bold: all seeds together; thin: each seed. A curve that stays up "
    "until the limit belongs to a model that does not stop.",
    runs=[run for length in longest_first for run in length.runs],
)

# %% [markdown]
# The same in numbers. Of the generations that reach some number of tokens, which
# share goes on to twice as many? If the cut is the cause, the models should
# agree up to the cut and part behind it. In brackets the lowest and the highest
# seed.

# %%
starts = [cut / 4, cut / 2, cut, 2 * cut]


def share_text(shares):
    if any(map(isnan, shares)):  # nobody thought for so long
        return "–"
    low, high = min(shares), max(shares)
    return f"{sum(shares) / len(shares):.0%} [{low:.0%}, {high:.0%}]"


pd.DataFrame(
    {
        "benchmark": length.benchmark,
        "trained at": f"{length.tokens:,}",
        **{
            f"{start:,.0f} to {2 * start:,.0f}": share_text(
                length.goes_on(start)
            )
            for start in starts
        },
    }
    for length in trained
).set_index("trained at")

# %% [markdown]
# And what becomes of the generations that think for longer than any example
# that the shorter training saw?

# %%
pd.DataFrame(
    {
        "benchmark": length.benchmark,
        "trained at": f"{length.tokens:,}",
        f"longer than {cut:,}": share(stops.longer, length.generations),
        "of these, stop": share(stops.longer_ended, stops.longer),
        "correct": share(stops.longer_correct, stops.longer),
        "of the others, stop": share(stops.others_ended, stops.others),
        "correct ": share(stops.others_correct, stops.others),
    }
    for length in trained
    for stops in [length.stops(cut)]
).set_index("trained at")

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]


def direction(interval):
    if interval.low > 0:
        return "rises"
    return "falls" if interval.high < 0 else "does not change for certain"


tokens_of = {(r["benchmark"], r["name"]): r["thinking_tokens"] for r in printed}
folds = {
    name: tokens_of[name, "4,096"] / tokens_of[name, "32,768"]
    for name in paper_gaps
}
found = []
for length, change in changes.items():
    accuracy = direction(change["accuracy"])
    thinking = direction(change["thinking_tokens"])
    agree = [accuracy == "falls", thinking == "rises"]
    whole = uncut[length.benchmark]
    found.append(
        f"**{length.benchmark}, {length.tokens:,} against {full:,}.** Accuracy "
        f"{accuracy} ({change['accuracy'].percent()} points), thinking "
        f"{thinking} ({tokens_text(change['thinking_tokens'])} tokens): "
        + (
            "both as in the paper."
            if all(agree)
            else "the first as in the paper, the second not."
            if agree[0]
            else "the second as in the paper, the first not."
            if agree[1]
            else "neither is what the paper finds."
        )
    )
    before, behind = (
        (length.goes_on(start), whole.goes_on(start))
        for start in (cut / 2, cut)
    )
    if not any(map(isnan, sum(before + behind, []))):
        gaps = [sum(a) / len(a) - sum(b) / len(b) for a, b in (before, behind)]
        parted = min(behind[0]) > max(behind[1]) and gaps[1] > gaps[0]
        found.append(
            f"**Why.** From {cut / 2:,.0f} to {cut:,} tokens "
            f"{share_text(before[0])} of the generations go on after training "
            f"at {length.tokens:,} and {share_text(before[1])} after training "
            f"at {full:,}; from {cut:,} to {2 * cut:,} it is "
            f"{share_text(behind[0])} and {share_text(behind[1])}. "
            + (
                "The models part where the examples were cut: there the "
                "shorter training never saw thinking end."
                if parted
                else "The cut does not show there beyond the spread of seeds."
            )
        )
    longer = (
        length.interval("thinking_tokens").estimate
        / whole.interval("thinking_tokens").estimate
    )
    found.append(
        f"**How much.** Thinking is {longer:.1f} times as long here; in the "
        "paper "
        + ", ".join(
            f"{fold:.1f} times on {name}" for name, fold in folds.items()
        )
        + "."
    )
zero = [name for name, gap in paper_gaps.items() if gap.low <= 0 <= gap.high]
found.append(
    f"**The paper's evidence.** Thinking grows on all {len(paper_gaps)} "
    "benchmarks. Without pairing, the interval of the fall in accuracy "
    f"includes zero on {', '.join(zero) or 'none of them'}"
    + (
        ": what stands out is the number of tokens."
        if len(zero) == len(paper_gaps)
        else "."
    )
)
Markdown("\n".join(f"- {line}" for line in found))

# %% [markdown]
# For anyone who trains on a smaller machine: look at what encoding reports
# before starting. A sequence length that cuts answers off trains a model not to
# answer; leaving the long examples out, or paying for the length, are the
# alternatives. `s1lab plan` says what a length needs in memory, and
# `on_too_long: error` refuses to cut.
