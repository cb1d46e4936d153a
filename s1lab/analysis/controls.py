"""The methods of Table 3 side by side: what keeps a budget, and what its tokens buy.

A method is a family of settings (Sections 3.1 and 5.2, Appendix E), named by the paper's
abbreviation. "capping" and "wait" are the two halves of budget forcing; the natural end is in both.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from s1core.checkpoints import load_tokenizer
from s1core.errors import InputError
from s1core.forcing import controls
from s1core.templates import encode
from s1lab import experiments, packaged
from s1lab.analysis.methods import MethodRun, rejection, resampled, sequential
from s1lab.analysis.results import kept, line, made
from s1lab.audit.published import accuracy_of, printed_accuracy, published, runs
from s1lab.evaluation import Interval, class_control, clustered_bootstrap
from s1lab.evaluation.measure import difference, read_samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import RESAMPLES, Array
from s1lab.pipeline import Pipeline

WORDS = packaged("analysis/methods.yaml")
Families = Mapping[str, Sequence[MethodRun]]
"""The settings of every method."""
Points = Mapping[str, Sequence[tuple[float, Interval]]]
"""Of each method: thinking tokens and accuracy of its settings."""


def family(pipeline: Pipeline, method: str) -> list[MethodRun]:
    """The settings of one method that the profile asks for, and what they gave. The limit is the
    cap, or what the prompt names, in tokens; a class names none. Rejection sampling ("RS") is that
    at each cap of the curve and at the profile's limit, where a sample fits."""
    (experiment, *kinds), asked, found = WORDS["settings"][method], pipeline.profile.evaluation, []
    listed = getattr(experiments, experiment)(pipeline.profile)
    for c, run, samples in made(pipeline, (c for c in listed if c.kind in kinds)):
        where: Any = {"condition": c, "run": run}
        if method == "RS":
            limits = (*sorted(asked.budgets), asked.max_thinking)
            every = (rejection(samples, limit, **where) for limit in limits)
            found += [one for one in every if one.answered.any()]
            continue
        how, limit = c.instruct or ("", c.budget.max_thinking)
        if how in ("steps", "class"):
            limit = limit * step_tokens(pipeline) if how == "steps" else math.nan
        found.append(sequential(samples, method, c.label, limit, **where))
    return found


def families(pipeline: Pipeline) -> Families:
    """`family` of every method."""
    return {method: family(pipeline, method) for method in WORDS["settings"]}


def rows(pipeline: Pipeline, found: Families, *methods: str) -> list[Row]:
    """A line of a table for each setting: what it gives and costs, and what it keeps."""
    table = []
    for setting in (s for method in methods for s in found[method]):
        how, amount = setting.condition.instruct
        row = line(pipeline, setting.condition, "all tokens", "cut short (%)")
        if how == "class":
            plain = pipeline.run(experiments.natural(pipeline.profile))
            row["longer by (+tokens)"] = difference(setting.run, plain, "thinking_tokens")
        else:
            row["kept the limit (%)"] = float(setting.keeps.mean())
        if how == "steps":  # counted in the traces kept for reading
            traces = [made.thinking for _, made, _ in kept(pipeline, setting.condition)]
            few = [controls.count_steps(trace) <= amount for trace in traces]
            row["kept the steps (%)"] = float(np.mean(few))
        table.append(row)
    return table


@cache
def step_tokens(pipeline: Pipeline) -> int:
    """Tokens of the longest step in the training data, header included: a step's limit here."""
    tokenizer = load_tokenizer(pipeline.profile.model)
    separator = pipeline.profile.methods.step_separator
    traces = [controls.step_conditional(e, separator) for e in pipeline.examples("s1")]
    steps = (s for e in traces for s in e.trace.thinking.split(controls.STEP_MARK)[1:])
    return max(len(encode(tokenizer, controls.STEP_MARK + step)) for step in steps)


def obeyed(family: Sequence[MethodRun]) -> float | None:
    """By what factor thinking grows when the budget in the prompt doubles; 1 ignores it, 2 obeys,
    None is for fewer than two budgets."""
    asked = np.log2([setting.condition.instruct[1] for setting in family])
    used = np.log2([setting.thinking_tokens for setting in family])
    return 2 ** float(np.polyfit(asked, used, 1)[0]) if len(family) > 1 else None


@dataclass(frozen=True, slots=True)
class Measures:
    """A row of Table 3 with intervals over questions. Fractions; Scaling per doubling of tokens.

    `control` is the share of generations that keep their limit, `control_of_runs` the paper's: of
    runs whose average does; `scaling` the mean slope over all pairs of runs (Eq. 2); None where
    there is none. `performance` is the accuracy of the best run (Eq. 3); its interval chooses the
    best anew in every resample: a maximum errs upwards.
    """

    method: str
    runs: int
    control: Interval | None
    control_of_runs: float | None
    scaling: Interval | None
    performance: Interval

    @property
    def slope(self) -> Interval | str | None:
        """The scaling, where it is determined to within 100 points; where runs hardly differ in
        tokens, Eq. 2 divides noise by nearly nothing, and it is not."""
        wide = self.scaling is not None and self.scaling.high - self.scaling.low > 1
        return "undetermined" if wide else self.scaling


def measures(runs: Sequence[MethodRun], *, resamples: int = RESAMPLES) -> Measures:
    """Control, Scaling and Performance (Eq. 1 to 3) of the runs of one method, at least one."""
    if not runs:
        raise InputError("a method without runs has no measures; give at least one")
    n = runs[0].correct.size
    limited = [run for run in runs if not math.isnan(run.limit)]
    keeps = np.array([run.keeps for run in limited]).reshape(-1, n).T
    known = keeps[~np.isnan(keeps).all(axis=1)]  # questions that some run has a value for
    within = [run.thinking_tokens <= run.limit for run in limited]
    slope = len({run.thinking_tokens for run in runs}) > 1
    about = ", ".join(run.setting for run in runs)
    best = resampled(lambda w: np.max([w @ run.correct for run in runs], axis=0), n, resamples)
    scaling = resampled(lambda weights: _slopes(weights, runs), n, resamples) if slope else None
    return Measures(
        runs[0].method,
        len(runs),
        clustered_bootstrap(known) if limited else None,
        float(np.mean(within)) if limited else None,
        scaling and replace(scaling, about=f"scaling: {about}"),
        replace(best, about=f"performance: {about}"),
    )


def _slopes(weights: Array, runs: Sequence[MethodRun]) -> Array:
    """Eq. 2 per doubling, for each row of weights over the questions."""
    y, thought = np.array([weights @ run.correct for run in runs]), [run.thinking for run in runs]
    i, j = np.triu_indices(len(runs), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no pair doubles anything: no slope
        # Means over the questions that have a value.
        x = np.log2([weights @ np.nan_to_num(of) / (weights @ ~np.isnan(of)) for of in thought])
        doublings = x[j] - x[i]
        return np.nanmean((y[j] - y[i]) / np.where(doublings == 0, math.nan, doublings), axis=0)


def measured(pipeline: Pipeline, found: Families) -> dict[str, Measures]:
    """Table 3 of every method; Control over runs of the classes as Appendix E.1 has it."""
    rows = {method: measures(settings) for method, settings in found.items() if settings}
    if means := class_means(pipeline):
        rows["CCC"] = replace(rows["CCC"], control_of_runs=class_control(**means) / 100)
    order = ["BF", "capping", "wait", *published()["table3"]["rows"]]
    return {method: rows[method] for method in order if method in rows}


def class_means(pipeline: Pipeline) -> dict[str, float]:
    """Mean thinking tokens, asked for "short" and "long", and by "default"; empty without both."""
    found = {}
    for c in experiments.class_conditional(pipeline.profile):
        name = c.instruct[1] if c.instruct else "default"
        found[name] = float(read_samples(pipeline.run(c)).thinking.mean())
    return found if {"short", "long"} <= set(found) else {}


def table_3(rows: Mapping[str, Measures], found: Families) -> tuple[list[Row], list[Row]]:
    """Table 3 with intervals, the paper's numbers beside ours: Control; Scaling and Performance,
    with the minutes that all settings of a method took."""
    control, rest = [], []
    for method, row in rows.items():
        printed = published()["table3"]["rows"].get(method, {})
        paper = {name: value / 100 for name, value in printed.items()}
        name, shares = WORDS["names"][method], (row.control, row.control_of_runs)
        control.append((name, row.runs, *shares, paper.get("control")))
        scaling, best = paper.get("scaling"), paper.get("performance")
        minutes = sum({s.run.id: s.run.minutes for s in found[method]}.values())
        rest.append((name, row.slope, scaling, row.performance, best, minutes))
    head = "method | Scaling (points) | paper (points) | Performance (%) | paper (%)"
    first = lines("method | settings | Control (%) | of averages (%) | paper (%)", control)
    return first, lines(f"{head} | all settings (min)", rest)


def strings(pipeline: Pipeline) -> dict[str, Row]:
    """Table 4: what stands in for the end of thinking, each string against none and against Wait.
    The keys are the strings; "natural" is no extrapolation. InputError: the profile names none."""
    if not (asked := {c.kind: c for c in experiments.extrapolation(pipeline.profile)}):
        raise InputError("the profile names no ignore_strs, so nothing stands in for the end")
    found = {kind: pipeline.run(condition) for kind, condition in asked.items()}

    def less(kind: str, other: str) -> Interval | None:
        return difference(found[kind], found[other]) if kind != other in found else None

    rows = {}
    for kind, condition in asked.items():
        gaps = {"to none (points)": less(kind, "natural"), "to Wait (points)": less(kind, "Wait")}
        rows[kind] = line(pipeline, condition, "all tokens", "cut short (%)", **gaps)
    return rows


def strings_rows(found: Mapping[str, Row]) -> list[Row]:
    """What each string adds to the natural end, for `figures.forests.comparison`."""

    def printed(kind: str) -> float:
        names = {"natural": "No extrapolation", "without string": "2x without string"}
        return accuracy_of("Table 4", names.get(kind, f'2x "{kind}"'), "AIME24").percent

    rows = []
    for kind, row in found.items():
        if kind != "natural":
            look = {"name": row["condition"], "series": "wait" if kind == "Wait" else "ours"}
            look["paper"] = (printed(kind) - printed("natural")) / 100
            rows.append(row["to none (points)"].row("accuracy", **look))
    return rows


def paper_rows(*methods: str) -> list[Row]:
    """The paper's runs with a budget in the prompt (Tables 12 and 13), on AIME24."""
    rows = []
    for method in methods:
        run, forced = runs(method), ", forced" * ("BF" in method)
        unit, scale = ("tokens", 1) if method.startswith("TCC") else ("steps", 100)
        for limit, used, accuracy in zip(run.limits, run.thinking_tokens, run.accuracy):
            name, found = f"{limit // scale:,} {unit}{forced}", printed_accuracy("AIME24", accuracy)
            rows.append((name, found, round(used), used <= limit))
    return lines("condition | AIME24 (%) | thinking tokens | kept on average", rows)


def paper_class_rows() -> list[Row]:
    """Table 14: asked for a short or a long amount of thinking, and not asked."""
    names, rows = {"default": "no instruction"}, []
    for name, row in published()["class_conditional"]["rows"].items():
        for on, (accuracy, tokens) in row.items():
            rows.append((names.get(name, name), on, printed_accuracy(on, accuracy), tokens))
    return lines("prompt | benchmark | accuracy (%) | thinking tokens", rows)


def points(found: Families) -> Points:
    """What `method_panels` draws of ours."""
    return {name: [(s.thinking_tokens, s.accuracy) for s in of] for name, of in found.items()}


def paper_points() -> Points:
    """The paper's, as Tables 12 to 14 and Figures 1 and 6 have them, on AIME24."""
    found = {}
    for method in published()["runs_aime24"]:
        printed = runs(method)
        pairs = zip(printed.thinking_tokens, printed.accuracy, strict=True)
        found[method] = [(tokens, printed_accuracy("AIME24", value)) for tokens, value in pairs]
    # The last two points of Figure 1 are Waits (Figure 4a).
    return found | {"capping": found["BF"][:-2], "wait": found["BF"][-3:]}


def panel_rows(found: Points, **paper: Any) -> list[Row]:
    """Rows of a curve table for `figures.curves.method_panels`; budget forcing is faint beside
    others. `paper` is `figures.panels.PAPER` where the points are."""
    drawn = []
    for place, (heading, methods) in enumerate(WORDS["panels"].items()):
        if any(found.get(method) for method in methods):
            faint = {"BF": ("", "capping", {"faint": True})} if place else {}
            for method, (name, series, look) in (faint | methods).items():
                look = {"name": name, "series": series, "panel": heading} | look | paper
                points = found.get(method, ())
                drawn += [accuracy.row("accuracy", x=x, **look) for x, accuracy in points]
    return drawn
