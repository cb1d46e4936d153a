"""The run behind the chapter on reading traces: one Wait run looked at from inside.

- `traces.jsonl`: the kept generations in steps, with the answer at each step;
- `uncertainty.jsonl`: entropy, varentropy and surprisal of every thinking token of the same;
- `around_waits.csv`, `contrasts.csv`: the same over many traces, around forced Waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from s1core.records import Generation
from s1lab import experiments
from s1lab.data import benchmarks
from s1lab.experiments import Condition
from s1lab.kinds import generate, sft
from s1lab.lab import Lab, Step
from s1lab.runs import Run
from s1lab.traces import steps, uncertainty

NAME = "reading traces"
"""What `--only` calls it."""
KEPT, MEASURED = 12, 500
"""Questions whose traces are kept for reading; most traces that means around Waits are over."""
WINDOW = 13
"""Tokens on either side of a Wait; a line of the pocket world is as long."""


def condition(lab: Lab) -> Condition:
    """The run that is looked at: the second number of Waits of the profile, or its only one."""
    return experiments.waits(lab.profile)[:2][-1]


def listed(lab: Lab) -> Iterator[tuple[str, Step]]:
    """Wanted where anything is asked to wait."""
    if lab.profile.evaluation.waits:
        yield NAME, step(lab)


def step(lab: Lab) -> Step:
    """Ask for the answer at each step, and measure uncertainty, with the model of the traces."""
    read = generate.step(lab, condition(lab))
    sizes = {"kept": KEPT, "measured": MEASURED, "window": WINDOW}
    settings = {"run": read.run.id, "separator": lab.profile.methods.step_separator, **sizes}
    needs = (*read.needs, read)
    return lab.step("reading", settings, NAME, lambda run: _read(lab, run, read), needs=needs)


def _read(lab: Lab, run: Run, read: Step) -> dict[str, Any]:
    wanted, profile = condition(lab), lab.profile
    problems = lab.problems(wanted.benchmark)
    order = {problem.key: place for place, problem in enumerate(problems)}
    # First samples first, so that as many questions as possible are among them.
    generations = list(read.make().records(Generation))
    generations.sort(key=lambda g: (g.sample, order[g.problem_key]))
    lab.say(f"reading: {KEPT} traces of {wanted.benchmark}, {wanted.label}")
    folder = sft.model(lab, wanted.training)
    backend = lab.backend(folder)
    common = {"separator": profile.methods.step_separator, "template": profile.template}
    kept = [g for g in generations[:KEPT] if g.sample == 0]
    kind = benchmarks.benchmark(wanted.benchmark).kind
    longest, tokenizer = wanted.budget.max_answer, backend.tokenizer
    rows = steps.read_traces(backend, problems, kept, kind, max_answer=longest, **common)
    run.write_records("traces.jsonl", rows)
    if profile.engine != "hf":
        # Other engines give the few likeliest tokens only; an entropy needs all of them.
        from s1core.backends.hf import HFBackend

        del backend
        lab.release()
        backend = HFBackend.from_pretrained(folder, device="cuda" if profile.gpus else None)
    rows = generations[:MEASURED]
    measured = uncertainty.uncertainty_rows(backend.model, tokenizer, problems, rows, **common)
    run.write_records("uncertainty.jsonl", measured[: len(kept)])
    run.write_table("around_waits.csv", uncertainty.around_waits(measured, WINDOW))
    run.write_table("contrasts.csv", uncertainty.contrasts(measured, WINDOW))
    return {"traces": len(measured)}
