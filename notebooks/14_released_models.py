# %% [markdown]
# # What the released models did
#
# *s1.1 under caps and Waits, Qwen3 and R1 distillations with Waits, and eleven checkpoints of one run: generations
# that others made and published, read and graded again. You need [budget forcing](03_budget_forcing).*
#
# The paper's models are too large for this book to run. But other people ran them, under caps and with forced Waits,
# and published what they said. This page counts it again: some 28,000 generations, each graded by the rules of this
# package, thinking counted in tokens of the model's own tokenizer, with the intervals that nobody has drawn.
#
# :::{admonition} The claim
# :class: claim
# More thinking at test time gives better answers, and "Wait" makes the model "double-check its answer, often fixing
# incorrect reasoning steps" (abstract).
# :::
#
# :::{admonition} What comes out here
# :class: differs
# On questions of general knowledge s1.1-32B is no better with 8,000 thinking tokens than with 500, and on questions
# about culture it is worse with more. One forced Wait mends about as many answers as it breaks, and changes hardly
# any. In mathematics the authors' own logs, as others counted them, agree with the paper up to 8,000 tokens; then
# Waits add only tokens.
# :::
#
# No text of them is kept here, since several sources state no licence; `s1lab generations` recomputes the counts.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from s1lab.book.chapter import open_chapter
from s1lab.figures.curves import method_panels
from s1lab.generations import tables
from s1lab.runs import project_root

chapter = open_chapter("released", PROFILE, SEED)
folder = project_root() / "results" / tables.FOLDER
words = {"global_mmlu-slope": "cannot tell", "fork-slope": "lower"}
words |= {"global_mmlu-gain": "cannot tell", "fork-gain": "higher"}
numbers = tables.numbers(folder)
chapter.take(numbers, "points", **words)
chapter.take(numbers, "", *(name for name in numbers if name not in words))
by_size = tables.one_wait(folder).rename(columns={"readable": "n"})
chapter.says("zero", all((by_size.low <= 0) & (by_size.high >= 0)))

# %% [markdown]
# ## More thinking, on questions that are not mathematics
#
# Yong and colleagues ran s1.1-32B, with the paper's own fork of the evaluation harness, on 400 English questions of
# Global-MMLU and on 184 of FORK, which asks about culture, under five caps {cite}`yong2025crosslingual`. The stored
# scores are unusable (0.0 throughout), so every answer is read again; where the harness forced its cue, thinking was
# cut. Beside it stands Qwen2.5-32B-Instruct, from which s1.1 was fine-tuned, which answers at once.

# %% tags=["hide-input"]
chapter.table(
    {"benchmark": title, **row}
    for name, title in tables.NAMES.items()
    for row in tables.rows(tables.caps(name, folder))
)
chapter.figure(
    method_panels(tables.cap_curves(folder)),
    "caps",
    "Accuracy of s1.1-32B against its mean thinking tokens under five caps.",
    caption="s1.1-32B under five caps, with 95% intervals. The dotted mark is Qwen2.5-32B-Instruct, "
    "which does not think, drawn at 100 tokens. Logs: "
    "BatsResearch/crosslingual-test-time-scaling at 39ef97cd.",
)

# %% [markdown]
# Per doubling of thinking tokens accuracy changes by {glue:text}`released_global_mmlu-slope` on Global-MMLU and by {glue:text}`released_fork-slope` on FORK:
# nothing in the one, and a loss in the other. The same over questions, pair by pair:

# %% tags=["hide-input"]
for name, title in tables.NAMES.items():
    gaps = tables.cap_differences(name, folder)
    rows = tables.rows(gaps, "difference", "points")
    chapter.table({"benchmark": title, **row} for row in rows)

# %% [markdown]
# Fine-tuning on a thousand traces of mathematics did not cost s1.1 its knowledge: with 500 tokens it gains
# {glue:text}`released_fork-gain` over the model it came from on FORK, and on Global-MMLU it loses nothing that one could see,
# {glue:text}`released_global_mmlu-gain`.
#
# **What to keep.** More thinking pays where there is something to work out. A curve that was measured on mathematics
# says nothing of questions of fact.
#
# ## One forced Wait
#
# :::{admonition} Predict before you go on
# :class: exercise
# One "Wait" after the answer was found, on grade-school problems: of a thousand answers, how many does it mend, and
# how many does it break?
# :::
#
# The same authors gave MGSM (250 grade-school problems in eleven languages) to s1.1 at four sizes, with exactly one
# Wait, translated, in the way of the official README. The Wait stands on a line of its own after a single line break,
# where the model's own "Wait" opens a paragraph; so its place can be found in {glue:text}`released_found` of {glue:text}`released_traces`
# traces. An answer counts as readable where the last box, or the only number of the last paragraph, states one.

# %% tags=["hide-input"]
chapter.table(tables.rows(by_size, "gain", "points"), digits=2)

# %% [markdown]
# A Wait on problems that a model already solves {glue:text}`released_solved` of the time has little to mend, and it mends nothing
# beyond what it breaks: the interval of the net gain holds zero at every size{glue:text}`released_zero`.
#
# :::{admonition} How far off was your guess?
# :class: dropdown
# {glue:text}`released_mended` mended and {glue:text}`released_broken` broken, of {glue:text}`released_readable`: the rest stayed what they were. The
# [explorer](00_introduction) shows the same for ours, question by question.
# :::
#
# **What to keep.** A second look mends only what is wrong. Measure it where a model fails, and count what it breaks.
#
# ## Many Waits, on questions of fact
#
# A public repository holds 800 questions of SimpleQA as answered by Qwen3 and R1 distillations with no, two and four
# forced Waits {cite}`ttsknowledge`. The files carry another model's verdict: right, wrong, or not attempted.
# Differences are paired with no Wait on the same questions. One file, R1 Distill Llama 8B without Waits, holds 824
# other questions and is not paired.

# %% tags=["hide-input"]
chapter.table(tables.rows(tables.more_waits(folder)))
gains = tables.wait_gains(folder)
chapter.table(tables.rows(gains, "difference", "points"), digits=2)

# %% [markdown]
# Beside those verdicts a plain test: do the gold answer's words stand in the response? Hardly ever where the judge
# says wrong or not attempted (there the response names the gold on its way to another answer). Of those judged right
# many say it in other words, without a hyphen, a title or a state, and the judge was right to take them:

# %% tags=["hide-input"]
chapter.table(tables.judged(folder).to_dict("records"))

# %% [markdown]
# **What to keep.** No number of Waits tells a model a fact that it does not know. And a verdict that somebody stored
# is a grader: test a part of it by other means.
#
# ## Mathematics: the authors' own logs, recounted
#
# The paper's authors released their logs, and somebody else counted them {cite}`governor`: MATH500 under seven caps,
# and with one to eight Waits; GPQA Diamond with one to eight.

# %% tags=["hide-input"]
chapter.figure(
    method_panels(tables.recount_curves(folder)),
    "recount",
    "Accuracy of s1-32B against mean thinking tokens, as recounted from the authors' logs.",
    caption="s1-32B, from the authors' logs as counted by SYT20/Governor at d1f13344; intervals (95%) "
    "from the number of questions.",
)
chapter.table(tables.rows(tables.recounted(folder)))

# %% [markdown]
# Caps raise MATH500 from {glue:text}`released_math-first` to {glue:text}`released_math-last` percent by 8,000 tokens, as the paper has it; twice and
# four times the cap add nothing. From one Wait to eight, thinking on MATH500 grows to {glue:text}`released_math-growth` times its
# length and accuracy goes from {glue:text}`released_math-one` to {glue:text}`released_math-eight` percent.
#
# **What to keep.** A cap costs until it is longer than most of the model's own thinking; then it changes nothing.
#
# ## Eleven checkpoints of one run
#
# How much of a difference on thirty questions is noise? NovaSky's repository holds AIME24 as answered by eleven
# checkpoints of one fine-tuning run of a 32B model {cite}`skythought`.

# %% tags=["hide-input"]
checkpoints, p_value = tables.checkpoints(folder)
chapter.table(tables.rows(checkpoints))
chapter.says("noise", p_value > 0.05)

# %% [markdown]
# From {glue:text}`released_lowest` to {glue:text}`released_highest` percent, without a trend. Over the same thirty questions the eleven do not
# differ by more than chance (Cochran's Q, p = {glue:text}`released_cochran`{glue:text}`released_noise`). The paper's headline, 50.0 against
# 56.7, is half of this range.
#
# **What to keep.** The best of several equal checkpoints looks like progress. Ask first whether they differ.
