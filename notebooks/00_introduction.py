# %% [markdown]
# # Introduction: more thinking, better answers?
#
# *Sections 1 and 3 of the paper, Figures 1 and 4a. [How to read](../reading) explains the colours. You need nothing
# else.*
#
# A language model that reasons before it answers has a dial that other models lack: how long it thinks. The paper
# {cite}`muennighoff2025s1` turns this dial by hand. Its model, s1-32B, was fine-tuned on only 1,000 examples with
# reasoning traces; after that, its decoder decides when thinking ends. To shorten it, the decoder writes the
# end-of-thinking delimiter; to prolong it, it takes that away and writes "Wait". That is **budget forcing**.
#
# :::{admonition} The claim
# :class: claim
# Accuracy rises with the number of thinking tokens that the decoder allows, over more than an order of magnitude
# (Figure 1), and forcing the model past its natural end adds to it, from 50.0% to 56.7% on AIME24 (Figure 4a, Table
# 1).
# :::
#
# :::{admonition} What comes out here
# :class: agrees
# In a small world, both halves hold: more thinking gives more right answers, and two Waits are worth
# {glue:text}`introduction_gain_2`. But where the paper sees the gain flatten out, ours is lost again: the last doubling of Waits is
# worth {glue:text}`introduction_last`.
# :::
#
#

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from IPython.display import HTML
from s1lab import experiments
from s1lab.analysis import claims, results
from s1lab.audit import published
from s1lab.book.chapter import open_chapter
from s1lab.evaluation import scaling_per_doubling
from s1lab.evaluation.measure import difference, read_samples
from s1lab.figures.curves import BENCHMARKS, headline
from s1lab.figures.interactive import interactive_curve

chapter = open_chapter("introduction", PROFILE, SEED)
pipeline, benchmark = chapter.pipeline, chapter.benchmark
natural = experiments.natural(chapter.profile)
conditions = experiments.curve(chapter.profile)
points = pipeline.curve(benchmark)

# %% [markdown]
# ## One puzzle
#
# The task is *Countdown*: use each of three given numbers once, with `+ - * /`, to make a target. Thinking is a list
# of tries, each judged `yes` or `no`. Here is a puzzle that the model never saw, with its thinking and its answer:

# %%
kept = results.kept(pipeline, natural)
puzzle, trace, verdict = sorted(kept, key=lambda k: k[1].thinking_tokens)[:4][
    -1
]
print(puzzle.question, "", trace.thinking[:1000].strip(), "", sep="\n")
print(trace.answer[:200], "->", verdict.status)

# %% [markdown]
# All else is the paper's recipe, much smaller. A pool of puzzles is [curated](01_data_curation), a base model of 0.8
# million parameters is [fine-tuned](02_training) on the selected traces, and the [decoder forces
# budgets](03_budget_forcing). The same cells run a 32B model under the `paper` profile; [the pocket
# world](12_pocket_world) says what a small one can show.
#
# **What to keep.** Before you ask how long a model should think, ask what its thinking consists of. Here it is tries,
# so more room means more chances to hit.
#
# ## Accuracy against thinking tokens
#
# Each point is one budget, measured on {glue:text}`introduction_questions` held-out questions with {glue:text}`introduction_samples` answers each at
# temperature {glue:text}`introduction_temperature`. Capping and Wait are two interventions, so they have two colours.

# %% tags=["hide-input"]
chapter.figure(
    headline({f"Ours: {benchmark}": points}),
    "scaling",
    "Accuracy rises with the cap, then with one or two Waits, then falls.",
    caption="Accuracy against average thinking tokens, with 95% intervals. Left: "
    "this profile. Right: Figure 1 of the paper, read off its vector graphic.",
    runs=[p.run for p in points],
)
asked, stopped = chapter.profile.evaluation, pipeline.point(natural)
chapter.numbers(questions=stopped.accuracy.n, samples=asked.samples)
chapter.number("temperature", f"{asked.temperature:g}")
chapter.number("missing", ", ".join(pipeline.missing) or "nothing")

# %% [markdown]
# The same in numbers (missing from this profile: {glue:text}`introduction_missing`). *Cut short* is the share of traces whose thinking
# the decoder or the end of the context ended.

# %% tags=["hide-input"]
chapter.table(results.line(pipeline, c) for c in conditions)
rising = [p.accuracy.estimate for p in points if p.kind != "wait"]
chapter.says("steps", sorted(rising) == rising)
chapter.numbers(first=points[0].accuracy, first_label=points[0].label)
chapter.numbers(natural=stopped.accuracy)
longer = difference(pipeline.run(natural), pipeline.run(conditions[0]))
chapter.number("longer", longer, "points", says="higher")
found = chapter.ask(claims.slope, pipeline, "capping", 1)
slope, unit = (found.interval, found.unit) if found else (None, "")
chapter.number("slope", slope, unit, says="higher")
printed = published.published()["figure1"]["points"]
for name in BENCHMARKS:
    slope = scaling_per_doubling(*zip(*printed[name]))
    chapter.number(name.split()[0], slope)

# %% [markdown]
# Every step to a larger budget raises the accuracy{glue:text}`introduction_steps`, from {glue:text}`introduction_first` under a cap of
# {glue:text}`introduction_first_label` to {glue:text}`introduction_natural` where the model stops by itself: a gain of {glue:text}`introduction_longer`. The paper sums up
# such a curve as *Scaling* (Equation 2), the average slope over all pairs of points. Its numbers come out as points
# per **doubling** of thinking tokens ([the audit](09_audit) shows how we know), so that is the unit here: capping
# gains {glue:text}`introduction_slope`. The points of Figure 1 give {glue:text}`introduction_MATH500` on MATH500, {glue:text}`introduction_GPQA` on GPQA Diamond
# and {glue:text}`introduction_AIME24` on AIME24.
#
# ### Explore
#
# An average hides what it is made of. Choose a condition: each cell is one question, filled by how often it was
# answered correctly. Move along the curve and watch what a larger budget adds and a Wait takes away.

# %% tags=["hide-input"]
samples = [read_samples(pipeline.run(c)) for c in conditions]
look = {"caption": "Ours, question by question, with 95% intervals."}
asked = pipeline.problems(benchmark)
HTML(
    interactive_curve(
        points, samples, asked, name=f"{chapter.name}-explore", **look
    )
)

# %% [markdown]
# **What to keep.** Most of the rise is made by *not cutting thinking off*. That says little about the model and much
# about the cap: later work on s1 itself finds the same {cite}`wu2025simple`.
#
# ## Does "Wait" help?
#
# :::{admonition} Before you look
# :class: exercise
# One Wait makes the model go on once, eight make it go on up to eight times. If one Wait adds some points, what do
# eight add: more, the same, or less? Write your guess down.
# :::
#
# Each row is a difference to no Wait on the same questions, with its 95% interval. *Mended* is the share of answers
# that were wrong without a Wait and are right with it, *broken* the other way round. The sampling noise of both is
# the same up to the first Wait.

# %% tags=["hide-input"]
waited = results.by_waits(pipeline)
chapter.table(waited)
gains = {f"gain_{r['Waits']}": r["against none (points)"] for r in waited}
words = dict(gain_1="higher", gain_2="higher", gain_8="cannot tell")
chapter.take(gains, "points", **words)
best, most = max(points, key=lambda p: p.accuracy.estimate), waited[-1:]
chapter.number("best", best.accuracy)
chapter.says("best_label", best.label, "Wait 2x")
for name in ("mended", "broken"):
    chapter.number(name, most[0][f"{name} (%)"] if most else None, "%")
chapter.number("cut", points[-1].cut_short, "%")
chapter.number("last", results.last_step(pipeline), "points", says="lower")
forced = published.accuracy_of("Table 1", "s1-32B", "AIME24")
plain = published.accuracy_of("Table 1", "s1 w/o BF", "AIME24")
chapter.numbers(forced=forced.interval, forced_n=forced.correct)
chapter.numbers(plain=plain.interval, plain_n=plain.correct)
chapter.says("overlap", forced.interval.overlaps(plain.interval))

# %% [markdown]
# One Wait is worth {glue:text}`introduction_gain_1`, two are worth {glue:text}`introduction_gain_2`, and that is the best point of the whole curve,
# {glue:text}`introduction_best`{glue:text}`introduction_best_label`.
#
# :::{admonition} And eight?
# :class: dropdown
# Eight Waits against none: {glue:text}`introduction_gain_8`. They still mend {glue:text}`introduction_mended` of all answers, as many as two do, but
# they break {glue:text}`introduction_broken`: a model that is asked often enough whether it is sure gives up right answers, and
# {glue:text}`introduction_cut` of the traces run out of room while they are still thinking. Against four Waits, eight are worth
# {glue:text}`introduction_last`. Try it on a single puzzle, with the model in [budget forcing](03_budget_forcing).
# :::
#
# For the paper's own headline the same question has this answer: {glue:text}`introduction_forced_n` of 30 with budget forcing is
# {glue:text}`introduction_forced`, {glue:text}`introduction_plain_n` of 30 without is {glue:text}`introduction_plain`. The intervals overlap{glue:text}`introduction_overlap`: AIME24
# alone cannot tell whether Wait helped.
#
# **What to keep.** A Wait asks for a second look, and second looks break as well as mend. A benchmark sees only their
# sum, so count both.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# Accuracy rises with the budget, by {glue:text}`introduction_longer` from the smallest cap to the natural end and per doubling about
# as steeply as the paper's; two Waits extend the curve.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# More is not better. The paper's Figure 4a flattens out at six Waits, ours falls; its released logs
# ([results](04_results)) come back to where they began at eight.
# :::
#
# The [pocket world](12_pocket_world) is kinder to the claim than AIME is: the model has *learned* what a Wait is for,
# and tokens really are tries. That accuracy rises and then falls with thinking length was found on large models too
# {cite}`ghosal2025thinking`.
#
# **What to keep.** Compare a small model with a large one by the shape of its curve, not by its height.
