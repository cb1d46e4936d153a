"""How much a trace repeats itself, and what each forced Wait adds (Sections 4.2 and 6.2).

The paper says that forbidding the end of thinking too often "can lead the model into repetitive
loops". Two measures make that a number: the share of steps that a trace had written before, and
the share of Waits after which it writes any step that it had not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from s1core.checkpoints import load_tokenizer
from s1core.records import Generation
from s1lab import experiments
from s1lab.evaluation import clustered_bootstrap
from s1lab.kinds import generate
from s1lab.lab import Lab
from s1lab.runs import Run
from s1lab.steps import Step
from s1lab.traces.steps import split

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


def listed(lab: Lab) -> Iterator[tuple[str, Step]]:
    """Wanted where anything is asked to wait."""
    if lab.profile.evaluation.waits:
        yield NAME, step(lab)


def step(lab: Lab) -> Step:
    """Measure the natural stop and every number of Waits; tables `traces.csv`, `waits.csv`."""
    curve = experiments.curve(lab.profile)
    needs = tuple(generate.step(lab, c) for c in curve if c.kind in {"natural", "wait"})
    separator = lab.profile.methods.step_separator
    settings = {"runs": [need.run.id for need in needs], "separator": separator}

    def compute(run: Run) -> dict[str, Any]:
        tokenizer = load_tokenizer(lab.profile.model)
        lab.say(f"repetition: {len(needs)} runs")
        traces, waits = [], []
        for need in needs:
            made = [
                (generation.problem_key, novelty(generation, tokenizer, separator))
                for generation in need.make().records(Generation)
            ]
            waited = need.condition.budget.num_ignore  # type: ignore[union-attr] - it has one
            steps = round(float(np.mean([sum(found.steps) for _, found in made])), 3)
            repeated = _mean("repeated", ((key, found.repeated) for key, found in made))
            head = {"label": need.condition.label}  # type: ignore[union-attr]
            traces.append({**head, "waits": waited, "n": len(made), **repeated, "steps": steps})
            for place in range(1, waited + 1):
                used = [(key, found) for key, found in made if len(found.steps) > place]
                if used:
                    fresh = _mean("new", ((key, float(f.new[place] > 0)) for key, f in used))
                    waits.append({**head, "wait": place, "n": len(used), **fresh})
        run.write_table("traces.csv", traces)
        run.write_table("waits.csv", waits)
        return {"generations": sum(row["n"] for row in traces)}

    return lab.step("repetition", settings, NAME, compute, needs=needs)


def _mean(name: str, values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Columns: the mean over questions of each question's mean, resampling questions."""
    by_question: dict[str, list[float]] = defaultdict(list)
    for key, value in values:
        by_question[key].append(value)
    means = np.array([np.mean(by_question[key]) for key in sorted(by_question)])
    found = clustered_bootstrap(means, seed=0)
    return {
        name: round(found.estimate, 5),
        f"{name}_low": round(found.low, 5),
        f"{name}_high": round(found.high, 5),
    }
