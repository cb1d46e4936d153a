"""Generations of one condition, graded (Section 3.1): a point of a figure, a cell of a table."""

from dataclasses import asdict
from functools import partial
from typing import Any

from s1core.errors import BackendError
from s1core.records import Generation
from s1lab.data import benchmarks
from s1lab.evaluation.measure import UNLIMITED, asked, resume, tabulate
from s1lab.experiments import Condition
from s1lab.kinds import sft
from s1lab.lab import Lab, Step
from s1lab.runs import Run

STARTS = 4
"""How often a server is started for one run, should it die; what was finished is kept."""
KEPT_TRACES = 12
"""Questions of each run whose generations are kept among the small files, for people to read."""


def step(lab: Lab, condition: Condition) -> Step:
    """Public files: `grades.csv`, one row per generation, and `traces.jsonl`, the generations of
    the first questions. All generations, with their token ids, are the run's records."""
    checkpoint, needs = sft.identity(lab, condition.training)
    settings: dict[str, Any] = {
        **{n: getattr(condition, n) for n in ("benchmark", "samples", "temperature")},
        **{n: getattr(lab.profile, n) for n in ("seed", "batch_size")},
        "checkpoint": checkpoint,
        "questions": lab.profile.evaluation.questions_of(condition.benchmark),
        "budget": asdict(condition.budget),
    }
    if condition.instruct:
        settings["instruct"] = list(condition.instruct)
    if condition.counts_steps:
        settings["steps"] = condition.steps or UNLIMITED
    if not condition.thinking:
        settings["thinking"] = False
        if lab.profile.attempts.reasoning:
            settings["system"] = lab.profile.attempts.reasoning
    run, made = lab.store.locate("generate", settings), partial(_generate, lab, condition)
    about = {"training": condition.training, "condition": condition}
    return Step(f"{condition.benchmark}, {condition.label}", run, made, needs, **about)


def _generate(lab: Lab, condition: Condition, run: Run) -> dict[str, Any]:
    problems = lab.problems(condition.benchmark)
    lab.say(f"generate: {len(problems)} questions of {condition.benchmark}, {condition.label}")
    model = sft.model(lab, condition.training)
    how: dict[str, Any] = {n: run.settings[n] for n in ("samples", "temperature", "seed")}
    how |= {"template": lab.profile.template, "system": run.settings.get("system")}
    how["progress"] = lab.progress
    for left in reversed(range(STARTS)):
        backend = lab.backend(model)
        try:
            resume(run, backend, problems, condition.budget, **how, **asked(condition, backend))
            break
        except BackendError:
            if not left or getattr(backend, "alive", True):
                raise
    order = {problem.key: place for place, problem in enumerate(problems)}
    generations = list(run.records(Generation))
    generations.sort(key=lambda made: (order[made.problem_key], made.sample))
    kind = benchmarks.benchmark(condition.benchmark).kind
    run.write_table("grades.csv", tabulate(problems, generations, kind))
    kept = [g for g in generations if order[g.problem_key] < KEPT_TRACES and g.sample == 0]
    run.write_records("traces.jsonl", kept)
    return {"generations": len(generations)}
