# %% [markdown]
# # Your own model
#
# *Budget forcing on a model that you have: with transformers, vLLM, or any server that completes text. You need
# [budget forcing](03_budget_forcing) and a little Python.*
#
# Budget forcing needs three things of a model: a prompt that ends where thinking begins, a way to see that it wants
# to stop thinking, and an engine that goes on from tokens that the model did not choose. The first two are a
# *template*, the third a *backend*. What runs on this page runs for real, on the pocket model that ships with the
# package; what needs a download or a GPU is shown as a command.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from functools import partial
from statistics import mean

from IPython.display import HTML
from s1core.checkpoints import locate
from s1core.grading import grade
from s1lab import pocket
from s1lab.book.chapter import open_chapter
from s1lab.evaluation import wilson
from s1lab.figures.trace import trace_html

chapter = open_chapter("own", PROFILE, SEED)

# %% [markdown]
# ## Five lines
#
# A model folder or a name on the Hub, a question, a budget. Put your own in place of the pocket model.

# %%
from s1core.backends.hf import HFBackend
from s1core.forcing import Budget, generate

backend = HFBackend.from_pretrained(locate("pocket-s1"))
problems = pocket.evaluation_problems(24)
answer = partial(generate, backend, problems, template="s1", seed=SEED)
made = list(answer(Budget(400, num_ignore=1, max_answer=24), temperature=1.0))
print(problems[0].question, "->", made[0].answer)

# %% [markdown]
# Here is the shortest generation that was told to wait; what the decoder wrote is boxed:

# %%
pairs = [pair for pair in zip(problems, made) if pair[1].waits_used]
problem, done = min(pairs, key=lambda pair: pair[1].thinking_tokens)
verdict = grade(problem, done, "countdown")
HTML(trace_html(done, backend.tokenizer, problem, verdict, separator="\n"))

# %% [markdown]
# `num_ignore` is how often the end of thinking is replaced (`ignore_str`, by default "Wait"); `max_thinking` is where
# the decoder ends it. The same questions under four budgets:
#
# :::{admonition} Predict before you look
# :class: exercise
# Under which of the four budgets is every trace cut? And will "Wait twice" get its two Waits on every question?
# :::

# %%
budgets = {
    "no thinking": Budget(0, max_answer=24),
    "at most 40 tokens": Budget(40, max_answer=24),
    "as it comes": Budget(400, max_answer=24),
    "Wait twice": Budget(400, num_ignore=2, max_answer=24),
}
found = {n: list(answer(b, temperature=1.0)) for n, b in budgets.items()}

# %% tags=["hide-input"]
right = {
    name: sum(grade(*p, "countdown").correct for p in zip(problems, made))
    for name, made in found.items()
}
chapter.table(
    {"budget": name, "n": len(made), "correct (%)": wilson(right[name], 24)}
    | {"thinking (tokens)": mean(g.thinking_tokens for g in made)}
    | {"Waits used": sum(g.waits_used for g in made)}
    | {"traces cut": sum(g.outcome != "ended" for g in made)}
    for name, made in found.items()
)

# %% [markdown]
# :::{admonition} What to look for
# :class: dropdown
# Without a budget every trace is cut before it begins. And a Wait is written only where the model wants to stop: a
# trace that is cut first gets none. The last two columns count both.
# :::
#
# Two dozen questions tell nothing about a model ([the audit](09_audit)); they tell whether everything is connected.
#
# **What to keep.** A budget is a limit and a number of refused ends. All else about a generation is the model's.
#
# ## Which template?
#
# A template says how the question is asked and which tokens open and close the thinking; {doc}`../engines` lists
# those that ship. A model with `<think>` tags (DeepSeek-R1 and its distillations, Qwen3, and most that came after)
# takes `deepseek-r1` or `qwen3`. It does not have to know "Wait" from training; whether the word helps it is what you
# are about to measure.
#
# ```bash
# s1core generate --model Qwen/Qwen3-0.6B --template qwen3 --benchmark AIME24 \
#                 --budget 4096 --waits 2 --output out.jsonl
# s1core grade out.jsonl --benchmark AIME24
# ```
#
# **What to keep.** Look at one raw generation before you make a thousand: a wrong template looks like a bad model.
#
# ## Which engine?
#
# Use transformers on a laptop or for a look inside, vLLM for many questions on GPUs, and a completions server (vLLM,
# llama.cpp, SGLang) where the model runs elsewhere. All of them step the same state machine, and {doc}`../engines`
# says what was measured of each, with the commands.
#
# **What to keep.** Any server will do that *completes*, since what was forced is part of the prefix. A chat endpoint
# will not: it cannot be told how the model's own turn begins.
#
# ## Your own questions
#
# Questions are JSON lines, `{"question": "How many r are in raspberry?", "answer": "3"}`; without an answer, no
# grade.
#
# ```bash
# s1core generate --model my-model --input questions.jsonl \
#                 --budget 2048 --waits 1 --output out.jsonl
# ```
#
# Measure without forcing first, and look at `outcome`: where many traces are cut, a larger cap does more than a Wait.
#
# **What to keep.** Give every condition the same questions and seeds, read differences with their intervals, and
# compare with a [vote over as many tokens](04_results) before you believe a gain.
