"""Thinking longer or asking again: forcing and majority votes by all tokens that they cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from s1core.errors import RunError
from s1lab import experiments
from s1lab.analysis.methods import MethodRun, match, sequential, votes
from s1lab.analysis.results import made
from s1lab.audit.published import printed_accuracy, published
from s1lab.data.benchmarks import benchmark as find_benchmark
from s1lab.evaluation import Interval, paired_bootstrap
from s1lab.evaluation.measure import read_samples
from s1lab.evaluation.report import Row, lines
from s1lab.evaluation.voting import same_answer
from s1lab.experiments import Condition
from s1lab.pipeline import Pipeline

FIGURE_4B = ("majority_Qwen2.5-32B-Instruct", "sequential_s1")
"""The two curves of it that the book tells of: the base model's vote, and forcing."""


@dataclass(frozen=True, eq=False)
class EqualCompute:
    """Sequential scaling and majority votes of one profile, by all tokens of a question (Figure 4).
    `settings` are caps, the natural end and Waits; `votes` has maj@k of each model that is voted
    over, by its label."""

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
        return {c.label: self._votes(c, same) for c in self.drawn}

    def _votes(self, condition: Condition, same: Any, at: Sequence[int] = ()) -> list[MethodRun]:
        samples = read_samples(self.pipeline.run(condition))
        return votes(samples, same, at=at, method=condition.label)

    def table(self) -> list[Row]:
        """One answer against a vote of all samples, and what joining equal values is worth."""
        k, rows = self.pipeline.profile.methods.votes, []
        for condition in self.drawn:
            one, *_, every = self.votes[condition.label]
            (by_text,) = self._votes(condition, str.__eq__, [k])
            joined = paired_bootstrap(every.correct, by_text.correct)
            n = f"{one.correct.size}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{k}"
            row = (_short(condition.label), one.cost, one.accuracy, every.accuracy, joined, n)
            rows.append((*row, self.pipeline.run(condition).minutes))
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
