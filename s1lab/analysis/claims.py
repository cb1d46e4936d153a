"""The paper's claims (`claims.json`), each with its numbers, and how our runs put it to the test.

A claim has a direction: A is better than B, more tokens give more accuracy. The same difference is
measured here, with its 95% interval, and the verdict is read off the interval:

- *agrees*: the whole interval lies on the claimed side;
- *does not agree*: the whole interval lies on the other side;
- *inside uncertainty*: the interval contains the border, which is zero, or for "no gain" one
  question of AIME24, the smallest difference that the paper could have seen;
- *not tested*: the runs were not made under this profile.

Shares that are counted rather than estimated (Control) agree when they equal what is claimed. Which
differences the paper's own numbers show is asked by `s1lab.audit.audit.comparisons`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from s1core.errors import InputError, RunError
from s1lab import experiments, packaged
from s1lab.analysis.controls import class_means, family, measures
from s1lab.analysis.methods import FIGURE_4B, votes
from s1lab.analysis.results import made
from s1lab.audit.published import accuracy_of, published, runs
from s1lab.data import benchmarks
from s1lab.evaluation import Interval, class_control, paired_bootstrap, scaling_per_doubling
from s1lab.evaluation.measure import Samples
from s1lab.evaluation.measure import difference as measure_difference
from s1lab.evaluation.report import written
from s1lab.evaluation.voting import same_answer
from s1lab.experiments import Condition
from s1lab.pipeline import Pipeline
from s1lab.runs import Run

Place = tuple[str, str | None, int]
"""Of conditions: the experiment, their kind, and which of that kind (see `_wanted`)."""

Verdict = Literal["agrees", "does not agree", "inside uncertainty", "not tested"]

_IN_PART: dict[bool, Verdict] = {True: "does not agree", False: "agrees"}  # prompts alone control
ONE_QUESTION = 1 / 30
"""One question of AIME24, as a fraction."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Our side of a claim: the value with its interval in words, n, and the verdict."""

    ours: str = ""
    n: str = ""
    verdict: Verdict = "not tested"
    interval: Interval | None = None
    unit: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, a row of `claims.json`, in our words.

    `chapter` is the notebook that discusses it, without its number; `numbers` are the paper's: a
    table with two of its rows, or a sentence that names numbers of `published.json` and `_derived`;
    `test` names the function of this module that tests ours, with arguments; `released` is what
    released models did, in words of `s1lab.generations.tables.numbers`.
    """

    text: str
    where: str
    chapter: str
    numbers: str | Sequence[str]
    test: Sequence[Any]
    released: str = ""

    def paper(self) -> str:
        """The paper's numbers; those of two rows are of AIME24."""
        if isinstance(self.numbers, str):
            return self.numbers.format(**published(), **_derived())
        table, *rows = self.numbers
        a, b = (accuracy_of(table, row, "AIME24").percent for row in rows)
        return f"{a - b:+.1f} points ({a} and {b}, AIME24)"


def measured(claim: Claim, pipeline: Pipeline) -> Measured:
    """Our side of `claim`, from finished runs; "not tested" where the profile lacks them, and
    InputError where the store is not read-only, so that asking could start a run."""
    if not pipeline.store.read_only:
        raise InputError("claims are read from finished runs: open the store with read_only=True")
    name, *arguments = claim.test
    try:
        return globals()[name](pipeline, *arguments)
    except RunError:
        return Measured()


def verdict(gap: Interval, sign: int = 1, border: float = 0.0) -> Verdict:
    """Which side of the border an interval is on: sign 1 claims above it, -1 below it.

    >>> verdict(Interval(0.1, 0.02, 0.2, 30))
    'agrees'
    """
    words: list[Verdict] = ["agrees", "does not agree"]
    return gap.says(*words[::sign], "inside uncertainty", border)


def _wanted(
    pipeline: Pipeline, experiment: str, kind: str | None = None, place: int | None = None
) -> list[Condition]:
    """The conditions of an experiment (of one kind), at least one, or the one at a place among
    them; at a place of no kind, all seeds of the one that is there."""
    listed = getattr(experiments, experiment)(pipeline.profile)
    found = [condition for condition in listed if kind in (None, condition.kind)]
    if not -len(found) <= (place or 0) < len(found):
        raise RunError(f"the profile asks for {len(found)} conditions of {experiment}, {kind}")
    if place is None or kind is None:
        return found if place is None else [c for c in found if c.kind == found[place].kind]
    return [found[place]]


def _made(pipeline: Pipeline, *wanted: Any) -> list[tuple[Condition, Run, Samples]]:
    return list(made(pipeline, _wanted(pipeline, *wanted)))


def _measured(gap: Interval, unit: str, sign: int = 1, border: float = 0) -> Measured:
    said = verdict(gap, sign, border)
    return Measured(written(gap, unit), f"{gap.n} questions", said, gap, unit)


def difference(
    pipeline: Pipeline, better: Place, worse: Place, measure: str = "accuracy", sign: int = 1
) -> Measured:
    """A measure (of `MEASURES`) under one condition above that under another, same questions. Sign
    -1 claims no gain, by as much as one question of AIME24."""
    a, b = _wanted(pipeline, *better), _wanted(pipeline, *worse)
    if a == b:
        raise RunError("the profile asks for one of the two conditions only")
    sides = ([pipeline.run(c) for c in side] for side in (a, b))
    unit, border = "points" if measure == "accuracy" else "+tokens", ONE_QUESTION * (sign < 0)
    return _measured(measure_difference(*sides, measure), unit, sign, border)


def two_waits(pipeline: Pipeline) -> Measured:
    """As many Waits as Table 4 forces (or the fewest of the profile) against none."""
    waits = [c.budget.num_ignore for c in _wanted(pipeline, "curve", "wait")]
    place = waits.index(2) if 2 in waits else 0
    return difference(pipeline, ("curve", "wait", place), ("curve", "natural", 0))


def slope(pipeline: Pipeline, method: str, sign: int) -> Measured:
    """Scaling (Equation 2) over the settings of a method; -1 claims that it is negative."""
    found = family(pipeline, method)
    gap = measures(found).scaling if len(found) > 1 else None
    if gap is None:
        raise RunError("one setting, or settings with equal tokens, have no slope")
    return _measured(gap, "points per doubling", sign)


def budgets_kept(pipeline: Pipeline) -> Measured:
    """Control (Equation 1) of forced budgets, generation by generation, under every cap."""
    capped = _made(pipeline, "curve", "budget")
    within = np.array([samples.thinking <= c.budget.max_thinking for c, _, samples in capped])
    text, n = f"{100 * within.mean():.2f}%", f"{within.size:,} generations"
    return Measured(text, n, "agrees" if within.all() else "does not agree")


def token_limits_kept(pipeline: Pipeline) -> Measured:
    """Control of limits that are only named in the prompt, by mean thinking tokens (Table 12)."""
    _wanted(pipeline, "token_conditional", "TCC")
    found = family(pipeline, "TCC")
    kept = [setting.thinking_tokens <= setting.limit for setting in found]
    text = f"{100 * np.mean(kept):.0f}% ({sum(kept)} of {len(kept)} limits)"
    return Measured(text, f"{found[0].correct.size} questions each", _IN_PART[all(kept)])


def class_prompts(pipeline: Pipeline) -> Measured:
    """Control of "a short" and "a long amount of thinking" (Table 14)."""
    if not (means := class_means(pipeline)):
        raise RunError("the profile does not ask for both classes")
    share = class_control(**means)
    listed = ", ".join(f"{name} {means[name]:.0f}" for name in ("short", "default", "long"))
    text, n = f"{share:.0f}% ({listed} tokens)", family(pipeline, "CCC")[0].correct.size
    return Measured(text, f"{n} questions each", _IN_PART[share == 100])


def votes_of_the_base(pipeline: Pipeline) -> Measured:
    """Single answers of the fine-tuned model against a vote over all samples of the base model."""
    ((base, _, drawn),) = _made(pipeline, "voting", "majority, base", 0)
    ((_, _, ours),) = _made(pipeline, "curve", "natural", 0)
    same = same_answer(benchmarks.benchmark(base.benchmark).kind)
    (voted,) = votes(drawn, same, [drawn.correct.shape[1]])
    return _measured(paired_bootstrap(ours.correct, voted.correct), "points")


@cache
def _derived() -> dict[str, float]:
    """What follows from the points of figures and the cells of Table 8."""
    known, curve = published(), published()["figure1"]["points"]["AIME24"]
    (start, low), (end, high) = curve[0], curve[-3]  # the last two are Waits
    *_, (_, fourth), (_, sixth) = known["figure4a"]["points"]
    (cut, _), (whole, _) = known["table8"]["rows"]["AIME24"]
    votes, forced = (known["figure4b"][name]["acc"] for name in FIGURE_4B)
    found = {"start": start, "end": end, "figure_1": high - low, "figure_4a": sixth - fourth}
    found |= {"cut": cut, "whole": whole, "table_8": whole - cut}
    found |= {"least_forced": min(forced[1:]), "best_vote": max(votes)}
    bf = runs("BF")
    return found | {"slope": scaling_per_doubling(bf.thinking_tokens, bf.exact_accuracy)}


CLAIMS = tuple(Claim(**row) for row in packaged("analysis/claims.json"))
