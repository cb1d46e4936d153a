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
# # Data curation: from 59K to 1K
#
# *Section 2 of the paper, Appendices C.1 to C.5, and the selection part of Table 2.*
#
# Sixteen sources give 59,029 questions. Each gets a reasoning trace from a teacher, is tried by two
# smaller models, and is classified into a subject. Then three criteria, in this order, leave 1,000:
# **quality** (no failed traces, no broken formatting), **difficulty** (neither model solves it) and
# **diversity** (subjects are drawn evenly, long traces first).
#
# :::{admonition} The claim
# :class: claim
# A thousand examples chosen for quality, difficulty and diversity train as good a model as all
# 59,029; chosen by any one of the three criteria, they do not (Table 2).
# :::
#
# This page is about the choosing: what goes in, what is dropped and why, what comes out. Whether it
# matters for accuracy is another question, which this book does not answer yet. Here every stage runs on the *pocket
# pool*, which is a tenth of the paper's in size and dirty in the same ways; the code is the same
# that selects from the paper's own sources.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import numpy as np
import pandas as pd
from s1core import selection
from s1lab import profiles
from s1lab.audit.published import published as published_numbers
from s1lab.data.audit import beside_paper, load_audit
from s1lab.data.baselines import BASELINES
from s1lab.data.sources import POOL, table7_name
from s1lab.figures.display import show
from s1lab.figures.forests import funnel as funnel_figure
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
curated = pipeline.curated  # whose pool is curated here from its raw state

# %% [markdown]
# ## What goes in
#
# Table 7 of the paper lists the sources. The registry of this package adds what one needs in order
# to fetch them again: the repository, the commit, the licence. Where no commit could be verified
# the column says so, and a load reads `main` and reports the commit it found.

# %%
pd.DataFrame(
    {
        "source": s.name,
        "questions": f"{s.rows:,}",
        "repository": s.hub_id,
        "commit": s.revision[:10] or "not verified",
        "licence": s.licence or "none stated",
    }
    for s in POOL
).set_index("source")

# %% [markdown]
# The pocket pool has one kind of question, a Countdown puzzle, and its dirt is put there on
# purpose: copies of evaluation puzzles in another order, puzzles of two numbers that any model
# solves, traces with formatting debris, traces that never arrived. A candidate is a question with
# its trace and the annotations that selection works on.

# %%
candidates, evaluation, config = curated.curation()
one = candidates[0]
print(one.question)
print(one.example.trace.thinking)
print(one.example.trace.attempt)

# %%
print(f"domain {one.domain}, {one.thinking_tokens} thinking tokens")
print(f"trace correct: {one.trace_correct}")
print(
    f"solved by the small model: {one.small_correct}, by the large one: "
    f"{one.large_correct}"
)

# %% [markdown]
# ## The funnel
#
# Each stage is a function from candidates to *kept* and *dropped with a reason*; the funnel below
# is the count of what they returned. A hollow point is what the paper's own stage left of its
# 59,029.

# %%
run = curated.selection()
funnel = selection.Funnel.from_json(run.read_json("funnel.json"))
rows = [
    row
    for row in beside_paper(funnel)
    if row["stage"] != "pre-selected" or funnel.preselected
]
text = ", ".join(f"{row['stage']} {row['kept']:,}" for row in rows)
show(
    funnel_figure(rows),
    "curation-funnel",
    alt=f"Bars of the questions left after each stage: {text}.",
    caption="What each stage of selection leaves of the pool. Hollow: the "
    "paper's share.",
    runs=[run],
)

# %% [markdown]
# Why a stage dropped what it dropped:

# %%
pd.DataFrame(
    {"stage": stage.name, "reason": reason, "questions": count}
    for stage in funnel.stages
    for reason, count in stage.reasons.items()
).set_index("stage")

# %% [markdown]
# ## Decontamination
#
# The paper drops a question that shares eight words in a row with MATH500, GPQA Diamond or AIME24.
# The pocket questions have fewer than eight words and are all alike, so they are compared as a
# whole, with their numbers sorted: `Use 8 3 7 to make 29` is a copy of `Use 3 7 8 to make 29`.

# %%
clean, dropped = selection.decontaminate(candidates, evaluation)
for copy in dropped[:3]:
    print(f"{copy.candidate.question}   ->   {copy.detail}")

# %% [markdown]
# Eight shared words are a blunt instrument. On the published s1K itself, whose questions (without
# GPQA's) were compared with the benchmarks once more, they find mostly turns of phrase:

# %%
audit = load_audit()
published = audit["published"]
pd.DataFrame(
    {
        "benchmark": name,
        "questions sharing 8 words": found["questions"],
        "of these from AIME 1983-2021": found["by_source"]["AIME 1983-2021"],
        "most common": found["most_common"][0][0],
    }
    for name, found in published["shared_8_grams"].items()
).set_index("benchmark")

# %%
copies = pd.DataFrame(published["near_duplicates"])
letter = (copies["key"] == copies["benchmark_key"]).sum()
print("at least half the same:", copies["benchmark"].value_counts().to_dict())
print(f"the same to the letter: {letter}")
print(f"worth at most {100 * len(copies) / 500:.1f} points on MATH500")

# %% [markdown]
# :::{admonition} Where we differ
# :class: differs
# Section 2.1 says the data are decontaminated against MATH500, GPQA Diamond and AIME24 by 8-grams.
# The published s1K does hold questions that share 8-grams with MATH500 and AIME24. Nearly all of
# them are old AIME questions, which in the official code join the pool by a script of their own,
# after decontamination, and share no more than a phrase. The few real copies, counted above by the
# similarity of whole questions, weigh little among 500.
# :::
#
# ## Difficulty
#
# A question stays only if neither the small nor the large base model answers it correctly: the
# upper left cell below.

# %%
checked, _, _ = selection.curate(candidates, evaluation, config)
pd.crosstab(
    pd.Series([c.small_correct for c in checked], name="small model solves it"),
    pd.Series([c.large_correct for c in checked], name="large model solves it"),
)

# %% [markdown]
# ## Diversity: Algorithm 1
#
# From what is left, a subject is drawn uniformly, and from that subject a question with weight
# $2^{-r}$, where $r = 0$ is the longest trace, $r = 1$ the next, and so on. A subject with few
# questions is drawn as often as one with many, and within a subject long traces come first.

# %%
hard, _ = selection.difficulty(checked)
chosen, _ = selection.diversify(
    hard, config.diversity, np.random.default_rng([SEED, 1000])
)
assert [c.key for c in chosen] == [e.key for e in curated.examples()]
counts = {"hard questions": hard, "selected": chosen}
domains = pd.DataFrame(
    {
        name: pd.Series([c.domain for c in group]).value_counts()
        for name, group in counts.items()
    }
)
domains.fillna(0).astype(int).sort_values(
    ["hard questions"], ascending=False, kind="stable"
)

# %%
pd.DataFrame(
    {
        name: np.percentile([c.thinking_tokens for c in group], [10, 50, 90])
        .round()
        .astype(int)
        for name, group in counts.items()
    },
    index=[
        "10% are shorter than",
        "half are shorter than",
        "90% are shorter than",
    ],
)

# %% [markdown]
# ### Two versions of the algorithm
#
# The paper prints one algorithm, and the notebook that made the data ran another. Both are in the
# package (`variant="paper"` and `variant="notebook"`).
#
# | | paper, Section 2.2 and Algorithm 1 | official notebook |
# |---|---|---|
# | after the formatting stage | 51,581 | 51,607 |
# | after the difficulty stage | 24,496 | 24,517 |
# | pre-selected (see below) | 384 | 393 |
# | domains | drawn uniformly to the end | weighted from 700 questions on |
# | subjects | 50 in the text, 51 in Table 6 | 51 |
# | seed | not stated | none |
#
# Pre-selected are AIME and GPQA questions with a correct trace, and MATH questions with a correct
# trace of more than 5,600 tokens. From its 700th question on, the notebook draws a subject as often
# as it occurs among the AIME questions, plus half as many from GPQA.
#
# Since the draw is random and its seed was not kept, nobody can select the published thousand
# again, its authors included: the 1,000 questions printed in their notebook are not the 1,000
# released.

# %%
print(
    f"{audit['shared_by_both']} of 1,000 in both, a Jaccard overlap of "
    f"{audit['jaccard']:.2f}"
)

# %% [markdown]
# How much should two runs of the same algorithm overlap? On the pocket pool one can simply draw
# again with other seeds. (The pool is small for its target and small subjects are taken whole, so
# the overlap is larger than it would be among 24,496 questions.)

# %%
draws = [
    {
        c.key
        for c in selection.diversify(
            hard, config.diversity, np.random.default_rng(seed)
        )[0]
    }
    for seed in range(6)
]
overlaps = [
    selection.jaccard(a, b) for i, a in enumerate(draws) for b in draws[:i]
]
print(f"Jaccard overlap of two draws: {np.mean(overlaps):.2f}")
print(f"lowest {min(overlaps):.2f}, highest {max(overlaps):.2f}")

# %% [markdown]
# ## The set that is trained on
#
# What the fine-tuning of this profile reads, by source: the selection above, or s1K as it was
# released, beside the number of questions that the paper's pool has from there (Table 7).

# %%
trained = pipeline.examples()
sources = pd.Series([table7_name(e.problem.source) for e in trained])
pool_rows = {s.name: f"{s.rows:,}" for s in POOL}
by_source = sources.value_counts(sort=False).sort_index().rename("trained on")
table = by_source.to_frame()
table.insert(
    0, "in the paper's pool", [pool_rows.get(name, "-") for name in table.index]
)
table.rename_axis("source")

# %%
words = [len(e.trace.thinking.split()) for e in trained]
print(f"{len(trained):,} examples")
print(f"words per thinking trace: {np.median(words):.0f} in the middle,")
print(f"{min(words):,} at least, {max(words):,} at most")

# %% [markdown]
# ## The other choices of Table 2
#
# The ablations of Section 5.1 keep one criterion each: a random thousand of good quality, a
# thousand spread over subjects, the thousand with the longest traces; and all of the pool.

# %%
unsolved = {c.key for c in hard}
picks = {"s1 (all three criteria)": chosen} | {
    name: pick(
        checked, config.diversity.target, np.random.default_rng([SEED, 1000])
    )
    for name, pick in BASELINES.items()
}
pd.DataFrame(
    {
        "selection": name,
        "questions": f"{len(group):,}",
        "subjects": len({c.domain for c in group}),
        "mean thinking tokens": round(
            float(np.mean([c.thinking_tokens for c in group]))
        ),
        "unsolved by both models": f"{np.mean([c.key in unsolved for c in group]):.0%}",
        "correct traces": f"{np.mean([c.trace_correct for c in group]):.0%}",
    }
    for name, group in picks.items()
).set_index("selection")

# %% [markdown]
# Correct traces are worth a look: the paper does not ask for them. The authors judged those of s1K
# and s1K-1.1 later:

# %%
for name in ("s1K", "s1K-1.1"):
    judged = published_numbers()["grading_of_traces"][name]
    print(
        f"{name}: {judged['correct']} of {sum(judged.values()):,} traces are "
        f"correct"
    )

# %% [markdown]
# To do the same on the paper's sources, give a folder of data files or let the loaders go to the
# Hub; the annotations (traces, grades, subjects) come from any OpenAI-compatible endpoint, priced
# before anything is asked. `python -m s1core.cli --help` lists the commands.
