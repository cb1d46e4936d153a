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
# # Appendix: the pocket world
#
# *What the laptop profile is made of, and what did not work on the way.*
#
# A 32B model cannot be trained on a laptop. But the paper's argument does not mention size: select
# examples, fine-tune on them, force budgets, measure. So the laptop profile runs that argument, with
# the package's own code and none of it special-cased, in a world small enough to finish in minutes:
# one task, one teacher, three small models. They are Qwen2 models with a chat template and the
# delimiters of s1, loaded by the same function as Qwen2.5-32B.
#
# What such a world can show is whether a *mechanism* does what is said of it, with hundreds of
# questions and narrow intervals. What it cannot show is how large an effect is on competition
# mathematics.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown
from s1core import templates
from s1core.checkpoints import locate
from s1core.grading.countdown import check
from s1lab import pocket, profiles
from s1lab.figures.display import show
from s1lab.figures.runs import loss_curve
from s1lab.pocket import pool, pretrain, teacher, world

profile = profiles.load(PROFILE).with_seed(SEED)

# %% [markdown]
# ## The task
#
# *Countdown* {cite}`gandhi2024stream`: use each number once, with `+ - * /`, to make a target. An
# answer is checked exactly, by arithmetic on fractions; there is no judge to argue with.

# %%
puzzle = world.evaluation_puzzles()[0]
tries = world.chains(tuple(sorted(puzzle.numbers)))
hits = world.solutions(puzzle)
print(puzzle.question)
print(
    f"{len(tries)} tries on these numbers, {len(hits)} of them right: "
    f"{hits[0].expression}"
)
check(puzzle.question, hits[0].expression)

# %%
counts = {n: sum(1 for _ in world.all_puzzles(n)) for n in (2, 3)}
Markdown(
    f"There are {counts[2]:,} solvable puzzles with two numbers and "
    f"{counts[3]:,} with three, between {world.SMALLEST} and {world.LARGEST} "
    f"each, with results up to {world.CAP}. "
    f"{world.EVAL_SIZE} of the three-number puzzles are held out: no model "
    "and no pool ever sees them, in any order of the numbers (a test asserts "
    f"it), but for the {pool.SHARES['leaked']:.0%} of the pool that leak on "
    "purpose, so that decontamination has something to find."
)

# %% [markdown]
# ## The teacher
#
# The paper's traces come from Gemini. Here a program tries chains in random order, judges each, and
# stops at the first that it believes. It slips like any teacher, and repairs most slips after a
# "Wait", which is where a model can learn what the word is for.

# %%
rng = np.random.default_rng(SEED)
thinking, believed = teacher.think(puzzle, rng)
while "Wait" not in thinking or thinking.count("\n") > 8:  # a short one
    thinking, believed = teacher.think(puzzle, rng)
print(thinking)

# %%
habits = teacher.Habits()
sample = [
    teacher.example(puzzle, rng) for puzzle in world.training_puzzles(3)[:2000]
]
words = Counter()
for made in sample:
    words["Wait"] += "Wait" in made.trace.thinking
    words["right"] += pool.trace_correct(made)
Markdown(
    f"It calls a wrong try right with probability {habits.slip:.0%}, notices "
    f"{habits.repair:.0%} of those slips, and checks {habits.double_check:.0%} "
    f"of its right tries a second time. Of 2,000 traces "
    f"{words['Wait'] / len(sample):.0%} contain a Wait and "
    f"{words['right'] / len(sample):.0%} are right."
)

# %% [markdown]
# ## The models
#
# Two base models, the graders of the difficulty stage, and the larger of them is what is fine-tuned.
# Their pretraining shows them arithmetic, searches and chat, but never a think delimiter and never a
# "Wait": those come with the thousand examples. A word is a token, so a line of thinking is thirteen.

# %%
rows = []
for size in pocket.SIZES:
    folder = Path(locate(f"pocket-{size}"))
    config = json.loads((folder / "config.json").read_text())
    skills = folder / "skills.json"
    measured = json.loads(skills.read_text()) if skills.is_file() else {}
    rows.append(
        {
            "model": f"pocket-{size}",
            "layers": config["num_hidden_layers"],
            "hidden": config["hidden_size"],
            "context": config["max_position_embeddings"],
            "parameters": f"{pocket.load_model(size).num_parameters():,}",
            **{name: f"{value:.1%}" for name, value in measured.items()},
        }
    )
pd.DataFrame(rows).fillna("–").set_index("model")

# %% [markdown]
# The skills were measured on the held-out puzzles when the models were made: *arithmetic* is steps
# that the model writes and that are right, *numbers* lines that use each number once, *verdict* right
# judgements of given lines, and *direct* puzzles answered at once, without thinking. `pocket-s1` is
# `pocket-large` fine-tuned by this profile.

# %% tags=["hide-input"]
log = Path(locate("pocket-large"), "log.jsonl").read_text().splitlines()
large = pd.DataFrame(json.loads(line) for line in log)
recipe = pretrain.RECIPES["large"]
large["lr"] = [
    recipe.lr * pretrain.schedule(recipe, step) for step in large["step"]
]
show(
    loss_curve(large, title="Pretraining of pocket-large"),
    "pocket-pretraining",
    alt=f"The pretraining loss of the large pocket model falls from "
    f"{large['loss'].iloc[0]:.2f} to {large['loss'].iloc[-1]:.2f} nats per "
    f"token over {large['step'].iloc[-1] + 1:,} steps.",
    caption="Pretraining loss and learning rate of the model that is "
    "fine-tuned here. One CPU core repeats it: s1lab pocket pretrain large.",
)

# %% [markdown]
# ## What the model sees
#
# The same chat template and the same delimiters as s1's:

# %%
tokenizer = pocket.load_tokenizer()
prompt = templates.prompt_ids(profile.template, tokenizer, puzzle.question)
print(tokenizer.decode(prompt))
print(f"{len(tokenizer):,} tokens in the vocabulary")

# %% [markdown]
# ## What was tried, and did not work
#
# A world that works looks as if it had to. It did not: each of the following was a plan first. The
# numbers are notes from single runs.

# %% tags=["remove-input"]
from importlib.resources import files

tried = files("s1lab.pocket").joinpath("TRIED.md").read_text(encoding="utf-8")
Markdown(tried.split("\n\n", 2)[2])

# %% [markdown]
# ## What is kinder here than in the paper, and what is not
#
# - **The word was taught.** The teacher writes "Wait" before every repair. A large model knows the
#   word from its pretraining; ours knows it from a thousand examples that use it well.
# - **Tokens are tries.** Each try costs thirteen tokens, so a budget in tokens is a budget in tries.
#   Proofs are not like that.
# - **Guessing does not pay.** There are no four options to choose from, and no common answers.
# - **Nothing is hidden.** The model, the data and the grader are all here; when a result looks wrong,
#   one can read why ({doc}`10_explore`).
