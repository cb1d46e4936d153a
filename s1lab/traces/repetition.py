"""How much a trace repeats itself, and what each forced Wait adds (Sections 4.2 and 6.2).

Forbidding the end of thinking too often "can lead the model into repetitive loops": measured as the
share of steps that a trace had written before, and of Waits after which it writes a new one.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from s1core.checkpoints import load_tokenizer
from s1core.records import Generation
from s1lab import experiments
from s1lab.evaluation import clustered_bootstrap
from s1lab.kinds import generate
from s1lab.lab import Lab, Step
from s1lab.runs import Run
from s1lab.traces.steps import split

NAME = "repetition"
"""What `--only` calls it."""


def novelty(generation: Generation, tokenizer: Any, separator: str = "\n\n") -> list[list[bool]]:
    """Of each stretch of a trace, cut at its forced Waits: is each step (of `split`) new? Two are
    the same when their sampled text is, spaces and ignore strings aside."""
    stretches: list[list[bool]] = [[]]
    seen = set()
    for step in split(generation, tokenizer, separator):
        if stretches != [[]] and step.pieces[0].origin == "forced":
            stretches.append([])
        text = "".join(piece.text for piece in step.pieces if piece.origin == "sampled").strip()
        if text:
            stretches[-1].append(text not in seen)
            seen.add(text)
    return stretches


def repeated(stretches: Iterable[list[bool]]) -> float:
    """Share of steps that are repetitions; 0 for a trace without steps."""
    new = [*chain.from_iterable(stretches)]
    return 1 - sum(new) / len(new) if new else 0.0


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
            generations = need.make().records(Generation)
            made = [(g.problem_key, novelty(g, tokenizer, separator)) for g in generations]
            asked: Any = need.condition
            waited = asked.budget.num_ignore
            steps = round(float(np.mean([sum(map(len, found)) for _, found in made])), 3)
            shares = _mean("repeated", ((key, repeated(found)) for key, found in made))
            head = {"label": asked.label}
            traces.append({**head, "waits": waited, "n": len(made), **shares, "steps": steps})
            for place in range(1, waited + 1):
                if used := [(key, found) for key, found in made if len(found) > place]:
                    fresh = _mean("new", ((key, float(any(f[place]))) for key, f in used))
                    waits.append({**head, "wait": place, "n": len(used), **fresh})
        run.write_table("traces.csv", traces)
        run.write_table("waits.csv", waits)
        return {"generations": sum(row["n"] for row in traces)}

    return Step(NAME, lab.store.locate("repetition", settings), compute, needs=needs)


def _mean(name: str, values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Columns: the mean over questions of each question's mean, resampling questions."""
    by_question: dict[str, list[float]] = defaultdict(list)
    for key, value in values:
        by_question[key].append(value)
    means = np.array([np.mean(by_question[key]) for key in sorted(by_question)])
    found = clustered_bootstrap(means)
    columns = {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
    return {column: round(value, 5) for column, value in columns.items()}
