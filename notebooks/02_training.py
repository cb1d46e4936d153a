# %% [markdown]
# # Training: a thousand examples
#
# *Section 2.3, Section 4.1 and Appendix D of the paper. You need to know what fine-tuning is; the examples come from
# [data curation](01_data_curation).*
#
# What turns an instruction-tuned model into a reasoning model here is a short supervised fine-tuning: 1,000
# questions, each with a trace that thinks before it answers, five times over. The question is context; the loss
# counts only on what the assistant should write, which is the think delimiter, the thinking, the answer delimiter,
# the answer and the end of the turn.
#
# :::{admonition} The claim
# :class: claim
# 1,000 examples are enough, and cheap: 26 minutes on 16 H100 GPUs, 7 GPU-hours in all, for a model of 32B parameters.
# :::
#
# :::{admonition} What comes out here
# :class: agrees
# Cheap it is: the same recipe took {glue:text}`training_minutes` here, on {glue:text}`training_hardware`. Enough is another matter: in [data
# ablations](05_data_ablations) more examples make a better model.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import numpy as np
from s1core.checkpoints import load_tokenizer
from s1core.sft import SFTConfig, encode
from s1lab.analysis import training
from s1lab.analysis.ablations import training_flops
from s1lab.book.chapter import open_chapter
from s1lab.figures.curves import loss_curve

chapter = open_chapter("training", PROFILE, SEED)
pipeline, profile = chapter.pipeline, chapter.profile
config = SFTConfig(**profile.sft, seed=profile.seed)
tokenizer = load_tokenizer(profile.model)
examples, run = pipeline.examples(), pipeline.checkpoint()

# %% [markdown]
# ## The recipe
#
# The settings of Appendix D, with ours beside them:

# %% tags=["hide-input"]
recipe = training.recipe(pipeline)
chapter.table(recipe)
differs = [row["setting"] for row in recipe if row["the same"] == "no"]
chapter.says("differs", differs, ["base model", "lr", "max seq len"])

# %% [markdown]
# Three lines differ: the model, its learning rate, since a small model learns at a larger one, and the longest
# sequence, since its traces are shorter{glue:text}`training_differs`.
#
# **What to keep.** To scale a recipe down, keep its examples, epochs and steps; choose learning rate and length anew.
#
# ## What the model sees
#
# One example, token by token. Only the tokens in brackets are supervised: their labels are the tokens themselves, all
# others have the label −100 and count for nothing.

# %%
shortest = min(examples, key=lambda e: len(e.trace.thinking))
print(training.marked(shortest, tokenizer, config))

# %% [markdown]
# :::{admonition} Before you go on
# :class: exercise
# The question is left out of the loss, the delimiters are not. What would the model never learn to do by itself if
# the answer delimiter carried the label −100?
# :::
#
# :::{admonition} The answer
# :class: dropdown
# To stop. The answer delimiter is how a model says that it has thought enough; a token that is never supervised is
# never written on purpose, and every trace would run until something cuts it. It is also the token that the decoder
# watches for, so there would be nothing to replace by "Wait".
# :::
#
# How long the traces are, in thinking tokens:

# %% tags=["hide-input"]
lengths = [len(tokenizer(e.trace.thinking).input_ids) for e in examples]
quantiles = (0, 10, 50, 90, 99, 100)
at = np.percentile(lengths, quantiles).round().astype(int)
chapter.table([{"percentile": q, "tokens": n} for q, n in zip(quantiles, at)])
encoded = encode(examples, tokenizer, config.template, config.max_seq_len)
chapter.numbers(cut=encoded.truncated, examples=len(examples))
chapter.says("none_cut", encoded.truncated, 0)

# %% [markdown]
# Lengths have a heavy tail, so padding a batch to its longest trace would waste most of the work. Examples are packed
# into rows instead; attention and positions stay inside each example, and the loss is divided by the number of
# supervised tokens of the whole batch, so packing changes the speed and nothing else. Of the {glue:text}`training_examples`
# examples {glue:text}`training_cut` are cut at the longest sequence; more are in [sequence length](07_sequence_length).
#
# **What to keep.** Fine-tuning for reasoning is ordinary fine-tuning. The examples are special, and two delimiters.
#
# ## The loss

# %% tags=["hide-input"]
log = run.read_records("log.jsonl")
chapter.figure(
    loss_curve(log, title=profile.model),
    "loss",
    "The loss falls steeply, then slowly; the rate warms up, then falls to zero.",
    caption="Loss per supervised token, and learning rate; lines end epochs.",
    runs=[run],
)
for name, some in (("start", log[:5]), ("end", log[-5:])):
    chapter.number(name, float(np.mean([r["loss"] for r in some])), digits=2)

# %% [markdown]
# From {glue:text}`training_start` in the first five steps to {glue:text}`training_end` in the last five. A loss of zero is out of reach,
# and should be: which try comes next is a matter of taste, and the teacher's order is random. What fine-tuning
# teaches is the format, when to stop, and to look again after "Wait".
#
# **What to keep.** A loss says how well the next token is guessed. Judge a checkpoint by what it answers.
#
# ## What it cost
#
# Training takes about six floating-point operations per parameter and token, two forward and four backward, with
# attention on top. The paper's are worked out from the token counts of its Table 6, ours by the same formula.

# %% tags=["hide-input"]
chapter.table(training.cost(pipeline))
ratio = training.paper_flops() / training_flops(pipeline)
chapter.number("ratio", ratio / 1e6, digits=0)
chapter.number("minutes", run.minutes, "minutes")
chapter.number("hardware", profile.hardware)

# %% [markdown]
# The paper's training took about {glue:text}`training_ratio` million times the arithmetic of ours. What either costs in money,
# and what the whole pool would have cost, is in [data ablations](05_data_ablations).
#
# **What to keep.** A training run of this kind is the cheap part. The traces that it learns from were written by a
# larger model, and the questions chosen by two others.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - **The recipe** is the paper's, step for step; no example is cut by the shorter sequence{glue:text}`training_none_cut`.
# - **It is cheap**, which proves little, since the model is small by construction.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# That a thousand are enough does not hold here: the whole pool trains the better model ([results](04_results)).
# :::
#
# **What to keep.** *Cheap* can be read off one run. *Enough* takes a second model, trained on everything.
