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
import pandas as pd
from IPython.display import Markdown
from s1core import profiles, published, templates
from s1core.checkpoints import load_tokenizer
from s1core.figures import loss_curve, show
from s1core.pipeline import Pipeline
from s1core.runs import RunStore
from s1core.sft import SFTConfig, encode

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
# One example, token by token. Only the bold tokens are supervised: their labels are the tokens
# themselves, all others have the label -100 and count for nothing.

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
print(" ".join(pieces))

# %% [markdown]
# The tokens in brackets are the supervised ones. The delimiters are the same ids that budget forcing
# uses later, and come from the same place in the code:

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
# A training step takes about six floating-point operations per parameter and token: two in the
# forward pass, four in the backward pass. Attention comes on top and is left out on both sides.

# %%
from s1core.pipeline import parameters

cost = published.published()["training"]
count = parameters(pipeline.profile.model)
flops = 6 * count * summary["tokens"]
table = pd.DataFrame(
    {
        "parameters": ["32.8 billion", f"{count / 1e6:.2f} million"],
        "optimizer steps": [cost["steps"], summary["steps"]],
        "tokens": ["not stated", f"{summary['tokens']:,}"],
        "supervised tokens": [
            "not stated",
            f"{summary['supervised_tokens']:,}",
        ],
        "floating-point operations": ["not stated", f"{flops:.1e}"],
        "hardware": [
            f"{cost['gpus']} {cost['gpu']}",
            pipeline.profile.hardware,
        ],
    },
    index=["paper", "here"],
)
table.T

# %% [markdown]
# How long our run took depends on the machine, so it is not part of this page's text: the stamp
# under the figure says where and for how long.
#
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
same = [name for name, (a, b) in settings.items() if str(a) == str(b)]
other = [name for name, (a, b) in settings.items() if str(a) != str(b)]
Markdown(
    f"- **The same as the paper:** {', '.join(same)}.\n"
    f"- **Different:** {', '.join(other)}. The model is tiny, so it needs a "
    f"larger learning rate; "
    "its traces are short, so it needs a shorter sequence. No example is "
    "cut.\n"
    f"- **The claim** that a thousand examples are enough is about what comes "
    f"after: the "
    "introduction shows what this checkpoint does with its thinking. That it "
    "is cheap holds here "
    "by construction."
)
