"""Test-time methods, question by question: their settings, compared at equal compute (Section 6.2).

Forced generations, majority votes (Figures 4b and 7) and rejection sampling (Figure 6) from samples
that were drawn once. All intervals resample questions, jointly for every run that enters a number,
so that differences stay paired.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s1core.errors import InputError, RunError
from s1lab import experiments
from s1lab.analysis.results import made
from s1lab.audit.published import printed_accuracy, published
from s1lab.data.benchmarks import benchmark as find_benchmark
from s1lab.evaluation import Interval, clustered_bootstrap, paired_bootstrap
from s1lab.evaluation.measure import Samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.statistics import RESAMPLES, Array, widened_ends
from s1lab.evaluation.voting import Same, majority, same_answer
from s1lab.experiments import Condition
from s1lab.pipeline import Pipeline
from s1lab.runs import Run

FIGURE_4B = ("majority_Qwen2.5-32B-Instruct", "sequential_s1")
"""The two curves of it that the book tells of: the base model's vote, and forcing."""


@dataclass(frozen=True, eq=False)
class MethodRun:
    """One setting of a method, question by question; arrays of shape (questions,).

    `correct` is the expected accuracy, `thinking` the mean thinking tokens of what is counted as
    the answer (NaN where nothing is), `tokens` all that were spent, and `keeps` the share of
    generations within `limit` thinking tokens, if there is one (Control, Eq. 1). `condition` and
    `run` say where it was measured, if that is one place.
    """

    method: str
    setting: str
    correct: Array
    thinking: Array
    tokens: Array
    keeps: Array | None = None
    limit: float = math.nan
    condition: Condition | None = None
    run: Run | None = None

    @cached_property
    def accuracy(self) -> Interval:
        """Mean over questions with its interval."""
        return clustered_bootstrap(self.correct)

    @property
    def thinking_tokens(self) -> float:
        """Average thinking tokens, as the paper's tables have them."""
        return float(np.nanmean(self.thinking))

    @property
    def cost(self) -> float:
        """Average tokens spent per question."""
        return float(self.tokens.mean())


def sequential(
    samples: Samples, method: str, setting: str, limit: float = math.nan, **where: Any
) -> MethodRun:
    """One generation per question, averaged over those that were drawn (pass@1)."""
    parts = (samples.correct, samples.thinking, samples.tokens, samples.thinking <= limit)
    return MethodRun(method, setting, *(part.mean(axis=1) for part in parts), limit, **where)


def votes(samples: Samples, same: Same, at: Sequence[int] = ()) -> list[MethodRun]:
    """Majority voting over k samples for each k of `at` (default: powers of two), exact maj@k."""
    drawn = samples.correct.shape[1]
    at = at or [2**power for power in range(drawn.bit_length()) if 2**power <= drawn]
    pairs = zip(samples.extracted, samples.correct == 1, strict=True)
    won = [majority(list(map(str, answers)), list(right), at, same) for answers, right in pairs]
    thinking, tokens = samples.thinking.mean(axis=1), samples.tokens.mean(axis=1)
    shares = zip(at, np.array(won).T, strict=True)
    return [MethodRun("majority", f"{k}x", share, k * thinking, k * tokens) for k, share in shares]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rejection(MethodRun):
    """Rejection sampling under one limit (Figure 6), question by question. `correct` counts a
    question that no sample fits as wrong; `tries` are samples drawn, and `unlimited` is the
    accuracy of any sample, fitting or not."""

    tries: Array
    unlimited: Array

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether a sample fits."""
        return ~np.isnan(self.thinking)

    @cached_property
    def gain(self) -> Interval:
        """What insisting on a short trace changes on the questions that have one."""
        return paired_bootstrap(self.correct[self.answered], self.unlimited[self.answered])

    def row(self) -> Row:
        """A line of a table; tries and tokens are means by question."""
        answered, tries = map(float, (self.answered.mean(), self.tries.mean()))
        cells = (round(self.limit), answered, tries, self.thinking_tokens, self.cost, self.accuracy)
        head = "limit (tokens) | answered (%) | tries | thinking | spent | accuracy (%)"
        rest = (self.gain, self.tries.size)
        return lines(f"{head} | short less any (points) | n", [(*cells, *rest)])[0]


def fits(samples: Samples, limit: int) -> Array:
    """Which samples rejection sampling with this limit would accept, 0 or 1: those that end below
    it, since one that reaches it is cut there before it can end."""
    return samples.ended * (samples.thinking < limit)


def rejection(samples: Samples, limit: int, **where: Any) -> Rejection:
    """Rejection sampling from samples drawn without the limit, a positive one (Section 5.2).

    Averaged over all orders of a question's samples: every fitting sample is equally likely to be
    the first, and with m of n fitting the first comes after (n + 1) / (m + 1) tries. A rejected
    sample costs its tokens up to the limit.
    """
    if not limit > 0:
        raise InputError(f"a limit of {limit} thinking tokens accepts nothing; give 1 or more")
    accepted = fits(samples, limit)
    n, m = accepted.shape[1], accepted.sum(axis=1)
    some = m > 0
    mean = np.divide(accepted, m[:, None], out=np.zeros_like(accepted), where=some[:, None])
    thinking = np.where(some, (mean * samples.thinking).sum(axis=1), math.nan)
    tries = np.where(some, (n + 1) / (m + 1), n)
    # Each rejected sample is equally likely to be among the tries before the first that fits.
    cut = ((1 - accepted) * np.minimum(samples.thinking, limit)).sum(axis=1)
    wasted = cut * np.where(some, 1 / (m + 1), 1.0)
    kept = (mean * samples.tokens).sum(axis=1)
    correct, keeps = (mean * samples.correct).sum(axis=1), np.where(some, 1.0, math.nan)
    where |= {"tries": tries, "unlimited": samples.correct.mean(axis=1)}
    parts = (correct, thinking, wasted + kept, keeps)
    return Rejection("RS", f"{limit} tokens", *parts, limit, **where)


def match(
    ours: Sequence[MethodRun], theirs: Sequence[MethodRun]
) -> list[tuple[MethodRun, float, Interval]]:
    """Each of `ours` against `theirs` at equal tokens per question (Section 6.2): the setting, the
    other curve's accuracy at its cost, over log2(tokens), and the difference. Both must be over the
    same questions in one order. Settings outside the other curve's range are left out."""
    curve = sorted((run for run in theirs if run.cost > 0), key=lambda run: run.cost)

    def level(weights: Array, run: MethodRun) -> Array:
        """Accuracy of the curve at the run's cost, for each row of weights over the questions."""
        costs = np.log2([weights @ other.tokens for other in curve]).T
        accuracies = np.array([weights @ other.correct for other in curve]).T
        at, orders = np.log2(weights @ run.tokens), costs.argsort(axis=1)  # may swap two settings
        rows = zip(at, costs, accuracies, orders, strict=True)
        return np.array([np.interp(x, cost[o], accuracy[o]) for x, cost, accuracy, o in rows])

    found = []
    for run in ours:
        if curve and curve[0].cost <= run.cost <= curve[-1].cost:
            n = run.correct.size
            gap = resampled(lambda w, run=run: w @ run.correct - level(w, run), n)
            found.append((run, float(level(np.full((1, n), 1 / n), run)[0]), gap))
    return found


@lru_cache(maxsize=1)
def _weights(n: int, resamples: int) -> Array:
    """How often each of n questions comes up in a resample, as shares; (resamples, n)."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples) / n


def resampled(measure: Callable[[Array], Array], n: int, resamples: int = RESAMPLES) -> Interval:
    """A measure of weights over n questions, with the ends over resampled ones."""
    drawn = measure(_weights(n, resamples))
    drawn = drawn[~np.isnan(drawn)]
    method = f"bootstrap over questions, {drawn.size} resamples"
    estimate = float(measure(np.full((1, n), 1 / n))[0])
    return Interval(estimate, *widened_ends(drawn, n), n, method)


@dataclass(frozen=True, eq=False)
class EqualCompute:
    """Sequential scaling and majority votes of one profile, by all tokens of a question (Figure 4).
    `settings` are caps, the natural end and Waits; `votes` has maj@k of each model, by label."""

    pipeline: Pipeline
    benchmark: str

    @cached_property
    def drawn(self) -> tuple[Condition, ...]:
        """What votes are drawn from: the base model first, the fine-tuned one last."""
        return experiments.voting(self.pipeline.profile)

    @cached_property
    def settings(self) -> list[MethodRun]:
        """One generation per question under each budget of the curve; `method` is its kind."""
        asked = experiments.curve(self.pipeline.profile, self.benchmark)
        return [sequential(s, c.kind, c.label) for c, _, s in made(self.pipeline, asked)]

    @cached_property
    def votes(self) -> dict[str, list[MethodRun]]:
        """maj@k for powers of two up to all samples, answers of equal value being one vote."""
        same = same_answer(find_benchmark(self.benchmark).kind)
        return {c.label: votes(of, same) for c, _, of in made(self.pipeline, self.drawn)}

    def table(self) -> list[Row]:
        """One answer against a vote of all samples, and what joining equal values is worth."""
        k, rows = self.pipeline.profile.methods.votes, []
        for condition, run, samples in made(self.pipeline, self.drawn):
            one, *_, every = self.votes[condition.label]
            (by_text,) = votes(samples, str.__eq__, [k])
            joined = paired_bootstrap(every.correct, by_text.correct)
            n = f"{one.correct.size}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{k}"
            row = (_short(condition.label), one.cost, one.accuracy, every.accuracy, joined, n)
            rows.append((*row, run.minutes))
        head = f"samples of | tokens per sample | one answer (%) | maj@{k} (%)"
        return lines(f"{head} | equal values joined (points) | n | cost (min)", rows)

    def curves(self) -> list[Row]:
        """Accuracy against all tokens per question: capping, Wait, and every vote."""
        capped = [run for run in self.settings if run.method != "wait"]
        waited = [run for run in self.settings if run.method != "budget"]
        rows = [*_curve("capping", "capping", capped), *_curve("Wait", "wait", waited)]
        for number, (label, voted) in enumerate(self.votes.items()):
            looks: Row = {"dashed": 1, "hollow": True}
            if number in (0, len(self.votes) - 1):
                looks = {"marker": "s"} if number == 0 else {}
            name = "vote, " + (_short(label) if number else "base")
            rows += _curve(name, "parallel" if number else "base", voted, **looks)
        return rows

    @cached_property
    def contest(self) -> list[Row]:
        """Each sequential setting against the votes of the base model, then of the fine-tuned one,
        at the same tokens per question; none where none is drawn."""
        sides, rows = {"base model": self.drawn[:1], "fine-tuned": self.drawn[-1:]}, []
        for against, rival in ((name, c) for name, side in sides.items() for c in side):
            for ours, theirs, gap in match(self.settings, self.votes[rival.label]):
                row = (ours.setting, against, ours.cost, float(ours.correct.mean()), theirs, gap)
                rows.append((*row, gap.says("higher", "lower")))
        head = "setting | against the vote of | tokens | setting (%) | vote (%)"
        return lines(f"{head} | difference (points) | the setting is", rows)

    def against(self, vote: str, setting: str = "") -> Row:
        """The line of the contest with a vote ("base model", "fine-tuned") for a setting, by
        default the costliest; {} where there is none."""
        rows = [row for row in self.contest if row["against the vote of"] == vote]
        return next((row for row in rows[::-1] if setting in ("", row["setting"])), {})

    @property
    def best(self) -> MethodRun:
        """The most accurate sequential setting."""
        return max(self.settings, key=lambda run: run.correct.mean())

    def whatever_it_costs(self) -> tuple[Interval, float, Interval]:
        """The vote over all samples of the fine-tuned model that stops by itself: less the best
        sequential setting, its price in multiples of that, and its accuracy."""
        if not self.drawn:
            raise RunError("the profile draws no votes")
        largest = self.votes[self.drawn[-1].label][-1]
        gap = paired_bootstrap(largest.correct, self.best.correct)
        return gap, largest.cost / self.best.cost, largest.accuracy


def of_the_paper() -> list[Row]:
    """Figure 4b of the paper, digitised: tokens per question of GPQA Diamond."""
    figure, n = published()["figure4b"], published()["questions"]["GPQA Diamond"]
    vote, forcing = ({"name": "vote, base", "marker": "s", "dashed": 1}, {"name": "forcing"})
    return [
        printed_accuracy("GPQA Diamond", percent).row("accuracy", x=tokens / n, **look)
        for key, look in zip(FIGURE_4B, (vote, forcing), strict=True)
        for tokens, percent in zip(figure[key]["tokens"], figure[key]["acc"], strict=True)
    ]


def _short(label: str) -> str:
    return label.removeprefix("votes, ").removeprefix("votes ")


def _curve(name: str, series: str, runs: Iterable[MethodRun], **look: Any) -> list[Row]:
    look |= {"name": name, "series": series}
    return [run.accuracy.row("accuracy", x=run.cost, **look) for run in runs]
