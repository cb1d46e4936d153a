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
# # Test-time scaling methods: what keeps a budget, and what pays
#
# *Sections 3.1 and 5.2 and Appendix E of the paper, Tables 3, 4 and 12 to 14, Figure 6.*
#
# Budget forcing acts in the decoder. The other ways ask: the prompt names a budget in tokens, in
# steps, or only as "short" or "long", and the model may or may not keep to it. Or one draws until a
# trace happens to be short enough.
#
# :::{admonition} The claim
# :class: claim
# Budget forcing is the best of them by all three measures that Section 3.2 defines: it keeps every
# budget (Control 100%), its slope is positive (Scaling 15) and its best run is the best of all
# (Performance 56.7%). Rejection sampling scales *backwards*: the longer the traces it accepts, the
# lower the accuracy (Table 3, Figure 6). And of the strings that may stand in for the end of thinking,
# "Wait" is the best (Table 4).
# :::
#
# Table 3 rests on two to seven runs of thirty questions per method, and its Scaling is in points per
# doubling of thinking tokens (the [audit](09_audit) recomputes it). Here the same runs are made of a
# small model, with samples and intervals.

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %% tags=["hide-input"]
import math

import numpy as np
import pandas as pd
from IPython.display import Markdown
from s1core.checkpoints import load_tokenizer
from s1core.forcing import controls
from s1core.records import Generation, from_dict
from s1core.templates import encode
from s1lab import experiments, profiles
from s1lab.analysis.methods import measures, rejection, sequential
from s1lab.audit.published import accuracy_of, published
from s1lab.audit.published import runs as paper_runs
from s1lab.evaluation import class_control, paired_bootstrap, wilson
from s1lab.evaluation.measure import difference, read_samples
from s1lab.figures.curves import method_panels
from s1lab.figures.display import show
from s1lab.figures.forests import comparison
from s1lab.figures.panels import curve, in_words
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

pipeline = Pipeline(
    profiles.load(PROFILE).with_seed(SEED), RunStore.default(PROFILE)
)
profile = pipeline.profile
benchmark = profile.evaluation.benchmarks[0]
paper = published()
most = profile.evaluation.max_thinking


def measured(condition, method, setting="", limit=math.nan):
    """A condition's run, question by question."""
    samples = read_samples(pipeline.run(condition))
    return sequential(samples, method, setting or condition.label, limit)


def percent(share):
    return f"{100 * share:.0f}%"


n_aime = paper["questions"]["AIME24"]


def on_aime(accuracy):
    """A printed AIME24 accuracy with Wilson's interval."""
    return wilson(round(accuracy * n_aime / 100), n_aime)


def paper_table(*methods, asked="asked for (tokens)"):
    """Runs of the paper (Tables 12 and 13), with intervals of 30 questions."""
    rows = []
    for method in methods:
        run = paper_runs(method)
        for limit, tokens, accuracy in zip(
            run.limits, run.thinking_tokens, run.accuracy
        ):
            rows.append(
                {
                    asked: f"{limit:,}",
                    "forced": "yes" if "BF" in method else "no",
                    "thinking tokens": f"{tokens:,.0f}",
                    "run keeps it": "yes" if tokens <= limit else "no",
                    "AIME24 % [95%]": on_aime(accuracy).percent(),
                }
            )
    return pd.DataFrame(rows).set_index(asked)


# %% [markdown]
# ## Telling the model: tokens
#
# *Token-conditional control* (Table 12). Training questions end with "Think for up to N tokens.", N
# being the next power of two above the trace's own length; a model of its own is fine-tuned on them.
# At test time the prompt names N. With forcing on top, the decoder cuts at N as well. **Control** is
# printed twice: the share of single generations that keep the limit, and the paper's own, over runs:
# whether the *average* of a run keeps it.

# %%
families = {}
rows = []
limits = profile.methods.token_limits
for c in experiments.token_conditional(profile):
    limit = c.instruct[1]
    run = measured(c, c.kind, limit=limit)
    families.setdefault(c.kind, []).append(run)
    rows.append(
        {
            "asked for": f"{limit} tokens",
            "forced": "yes" if c.budget.max_thinking == limit else "no",
            "thinking tokens": f"{run.thinking_tokens:.1f}",
            "kept the limit": percent(run.keeps.mean()),
            "accuracy % [95%]": run.accuracy.percent(),
        }
    )
pd.DataFrame(rows).set_index("asked for")

# %% [markdown]
# The paper's Table 12, with Wilson's intervals:

# %% tags=["hide-input"]
paper_table("TCC", "TCC+BF")


# %% tags=["hide-input"]
def obeys(family):
    """Whether the thinking follows what was asked: tokens per doubling."""
    asked = np.log2([run.limit for run in family])
    used = np.log2([run.thinking_tokens for run in family])
    return float(np.polyfit(asked, used, 1)[0]) if len(family) > 1 else math.nan


def heeded(family, what):
    slope = obeys(family)
    if math.isnan(slope):
        return f"One {what} budget was asked for, so nothing shows obedience."
    return (
        f"For each doubling of the {what} budget in the prompt, thinking "
        f"grows by a factor of {2**slope:.2f} (a model that obeys would "
        "double it, one that ignores it would have 1.00)."
    )


paper_tcc = paper_runs("TCC")
kept = sum(
    tokens <= limit
    for tokens, limit in zip(paper_tcc.thinking_tokens, paper_tcc.limits)
)
Markdown(
    heeded(families["TCC"], "token")
    + " In the paper s1 thinks "
    + ", ".join(f"{tokens:,.0f}" for tokens in paper_tcc.thinking_tokens)
    + " tokens when asked for "
    + ", ".join(f"{limit:,}" for limit in paper_tcc.limits)
    + f": {kept} of {len(paper_tcc.limits)} runs keep the limit, those "
    "with the widest limits."
)

# %% [markdown]
# ## Telling the model: steps
#
# *Step-conditional control* (Table 13). Traces are cut into steps (paragraphs in the paper, lines
# here), each opened by a header that counts down, "N steps left". With forcing, the decoder ends
# thinking where one step too many would begin. The paper takes a step to be 100 tokens when it
# measures Control, which none of its averages reaches. Here it is the longest step in the training
# data, header included.

# %% tags=["hide-input"]
tokenizer = load_tokenizer(profile.model)
separator = profile.methods.step_separator
instructed = [
    controls.step_conditional(example, separator)
    for example in pipeline.examples("s1")
]
step_tokens = max(
    len(encode(tokenizer, controls.STEP_MARK + step))
    for example in instructed
    for step in example.trace.thinking.split(controls.STEP_MARK)[1:]
)
rows = []
for c in experiments.step_conditional(profile):
    asked = c.instruct[1]
    run = measured(c, c.kind, limit=asked * step_tokens)
    families.setdefault(c.kind, []).append(run)
    steps = [
        controls.count_steps(from_dict(Generation, row).thinking)
        for row in pipeline.run(c).read_records("traces.jsonl")
    ]
    rows.append(
        {
            "asked for": f"{asked} steps",
            "forced": "yes" if c.steps else "no",
            "thinking tokens": f"{run.thinking_tokens:.1f}",
            "kept the limit in tokens": percent(run.keeps.mean()),
            f"kept the steps ({len(steps)} traces)": percent(
                np.mean([count <= asked for count in steps])
            ),
            "accuracy % [95%]": run.accuracy.percent(),
        }
    )
pd.DataFrame(rows).set_index("asked for")

# %% [markdown]
# The paper's Table 13. Its limits are the steps asked for, at 100 tokens each:

# %% tags=["hide-input"]
paper_table("SCC", "SCC+BF", asked="100 x steps asked for")

# %% tags=["hide-input"]
details = paper["step_details"]
Markdown(
    f"The longest step of our training data has {step_tokens} tokens. "
    + heeded(families["SCC"], "step")
    + " The steps themselves are counted in the traces that each run keeps "
    "for reading. The paper's model, asked for "
    + ", ".join(map(str, details["instructed"]))
    + " steps, took "
    + ", ".join(map(str, details["steps"]))
    + ", and made up for fewer steps with longer ones."
)

# %% [markdown]
# ## Telling the model: short or long
#
# *Class-conditional control* (Table 14) adds a sentence to the prompt, "Answer after a short (long)
# amount of thinking. ...", and trains nothing. For the pocket model these are words that occurred
# nowhere in its fine-tuning, so this measures what an unknown sentence does to it. Control here is
# whether "short" thinks less than no instruction, and "long" more.

# %% tags=["hide-input"]
default = read_samples(pipeline.run(experiments.natural(profile)))
asked, rows = {}, []
for c in experiments.class_conditional(profile):
    run = measured(c, "CCC")
    more = paired_bootstrap(run.thinking, default.thinking)
    if c.instruct:
        asked[c.instruct[1]] = (run, more)
        families.setdefault("CCC", []).append(run)
    rows.append(
        {
            "prompt": c.instruct[1] if c.instruct else "no instruction",
            "thinking tokens": f"{run.thinking_tokens:.1f}",
            "more than without [95%]": (
                f"{more.estimate:+.1f} [{more.low:.1f}, {more.high:.1f}]"
                if c.instruct
                else ""
            ),
            "accuracy % [95%]": run.accuracy.percent(),
        }
    )
pd.DataFrame(rows).set_index("prompt")

# %% [markdown]
# The paper's Table 14: average thinking tokens, and accuracy with Wilson's intervals.

# %% tags=["hide-input"]
classes = paper["class_conditional"]["rows"]
pd.DataFrame(
    {"prompt": "no instruction" if name == "default" else name}
    | {
        f"{where}, n = {(n := paper['questions'][where])}": (
            f"{tokens:,} tokens: {wilson(accuracy * n / 100, n).percent()}"
        )
        for where, (accuracy, tokens) in row.items()
    }
    for name, row in classes.items()
).set_index("prompt")

# %% tags=["hide-input"]
told = []
for name, (_, more) in asked.items():
    wanted = more.high < 0 if name == "short" else more.low > 0
    against = more.low > 0 if name == "short" else more.high < 0
    told.append(
        f'"{name}" '
        + (
            "works as asked"
            if wanted
            else "does the opposite of what it asks"
            if against
            else "changes the length by no more than noise"
        )
    )
Markdown(
    "Here "
    + " and ".join(told)
    + ". Accuracy becomes "
    + " and ".join(
        f"{run.accuracy.percent()}% ({name})"
        for name, (run, _) in asked.items()
    )
    + f", from {100 * default.correct.mean():.1f}% without. "
    + "In the paper, on AIME24, *both* make s1 think longer: "
    + ", ".join(f"{name} {row['AIME24'][1]:,}" for name, row in classes.items())
    + " tokens, and both lower the accuracy: "
    + ", ".join(f"{name} {row['AIME24'][0]}%" for name, row in classes.items())
    + "."
)

# %% [markdown]
# ## Drawing until it fits
#
# *Rejection sampling* (Figure 6) draws at temperature 1 until thinking ends within the limit. What
# it would accept can be read off samples that were drawn without a limit: the first one whose
# thinking ended below it. (A test shows that sampling anew with the same seeds accepts the same
# generations, token for token.) The order of independent samples means nothing, so results are
# averaged over all orders. A question that no sample fits is unanswered and counts as wrong; the
# paper drew until every question had a trace.
#
# Two effects are mixed in such a curve: *which questions* have a short trace, and whether a short
# trace is *better than any trace of the same question*. The last column is the second alone: the
# accuracy of accepted samples minus that of all samples, on the questions that have an accepted one.

# %%
pool = experiments.voting(profile)[-1]
stored = read_samples(pipeline.run(pool))
limits = [*sorted(profile.evaluation.budgets), most]
rejected = [rejection(stored, limit) for limit in limits]
rejected = [found for found in rejected if found.answered.any()]
families["RS"] = [found.run for found in rejected]
columns = ["limit", "answered", "tries", "thinking tokens", "tokens spent"]
columns += ["accuracy % [95%]", "of the answered", "short against any [95%]"]
rows = [
    {
        "limit": f"{found.run.limit:.0f} tokens",
        "answered": percent(found.answered.mean()),
        "tries": f"{found.tries.mean():.1f}",
        "thinking tokens": f"{found.run.thinking_tokens:.1f}",
        "tokens spent": f"{found.run.cost:.0f}",
        "accuracy % [95%]": found.run.accuracy.percent(),
        "of the answered": (
            f"{100 * found.run.correct[found.answered == 1].mean():.1f}"
        ),
        "short against any [95%]": found.gain.percent(),
    }
    for found in rejected
]
pd.DataFrame(rows, columns=columns).set_index("limit")

# %% tags=["hide-input"]
tight = [
    found for found in rejected if (stored.thinking >= found.run.limit).any()
]
helps = [f for f in tight if f.gain.low > 0]
hurts = [f for f in tight if f.gain.high < 0]
overall = [f.run.accuracy.estimate for f in rejected]
wasted = tight[0] if tight else None
text = "No sample was short enough for any limit."
if rejected:
    text = (
        f"Over all questions accuracy goes from {100 * overall[0]:.1f}% at the "
        f"tightest limit to {100 * overall[-1]:.1f}% at the widest. On one and "
        f"the same question, insisting on a short trace is better than any trace "
        f"at {len(helps)} of {len(tight)} limits, worse at {len(hurts)}, and not "
        f"told apart at {len(tight) - len(helps) - len(hurts)}. "
        + (
            f"Tight limits are dear: at {wasted.run.limit:.0f} tokens an accepted "
            f"trace has {wasted.run.thinking_tokens:.1f} thinking tokens and a "
            f"question costs {wasted.run.cost:.0f}."
            if wasted
            else ""
        )
    )
Markdown(text)

# %% [markdown]
# ## All of them at once
#
# Accuracy against average thinking tokens. The thin line in the other panels is budget forcing, for
# comparison. Hollow marks are prompts alone, filled ones are prompts with forcing. For rejection the
# thinking tokens are those of the accepted samples, as in Figure 6; what it really spent is in the
# table above.

# %% tags=["hide-input"]
for c in experiments.curve(profile):
    run = measured(c, "BF", limit=c.budget.max_thinking)
    kind = "wait" if c.kind == "wait" else "capping"
    families.setdefault(kind, []).append(run)
families["wait"] = families["capping"][-1:] + families["wait"]
families["BF"] = families["capping"] + families["wait"][1:]


def tokens(panel, name, colour, family, **look):
    """A family's settings, its accuracy against its thinking tokens."""
    used = [run.thinking_tokens for run in family]
    accuracies = [run.accuracy for run in family]
    return curve(name, colour, used, accuracies, panel=panel, **look)


headings = (
    "Budget forcing",
    "Budget in tokens in the prompt",
    "Budget in steps in the prompt",
    "Rejection; short and long",
)
first, second, third, fourth = headings
asked_only = {"hollow": True, "dashed": 1}
panels = pd.concat(
    [
        tokens(first, "capping", "capping", families["capping"]),
        tokens(first, "Wait", "wait", families["wait"]),
        *(
            tokens(heading, "", "capping", families["BF"], faint=True)
            for heading in headings[1:]
        ),
        tokens(second, "prompt", "token", families["TCC"], **asked_only),
        tokens(second, "prompt + forcing", "token", families["TCC+BF"]),
        tokens(third, "prompt", "step", families["SCC"], **asked_only),
        tokens(third, "prompt + forcing", "step", families["SCC+BF"]),
        tokens(fourth, "rejection", "rejection", families["RS"]),
        tokens(
            fourth,
            "short, long",
            "class",
            families["CCC"],
            marker="s",
            hollow=True,
        ),
    ]
)
show(
    method_panels(panels),
    "methods-all",
    alt="Accuracy against thinking tokens for four families of methods. "
    + in_words(
        panels,
        "{first[panel]}, {first[name]}: {first[percent]}% at "
        "{first[x]:.0f} tokens, {last[percent]}% at {last[x]:.0f}.",
    ),
    caption=f"{benchmark}: every way to control thinking, with 95% intervals "
    "over questions.",
    runs=[
        pipeline.run(c)
        for listing in (
            experiments.curve,
            experiments.token_conditional,
            experiments.step_conditional,
            experiments.class_conditional,
        )
        for c in listing(profile)
    ]
    + [pipeline.run(pool)],
)

# %% [markdown]
# The same panels from the points that the paper prints or draws (AIME24, intervals of thirty
# questions):


# %% tags=["hide-input"]
def paper_tokens(panel, name, colour, method, part=slice(None), **look):
    """Runs of the paper, as `tokens` has ours."""
    run = paper_runs(method)
    used, accuracies = run.thinking_tokens[part], run.accuracy[part]
    accuracies = [on_aime(accuracy) for accuracy in accuracies]
    return curve(name, colour, used, accuracies, panel=panel, **look)


# The last two points of Figure 1 are Waits (Figure 4a).
n_capped = len(paper_runs("BF").accuracy) - 2
capping, waits = slice(0, n_capped), slice(n_capped - 1, None)
paper_panels = pd.concat(
    [
        paper_tokens(first, "capping", "capping", "BF", part=capping),
        paper_tokens(first, "Wait", "wait", "BF", part=waits),
        *(
            paper_tokens(heading, "", "capping", "BF", faint=True)
            for heading in headings[1:]
        ),
        paper_tokens(second, "prompt", "token", "TCC", **asked_only),
        paper_tokens(second, "prompt + forcing", "token", "TCC+BF"),
        paper_tokens(third, "prompt", "step", "SCC", **asked_only),
        paper_tokens(third, "prompt + forcing", "step", "SCC+BF"),
        paper_tokens(fourth, "rejection", "rejection", "RS"),
        paper_tokens(
            fourth, "short, long", "class", "CCC", marker="s", hollow=True
        ),
    ]
)
show(
    method_panels(paper_panels),
    "methods-paper",
    alt="The paper's methods on AIME24, accuracy against thinking tokens. "
    + in_words(
        paper_panels,
        "{first[panel]}, {first[name]}: {first[percent]}% at "
        "{first[x]:,.0f} tokens, {last[percent]}% at {last[x]:,.0f}.",
    ),
    caption="The paper's runs of Tables 12 to 14 and Figures 1 and 6 on "
    f"AIME24, with intervals from n = {n_aime}.",
)

# %% [markdown]
# ## Table 3, with intervals
#
# *Control of generations* is the share of single generations within their limit; *of runs* is the
# paper's, over averages. *Scaling* is in points per doubling of thinking tokens, over all pairs of
# runs. *Performance* is the best run; its interval chooses the best anew in each resample, and a
# maximum errs upwards. All intervals resample questions. Capping and Wait, which the paper's budget
# forcing joins, are given apart as well.

# %% tags=["hide-input"]
names = paper["table3"]["abbreviations"] | {
    "capping": "capping alone",
    "wait": "natural end and Waits",
}
order = [
    "BF",
    "capping",
    "wait",
    *(k for k in paper["table3"]["rows"] if k != "BF"),
]
table_3 = {k: measures(families[k]) for k in order if families.get(k)}
printed = paper["table3"]["rows"]


def of_runs(method):
    """Control over runs, in percent: for classes, over the two prompts."""
    if method != "CCC":
        return 100 * table_3[method].control_of_runs
    if set(asked) < {"short", "long"}:
        return math.nan
    means = [asked[name][0].thinking_tokens for name in ("short", "long")]
    return class_control(default.thinking.mean(), *means)


def determined(scaling):
    """Whether the runs say anything about a slope: within 100 points."""
    return scaling is not None and scaling.high - scaling.low < 1


def slope(scaling):
    if scaling is None:
        return "-"
    return scaling.percent() if determined(scaling) else "undetermined"


def beside(value, method, key):
    """Ours, then the paper's."""
    theirs = f"{printed[method][key]}" if method in printed else "-"
    return f"{value} | {theirs}"


pd.DataFrame(
    {
        "method": names[method],
        "runs | paper": beside(row.runs, method, "runs"),
        "Control of generations %": row.control.percent(0)
        if row.control
        else "",
        "Control of runs % | paper": beside(
            "-" if math.isnan(of_runs(method)) else f"{of_runs(method):.0f}",
            method,
            "control",
        ),
        "Scaling [95%] | paper": beside(slope(row.scaling), method, "scaling"),
        "Performance % [95%] | paper": beside(
            row.performance.percent(), method, "performance"
        ),
    }
    for method, row in table_3.items()
).set_index("method")

# %% tags=["hide-input"]
loose = [k for k, row in table_3.items() if not determined(row.scaling)]
Markdown(
    "Equation 2 divides by differences of thinking tokens. Where a method "
    "hardly changes them, it divides noise by nearly nothing, and the estimate "
    "jumps with every resample. Intervals wider than 100 points are called "
    "undetermined: here "
    + (
        "; ".join(
            f"*{names[k]}* (runs between "
            f"{min(run.thinking_tokens for run in families[k]):.0f} and "
            f"{max(run.thinking_tokens for run in families[k]):.0f} tokens)"
            for k in loose
        )
        or "none"
    )
    + ". The paper's TCC, five runs between "
    f"{min(paper_tcc.thinking_tokens):,.0f} and "
    f"{max(paper_tcc.thinking_tokens):,.0f} tokens, is of the same kind, so "
    f"its Scaling of {printed['TCC']['scaling']} says little."
)

# %% [markdown]
# ## What should stand in for the end?
#
# Table 4 replaces the end of thinking twice by nothing (only suppressing the delimiter), by
# "Alternatively", "Hmm" and "Wait". Each difference to no extrapolation is on the same questions.

# %% tags=["hide-input"]
strings = experiments.extrapolation(profile)
plain = pipeline.run(strings[0])
wait = next(c for c in strings if c.kind == "Wait")


def paper_row(condition):
    """The row of Table 4 with this string; the paper replaces twice."""
    if condition.kind == "natural":
        return "No extrapolation"
    if condition.kind == "without string":
        return "2x without string"
    return f'2x "{condition.kind}"'


rows = []
table_4 = ("AIME24", "MATH500", "GPQA Diamond")
for c in strings:
    p, run = pipeline.point(c), pipeline.run(c)
    theirs = [accuracy_of("Table 4", paper_row(c), name) for name in table_4]
    rows.append(
        {
            "instead of the end": c.label,
            "thinking tokens": f"{p.thinking_tokens:.1f}",
            "used": f"{p.waits_used:.2f}",
            "cut short": f"{p.cut_short:.0%}",
            "accuracy % [95%]": p.accuracy.percent(),
            "against none": ""
            if c is strings[0]
            else difference(run, plain).percent(),
            "against Wait": ""
            if c is wait
            else difference(run, pipeline.run(wait)).percent(),
        }
        | {f"paper, {row.benchmark}": row.percent for row in theirs}
    )
pd.DataFrame(rows).set_index("instead of the end")

# %% tags=["hide-input"]
none = accuracy_of("Table 4", "No extrapolation", "AIME24")
gaps = {c.label: difference(pipeline.run(c), plain) for c in strings[1:]}
show(
    comparison(
        [
            {
                "name": c.label,
                "series": "wait" if c is wait else "ours",
                "accuracy": gaps[c.label].estimate,
                "low": gaps[c.label].low,
                "high": gaps[c.label].high,
                "paper": (
                    accuracy_of("Table 4", paper_row(c), "AIME24").percent
                    - none.percent
                )
                / 100,
            }
            for c in strings[1:]
        ],
        title="Table 4: in place of the end of thinking",
        metric="accuracy against no extrapolation",
        gaps=True,
    ),
    "methods-strings",
    alt="Differences in accuracy to no extrapolation, in points: "
    + "; ".join(f"{k} {gap.percent()}" for k, gap in gaps.items())
    + ".",
    caption="Paired differences with 95% intervals over questions. Hollow: "
    "the paper on AIME24, where one question is "
    f"{100 / none.n:.1f} points.",
    runs=[pipeline.run(c) for c in strings],
)

# %% tags=["hide-input"]
wait_gap = gaps[wait.label]
fourth = [accuracy_of("Table 4", paper_row(c), "AIME24") for c in strings]
spread_4 = max(a.correct for a in fourth) - min(a.correct for a in fourth)
rivals = {
    c.label: difference(pipeline.run(wait), pipeline.run(c))
    for c in strings[1:]
    if c is not wait
}
beaten = [k for k, gap in rivals.items() if gap.low > 0]
lost = [k for k, gap in rivals.items() if gap.high < 0]
Markdown(
    f"Here {wait.label} changes accuracy by {wait_gap.percent()} points. "
    + (f"It beats {', '.join(beaten)}. " if beaten else "It beats none. ")
    + (f"It loses to {', '.join(lost)}. " if lost else "")
    + "In the paper's Table 4 the best string leads the worst by "
    f"{spread_4} question{'s' * (spread_4 != 1)} on AIME24."
)

# %% tags=["hide-input"]
traced = {
    c.kind: sum(
        example.trace.thinking.count(c.kind)
        for example in pipeline.examples("s1")
    )
    for c in strings[1:]
    if c.kind != "without string"
}
Markdown(
    "How often the training traces contain these words: "
    + ", ".join(f"{word} {count:,} times" for word, count in traced.items())
    + ". "
    + " ".join(
        f'"{c.kind}" and "Wait" differ by '
        f"{rivals[c.label].percent().replace('-0.0 ', '0.0 ')} points."
        for c in strings[1:]
        if c is not wait
        and c.kind in traced
        and rivals[c.label].low <= 0 <= rivals[c.label].high
    )
    + " Where a word that the traces never hold does as well, it is not this "
    "word in particular that helps."
    + "".join(
        f" With nothing put there the difference is "
        f"{rivals[c.label].percent()} points: some mark that the thinking goes "
        "on matters."
        for c in strings[1:]
        if c.kind == "without string"
        and not rivals[c.label].low <= 0 <= rivals[c.label].high
    )
)

# %% [markdown]
# ## What agrees, what does not, and why


# %% tags=["hide-input"]
def told(gap):
    return "positive" if gap.low > 0 else "negative" if gap.high < 0 else "open"


def claim(holds, text):
    (agrees if holds else differs).append(text)


agrees, differs = [], []
bf = table_3["BF"]
claim(
    bf.control.estimate == 1,
    f"**Control of budget forcing** is {bf.control.percent(0)}% of "
    "generations. It is the decoder's doing, whatever the model wants.",
)
for method in ("TCC", "SCC"):
    row, with_bf = table_3.get(method), table_3.get(f"{method}+BF")
    if row is None or with_bf is None:
        continue
    claim(
        row.control.estimate < with_bf.control.estimate,
        f"**{names[method].capitalize()}** keeps {row.control.percent(0)}% of "
        f"its limits alone and {with_bf.control.percent(0)}% with forcing.",
    )
claim(
    bool(bf.scaling) and bf.scaling.low > 0,
    f"**Scaling of budget forcing** is {bf.scaling.percent()} points per "
    f"doubling ({told(bf.scaling)}); capping alone "
    f"{table_3['capping'].scaling.percent()}"
    + (
        f", Waits alone {table_3['wait'].scaling.percent()} "
        f"({told(table_3['wait'].scaling)})."
        if table_3["wait"].scaling
        else "."
    ),
)
rs = table_3.get("RS")
if rs and rs.scaling:
    claim(
        rs.scaling.high < 0,
        f"**Rejection sampling** scales by {rs.scaling.percent()} points per "
        f"doubling over all questions ({told(rs.scaling)}; the paper prints "
        f"{printed['RS']['scaling']}). "
        + "That mixes in the questions that stay unanswered. On one and the "
        + "same question short traces are better at limits of "
        + (", ".join(f"{f.run.limit:.0f}" for f in helps) or "no")
        + " tokens and worse at "
        + (", ".join(f"{f.run.limit:.0f}" for f in hurts) or "none")
        + ".",
    )
best = max(
    (k for k in table_3 if k not in ("capping", "wait")),
    key=lambda k: table_3[k].performance.estimate,
)
claim(
    best == "BF",
    f"**Performance** is highest for {names[best]} "
    f"({table_3[best].performance.percent()}%)"
    + (
        "."
        if best == "BF"
        else f"; budget forcing has {bf.performance.percent()}%."
    ),
)
claim(
    wait_gap.low > 0 and not lost,
    f"**Wait** against no extrapolation: {wait_gap.percent()} points "
    f"({told(wait_gap)})"
    + (
        f"; better than {', '.join(beaten)}"
        if beaten
        else "; better than no other string"
    )
    + (f", worse than {', '.join(lost)}." if lost else "."),
)


def box(title, kind, lines):
    body = "\n".join(f"- {line}" for line in lines)
    return f":::{{admonition}} {title}\n:class: {kind}\n{body}\n:::\n"


Markdown(
    "\n".join(
        box(title, kind, lines)
        for title, kind, lines in (
            ("Where it agrees", "agrees", agrees),
            ("Where it differs", "differs", differs),
        )
        if lines
    )
)

# %% [markdown]
# A budget in the prompt is learned from a thousand examples in which the budget was set *after* the
# trace was written: the model can learn that the number goes with hard questions, and never has to
# shorten anything. Training that rewards keeping the budget does give control
# {cite}`aggarwal2025l1`. Until then the sure way is the decoder's. That says nothing about whether
# the tokens are well spent, which is the question of the [results](04_results).
