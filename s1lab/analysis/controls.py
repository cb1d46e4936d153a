"""The methods of Table 3 side by side: what keeps a budget, and what its tokens buy.

A method is a family of settings (Sections 3.1 and 5.2, Appendix E), named by the paper's
abbreviation. "capping" and "wait" are the two halves of budget forcing; the natural end is in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from s1core.checkpoints import load_tokenizer
from s1core.forcing import controls
from s1core.records import Generation, from_dict
from s1core.templates import encode
from s1lab import experiments
from s1lab.analysis.methods import MethodRun, Rejected, rejection, sequential
from s1lab.audit.published import printed_accuracy, published, runs
from s1lab.evaluation import Interval, class_control
from s1lab.evaluation.measure import read_samples
from s1lab.experiments import Condition
from s1lab.figures.panels import curve
from s1lab.pipeline import Pipeline
from s1lab.runs import Run

NAMES = published()["table3"]["abbreviations"] | {
    "capping": "capping alone",
    "wait": "natural end and Waits",
}
Points = Mapping[str, Sequence[tuple[float, Interval]]]
"""Of each method: thinking tokens and accuracy of its settings."""

# Heading, then (method, what it is called there, ink, look). Hollow is a prompt alone.
_ASKED: dict[str, Any] = {"hollow": True, "dashed": 1}
_PANELS: tuple[tuple[str, tuple[tuple[str, str, str, dict[str, Any]], ...]], ...] = (
    ("Budget forcing", (("capping", "capping", "capping", {}), ("wait", "Wait", "wait", {}))),
    (
        "Budget in tokens in the prompt",
        (("TCC", "prompt", "token", _ASKED), ("TCC+BF", "prompt + forcing", "token", {})),
    ),
    (
        "Budget in steps in the prompt",
        (("SCC", "prompt", "step", _ASKED), ("SCC+BF", "prompt + forcing", "step", {})),
    ),
    (
        "Rejection; short and long",
        (
            ("RS", "rejection", "rejection", {}),
            ("CCC", "short, long", "class", {"marker": "s", "hollow": True}),
        ),
    ),
)


@dataclass(frozen=True)
class Setting:
    """One setting of a method: its condition, the run that was made, and what it gave."""

    condition: Condition
    run: Run
    result: MethodRun

    @property
    def kept_steps(self) -> float:
        """Share of the traces kept for reading that keep the number of steps asked for."""
        kept = self.run.read_records("traces.jsonl")
        counts = [controls.count_steps(from_dict(Generation, row).thinking) for row in kept]
        return float(np.mean([count <= self.condition.instruct[1] for count in counts]))


Families = dict[str, list[Setting]]


def families(pipeline: Pipeline) -> Families:
    """The settings of every method that the profile asks for, rejection sampling aside."""
    profile, found = pipeline.profile, {}
    per_step = step_tokens(pipeline) if profile.methods.step_limits else 0
    for c in experiments.curve(profile):
        kinds = {"budget": ["capping"], "natural": ["capping", "wait"], "wait": ["wait"]}[c.kind]
        for method in ("BF", *kinds):
            _add(found, pipeline, method, c, c.budget.max_thinking)
    for c in experiments.token_conditional(profile):
        _add(found, pipeline, c.kind, c, c.instruct[1])
    for c in experiments.step_conditional(profile):
        _add(found, pipeline, c.kind, c, c.instruct[1] * per_step)
    for c in experiments.class_conditional(profile):
        if c.instruct:
            _add(found, pipeline, "CCC", c, math.nan)
    return found


def _add(
    found: Families, pipeline: Pipeline, method: str, condition: Condition, limit: float
) -> None:
    run = pipeline.run(condition)
    result = sequential(read_samples(run), method, condition.label, limit)
    found.setdefault(method, []).append(Setting(condition, run, result))


def step_tokens(pipeline: Pipeline) -> int:
    """Tokens of the longest step in the training data, header included: a step's limit here."""
    tokenizer = load_tokenizer(pipeline.profile.model)
    separator = pipeline.profile.methods.step_separator
    traces = [controls.step_conditional(e, separator) for e in pipeline.examples("s1")]
    steps = (s for e in traces for s in e.trace.thinking.split(controls.STEP_MARK)[1:])
    return max(len(encode(tokenizer, controls.STEP_MARK + step)) for step in steps)


def rejected(pipeline: Pipeline) -> list[Rejected]:
    """Rejection sampling at each cap of the curve and at the profile's limit, where it answers."""
    (*_, pool) = experiments.voting(pipeline.profile)
    samples, asked = read_samples(pipeline.run(pool)), pipeline.profile.evaluation
    found = (rejection(samples, limit) for limit in (*sorted(asked.budgets), asked.max_thinking))
    return [one for one in found if one.answered.any()]


def obeyed(family: Sequence[Setting]) -> float | None:
    """By what factor thinking grows when the budget in the prompt doubles; 1 ignores it, 2 obeys.

    None for fewer than two budgets.
    """
    asked = np.log2([setting.condition.instruct[1] for setting in family])
    used = np.log2([setting.result.thinking_tokens for setting in family])
    return 2 ** float(np.polyfit(asked, used, 1)[0]) if len(family) > 1 else None


def control_of_classes(pipeline: Pipeline, family: Sequence[Setting]) -> float | None:
    """Control of "short" and "long" as Table 3 has it, a share; None unless both were asked."""
    means = {s.condition.instruct[1]: s.result.thinking_tokens for s in family}
    natural = read_samples(pipeline.run(experiments.natural(pipeline.profile)))
    both = {"short", "long"} <= set(means)
    return class_control(natural.thinking.mean(), **means) / 100 if both else None


def points(found: Families, rejecting: Sequence[Rejected] = ()) -> Points:
    """What `method_panels` draws of ours."""
    settings = {method: [s.result for s in family] for method, family in found.items()}
    settings["RS"] = [one.run for one in rejecting]
    return {
        method: [(run.thinking_tokens, run.accuracy) for run in listed]
        for method, listed in settings.items()
    }


def paper_points() -> Points:
    """The paper's, as Tables 12 to 14 and Figures 1 and 6 have them, on AIME24."""
    found = {}
    for method in ("BF", "TCC", "TCC+BF", "SCC", "SCC+BF", "RS", "CCC"):
        printed = runs(method)
        pairs = zip(printed.thinking_tokens, printed.accuracy, strict=True)
        found[method] = [(tokens, printed_accuracy("AIME24", value)) for tokens, value in pairs]
    # The last two points of Figure 1 are Waits (Figure 4a).
    return found | {"capping": found["BF"][:-2], "wait": found["BF"][-3:]}


def panel_table(found: Points) -> pd.DataFrame:
    """A curve table for `figures.curves.method_panels`; budget forcing is faint beside others."""
    drawn = []
    for heading, methods in _PANELS:
        faint = [] if heading == _PANELS[0][0] else [("BF", "", "capping", {"faint": True})]
        for method, name, series, look in (*faint, *methods):
            if found.get(method):
                tokens, accuracies = zip(*found[method], strict=True)
                drawn.append(curve(name, series, tokens, accuracies, panel=heading, **look))
    return pd.concat(drawn)
