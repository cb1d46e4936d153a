"""Thinking longer or asking again: forcing and majority votes by all tokens that they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from s1core.errors import RunError
from s1lab import experiments
from s1lab.analysis.methods import MethodRun, match, sequential, votes
from s1lab.audit.published import printed_accuracy, published
from s1lab.data.benchmarks import benchmark as find_benchmark
from s1lab.evaluation import Interval, paired_bootstrap
from s1lab.evaluation.measure import read_samples
from s1lab.evaluation.voting import same_answer
from s1lab.experiments import Condition
from s1lab.pipeline import Pipeline

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class EqualCompute:
    """Sequential scaling and majority votes of one profile, by all tokens of a question (Figure 4).

    `settings` are caps, the natural end and Waits; `votes` has maj@k of each model that is voted
    over, by its label.
    """

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
        runs = ((c, read_samples(self.pipeline.run(c))) for c in asked)
        return [sequential(samples, c.kind, c.label) for c, samples in runs]

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
        k = self.pipeline.profile.methods.votes
        rows = []
        for condition in self.drawn:
            one, *_, every = self.votes[condition.label]
            (by_text,) = self._votes(condition, str.__eq__, [k])
            rows.append(
                {
                    "samples of": _short(condition.label),
                    "tokens per sample": one.cost,
                    "one answer (%)": one.accuracy,
                    f"maj@{k} (%)": every.accuracy,
                    "equal values joined (points)": paired_bootstrap(
                        every.correct, by_text.correct
                    ),
                    "n": f"{one.correct.size}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{k}",
                    "cost (min)": self.pipeline.run(condition).minutes,
                }
            )
        return rows

    def curves(self) -> list[Row]:
        """Accuracy against all tokens per question: capping, Wait, and every vote."""
        capped = [run for run in self.settings if run.method != "wait"]
        waited = [run for run in self.settings if run.method != "budget"]
        rows = [*_curve("capping", "capping", capped), *_curve("Wait", "wait", waited)]
        for number, (label, made) in enumerate(self.votes.items()):
            looks: Row = {"dashed": 1, "hollow": True}
            if number in (0, len(self.votes) - 1):
                looks = {"marker": "s"} if number == 0 else {}
            name = "vote, " + {0: "base"}.get(number, _short(label))
            rows += _curve(name, "parallel" if number else "base", made, **looks)
        return rows

    def contest(self, place: Literal[0, -1]) -> list[Row]:
        """Each sequential setting against the votes of the base model (0) or the tuned one (-1)
        at the same tokens per question; none where none is drawn."""
        return [
            {
                "setting": found.ours.setting,
                "against the vote of": ("base model", "fine-tuned")[place],
                "tokens": found.ours.cost,
                "setting (%)": float(found.ours.correct.mean()),
                "vote (%)": found.theirs,
                "difference (points)": found.difference,
                "the setting is": found.difference.says("higher", "lower"),
            }
            for rival in self.drawn[place:][:1]
            for found in match(self.settings, self.votes[rival.label])
        ]

    def against(self, place: Literal[0, -1], setting: str = "") -> Row:
        """The line of a contest for a setting, by default the costliest; {} where there is none."""
        rows = [row for row in self.contest(place) if setting in ("", row["setting"])]
        return rows[-1] if rows else {}

    @property
    def best(self) -> MethodRun:
        """The most accurate sequential setting."""
        return max(self.settings, key=lambda run: run.correct.mean())

    @property
    def largest(self) -> MethodRun:
        """The vote over all samples of the fine-tuned model that stops by itself."""
        if not self.drawn:
            raise RunError("the profile draws no votes")
        return self.votes[self.drawn[-1].label][-1]

    def whatever_it_costs(self) -> tuple[Interval, float]:
        """The largest vote less the best sequential setting, and its price in multiples."""
        gap = paired_bootstrap(self.largest.correct, self.best.correct)
        return gap, self.largest.cost / self.best.cost


def of_the_paper() -> list[Row]:
    """Figure 4b of the paper, digitised: tokens per question of GPQA Diamond."""
    figure, n = published()["figure4b"], published()["questions"]["GPQA Diamond"]
    looks = (
        ("vote, base", "majority_Qwen2.5-32B-Instruct", "s", 1),
        ("forcing", "sequential_s1", "o", 0),
    )
    return [
        {"name": name, "x": tokens / n, "marker": marker, "dashed": dashed}
        | printed_accuracy("GPQA Diamond", percent).row("accuracy")
        for name, key, marker, dashed in looks
        for tokens, percent in zip(figure[key]["tokens"], figure[key]["acc"], strict=True)
    ]


def _short(label: str) -> str:
    return label.removeprefix("votes, ").removeprefix("votes ")


def _curve(name: str, series: str, made: Iterable[MethodRun], **look: Any) -> list[Row]:
    fixed = {"name": name, "series": series, **look}
    return [{"x": run.cost, **run.accuracy.row("accuracy"), **fixed} for run in made]
