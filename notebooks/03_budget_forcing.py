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
# # Budget forcing: the mechanism
#
# *Section 3.1 of the paper, Figure 3.*
#
# A reasoning model writes its thinking, then an end-of-thinking delimiter, then its answer. Budget
# forcing is a decoder that watches for that delimiter and decides what happens:
#
# - **an upper bound**: when thinking holds `max_thinking` tokens, the decoder writes the delimiter
#   itself, and "Final Answer:" after it, and the model has to answer with what it has;
# - **a lower bound**: when the model wants to stop and Waits are left, the delimiter is dropped and
#   "Wait" is written in its place, and the model goes on.
#
# :::{admonition} The claim
# :class: claim
# This is all that is needed for control over test-time compute: with an upper bound every generation
# keeps its budget (Control 100%, Table 3), and a forced "Wait" can make the model find and mend its
# own mistake (Figure 3).
# :::
#
# Three loops in the official code implement it, and they disagree. Here it is one state machine over
# token ids, which every engine steps; this page takes it apart.

# %% [markdown]
# ## Be the decoder
#
# The model of the laptop profile, 0.8 million parameters, runs in this page. It thinks aloud about a
# number puzzle; when it wants to stop, you decide. The first puzzle was picked because one Wait mends
# it: take others, and see how often that happens, and how often a Wait spoils a right answer.
#
# ```{raw} html
# :file: ../decoder.html
# ```

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import pandas as pd
from IPython.display import HTML, Markdown
from s1core import templates
from s1core.checkpoints import load_tokenizer
from s1core.forcing import Budget, Machine
from s1core.forcing.budget import rules
from s1core.records import Generation, from_dict
from s1lab import experiments, profiles
from s1lab.evaluation import control
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
tokenizer = load_tokenizer(pipeline.profile.model)
template = pipeline.profile.template
delimiters = templates.resolve(template, tokenizer)

# %% [markdown]
# ## Where thinking starts
#
# The prompt is the chat template, then the think delimiter. From here on, the machine counts.

# %%
question = pipeline.problems(pipeline.profile.evaluation.benchmarks[0])[0]
prompt = templates.prompt_ids(template, tokenizer, question.question)
print(tokenizer.decode(prompt))

# %% [markdown]
# ## A model that stops too early, told to wait
#
# The machine samples nothing. It is handed what the model sampled, and says what to append. Let us
# play the model ourselves, with one Wait allowed and a budget of sixteen tokens.

# %%
budget = Budget(max_thinking=16, num_ignore=1, max_answer=16)
machine = Machine(
    rules(budget, delimiters, tokenizer), prompt, context_length=1024
)
machine.start()


def sample(text, stop=False):
    """Hand the machine some words, and a stop token when we want to stop."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    forced = machine.take(ids + [min(machine.stops)] * stop)
    said = text + (" <end of thinking>" if stop else "")
    print(f"{said!r:50} forced: {tokenizer.decode(forced)!r}")


sample("3 + 7 = 10 want 29 yes\n", stop=True)

# %% [markdown]
# The model wanted to stop. The end-of-thinking token was dropped, "Wait" stands in its place, and
# counts as thinking. Now there are few tokens left:

# %%
print(
    f"{machine.thinking_tokens} thinking tokens, room for {machine.room} more"
)
sample(" ".join(["3 + 7"] * 2)[: 2 * machine.room - 1])

# %% [markdown]
# The budget is used up in the middle of a line. Thinking is *truncated*: a line break, the answer
# delimiter and the cue are forced, and whatever comes now is the answer.

# %%
print(
    f"phase: {machine.phase}, outcome: {machine.outcome}, Waits used: "
    f"{machine.waits_used}"
)
sample("( 3 * 7 ) + 8", stop=True)
pd.DataFrame(
    {
        "phase": segment.phase,
        "origin": segment.origin,
        "tokens": len(segment.token_ids),
        "text": repr(tokenizer.decode(segment.token_ids)),
    }
    for segment in machine.segments
)

# %% [markdown]
# Every token is marked: thinking or answer, sampled or forced. All counts in this book come from
# those marks, and text is never tokenized again.
#
# ## A real trace
#
# The same machine, stepped inside a real decoding loop. Below are generations from the run behind
# the introduction's figure in which the model stopped, was told to wait, and changed its mind. Forced
# tokens are marked.

# %%
from s1core.grading import grade

run = pipeline.run(experiments.waits(pipeline.profile)[0])
plain = pipeline.run(experiments.natural(pipeline.profile))
problems = {p.key: p for p in pipeline.problems(run.settings["benchmark"])}


def traces(of):
    found = [
        from_dict(Generation, row) for row in of.read_records("traces.jsonl")
    ]
    return {
        g.problem_key: (g, grade(problems[g.problem_key], g, "countdown"))
        for g in found
    }


before, after = traces(plain), traces(run)
pairs = [(key, before[key], after[key]) for key in after if key in before]
pd.DataFrame(
    {
        "question": problems[key].question,
        "without Wait": old.status,
        "tokens": g.thinking_tokens,
        f"Wait {run.settings['budget']['num_ignore']}x": new.status,
        "tokens ": h.thinking_tokens,
    }
    for key, (g, old), (h, new) in pairs
)

# %%
from s1lab.figures.trace import trace_html

mended = [
    p
    for p in pairs
    if p[1][1].status != "correct" and p[2][1].status == "correct"
]
shown = min(mended or pairs, key=lambda p: p[2][0].thinking_tokens)
generation, verdict = shown[2]
separator = pipeline.profile.methods.step_separator
HTML(
    trace_html(
        generation, tokenizer, problems[shown[0]], verdict, separator=separator
    )
)

# %% tags=["hide-input"]
Markdown(
    f"Of the {len(pairs)} generations kept for reading, the Wait mended "
    f"{len(mended)}. "
    + (
        "Above is the shortest of them."
        if mended
        else "None was mended, so above is the shortest of all."
    )
    + " One trace proves nothing: the introduction has the averages over all "
    "of them."
)

# %% [markdown]
# ## Control
#
# *Control* (Equation 1) is the share of runs whose thinking tokens keep the limit they were given.
# Under budget forcing the decoder enforces it, so it must be 100%; here it is measured over every
# single generation of every budget, not over averages.

# %%
rows = []
for condition in experiments.curve(pipeline.profile):
    if condition.kind != "budget":
        continue
    cap = condition.budget
    table = pipeline.run(condition).read_table("grades.csv")
    used = [int(row["thinking_tokens"]) for row in table]
    cut = [row["outcome"] != "ended" for row in table]
    rows.append(
        {
            "budget": cap.max_thinking,
            "generations": len(used),
            "most thinking tokens": max(used),
            "Control (%)": control(used, cap.max_thinking),
            "cut short": f"{sum(cut) / len(cut):.0%}",
        }
    )
pd.DataFrame(rows).set_index("budget")

# %% [markdown]
# ## What agrees, what does not, and why

# %% tags=["hide-input"]
kept = all(row["Control (%)"] == 100 for row in rows)
Markdown(
    "- **Control.** "
    + (
        "Every generation kept its budget, as the paper's 100% says."
        if kept
        else "Some generation broke its budget, which the decoder should make "
        "impossible."
    )
    + " It is a property of the decoder, not a finding about the model.\n"
    "- **Self-correction.** The mechanism of Figure 3 is real and can be "
    "watched above. Whether it "
    "helps on average is a question for intervals, and the introduction "
    "answers it.\n"
    "- **The official loops** differ from this specification in what counts "
    "against the budget and "
    "in what is forced when it runs out; `s1lab.official.loops` restates "
    "each of them."
)
