"""How a claim is put to the test: a difference between conditions, its interval, and a verdict.

A claim has a direction: A is better than B, more tokens give more accuracy. The same difference is
measured here, with its 95% interval, and the verdict is read off the interval:

- *agrees*: the whole interval lies on the claimed side;
- *does not agree*: the whole interval lies on the other side;
- *inside uncertainty*: the interval contains the border;
- *not tested*: the runs were not made under this profile.

The border is zero; for "no gain" it is one question of AIME24, the smallest difference that the
paper could have seen. Shares that are counted rather than estimated (Control) agree when they equal
what is claimed. Only finished runs are read; where there are none, functions raise `RunError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from s1core.errors import RunError
from s1lab import experiments
from s1lab.analysis.method_measures import measures
from s1lab.analysis.method_runs import MethodRun, rejection, sequential, votes
from s1lab.data import benchmarks
from s1lab.evaluation import Interval, class_control, paired_bootstrap
from s1lab.evaluation.measure import Samples, read_samples, scores
from s1lab.evaluation.voting import same_answer
from s1lab.experiments import Condition
from s1lab.pipeline import Pipeline

Place = tuple[str, str, int]
"""Of a condition: the experiment, its kind, and which of that kind."""

Verdict = Literal["agrees", "does not agree", "inside uncertainty", "not tested"]

ONE_QUESTION = 1 / 30
"""One question of AIME24, as a fraction."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Our side of a claim: the value with its interval in words, n, and the verdict."""

    ours: str
    n: str
    verdict: Verdict


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


def _one(pipeline: Pipeline, experiment: str, kind: str, place: int) -> Condition:
    found = _wanted(experiment, pipeline, kind=kind)
    if not -len(found) <= place < len(found):
        raise RunError(f"the profile asks for {len(found)} conditions of {experiment}, {kind}")
    return found[place]


def _samples(pipeline: Pipeline, condition: Condition) -> Samples:
    return read_samples(pipeline.run(condition))


def _difference(
    pipeline: Pipeline, a: Sequence[Condition], b: Sequence[Condition], sign: int, border: float = 0
) -> Measured:
    """Accuracy of a minus accuracy of b on the same questions; several conditions are seeds."""
    sides = (np.hstack([scores(pipeline.run(c)) for c in side]) for side in (a, b))
    return _measured(paired_bootstrap(*sides), "points", sign, border)


def _measured(gap: Interval, unit: str, sign: int = 1, border: float = 0) -> Measured:
    ends = gap.row("middle", 1 if unit == "tokens" else 100).values()
    middle, low, high = map(_signed, ends)
    text = f"{middle} [{low}, {high}] {unit}"
    return Measured(text, f"{gap.n} questions", verdict(gap, sign, border))


def _signed(value: float) -> str:
    """One decimal with its sign, as printed: `+3.3`, `−0.6`, `0.0`."""
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


# ------------------------------------------------------------------ one function per kind of claim


def difference(pipeline: Pipeline, better: Place, worse: Place) -> Measured:
    """Accuracy of one condition above that of another: of what kind, in which experiment."""
    return _difference(pipeline, [_one(pipeline, *better)], [_one(pipeline, *worse)], 1)


def no_gain(pipeline: Pipeline, more: Place, less: Place) -> Measured:
    """No gain of a condition over another, by as much as one question of AIME24."""
    sides = ([_one(pipeline, *place)] for place in (more, less))
    return _difference(pipeline, *sides, -1, ONE_QUESTION)


def two_waits(pipeline: Pipeline) -> Measured:
    """As many Waits as Table 4 forces (or the fewest of the profile) against none."""
    waited = _wanted("curve", pipeline, kind="wait")
    two = [c for c in waited if c.budget.num_ignore == 2] or waited
    return _difference(pipeline, two[:1], _wanted("curve", pipeline, kind="natural"), 1)


def slope(pipeline: Pipeline) -> Measured:
    """Scaling (Equation 2) over the points of Figure 1: every cap, and the natural end."""
    asked = [c for kind in ("budget", "natural") for c in _wanted("curve", pipeline, kind=kind)]
    return _scaling([sequential(_samples(pipeline, c), "BF", c.label) for c in asked], 1)


def rejection_slope(pipeline: Pipeline) -> Measured:
    """Scaling of rejection sampling: the longer the accepted traces, the worse (Figure 6)."""
    samples = _samples(pipeline, _one(pipeline, "voting", "natural", 0))
    evaluation = pipeline.profile.evaluation
    limits = [*sorted(evaluation.budgets), evaluation.max_thinking]
    kept = [rejection(samples, limit) for limit in limits]
    return _scaling([r.run for r in kept if r.answered.any()], -1)


def _scaling(settings: Sequence[MethodRun], sign: int) -> Measured:
    gap = measures(settings).scaling if len(settings) > 1 else None
    if gap is None:
        raise RunError("one setting, or settings with equal tokens, have no slope")
    return _measured(gap, "points per doubling", sign)


def budgets_kept(pipeline: Pipeline) -> Measured:
    """Control (Equation 1) of forced budgets, generation by generation, under every cap."""
    capped = _wanted("curve", pipeline, kind="budget")
    kept = [_samples(pipeline, c).thinking.ravel() <= c.budget.max_thinking for c in capped]
    within = np.concatenate(kept)
    said: Verdict = "agrees" if within.all() else "does not agree"
    return Measured(f"{100 * within.mean():.2f}%", f"{within.size:,} generations", said)


def token_limits_kept(pipeline: Pipeline) -> Measured:
    """Control of limits that are only named in the prompt, by mean thinking tokens (Table 12)."""
    asked = _wanted("token_conditional", pipeline, kind="TCC")
    thinking = [_samples(pipeline, c).thinking for c in asked]
    kept = [used.mean() <= c.instruct[1] for used, c in zip(thinking, asked, strict=True)]
    text = f"{100 * np.mean(kept):.0f}% ({sum(kept)} of {len(kept)} limits)"
    said: Verdict = "does not agree" if all(kept) else "agrees"
    return Measured(text, f"{len(thinking[0])} questions each", said)


def class_prompts(pipeline: Pipeline) -> Measured:
    """Control of "a short" and "a long amount of thinking" (Table 14)."""
    listed = _wanted("class_conditional", pipeline)
    kinds = {c.instruct[1] if c.instruct else "default": c for c in listed}
    if set(kinds) != {"short", "long", "default"}:
        raise RunError("the profile does not ask for both classes")
    thinking = {name: _samples(pipeline, c).thinking for name, c in kinds.items()}
    means = {name: used.mean() for name, used in thinking.items()}
    share = class_control(**means)
    listed = ", ".join(f"{name} {means[name]:.0f}" for name in ("short", "default", "long"))
    said: Verdict = "does not agree" if share == 100 else "agrees"
    n = f"{len(thinking['default'])} questions each"
    return Measured(f"{share:.0f}% ({listed} tokens)", n, said)


def whole_examples(pipeline: Pipeline) -> Measured:
    """Accuracy after training on whole examples against cut ones, all seeds (Table 8)."""
    return _difference(pipeline, *_sequence_lengths(pipeline), 1)


def cut_examples(pipeline: Pipeline) -> Measured:
    """Thinking tokens after training on cut examples against whole ones (Table 8)."""
    sides = _sequence_lengths(pipeline)
    whole, cut = (np.hstack([_samples(pipeline, c).thinking for c in side]) for side in sides)
    return _measured(paired_bootstrap(cut, whole), "tokens")


def _sequence_lengths(pipeline: Pipeline) -> list[list[Condition]]:
    """The conditions of the longest and of the shortest sequence length."""
    listed = _wanted("sequence_lengths", pipeline)
    if listed[0].kind == listed[-1].kind:
        raise RunError("the profile trains at one sequence length")
    return [[c for c in listed if c.kind == listed[place].kind] for place in (-1, 0)]


def votes_of_the_base(pipeline: Pipeline) -> Measured:
    """Single answers of the fine-tuned model against a vote over all samples of the base model."""
    base = pipeline.run(_one(pipeline, "voting", "majority, base", 0))
    ours = scores(pipeline.run(_one(pipeline, "curve", "natural", 0)))
    kind = benchmarks.benchmark(base.settings["benchmark"]).kind
    samples = read_samples(base)
    (voted,) = votes(samples, same_answer(kind), at=[samples.correct.shape[1]])
    return _measured(paired_bootstrap(ours, voted.correct), "points")
