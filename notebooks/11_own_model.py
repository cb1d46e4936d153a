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
# # Appendix: your own model
#
# *Budget forcing on a model that you have: with transformers, vLLM, or any server that completes text.*
#
# Budget forcing needs three things of a model: a prompt that ends where thinking begins, a way to
# see that it wants to stop thinking, and an engine that goes on from tokens that the model did not
# choose. The first two are a *template*, the third a *backend*. What runs on this page runs for real,
# on the pocket model that ships with the package and on a scripted one; what needs a download or a
# GPU is shown as a command.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML
from s1core import Problem, templates
from s1core.checkpoints import locate
from s1core.grading import grade
from s1lab import pocket, profiles

profile = profiles.load(PROFILE).with_seed(SEED)

# %% [markdown]
# ## Five lines
#
# A model folder or a name on the Hub, a question, a budget. The model below is the fine-tuned pocket
# model; put your own in its place.

# %%
from s1core.backends.hf import HFBackend
from s1core.forcing import Budget, generate

backend = HFBackend.from_pretrained(locate("pocket-s1"))
problems = pocket.evaluation_problems(24)
budget = Budget(max_thinking=400, num_ignore=1, max_answer=24)
sampling = {"template": "s1", "temperature": 1.0, "seed": SEED}
made = list(generate(backend, problems, budget, **sampling))
print(made[0].thinking_tokens, "thinking tokens,", made[0].outcome)
print(problems[0].question, "->", made[0].answer)

# %% [markdown]
# Every token of a generation is marked as sampled or forced, so nothing has to be counted twice or
# guessed from text. Here is the shortest of them that was told to wait; what the decoder wrote is
# marked:

# %%
from s1lab.figures.trace import trace_html

pairs = [pair for pair in zip(problems, made) if pair[1].waits_used]
problem, done = min(pairs, key=lambda pair: pair[1].thinking_tokens)
HTML(
    trace_html(
        done, backend.tokenizer, problem, grade(problem, done, "countdown")
    )
)

# %% [markdown]
# `num_ignore` is how often the end of thinking is replaced (`ignore_str`, by default "Wait");
# `max_thinking` is where the decoder ends it. The same questions under four budgets:

# %%
budgets = {
    "no thinking": Budget(max_thinking=0, max_answer=24),
    "at most 40 tokens": Budget(max_thinking=40, max_answer=24),
    "as it comes": Budget(max_thinking=400, max_answer=24),
    "Wait twice": Budget(max_thinking=400, num_ignore=2, max_answer=24),
}
rows = []
for name, budget in budgets.items():
    made = list(generate(backend, problems, budget, **sampling))
    verdicts = [grade(p, g, "countdown").status for p, g in zip(problems, made)]
    rows.append(
        {
            "budget": name,
            "thinking tokens": round(
                sum(g.thinking_tokens for g in made) / len(made), 1
            ),
            "Waits used": sum(g.waits_used for g in made),
            "cut": sum(g.outcome != "ended" for g in made),
            "correct": f"{verdicts.count('correct')} of {len(made)}",
        }
    )
pd.DataFrame(rows).set_index("budget")

# %% [markdown]
# Two dozen questions tell nothing about a model ({doc}`09_audit`); they tell whether everything is
# connected.
#
# ## Which template?
#
# A template says how the question is asked and which tokens open and close the thinking. These ship:

# %%
pd.DataFrame(
    {
        "template": name,
        "thinking opens with": repr(template.think_start),
        "and closes with": repr(template.think_end),
    }
    for name, template in templates.TEMPLATES.items()
).set_index("template")

# %% [markdown]
# A model with `<think>` tags (DeepSeek-R1 and its distillations, Qwen3, and most that came after)
# takes `deepseek-r1` or `qwen3`. It does not have to know "Wait" from training; whether the word
# helps it is what you are about to measure.
#
# ```bash
# s1core generate --model Qwen/Qwen3-0.6B --template qwen3 --benchmark AIME24 \
#                 --budget 4096 --waits 2 --output out.jsonl
# s1core grade out.jsonl --benchmark AIME24
# ```
#
# The first command goes on where it was when it is run again.
#
# ## Which engine?
#
# | engine | when | forcing |
# |---|---|---|
# | transformers | a laptop, one GPU, a look inside | in one pass, inside its own decoding loop |
# | vLLM | many questions on GPUs | stepped in its own loop by a logits processor |
# | a completions server | the model runs elsewhere: vLLM, llama.cpp, SGLang | by requests that go on from a prefix |
# | scripted | tests, and this page | you play the model |
#
# All of them step the same state machine. {doc}`../engines` says what was measured of each, with a
# transcript of llama.cpp's server.
#
# ### vLLM
#
# ```python
# from s1core.backends.vllm import VLLMBackend
# from s1core.forcing import Budget, generate
#
# backend = VLLMBackend.from_pretrained("simplescaling/s1.1-7B")
# generations = generate(backend, problems, Budget(max_thinking=8000, num_ignore=2))
# ```
#
# On the command line it is `--backend vllm`. It needs an extra: `pip install -e '.[gpu]'`.
#
# ### A server, and GGUF files
#
# Any server will do that *completes*, given text or token ids, since what was forced is part of the
# prefix. A chat endpoint will not: it cannot be told how the model's own turn begins. A GGUF file is
# served by llama.cpp; the tokenizer comes from the model's original folder.
#
# ```bash
# llama-server --model model.gguf --port 8080 --ctx-size 8192
# s1core generate --backend completions --url http://localhost:8080/v1 --model model \
#                 --tokenizer Qwen/Qwen3-0.6B --template qwen3 \
#                 --benchmark AIME24 --budget 2048 --waits 1 --output out.jsonl
# ```
#
# ### No model at all
#
# The scripted backend reads its tokens from a list. It shows what the decoder does to a model, with
# you as the model. Here it wants to stop after one line, and again after the Wait:

# %%
from s1core.backends.scripted import ScriptedBackend, follow

tokenizer = backend.tokenizer
stop = tokenizer.encode("<|im_start|>", add_special_tokens=False)
first = tokenizer.encode("3 + 7 = 10 + 8 = 18 want 29 yes\n")
second = tokenizer.encode("3 * 7 = 21 + 8 = 29 want 29 yes\n")
answer = tokenizer.encode("Answer : ( 3 * 7 ) + 8")
end = tokenizer.encode("<|im_end|>", add_special_tokens=False)
closing = templates.resolve("s1", tokenizer).think_end_ids
# The script is read by position: what the decoder writes instead of a stop takes as many places.
script = [*first, *stop, *second, *stop, *closing[1:], *answer, *end]

puzzle = Problem("Use 3 7 8 to make 29", "( 3 * 7 ) + 8")
prompt = templates.prompt_ids("s1", tokenizer, puzzle.question)
player = ScriptedBackend(
    tokenizer, follow(script, len(prompt), then=end[0]), 1024
)
(played,) = generate(
    player, [puzzle], Budget(120, num_ignore=1, max_answer=24), template="s1"
)
pd.DataFrame(
    {
        "phase": segment.phase,
        "origin": segment.origin,
        "text": tokenizer.decode(segment.token_ids).strip(),
    }
    for segment in played.segments
)

# %% [markdown]
# ## Your own questions
#
# Questions are JSON lines, one object each, with at least a `question`; an `answer` makes them
# gradable.

# %%
from s1core.records import to_json

print(to_json(Problem("How many r are in raspberry?", "3")))

# %% [markdown]
# ```bash
# s1core generate --model my-model --input questions.jsonl --budget 2048 --waits 1 --output out.jsonl
# ```
#
# ## What to expect
#
# - Measure without forcing first, with the same template: a wrong template looks like a bad model.
# - Give every condition the same questions and seeds, and read differences with their intervals
#   ({doc}`03_budget_forcing`).
# - Look at `outcome`: where many traces are cut, a larger cap will do more than any Wait.
# - Compare with a vote over as many tokens before you believe a gain ({doc}`04_results`).
