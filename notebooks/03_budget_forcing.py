# %% [markdown]
# # Budget forcing: the mechanism
#
# *Section 3.1 of the paper, Figure 3. You need the [introduction](00_introduction), and no code to follow along: the
# machine is taken apart in plain steps.*
#
# A reasoning model writes its thinking, then an end-of-thinking delimiter, then its answer. Budget forcing is a
# decoder that watches for that delimiter and decides what happens:
#
# - **an upper bound**: when thinking holds `max_thinking` tokens, the decoder writes the delimiter itself, and "Final
#   Answer:" after it, and the model has to answer with what it has;
# - **a lower bound**: when the model wants to stop and Waits are left, the delimiter is dropped and "Wait" is written
#   in its place, and the model goes on.
#
# :::{admonition} The claim
# :class: claim
# This is all that is needed for control over test-time compute: with an upper bound every generation keeps its budget
# (Control 100%, Table 3), and a forced "Wait" can make the model find and mend its own mistake (Figure 3).
# :::
#
# :::{admonition} What comes out here
# :class: agrees
# Both hold. Of {glue:text}`forcing_generations` capped generations {glue:text}`forcing_within` keep their budget: the decoder sees to it. And a
# Wait that mends a mistake can be watched below, in {glue:text}`forcing_mended` of {glue:text}`forcing_pairs` traces.
# :::
#
#

# %% [markdown]
# ## Be the decoder
#
# The model of the laptop profile, 0.8 million parameters, runs in this page. It thinks aloud about a number puzzle;
# when it wants to stop, you decide. The first puzzle was picked because one Wait mends it: take others, and see how
# often that happens, and how often a Wait spoils a right answer.
#
# ```{raw} html
# :file: ../decoder.html
# ```
#
#

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
from IPython.display import HTML
from s1core import templates
from s1core.checkpoints import load_tokenizer
from s1core.forcing import Budget, Machine
from s1core.forcing.budget import rules
from s1lab.analysis import results
from s1lab.book.chapter import open_chapter
from s1lab.figures.trace import trace_html

chapter = open_chapter("forcing", PROFILE, SEED)
pipeline, template = chapter.pipeline, chapter.profile.template
tokenizer = load_tokenizer(chapter.profile.model)
delimiters = templates.resolve(template, tokenizer)

# %% [markdown]
# **What to keep.** The decoder knows nothing about puzzles. It writes the end of thinking early, or refuses it.
#
# ## Where thinking starts
#
# The prompt is the chat template, then the think delimiter. From here on, the machine counts.

# %%
question = pipeline.problems(chapter.benchmark)[0].question
prompt = templates.prompt_ids(template, tokenizer, question)
print(tokenizer.decode(prompt))

# %% [markdown]
# **What to keep.** The prompt must end where thinking begins, to the token: another template measures another model.
#
# ## A model that stops too early, told to wait
#
# Forcing is one state machine over token ids, which every engine steps. It is handed what the model sampled, and says
# what to append. Let us play the model ourselves, with one Wait allowed and a budget of sixteen tokens.

# %%
budget = Budget(max_thinking=16, num_ignore=1, max_answer=16)
limits = rules(budget, delimiters, tokenizer)
machine = Machine(limits, prompt, context_length=1024)
first = machine.start()


# %% tags=["hide-input"]
def sample(text, stop=False):
    """Hand the machine some words, and a stop token when we want to stop."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    forced = machine.take(ids + [min(machine.stops)] * stop)
    said = text + (" <end of thinking>" if stop else "")
    print(f"sampled: {said!r}\nforced:  {tokenizer.decode(forced)!r}")


# %%
sample("3 + 7 = 10 want 29 yes\n", stop=True)

# %% [markdown]
# The model wanted to stop. The end-of-thinking token was dropped and "Wait" stands in its place.
#
# :::{admonition} Before you go on
# :class: exercise
# The model has written nine tokens, and its wish to stop was refused. How many of its sixteen are left?
# :::

# %%
print(machine.thinking_tokens, "thinking tokens, room for", machine.room)

# %% tags=["remove-input"]
chapter.numbers(spent=machine.thinking_tokens, room=machine.room)

# %% [markdown]
# :::{admonition} The answer
# :class: dropdown
# {glue:text}`forcing_room` in this world. What the decoder writes counts: "Wait" is thinking like any other, so
# {glue:text}`forcing_spent` tokens are spent. The delimiter that the model wrote does not count, since it was taken away.
# :::
#
# Now let it write until the budget is used up, in the middle of a line:

# %%
sample(" ".join(["3 + 7"] * 2)[: 2 * machine.room - 1])
print(machine.phase, machine.outcome, "Waits used:", machine.waits_used)

# %% [markdown]
# Thinking is *truncated*: a line break, the answer delimiter and the cue are forced, and what comes now is the
# answer.

# %%
sample("( 3 * 7 ) + 8", stop=True)
chapter.table(
    {"phase": one.phase, "origin": one.origin, "tokens": len(one.token_ids)}
    | {"text": repr(tokenizer.decode(one.token_ids))}
    for one in machine.segments
)

# %% [markdown]
# **What to keep.** Mark every token where it is made, sampled or forced. Counts taken from text later are guesses.
#
# ## A real trace
#
# The same machine inside a real decoding loop: generations of the run behind the introduction's figure that were kept
# for reading. Each ended by itself, then was told to wait. *Mended* is wrong without the Wait, right with it.

# %%
pairs = results.pairs(pipeline)
chapter.table(row for row, _ in pairs)

# %% [markdown]
# {glue:text}`forcing_mended` of {glue:text}`forcing_pairs` was mended. Here is the shortest such trace (or, where none was mended, the
# shortest of all), folded by step, with what was forced in a box:

# %% tags=["hide-input"]
mended = [found for row, found in pairs if row["mended"]]
chapter.numbers(pairs=len(pairs), mended=len(mended))
shown = mended or [found for _, found in pairs]
problem, made, verdict = min(shown, key=lambda f: f[1].thinking_tokens)
separator = pipeline.profile.methods.step_separator
told = problem.question == "Use 5 2 14 to make 11"
chapter.says("trace", "this one" if told else "another trace", "this one")
HTML(trace_html(made, tokenizer, problem, verdict, separator=separator))

# %% [markdown]
# Read it closely{glue:text}`forcing_trace`, and it is less of a miracle than Figure 3. Before the Wait the model accepts
# `14 - 5 = 9 * 2 = 18` for 11, which is wrong; after it, the same line is judged again, and this time `no`. Then it
# tries on. But look at its second line: `2 + 14 = 16 - 5 = 11 want 11` *is* right, and is judged `no`. The teacher
# that the model learned from slips like this now and then, on purpose, so that there is something for a second look
# to find; the model has learned the slips as well. In its last line it tries the same numbers again, and says `yes`.
#
# One trace proves nothing: the [introduction](00_introduction) has averages, [traces](13_traces) has more.
#
# **What to keep.** A Wait does not make a model cleverer. It makes it go on, in the way that it learned to go on.
#
# ## Control
#
# *Control* (Equation 1) is the share of runs whose thinking tokens keep the limit they were given. Under budget
# forcing it must be 100%; here it is measured over every single generation of every budget, not over averages.

# %%
control = results.control_of_caps(pipeline)
chapter.table(control)

# %% tags=["remove-input"]
made = sum(row["generations"] for row in control)
parts = [r["generations"] * r["within the budget (%)"] for r in control]
chapter.numbers(generations=made)
chapter.number("within", sum(parts) / made, "%")
chapter.says("all", sum(parts), made)

# %% [markdown]
# **What to keep.** That a decoder keeps its own limit is no finding. Control matters where limits are asked for.
#
# ## What agrees, what does not, and why
#
# :::{admonition} Where it agrees
# :class: agrees
# The decoder keeps every budget{glue:text}`forcing_all`, and the mechanism of Figure 3 is real and can be watched above.
# :::
#
# :::{admonition} Where it differs
# :class: differs
# The official code has three loops. They differ from this specification, and from each other, in what counts against
# the budget and in what is forced when it runs out (`s1lab.official.loops` restates each).
# :::
#
# **What to keep.** "Budget forcing" names a family: ask what was counted against the budget, and what was forced.
