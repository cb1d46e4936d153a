"""How a claim is put to the test: a difference between conditions, its interval, and a verdict.

A claim has a direction: A is better than B, more tokens give more accuracy. The same difference is
measured here, with its 95% interval, and the verdict is read off the interval:

- *agrees*: the whole interval lies on the claimed side;
- *does not agree*: the whole interval lies on the other side;
- *inside uncertainty*: the interval contains the border;
- *not tested*: the runs were not made under this profile.

The border is zero. For "no gain" it is one question of AIME24, 3.3 points: the smallest difference
that the paper could have seen. Shares that are counted rather than estimated (Control) agree when
they equal what is claimed. Only finished runs are read; nothing is generated. Functions raise
`RunError` where the profile does not ask for the runs that they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from s1core.errors import RunError
from s1core.grading.voting import same_answer
from s1lab import experiments
from s1lab.analysis.method_measures import measures
from s1lab.analysis.method_runs import MethodRun, rejection, sequential, votes
from s1lab.data import benchmarks
from s1lab.evaluation import Interval, class_control, paired_bootstrap
from s1lab.evaluation.measure import read_samples, scores
from s1lab.experiments import Condition, Training
from s1lab.pipeline import Pipeline
from s1lab.runs import Run

Verdict = Literal["agrees", "does not agree", "inside uncertainty", "not tested"]

ONE_QUESTION = 1 / 30
"""One question of AIME24, as a fraction."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Our side of a claim: the value with its interval in words, n, the verdict, and the runs."""

    ours: str
    n: str
    verdict: Verdict
    runs: tuple[str, ...] = ()


def verdict(gap: Interval, sign: int = 1, border: float = 0.0) -> Verdict:
    """Which side of the border an interval is on: sign 1 claims above it, -1 below it.

    >>> verdict(Interval(0.1, 0.02, 0.2, 30))
    'agrees'
    """
    words: list[Verdict] = ["agrees", "does not agree"]
    return gap.says(*words[::sign], "inside uncertainty", border)


def _wanted(experiment: str, pipeline: Pipeline, **fields: object) -> list[Condition]:
    """The conditions of an experiment with these fields, at least one."""
    listed = getattr(experiments, experiment)(pipeline.profile)
    found = [c for c in listed if all(getattr(c, k) == v for k, v in fields.items())]
    if not found:
        raise RunError(f"the profile asks for no condition of {experiment} with {fields}")
    return found


def _difference(
    pipeline: Pipeline, a: Sequence[Condition], b: Sequence[Condition], sign: int, border: float = 0
) -> Measured:
    """Accuracy of a minus accuracy of b on the same questions; several conditions are seeds."""
    sides = [[pipeline.run(c) for c in side] for side in (a, b)]
    gap = paired_bootstrap(*(np.hstack([scores(run) for run in side]) for side in sides))
    return _measured(gap, "points", sum(sides, []), sign, border, scale=100)


def _measured(
    gap: Interval, unit: str, runs: Sequence[Run], sign: int = 1, border: float = 0, scale: int = 1
) -> Measured:
    middle, low, high = (_signed(end) for end in gap.row("middle", scale).values())
    said = verdict(gap, sign, border)
    return Measured(f"{middle} [{low}, {high}] {unit}", f"{gap.n} questions", said, _ids(runs))


def _signed(value: float) -> str:
    """One decimal with its sign, as printed: `+3.3`, `−0.6`, `0.0`."""
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def _ids(shown: Sequence[Run]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.id for run in shown))


# ------------------------------------------------------------------ one function per kind of claim


def by_kind(pipeline: Pipeline, experiment: str, better: str, worse: str) -> Measured:
    """Accuracy under one kind of condition of an experiment against another kind."""
    a, b = (_wanted(experiment, pipeline, kind=kind)[:1] for kind in (better, worse))
    return _difference(pipeline, a, b, 1)


def whole_pool(pipeline: Pipeline) -> Measured:
    """No gain: the whole pool against the selected examples (Table 2)."""
    full, ours = (_wanted("subsets", pipeline, kind=kind) for kind in ("full", "s1"))
    return _difference(pipeline, full, ours, -1, ONE_QUESTION)


def two_waits(pipeline: Pipeline) -> Measured:
    """As many Waits as Table 4 forces (or the fewest of the profile) against none."""
    waited = _wanted("curve", pipeline, kind="wait")
    two = [c for c in waited if c.budget.num_ignore == 2] or waited
    return _difference(pipeline, two[:1], _wanted("curve", pipeline, kind="natural"), 1)


def most_waits(pipeline: Pipeline) -> Measured:
    """No gain: the largest number of Waits against the next smaller one (Figure 4a)."""
    waited = _wanted("curve", pipeline, kind="wait")
    if len(waited) < 2:
        raise RunError("the profile has one number of Waits")
    return _difference(pipeline, waited[-1:], waited[-2:-1], -1, ONE_QUESTION)


def fine_tuning(pipeline: Pipeline) -> Measured:
    """The fine-tuned model against its base, each as it answers best: the base model never saw
    the think delimiter, so it is asked directly (Table 1)."""
    ours = _wanted("arms", pipeline, training=Training())[:1]
    return _difference(pipeline, ours, _wanted("voting", pipeline, training=None), 1)


def slope(pipeline: Pipeline) -> Measured:
    """Scaling (Equation 2) over the points of Figure 1: every cap, and the natural end."""
    kinds = ("budget", "natural")
    found = [pipeline.run(c) for kind in kinds for c in _wanted("curve", pipeline, kind=kind)]
    return _scaling([sequential(read_samples(run), "BF", run.id) for run in found], 1, found)


def rejection_slope(pipeline: Pipeline) -> Measured:
    """Scaling of rejection sampling: the longer the accepted traces, the worse (Figure 6)."""
    drawn = pipeline.run(_wanted("voting", pipeline, kind="natural")[0])
    samples, evaluation = read_samples(drawn), pipeline.profile.evaluation
    limits = [*sorted(evaluation.budgets), evaluation.max_thinking]
    kept = [rejection(samples, limit) for limit in limits]
    return _scaling([r.run for r in kept if r.answered.any()], -1, [drawn])


def _scaling(settings: Sequence[MethodRun], sign: int, shown: Sequence[Run]) -> Measured:
    gap = measures(settings).scaling if len(settings) > 1 else None
    if gap is None:
        raise RunError("one setting, or settings with equal tokens, have no slope")
    return _measured(gap, "points per doubling", shown, sign, scale=100)


def budgets_kept(pipeline: Pipeline) -> Measured:
    """Control (Equation 1) of forced budgets, generation by generation, under every cap."""
    capped = _wanted("curve", pipeline, kind="budget")
    found = [pipeline.run(c) for c in capped]
    thinking = [read_samples(run).thinking.ravel() for run in found]
    kept = [used <= c.budget.max_thinking for used, c in zip(thinking, capped, strict=True)]
    within = np.concatenate(kept)
    said: Verdict = "agrees" if within.all() else "does not agree"
    return Measured(
        f"{100 * within.mean():.2f}%", f"{within.size:,} generations", said, _ids(found)
    )


def token_limits_kept(pipeline: Pipeline) -> Measured:
    """Control of limits that are only named in the prompt, by mean thinking tokens (Table 12)."""
    asked = _wanted("token_conditional", pipeline, kind="TCC")
    found = [pipeline.run(c) for c in asked]
    thinking = [read_samples(run).thinking for run in found]
    limits = [c.instruct[1] for c in asked if c.instruct]
    kept = [used.mean() <= limit for used, limit in zip(thinking, limits)]
    text = f"{100 * np.mean(kept):.0f}% ({sum(kept)} of {len(kept)} limits)"
    said: Verdict = "does not agree" if all(kept) else "agrees"
    return Measured(text, f"{len(thinking[0])} questions each", said, _ids(found))


def class_prompts(pipeline: Pipeline) -> Measured:
    """Control of "a short" and "a long amount of thinking" (Table 14)."""
    listed = _wanted("class_conditional", pipeline)
    kinds = {c.instruct[1] if c.instruct else "default": pipeline.run(c) for c in listed}
    if set(kinds) != {"short", "long", "default"}:
        raise RunError("the profile does not ask for both classes")
    thinking = {name: read_samples(run).thinking for name, run in kinds.items()}
    means = {name: used.mean() for name, used in thinking.items()}
    share = class_control(**means)
    listed = ", ".join(f"{name} {means[name]:.0f}" for name in ("short", "default", "long"))
    said: Verdict = "does not agree" if share == 100 else "agrees"
    n = f"{len(thinking['default'])} questions each"
    return Measured(f"{share:.0f}% ({listed} tokens)", n, said, _ids(list(kinds.values())))


def whole_examples(pipeline: Pipeline) -> Measured:
    """Accuracy after training on whole examples against cut ones, all seeds (Table 8)."""
    return _difference(pipeline, *_sequence_lengths(pipeline), 1)


def cut_examples(pipeline: Pipeline) -> Measured:
    """Thinking tokens after training on cut examples against whole ones (Table 8)."""
    sides = [[pipeline.run(c) for c in side] for side in _sequence_lengths(pipeline)]
    whole, cut = (np.hstack([read_samples(r).thinking for r in side]) for side in sides)
    return _measured(paired_bootstrap(cut, whole), "tokens", sum(sides, []))


def _sequence_lengths(pipeline: Pipeline) -> list[list[Condition]]:
    """The conditions of the longest and of the shortest sequence length."""
    listed = _wanted("sequence_lengths", pipeline)
    if listed[0].kind == listed[-1].kind:
        raise RunError("the profile trains at one sequence length")
    return [[c for c in listed if c.kind == listed[place].kind] for place in (-1, 0)]


def votes_of_the_base(pipeline: Pipeline) -> Measured:
    """Single answers of the fine-tuned model against a vote over all samples of the base model."""
    base = pipeline.run(_wanted("voting", pipeline, kind="majority, base")[0])
    ours = pipeline.run(_wanted("curve", pipeline, kind="natural")[0])
    kind = benchmarks.benchmark(base.settings["benchmark"]).kind
    samples = read_samples(base)
    (voted,) = votes(samples, same_answer(kind), at=[samples.correct.shape[1]])
    gap = paired_bootstrap(scores(ours), voted.correct)
    return _measured(gap, "points", [ours, base], scale=100)
