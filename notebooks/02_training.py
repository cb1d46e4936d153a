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
# %% [markdown]
# # Training: a thousand examples
#
# *Section 4.1 and Appendix D of the paper.*
#
# What turns an instruction-tuned model into a reasoning model here is a short supervised
# fine-tuning: 1,000 questions, each with a trace that thinks before it answers, five times over.
# The question is context; the loss counts only on what the assistant should write, which is the
# think delimiter, the thinking, the answer delimiter, the answer and the end of the turn.
#
# :::{admonition} The claim
# :class: claim
# 1,000 examples are enough, and cheap: 26 minutes on 16 H100 GPUs, 7 GPU-hours in all, for a model
# of 32 billion parameters.
# :::
#
# This page shows what an example looks like to the model, the loss curve, and what the training
# cost in tokens and arithmetic.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import textwrap

import pandas as pd
from IPython.display import Markdown
from s1core import templates
from s1core.checkpoints import load_tokenizer
from s1core.sft import SFTConfig, encode
from s1lab import profiles
from s1lab.audit import published
from s1lab.figures.display import show
from s1lab.figures.runs import loss_curve
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
run = pipeline.checkpoint()
log = run.read_records("log.jsonl")
summary = run.summary()

# %% [markdown]
# ## The recipe
#
# Settings in which the profile keeps to the paper are the same number twice. A small model learns
# at a larger rate, and its traces are shorter; everything else is the recipe of Appendix D.

# %%
paper, ours = SFTConfig(), SFTConfig(**pipeline.profile.sft, seed=SEED)
settings = {
    "base model": (
        published.published()["training"]["base"],
        pipeline.profile.model,
    ),
    "examples": ("1,000", f"{summary['examples']:,}"),
    "optimizer steps": (
        published.published()["training"]["steps"],
        summary["steps"],
    ),
}
for name in (
    "epochs",
    "batch_size",
    "lr",
    "warmup_ratio",
    "betas",
    "weight_decay",
    "max_seq_len",
):
    settings[name.replace("_", " ")] = (
        getattr(paper, name),
        getattr(ours, name),
    )
pd.DataFrame(
    {"setting": name, "paper": str(a), "here": str(b)}
    for name, (a, b) in settings.items()
).set_index("setting")

# %% [markdown]
# ## What the model sees
#
# One example, token by token. Only the tokens in brackets are supervised: their labels are
# the tokens themselves, all others have the label -100 and count for nothing.

# %%
examples = pipeline.examples()
tokenizer = load_tokenizer(pipeline.profile.model)
shortest = min(examples, key=lambda e: len(e.trace.thinking))
(encoded,) = encode(
    [shortest], tokenizer, ours.template, ours.max_seq_len
).examples
pieces = []
for token, label in zip(encoded.token_ids, encoded.labels):
    piece = tokenizer.decode([int(token)]).replace("\n", "\\n")
    pieces.append(piece if label == -100 else f"[{piece}]")
print(textwrap.fill(" ".join(pieces), 78, break_on_hyphens=False))

# %% [markdown]
# The delimiters are the same ids that budget forcing uses later, and come from
# the same place in the code:

# %%
delimiters = templates.resolve(ours.template, tokenizer)
print(
    "think ",
    delimiters.think_start_ids,
    [tokenizer.decode([i]) for i in delimiters.think_start_ids],
)
print(
    "answer",
    delimiters.think_end_ids,
    [tokenizer.decode([i]) for i in delimiters.think_end_ids],
)

# %%
lengths = pd.Series(
    [len(tokenizer(e.trace.thinking).input_ids) for e in examples]
)
lengths.describe(percentiles=[0.1, 0.5, 0.9, 0.99]).round(0).astype(
    int
).to_frame("thinking tokens")

# %% [markdown]
# Lengths have a heavy tail, so padding a batch to its longest trace would waste most of the work.
# Examples are packed into rows instead; attention and positions stay inside each example, and the
# loss is divided by the number of supervised tokens of the whole batch, so packing changes the speed
# and nothing else.

# %%
Markdown(f"Encoding reports: *{summary['encoding']}*")

# %% [markdown]
# ## The loss

# %%
start = sum(row["loss"] for row in log[:5]) / 5
end = sum(row["loss"] for row in log[-5:]) / 5
show(
    loss_curve(
        log, title=f"{pipeline.profile.model}, {summary['examples']:,} examples"
    ),
    "training-loss",
    alt=f"The loss per supervised token falls from {start:.2f} in the first "
    f"five steps to "
    f"{end:.2f} in the last five of {len(log)}; the learning rate warms up, "
    f"then falls to zero.",
    caption="Loss per supervised token and learning rate. Dotted: ends of "
    "epochs.",
    runs=[run],
)

# %% [markdown]
# A loss of zero is out of reach, and should be: which try comes next is a matter of taste, and the
# teacher's order is random. What fine-tuning teaches is the format, when to stop, and to look again
# after "Wait".
#
# ## What it cost
#
# A training step takes about six floating-point operations per parameter and
# token: two in the forward pass, four in the backward pass; attention comes on
# top. The paper does not say how many operations it took. From the token
# counts of its Table 6 they can be worked out, and with them what share of the
# chips' peak was used.

# %%
from s1lab.planning.sft_plan import paper_arithmetic

worked = [row for row in paper_arithmetic() if row.unit != "$"]
pd.DataFrame(
    {
        "the paper's training": row.what,
        "comes to": f"{row.value:.3g} {row.unit}",
        "from": row.source,
    }
    for row in worked
).set_index("the paper's training")

# %% [markdown]
# And ours, by the same formula:

# %%
from s1core.checkpoints import locate
from s1lab.planning.shapes import ModelShape

shape = ModelShape.of(locate(pipeline.profile.model))
encoded = encode(examples, tokenizer, ours.template, ours.max_seq_len)
flops = shape.train_flops(encoded.lengths) * ours.epochs
paper_flops = next(row.value for row in worked if row.unit == "FLOP")
pd.Series(
    {
        "parameters": f"{shape.parameters:,}",
        "optimizer steps": f"{summary['steps']:,}",
        "tokens": f"{summary['tokens']:,}",
        "supervised tokens": f"{summary['supervised_tokens']:,}",
        "floating-point operations": f"{flops:.2g}",
        "the paper's, times ours": f"{paper_flops / flops:,.0f}",
        "hardware": pipeline.profile.hardware,
    }
).to_frame("here")

# %% [markdown]
# How long our run took depends on the machine, so it is not part of this page's text: the stamp
# under the figure says where and for how long.
#
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
same = [name for name, (a, b) in settings.items() if str(a) == str(b)]
other = [name for name, (a, b) in settings.items() if str(a) != str(b)]
reasons = []
if ours.lr > paper.lr:
    reasons.append("A smaller model learns at a larger rate.")
if ours.max_seq_len < paper.max_seq_len:
    reasons.append("Shorter traces need a shorter sequence.")
reasons.append(
    f"{encoded.truncated or 'No'} of the {len(encoded.examples):,} examples "
    "are cut."
)
Markdown(
    f"- **The same as the paper:** {', '.join(same)}.\n"
    f"- **Different:** {', '.join(other)}. {' '.join(reasons)}\n"
    f"- **The claim** that a thousand examples are enough is about what comes "
    f"after: the "
    "introduction shows what this checkpoint does with its thinking. That it "
    "is cheap holds here "
    "by construction."
)
