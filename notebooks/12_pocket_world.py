# %% [markdown]
# # The pocket world
#
# *What the laptop profile is made of, and what did not work on the way. You need nothing but this page.*
#
# A 32B model cannot be trained on a laptop. But the paper's argument does not mention size: select examples,
# fine-tune on them, force budgets, measure. So the laptop profile runs that argument, with the package's own code and
# none of it special-cased, in a world small enough to finish in minutes: one task, one teacher, three small models.
# The models are Qwen2's, loaded by the same function as Qwen2.5-32B.
#
# What such a world can show is whether a *mechanism* does what is said of it, with hundreds of questions and narrow
# intervals. What it cannot show is how large an effect is on competition mathematics.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown
from s1core.checkpoints import locate
from s1core.grading.countdown import check
from s1lab import pocket
from s1lab.book.chapter import open_chapter
from s1lab.figures.curves import loss_curve
from s1lab.pocket import pool, pretrain, teacher, world

chapter = open_chapter("pocket", PROFILE, SEED)

# %% [markdown]
# ## The task
#
# *Countdown* {cite}`gandhi2024stream`: use each number once, with `+ - * /`, to make a target. An answer is checked
# exactly, by arithmetic on fractions; there is no judge to argue with.

# %%
puzzle = world.evaluation_puzzles()[0]
tries = world.chains(tuple(sorted(puzzle.numbers)))
hits = world.solutions(puzzle)
print(puzzle.question, "->", hits[0].expression)
print(len(tries), "tries on these numbers,", len(hits), "of them right")
check(puzzle.question, hits[0].expression)

# %% [markdown]
# There are {glue:text}`pocket_pairs` solvable puzzles with two numbers and {glue:text}`pocket_triples` with three, between
# {glue:text}`pocket_smallest` and {glue:text}`pocket_largest` each, with results up to {glue:text}`pocket_cap`. {glue:text}`pocket_held_out` of the
# three-number puzzles are held out: no model and no pool ever sees them, in any order of the numbers (a test asserts
# it), but for the {glue:text}`pocket_leaked` of the pool that leak on purpose, so that decontamination has something to find.
#
# **What to keep.** Choose a task whose answers can be checked, and hold questions out before anything is trained.
#
# ## The teacher
#
# The paper's traces come from Gemini. Here a program tries chains in random order, judges each, and stops at the
# first that it believes. It slips like any teacher, and repairs most slips after a "Wait", which is where a model can
# learn what the word is for. One of its shorter traces with a slip:

# %%
rng = np.random.default_rng(SEED)
thinking, believed = teacher.think(puzzle, rng)
while "Wait" not in thinking or thinking.count("\n") > 8:
    thinking, believed = teacher.think(puzzle, rng)
print(thinking)

# %% tags=["remove-input"]
for n, name in ((2, "pairs"), (3, "triples")):
    chapter.number(name, sum(1 for _ in world.all_puzzles(n)))
chapter.numbers(smallest=world.SMALLEST, largest=world.LARGEST)
chapter.numbers(cap=world.CAP, held_out=world.EVAL_SIZE)
chapter.number("leaked", pool.SHARES["leaked"], "%", 0)
habits, puzzles = teacher.Habits(), world.training_puzzles(3)[:2000]
sample = [teacher.example(puzzle, rng) for puzzle in puzzles]
waits = np.mean(["Wait" in made.trace.thinking for made in sample])
right = np.mean([pool.trace_correct(made) for made in sample])
chapter.numbers("%", waits=waits, right=right, slip=habits.slip)
chapter.numbers("%", repair=habits.repair, double_check=habits.double_check)
chapter.numbers(sample=len(sample))

# %% [markdown]
# It calls a wrong try right with probability {glue:text}`pocket_slip`, notices {glue:text}`pocket_repair` of those slips, and checks
# {glue:text}`pocket_double_check` of its right tries a second time. Of {glue:text}`pocket_sample` traces {glue:text}`pocket_waits` contain a Wait and
# {glue:text}`pocket_right` are right.
#
# :::{admonition} Predict before you go on
# :class: exercise
# A try costs thirteen tokens. What happens to the share of right answers when the thinking is cut after 64 tokens,
# and why can it not be close to zero?
# :::
#
# :::{admonition} An answer
# :class: dropdown
# Five tries fit. The model has seen answers to puzzles in its pretraining, so it can guess, and some puzzles are hit
# early. The [introduction](00_introduction) has the measured point; the [model in the page](03_budget_forcing) has a
# cap to set.
# :::
#
# **What to keep.** Tokens are tries here. Whatever a longer budget buys is more tries, or a second look at one.
#
# ## The models
#
# Two base models are the graders of the difficulty stage, and the larger of them is what is fine-tuned. Their
# pretraining shows them arithmetic, searches and chat, but never a think delimiter and never a "Wait": those come
# with the thousand examples.

# %% tags=["hide-input"]
chapter.table(pocket.described())

# %% [markdown]
# The skills were measured on the held-out puzzles when the models were made: *arithmetic* is steps that the model
# writes and that are right, *numbers* lines that use each number once, *verdict* right judgements of given lines, and
# *direct* puzzles answered at once, without thinking. `pocket-s1` is `pocket-large` fine-tuned by this profile.

# %% tags=["hide-input"]
recipe = pretrain.RECIPES["large"]
log = pd.read_json(Path(locate("pocket-large"), "log.jsonl"), lines=True)
log["lr"] = [recipe.lr * pretrain.schedule(recipe, step) for step in log.step]
chapter.figure(
    loss_curve(log, title="Pretraining of pocket-large"),
    "pretraining",
    "The pretraining loss of the large pocket model falls and flattens out.",
    caption="Pretraining loss and learning rate of the model that is fine-tuned "
    "here. One CPU core repeats it: s1lab pocket pretrain large.",
)

# %% [markdown]
# **What to keep.** Measure a base model before you fine-tune it: only what it lacked can be owed to the examples.
#
# ## What was tried, and did not work
#
# Each of the following was a plan first. The numbers are notes from single runs.

# %% tags=["remove-input"]
tried = files("s1lab.pocket").joinpath("TRIED.md").read_text(encoding="utf-8")
Markdown(tried.split("\n\n", 2)[2])

# %% [markdown]
# **What to keep.** "Wait" helps a model that has learned to look at a line twice. Where copying a line was never
# learned, every Wait hurt.
#
# ## What is kinder here than in the paper, and what is not
#
# - **The word was taught.** The teacher writes "Wait" before every repair. A large model knows the word from its
#   pretraining; ours knows it from a thousand examples that use it well.
# - **Tokens are tries.** Each try costs thirteen tokens, so a budget in tokens is a budget in tries. Proofs differ.
# - **Guessing does not pay.** There are no four options to choose from, and no common answers.
#
# **What to keep.** Carry a mechanism from here to a large model, never a size. What fails even in a kind world
# deserves doubt elsewhere; what works in it has still to be shown there.
