# %% [markdown]
# # Test-time scaling methods: what keeps a budget, and what pays
#
# *Sections 3.1 and 5.2 and Appendix E of the paper, Tables 3, 4 and 12 to 14, Figure 6. You need [chapter
# 4](03_budget_forcing).*
#
# Budget forcing acts in the decoder. The other ways ask: the prompt names a budget in tokens, in steps, or only as
# "short" or "long", and the model may or may not keep to it. Or one draws until a trace happens to be short enough.
#
# :::{admonition} The claim
# :class: claim
# Budget forcing is the best of them by all three measures that Section 3.2 defines: it keeps every budget (Control
# 100%), its slope is positive (Scaling 15) and its best run is the best of all (Performance 56.7%). Rejection
# sampling scales *backwards*: the longer the traces it accepts, the lower the accuracy (Table 3, Figure 6). And of
# the strings that may stand in for the end of thinking, "Wait" is the best (Table 4).
# :::
#
# :::{admonition} What comes out here
# :class: differs
# Two of the claims differ. Rejection sampling scales *forwards* here, by {glue:text}`methods_scaling_RS`, and "Wait" is no better
# than "Hmm" or "Alternatively": any mark will do, and no mark does less. Forcing does keep every budget, and reaches
# highest.
# :::
#
#

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from s1lab import experiments
from s1lab.analysis import controls, results
from s1lab.audit import published as paper
from s1lab.book.chapter import open_chapter
from s1lab.evaluation.measure import difference, mean, read_samples
from s1lab.figures.curves import method_panels
from s1lab.figures.forests import comparison
from s1lab.figures.panels import PAPER

chapter = open_chapter("methods", PROFILE, SEED)
pipeline, profile = chapter.pipeline, chapter.profile
found = controls.families(pipeline)
measured = controls.measured(pipeline, found)
slopes = {name: row.slope for name, row in measured.items()}

# %% [markdown]
# ## Telling the model: tokens
#
# *Token-conditional control* (Table 12). Training questions end with "Think for up to N tokens.", N being the next
# power of two above the trace's own length; a model of its own is fine-tuned on them. At test time the prompt names
# N. With forcing on top, the decoder cuts at N as well. **Control** is the share of answers that keep the limit.

# %% tags=["hide-input"]
words = dict(BF="higher", capping="higher", wait="cannot tell", RS="higher")
for name, says in words.items():
    slope = slopes.get(name)
    chapter.number(f"scaling_{name}", slope, "points", says=says)
printed = paper.published()["table3"]["rows"]
for name in ("TCC", "RS"):
    chapter.number(f"printed_{name}", printed[name]["scaling"])
best = max(measured.values(), key=lambda row: row.performance.estimate)
chapter.says("best_is", best.method, "BF")
chapter.numbers(best=best.performance)
chapter.table(controls.rows(pipeline, found, "TCC", "TCC+BF"))
for name in ("TCC", "SCC"):
    chapter.number(f"obeyed_{name}", controls.obeyed(found[name]), digits=2)
used = list(map(round, paper.runs("TCC").thinking_tokens))
taken = paper.published()["step_details"]["steps"]
chapter.numbers(paper_least=min(used), paper_most=max(used))
chapter.numbers(taken_least=min(taken), taken_most=max(taken))
chapter.numbers(step_tokens=chapter.ask(controls.step_tokens, pipeline))

# %% [markdown]
# The prompt is not heeded. When the budget in it doubles, thinking grows by a factor of {glue:text}`methods_obeyed_TCC`; a model
# that obeys would double it, one that ignores it would have 1.00. The paper's s1 thinks between {glue:text}`methods_paper_least` and
# {glue:text}`methods_paper_most` tokens whatever it is asked for.
#
# **What to keep.** To see whether a model obeys a number, change the number. A wide limit is kept unread.
#
# ## Telling the model: steps
#
# *Step-conditional control* (Table 13). Traces are cut into steps (paragraphs in the paper, lines here), each opened
# by a header that counts down, "N steps left". With forcing, the decoder ends thinking where one step too many would
# begin. The paper takes a step to be 100 tokens when it measures Control, which none of its averages reaches. Here it
# is the longest step in the training data, header included: {glue:text}`methods_step_tokens` tokens. *Kept the steps* counts them in
# the traces that each run keeps. Below ours stand the paper's Tables 12 and 13, whose Control is over runs: whether
# their *average* keeps it.

# %% tags=["hide-input"]
chapter.table(controls.rows(pipeline, found, "SCC", "SCC+BF"))
chapter.table(controls.paper_rows("TCC", "TCC+BF", "SCC", "SCC+BF"))

# %% [markdown]
# Steps are heeded hardly more: a doubling lengthens thinking by a factor of {glue:text}`methods_obeyed_SCC`. The paper's model took
# between {glue:text}`methods_taken_least` and {glue:text}`methods_taken_most` steps whatever it was asked for, and made up for fewer with longer
# ones. Ours pays for the headers as well: alone or forced, it is less accurate than without them.
#
# **What to keep.** Limit what you pay for. A model that may take only a few steps can take long ones.
#
# ## Telling the model: short or long
#
# *Class-conditional control* (Table 14) adds a sentence to the prompt, "Answer after a short (long) amount of
# thinking. ...", and trains nothing. For the pocket model these are words that occurred nowhere in its fine-tuning,
# so this measures what an unknown sentence does to it. Below it is the paper's Table 14.

# %% tags=["hide-input"]
chapter.table(controls.rows(pipeline, found, "CCC"))
chapter.table(controls.paper_class_rows())
plain = pipeline.run(experiments.natural(profile))
chapter.numbers(natural=mean(plain))
asked = {s.condition.label: s for s in found["CCC"] + found["TCC"]}
for name in ("short", "long"):
    run = (one := asked.get(f"{name} prompt")) and one.run
    chapter.number(name, run and mean(run))
    gap = run and difference(run, plain, "thinking_tokens")
    chapter.number(f"{name}_more", gap, "+tokens", says="cannot tell")
chance = float((read_samples(plain).thinking <= 128).mean())
kept = (one := asked.get("128 tokens")) and float(one.keeps.mean())
chapter.numbers("%", by_chance=chance, by_asking=kept)

# %% [markdown]
# Neither word changes the length for certain ({glue:text}`methods_short_more` for "short", {glue:text}`methods_long_more` for "long"), and both
# ruin the answers: {glue:text}`methods_short` and {glue:text}`methods_long`, from {glue:text}`methods_natural` without. In the paper *both* words
# make s1 think longer on AIME24, and both lower its accuracy.
#
# **What to keep.** A budget in the prompt is a wish, here and in the paper. Only the decoder keeps limits.
#
# ## Drawing until it fits
#
# *Rejection sampling* (Figure 6) draws at temperature 1 until thinking ends within the limit. What it would accept
# can be read off samples that were drawn without a limit: the first one whose thinking ended below it. The order of
# independent samples means nothing, so results are averaged over all orders. A question that no sample fits is
# unanswered and counts as wrong; the paper drew until every question had a trace.
#
# Two effects are mixed in such a curve: *which questions* have a short trace, and whether a short trace is *better
# than any trace of the same question*. *Short less any* is the second alone, where a sample was accepted.

# %% tags=["hide-input"]
chapter.table(one.row() for one in found["RS"])
gains = {f"gain_{one.limit:.0f}": one.gain for one in found["RS"]}
words = dict(gain_16="lower", gain_32="lower", gain_64="cannot tell")
chapter.take(gains, "points", **words, gain_192="higher")

# %% [markdown]
# Over all questions wide limits are better than tight ones, the reverse of Figure 6, because a tight one leaves
# questions unanswered. On one and the same question it depends. Insisting on a very short trace costs
# ({glue:text}`methods_gain_16` at 16 tokens, {glue:text}`methods_gain_32` at 32), at 64 nobody can tell, and a mild limit helps a little
# ({glue:text}`methods_gain_192` at 192): it throws out the traces that ran on. That is the paper's effect, and it is small beside
# the price: a question costs about as many tokens under a tight limit as under none: what is rejected was drawn.
#
# **What to keep.** "Short traces are better" mixes easy questions with good traces. Ask it question by question.
#
# ## All of them at once
#
# The thin line in the other panels is budget forcing, for comparison. Squares are prompts alone, circles prompts with
# forcing. For rejection the tokens are those of the accepted samples; what it really spent is in the table above.
# Below ours stand the paper's points.

# %% tags=["hide-input"]
chapter.figure(
    method_panels(controls.panel_rows(controls.points(found))),
    "all",
    "Accuracy against thinking tokens for four families of methods.",
    caption="Every way to control thinking, 95% intervals over questions.",
    runs=[s.run for name, of in found.items() if name != "RS" for s in of],
)
chapter.figure(
    method_panels(controls.panel_rows(controls.paper_points(), **PAPER)),
    "paper",
    "The paper's methods on AIME24, accuracy against thinking tokens.",
    caption="Tables 12 to 14 and Figures 1 and 6 of the paper, AIME24.",
)

# %% [markdown]
# **What to keep.** Draw methods against the tokens that were paid for, or rejection looks cheaper than it is.
#
# ## Table 3, with intervals
#
# **Control** is the share of single answers within their limit; *of averages* is the paper's, over runs. **Scaling**
# is in points per doubling of thinking tokens, over all pairs of runs; in the paper these are two to seven runs of
# thirty questions ([audit](09_audit)). **Performance** is the best run; its interval chooses the best anew in each
# resample, and a maximum errs upwards. Capping and Wait, which the paper's budget forcing joins, are given apart as
# well. Where a method hardly changes its tokens, Scaling divides noise by nearly nothing; intervals wider than 100
# points are called undetermined. The paper's {glue:text}`methods_printed_TCC` for tokens in the prompt, five runs that hardly differ
# in length, is of that kind.

# %% tags=["hide-input"]
for rows in controls.table_3(measured, found):
    chapter.table(rows)

# %% [markdown]
# **What to keep.** One slope over two interventions hides which of them made it: of capping alone it is
# {glue:text}`methods_scaling_capping`, of natural end and Waits alone {glue:text}`methods_scaling_wait`, and no one can tell its sign.
#
# ## What should stand in for the end?
#
# Table 4 replaces the end of thinking twice by nothing (only suppressing the delimiter), by "Alternatively", "Hmm"
# and "Wait". Each difference is on the same questions.

# %% tags=["hide-input"]
strings = chapter.ask(controls.strings, pipeline) or {}
chapter.table(strings.values())
chapter.table(results.paper_table("Table 4"))
gain = strings["Wait"]["to none (points)"] if "Wait" in strings else None
chapter.number("wait", gain, "points", says="higher")
against = {name: row["to Wait (points)"] for name, row in strings.items()}
against["nothing"] = against.pop("without string", None)
words = dict.fromkeys(("Hmm", "Alternatively"), "cannot tell")
chapter.take(against, "points", **words, nothing="lower")
traces = " ".join(example.trace.thinking for example in pipeline.examples("s1"))
for name in ("Wait", *words):
    chapter.number(f"traced_{name}", traces.count(name))
fourth = [one.correct for one in paper.accuracies("Table 4", "AIME24")]
chapter.numbers(spread=max(fourth) - min(fourth))

# %% tags=["hide-input"]
chapter.figure(
    strings and comparison(controls.strings_rows(strings), gaps=True) or None,
    "strings",
    "What each string adds to the natural end, in points.",
    caption="Differences to the natural end, 95% intervals. Hollow: AIME24.",
    runs=[pipeline.run(c) for c in experiments.extrapolation(profile)],
)

# %% [markdown]
# "Wait" adds {glue:text}`methods_wait`. So do "Hmm" and "Alternatively", which differ from it by {glue:text}`methods_Hmm` and
# {glue:text}`methods_Alternatively`. The training traces hold "Wait" {glue:text}`methods_traced_Wait` times, "Hmm" {glue:text}`methods_traced_Hmm` and "Alternatively"
# {glue:text}`methods_traced_Alternatively` times, so it is not this word in particular that helps. But some mark does: with nothing put there
# the result is {glue:text}`methods_nothing` against Wait. In the paper's Table 4 the best string leads the worst by
# {glue:text}`methods_spread` question of AIME24.
#
# **What to keep.** Before you credit a word, put one in its place that the model has never seen.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# - **Control**: budget forcing keeps every limit, because the decoder does. Prompts alone do not.
# - **Scaling** of budget forcing is positive: {glue:text}`methods_scaling_BF`.
# - **Performance** is highest for budget forcing{glue:text}`methods_best_is`: {glue:text}`methods_best`.
#
# :::
#
# :::{admonition} Where it differs
# :class: differs
# - **Rejection** scales forwards, {glue:text}`methods_scaling_RS`, not by {glue:text}`methods_printed_RS`: we count what it leaves unanswered, the
#   paper draws on. Nor does that number come out of the paper's own points ([audit](09_audit)).
# - **"Wait"** is not the best string; three of them are one.
# :::
#
# In the training prompts the budget was set *after* the trace was written, so the model can learn that the number
# goes with hard questions, and never has to shorten anything. Training that rewards keeping the budget does give
# control {cite}`aggarwal2025l1`.
#
# **What to keep.** A model obeys a limit if training made it give something up for one. Else only the decoder does.
#
# :::{admonition} Exercise
# :class: exercise
# A model that ignores the prompt altogether still keeps wide limits, by chance. Which share of our natural thinking,
# asked for nothing, ends within 128 tokens? Guess, then compare with the first table.
# :::
#
# :::{admonition} Answer
# :class: dropdown
# {glue:text}`methods_by_chance`. Asked for 128 tokens, the trained model keeps {glue:text}`methods_by_asking`. Control without a baseline
# measures how long a model likes to think.
# :::
