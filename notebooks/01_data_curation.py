# %% [markdown]
# # Data curation: from 59K to 1K
#
# *Section 2 of the paper, Appendices C.1 to C.5, and the selection part of Table 2. You need the puzzle of the
# [introduction](00_introduction).*
#
# Sixteen sources give 59,029 questions. Each gets a reasoning trace from a teacher, is tried by two smaller models,
# and is classified into a subject. Then three criteria, in this order, leave 1,000: **quality** (no failed trace, no
# broken formatting), **difficulty** (no model solves it) and **diversity** (subjects drawn evenly, long traces
# first).
#
# :::{admonition} The claim
# :class: claim
# A thousand examples chosen for quality, difficulty and diversity train as good a model as all 59,029; chosen by any
# one of the three criteria, they do not (Table 2).
# :::
#
# :::{admonition} What comes out here
# :class: differs
# The choosing can be repeated, and this page does it stage by stage. The published thousand cannot be chosen again by
# anyone: the draw is random and its seed was not kept. Whether the choice matters for accuracy is measured in [data
# ablations](05_data_ablations): only in part.
# :::
#
#

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import numpy as np
from s1lab.analysis import training
from s1lab.book.chapter import open_chapter
from s1lab.figures.forests import funnel

chapter = open_chapter("curation", PROFILE, SEED)
curation = training.Curation(chapter.pipeline)
audit = training.load_audit()

# %% [markdown]
# ## What goes in
#
# Table 7 of the paper lists the sources. The registry of this package adds what one needs in order to fetch them
# again: the repository, the commit, the licence. Where no commit could be verified the column says so, and a load
# reads `main` and reports the commit it found.

# %% tags=["hide-output"]
chapter.table(training.sources())

# %% [markdown]
# Here every stage runs on the *pocket pool*, a tenth of the paper's in size, by the same code. Its questions are
# Countdown puzzles, and its dirt is put there on purpose: copies of evaluation puzzles in another order, puzzles of
# two numbers that any model solves, traces with formatting debris, traces that never arrived. A candidate is a
# question with its trace and the annotations that selection works on.

# %%
one = curation.candidates[0]
trace = one.example.trace
print(one.question, trace.thinking, trace.attempt, sep="\n")
print("subject:", one.domain, "| correct:", one.trace_correct)
print("small solves it:", one.small_correct, "| large:", one.large_correct)

# %% [markdown]
# **What to keep.** Note commit and licence of every source on the day you fetch it, or nobody can make the set again.
#
# ## The funnel
#
# Each stage is a function from candidates to *kept* and *dropped with a reason*; the funnel below is the count of
# what they returned. A hollow point is what the paper's own stage left of its 59,029. The table has the reasons.

# %% tags=["hide-input"]
chapter.figure(
    funnel(curation.stages()),
    "funnel",
    "Bars of the questions left after each stage.",
    caption="What each stage of selection leaves of the pool.",
    runs=[curation.run],
)

# %% tags=["hide-input"]
chapter.table(curation.reasons())

# %% [markdown]
# **What to keep.** Cleaning takes little; asking that two models fail takes most. Let every stage say why it dropped
# a question, or nobody can tell which of them chose the set.
#
# ## Decontamination
#
# The paper drops a question that shares eight words in a row with MATH500, GPQA Diamond or AIME24. The pocket
# questions have fewer than eight words and are all alike, so they are compared as a whole, with their numbers sorted:

# %% tags=["hide-input"]
chapter.table(curation.copies()[:3])

# %% [markdown]
# Eight shared words are a blunt instrument. On the published s1K itself, whose questions (without GPQA's) were
# compared with the benchmarks once more, they find mostly turns of phrase:

# %% tags=["hide-input"]
chapter.table(training.shared_8_grams())
near = audit["published"]["near_duplicates"]
letter = [copy for copy in near if copy["key"] == copy["benchmark_key"]]
chapter.numbers(near=len(near), letter=len(letter))
chapter.number("worth", len(near) / 500, "%")
chapter.says("near_in", {copy["benchmark"] for copy in near}, {"MATH500"})

# %% [markdown]
# :::{admonition} Where it differs
# :class: differs
# By the paper's own rule none of these should be there. Most are old AIME questions, which in the official code join
# the pool by a script of their own, after decontamination, and share no more than a phrase. Compared as whole
# questions, {glue:text}`curation_near` are at least half the same as one of MATH500{glue:text}`curation_near_in`, {glue:text}`curation_letter` to the
# letter: worth at most {glue:text}`curation_worth` of that benchmark.
# :::
#
# **What to keep.** Check the set that you release and not only the pool that you filtered: what joins later passes no
# filter. And read what a rule of shared words finds before you count it.
#
# ## Difficulty
#
# A question stays only if neither the small nor the large base model answers it correctly: the upper left cell.

# %% tags=["hide-input"]
chapter.table(curation.solved())

# %% [markdown]
# **What to keep.** A question is not hard by itself. It is hard for the two models that were asked.
#
# ## Diversity: Algorithm 1
#
# From what is left, a subject is drawn uniformly, and from that subject a question with weight $2^{-r}$, where
# $r = 0$ is the longest trace, $r = 1$ the next, and so on. A subject with few questions is drawn as often as one
# with many, and within a subject long traces come first.
#
# :::{admonition} Before you look
# :class: exercise
# Subjects are drawn evenly, and nothing was asked of length. Will the selected traces be shorter than the hard ones
# they are drawn from, as long, or longer?
# :::

# %% tags=["hide-output"]
chapter.table(curation.subjects())

# %% [markdown]
# :::{admonition} The answer
# :class: dropdown
# Longer{glue:text}`curation_longer`: half of the hard traces have more than {glue:text}`curation_hard` tokens, half of the selected more
# than {glue:text}`curation_chosen`. The weights do it: the longest trace of a subject is drawn with probability one half. What
# the paper calls diversity is to a good part a choice of length.
# :::
#
# ### Two versions of the algorithm
#
# The paper prints one algorithm, and the notebook that made the data ran another. Both are in the package
# (`variant="paper"` and `variant="notebook"`).

# %% tags=["hide-input"]
chapter.table(training.versions())

# %% [markdown]
# Pre-selected are AIME and GPQA questions with a correct trace, and MATH questions with a correct trace of more than
# 5,600 tokens. From its 700th question on, the notebook draws a subject as often as it occurs among the AIME
# questions, plus half as many from GPQA.
#
# The 1,000 questions printed in the authors' notebook are not the 1,000 released. How much should two runs of the
# same algorithm overlap? On the pocket pool one can simply draw again with other seeds.

# %%
overlap = curation.overlap()
print("two draws here, on average", round(overlap, 2))

# %% tags=["remove-input"]
chapter.number("jaccard", audit["jaccard"], digits=2)
chapter.number("shared", audit["shared_by_both"])
chapter.number("overlap", overlap, digits=2)
hard, chosen = (
    round(np.median([c.thinking_tokens for c in group]))
    for group in (curation.hard, curation.chosen)
)
chapter.numbers(hard=hard, chosen=chosen)
chapter.says("longer", chosen > hard)

# %% [markdown]
# The printed and the released thousand share {glue:text}`curation_shared` questions, a Jaccard overlap of {glue:text}`curation_jaccard`; two
# draws here {glue:text}`curation_overlap`. (It would be smaller in the paper's pool: here small subjects are taken whole.)
#
# Nobody asked for correct traces: [explore](10_explore) says how many are right, in the pool and in s1K.
#
# **What to keep.** "The s1K" is one draw of many. Every number that hangs on these questions carries the luck of that
# draw, which no interval over test questions shows.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# The funnel has the paper's shape: quality takes little, difficulty most.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# - **Diversity** favours length as much as variety, and the draw that was published cannot be repeated.
# - **Decontamination** left questions in s1K that its own rule would have dropped.
# :::
#
# **What to keep.** An algorithm that draws at random is not told by its steps alone. Publish the seed, or the draw.
