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
import pandas as pd
from IPython.display import Markdown
from s1core import ablations, experiments, profiles, published
from s1core.evaluation import wilson
from s1core.evaluation.statistics import newcombe
from s1core.experiments import Training
from s1core.figures import show
from s1core.figures.ablations import still_thinking, tokens_and_accuracy
from s1core.pipeline import Pipeline
from s1core.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
profile = pipeline.profile
benchmarks = profile.ablations.benchmarks or profile.evaluation.benchmarks
lengths = {
    benchmark: ablations.lengths(
        pipeline, experiments.sequence_lengths(profile, benchmark)
    )
    for benchmark in benchmarks
}
first = benchmarks[0]
*shorter, full = [length.tokens for length in lengths[first]]
seeds = lengths[first][0].seeds
evaluation = profile.evaluation
Markdown(
    f"Trained at {', '.join(map(str, shorter))} and {full:,} tokens, "
    f"{len(seeds)} seed(s) each, on the same examples. Every model answers "
    f"the same questions, {evaluation.samples} sample(s) each, and stops "
    f"thinking by itself or at {evaluation.max_thinking:,} tokens."
)

# %% [markdown]
# ## What the cut takes away
#
# An example whose thinking alone fills the sequence loses its whole answer,
# and with it the delimiter that ends thinking: all the model sees of it is
# thinking that goes on.

# %%
table8 = published.published()["table8"]
paper_cut = dict(zip(table8["sequence_length"], table8["percent_cut_off"]))
encoded = {
    tokens: ablations.encoded_at(pipeline, tokens)
    for tokens in (*shorter, full)
}
rows = [
    {
        "sequence length": f"{tokens:,}",
        "examples cut": f"{cut.truncated / len(cut.examples):.0%}",
        "answers lost": f"{cut.answers_lost / len(cut.examples):.0%}",
        "answers cut": f"{cut.answers_cut / len(cut.examples):.0%}",
        "tokens trained on": f"{cut.tokens / encoded[full].tokens:.0%}",
    }
    for tokens, cut in encoded.items()
]
rows += [
    {
        "sequence length": f"paper: {tokens:,}",
        "examples cut": f"{percent}%",
        "answers lost": "–",
        "answers cut": "–",
        "tokens trained on": "–",
    }
    for tokens, percent in paper_cut.items()
]
pd.DataFrame(rows).set_index("sequence length")

# %% [markdown]
# *Tokens trained on* are relative to the full length. Training kept the same
# account while it ran; this is what it wrote down:

# %%
recorded = {
    tokens: pipeline.checkpoint(
        Training(
            changes=()
            if tokens == full
            else (("max_seq_len", tokens), ("on_too_long", "truncate"))
        )
    ).summary()["encoding"]
    for tokens in encoded
}
for tokens, words in recorded.items():
    assert words == encoded[tokens].report()
    print(f"{tokens:>6}: {words}")

# %% [markdown]
# ## Table 8, ours
#
# Accuracy and thinking tokens are means over questions and seeds, with 95%
# intervals over both: they say what other questions *and* another training
# would have given. With three seeds such an interval is wide where seeds
# disagree, and rightly so. *Cut short* is the share of generations that were
# still thinking at the limit.


# %%
def tokens_text(interval):
    return f"{interval.estimate:.0f} [{interval.low:.0f}, {interval.high:.0f}]"


pd.DataFrame(
    {
        "benchmark": benchmark,
        "trained at": f"{length.tokens:,}",
        "accuracy % [95%]": length.interval("accuracy").percent(),
        "thinking tokens [95%]": tokens_text(
            length.interval("thinking_tokens")
        ),
        "cut short": length.interval("cut_short").percent(),
    }
    for benchmark in benchmarks
    for length in lengths[benchmark]
).set_index(["benchmark", "trained at"])

# %% [markdown]
# Seed by seed:

# %%
pd.DataFrame(
    {
        "benchmark": benchmark,
        "trained at": f"{length.tokens:,}",
        **{
            f"seed {seed}": f"{100 * accuracy:.1f}% at {tokens:.0f}"
            for seed, accuracy, tokens in zip(
                length.seeds,
                length.table("accuracy").mean(axis=0),
                length.table("thinking_tokens").mean(axis=0),
            )
        },
    }
    for benchmark in benchmarks
    for length in lengths[benchmark]
).set_index(["benchmark", "trained at"])

# %% [markdown]
# ## Table 8, the paper's
#
# One training and one greedy answer per question. The intervals are ours:
# Wilson's, from the number of questions.

# %%
questions = published.published()["questions"]


def right(benchmark, percent):
    return round(percent * questions[benchmark] / 100)


pd.DataFrame(
    {
        "benchmark": benchmark,
        **{
            f"at {tokens:,}": f"{percent:.1f}"
            + " [{:.1f}, {:.1f}]".format(
                *(
                    100 * end
                    for interval in [
                        wilson(right(benchmark, percent), questions[benchmark])
                    ]
                    for end in (interval.low, interval.high)
                )
            )
            + f"; {thinking:,} tokens"
            for tokens, (percent, thinking) in zip(
                table8["sequence_length"], cells
            )
        },
    }
    for benchmark, cells in table8["rows"].items()
).set_index("benchmark")

# %%
ours_rows = [
    {
        "benchmark": benchmark,
        "name": f"{length.tokens:,}",
        "thinking_tokens": thinking.estimate,
        "fewest": thinking.low,
        "most": thinking.high,
        "accuracy": accuracy.estimate,
        "low": accuracy.low,
        "high": accuracy.high,
        "seeds": list(
            zip(
                length.table("thinking_tokens").mean(axis=0),
                length.table("accuracy").mean(axis=0),
            )
        ),
    }
    for benchmark in benchmarks
    for length in lengths[benchmark]
    for accuracy in [length.interval("accuracy")]
    for thinking in [length.interval("thinking_tokens")]
]
paper_rows = [
    {
        "benchmark": benchmark,
        "name": f"{tokens:,}",
        "thinking_tokens": thinking,
        "accuracy": percent / 100,
        "low": interval.low,
        "high": interval.high,
    }
    for benchmark, cells in table8["rows"].items()
    for tokens, (percent, thinking) in zip(table8["sequence_length"], cells)
    for interval in [wilson(right(benchmark, percent), questions[benchmark])]
]

# %% tags=["hide-input"]
all_runs = [
    run
    for benchmark in benchmarks
    for length in lengths[benchmark]
    for run in length.runs
]
show(
    tokens_and_accuracy(ours_rows, paper_rows),
    "sequence-length",
    alt="Accuracy against thinking tokens for each sequence length of "
    "training. Ours: "
    + "; ".join(
        f"{row['benchmark']} at {row['name']}: {100 * row['accuracy']:.1f}%, "
        f"{row['thinking_tokens']:.0f} tokens"
        for row in ours_rows
    )
    + ". The paper: "
    + "; ".join(
        f"{row['benchmark']} at {row['name']}: {100 * row['accuracy']:.1f}%, "
        f"{row['thinking_tokens']:,} tokens"
        for row in paper_rows
    )
    + ".",
    caption="Each point is a sequence length of training, with 95% intervals. "
    "Left: this profile; small dots are single seeds. Right: Table 8 of the "
    "paper.",
    runs=all_runs,
)

# %% [markdown]
# ## Does it change anything?
#
# Differences to the full length, paired by question and by seed.

# %%
changes = {}
for benchmark in benchmarks:
    *cut_lengths, whole = lengths[benchmark]
    for length in cut_lengths:
        changes[benchmark, length.tokens] = {
            value: length.minus(whole, value)
            for value in ("accuracy", "thinking_tokens", "cut_short")
        }
pd.DataFrame(
    {
        "benchmark": benchmark,
        "trained at": f"{tokens:,} less {full:,}",
        "accuracy, points": change["accuracy"].percent(),
        "thinking tokens": tokens_text(change["thinking_tokens"]),
        "cut short, points": change["cut_short"].percent(),
    }
    for (benchmark, tokens), change in changes.items()
).set_index(["benchmark", "trained at"])

# %% [markdown]
# And the paper's accuracies, as differences of two proportions:

# %%
paper_gaps = {}
for benchmark, ((low_percent, _), (high_percent, _)) in table8["rows"].items():
    n = questions[benchmark]
    paper_gaps[benchmark] = newcombe(
        right(benchmark, low_percent), n, right(benchmark, high_percent), n
    )
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
# A model learns when to stop from examples that stop. Cut at a sequence
# length, the only examples that still show the end of thinking are the short
# ones, so beyond the cut the model has never seen thinking end. The figure
# follows every generation: which share is still thinking after so many
# tokens?

# %% tags=["hide-input"]
longest_first = lengths[first][::-1]
show(
    still_thinking(
        [
            {
                "name": f"trained at {length.tokens:,}",
                "seeds": length.thinking_tokens(),
            }
            for length in longest_first
        ],
        cuts=[(tokens, f"cut at {tokens:,}") for tokens in shorter],
        title=f"Still thinking on {first}",
    ),
    "sequence-length-survival",
    alt="Share of generations still thinking against thinking tokens. "
    + "; ".join(
        f"trained at {length.tokens:,}, {before:.0%} think for more than "
        f"{shorter[-1]:,} tokens and {after:.0%} never stop by themselves"
        for length in longest_first
        for before in [length.past(shorter[-1])[0] / length.generations]
        for after in [length.interval("cut_short").estimate]
    )
    + ".",
    caption="Bold: all seeds together; thin: each seed. A curve that stays up "
    "until the limit is a model that does not stop.",
    runs=[run for length in longest_first for run in length.runs],
)

# %% [markdown]
# The same in numbers: of the generations that think for longer than any
# example that the shorter training saw, how many stop by themselves?

# %%
stops = {}
for benchmark in benchmarks:
    for length in lengths[benchmark]:
        stops[benchmark, length.tokens] = (
            length.past(shorter[-1]),
            length.past(0),
        )


def share(part, whole):
    return f"{part / whole:.1%}" if whole else "–"


pd.DataFrame(
    {
        "benchmark": benchmark,
        "trained at": f"{tokens:,}",
        f"think for more than {shorter[-1]:,}": f"{beyond:,} of {everyone:,}",
        "of those, stop by themselves": share(ended, beyond),
        "of all others, stop by themselves": share(
            all_ended - ended, everyone - beyond
        ),
    }
    for (benchmark, tokens), (
        (beyond, ended),
        (everyone, all_ended),
    ) in stops.items()
).set_index(["benchmark", "trained at"])

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]


def direction(interval):
    if interval.low > 0:
        return "grows"
    return "falls" if interval.high < 0 else "cannot be told apart"


found = []
for (benchmark, tokens), change in changes.items():
    less, more = (
        direction(change["accuracy"]),
        direction(change["thinking_tokens"]),
    )
    found.append(
        f"**{benchmark}, trained at {tokens:,} and not {full:,}.** Accuracy "
        f"{less} ({change['accuracy'].percent()} points"
        + (
            "; the paper: it falls). "
            if less != "falls"
            else ", as in the paper). "
        )
        + f"Thinking {more} ({tokens_text(change['thinking_tokens'])} tokens"
        + (
            ", as in the paper)."
            if more == "grows"
            else "; the paper: it grows)."
        )
    )
    (beyond, ended), _ = stops[benchmark, tokens]
    (beyond_full, ended_full), _ = stops[benchmark, full]
    found.append(
        f"**Why.** Past {shorter[-1]:,} tokens, {share(ended, beyond)} of the "
        f"generations of the model trained at {tokens:,} stop by themselves, "
        f"and {share(ended_full, beyond_full)} of those of the other."
        + (
            " What was never seen to end does not end, and an answer after "
            "thinking that ran into the limit is a guess."
            if beyond
            and beyond_full
            and ended / beyond < ended_full / beyond_full
            else " So the cut is not seen in how thinking ends."
        )
    )
touching = [b for b, gap in paper_gaps.items() if gap.low <= 0 <= gap.high]
found.append(
    "**The paper's own evidence.** Thinking grows on all three benchmarks. "
    f"The fall in accuracy has an interval that includes zero on "
    f"{', '.join(touching)}"
    + (
        "; what stands out is the number of tokens, not the accuracy."
        if len(touching) == len(paper_gaps)
        else "."
    )
)
Markdown("\n".join(f"- {line}" for line in found))

# %% [markdown]
# For anyone who trains on a smaller machine: look at what encoding reports
# before starting. A sequence length that cuts answers off trains a model not
# to answer; dropping the long examples, or paying for the length, are the
# alternatives. `s1core plan` says what a length needs in memory, and training
# refuses to cut silently.
