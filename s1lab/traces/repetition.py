"""How much a trace repeats itself, and what each forced Wait adds (Sections 4.2 and 6.2).

The paper says that forbidding the end of thinking too often "can lead the model into repetitive
loops". Two measures make that a number: the share of steps that a trace had written before, and
the share of Waits after which it writes any step that it had not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.records import Generation
from s1lab import experiments
from s1lab.evaluation import Interval, clustered_bootstrap
from s1lab.runs import Run
from s1lab.traces.steps import split

if TYPE_CHECKING:
    from s1lab.experiments import Condition
    from s1lab.pipeline import Pipeline

NAME = "repetition"
"""What `--only` calls it."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """The steps of one trace, cut at its forced Waits.

    `steps` and `new` count, for each stretch between two Waits, the steps in it and those among
    them that the trace had not written before. The first stretch is the thinking before any Wait.
    """

    steps: tuple[int, ...]
    new: tuple[int, ...]

    @property
    def repeated(self) -> float:
        """Share of steps that are repetitions; 0 for a trace without steps."""
        return 1 - sum(self.new) / sum(self.steps) if sum(self.steps) else 0.0


def novelty(generation: Generation, tokenizer: Any, separator: str = "\n\n") -> Novelty:
    """Count repeated steps; two steps are the same when their sampled text is, spaces aside.

    `split` says what a step is. The ignore string itself is not part of one.
    """
    steps, new = [0], [0]
    seen: set[str] = set()
    for step in split(generation, tokenizer, separator):
        if steps != [0] and step.pieces[0].origin == "forced":
            steps.append(0)
            new.append(0)
        text = "".join(piece.text for piece in step.pieces if piece.origin == "sampled").strip()
        if not text:
            continue
        steps[-1] += 1
        new[-1] += text not in seen
        seen.add(text)
    return Novelty(tuple(steps), tuple(new))


def conditions(pipeline: Pipeline) -> tuple[Condition, ...]:
    """The natural stop and every number of Waits."""
    curve = experiments.curve(pipeline.profile)
    return tuple(c for c in curve if c.kind in {"natural", "wait"})


def locate(pipeline: Pipeline) -> Run:
    """The run of `repetition`, made or not."""
    return pipeline.store.locate("repetition", _settings(pipeline))


def repetition(pipeline: Pipeline) -> Run:
    """Measure all generations of `conditions`; tables `traces.csv` and `waits.csv`."""
    return pipeline.store.ensure(
        "repetition", _settings(pipeline), lambda run: _measure(pipeline, run)
    )


def _settings(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "runs": [pipeline.locate_run(c).id for c in conditions(pipeline)],
        "separator": pipeline.profile.methods.step_separator,
    }


def _measure(pipeline: Pipeline, run: Run) -> dict[str, Any]:
    from s1core.checkpoints import load_tokenizer

    separator = pipeline.profile.methods.step_separator
    tokenizer = load_tokenizer(pipeline.profile.model)
    pipeline.say(f"repetition: {len(conditions(pipeline))} runs")
    traces, waits = [], []
    for condition in conditions(pipeline):
        made = [
            (generation.problem_key, novelty(generation, tokenizer, separator))
            for generation in pipeline.run(condition).records(Generation)
        ]
        waited = condition.budget.num_ignore
        repeated = _mean((key, found.repeated) for key, found in made)
        steps = np.mean([sum(found.steps) for _, found in made])
        traces.append(
            {"label": condition.label, "waits": waited, "n": len(made)}
            | _columns("repeated", repeated)
            | {"steps": round(float(steps), 3)}
        )
        for place in range(1, waited + 1):
            used = [(key, found) for key, found in made if len(found.steps) > place]
            if used:
                fresh = _mean((key, float(found.new[place] > 0)) for key, found in used)
                waits.append(
                    {"label": condition.label, "wait": place, "n": len(used)}
                    | _columns("new", fresh)
                )
    run.write_table("traces.csv", traces)
    run.write_table("waits.csv", waits)
    return {"generations": sum(row["n"] for row in traces)}


def _mean(values: Iterable[tuple[str, float]]) -> Interval:
    """Mean over questions of each question's mean, resampling questions."""
    by_question: dict[str, list[float]] = defaultdict(list)
    for key, value in values:
        by_question[key].append(value)
    means = np.array([np.mean(by_question[key]) for key in sorted(by_question)])
    return clustered_bootstrap(means, seed=0)


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: round(interval.estimate, 5),
        f"{name}_low": round(interval.low, 5),
        f"{name}_high": round(interval.high, 5),
    }
