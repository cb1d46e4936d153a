"""The run behind the chapter on reading traces, and what the chapter counts in it: one Wait run
looked at from inside.

- `traces.jsonl`: the kept generations in steps, with the answer at each step;
- `uncertainty.jsonl`: entropy, varentropy and surprisal of every thinking token of the same;
- `around_waits.csv`, `contrasts.csv`: the same over many traces, around forced Waits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from s1core.records import Generation
from s1lab import experiments
from s1lab.data import benchmarks
from s1lab.evaluation import Interval
from s1lab.evaluation.report import Row, lines
from s1lab.experiments import Condition
from s1lab.kinds import generate, sft
from s1lab.lab import Lab, Step
from s1lab.runs import Run
from s1lab.traces import steps, uncertainty

Rows = Sequence[Mapping[str, Any]]
"""Traces as `steps.read_traces` writes them, or rows of `contrasts.csv`."""
NAME = "reading traces"
"""What `--only` calls it."""
KEPT, MEASURED = 12, 500
"""Questions whose traces are kept for reading; most traces that means around Waits are over."""
WINDOW = 13
"""Tokens on either side of a Wait; a line of the pocket world is as long."""


def condition(lab: Lab) -> Condition:
    """The run that is looked at: the second number of Waits of the profile, or its only one."""
    return experiments.waits(lab.profile)[:2][-1]


def step(lab: Lab) -> Step:
    """Ask for the answer at each step, and measure uncertainty, with the model of the traces."""
    read = generate.step(lab, condition(lab))
    sizes = {"kept": KEPT, "measured": MEASURED, "window": WINDOW}
    settings = {"run": read.run.id, "separator": lab.profile.methods.step_separator, **sizes}
    needs = (*read.needs, read)
    run = lab.store.locate("reading", settings)
    return Step(NAME, run, lambda run: _read(lab, run, read), needs)


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


def arrivals(traces: Rows) -> list[Row]:
    """When an answer, asked for at every step, is first right, and how often a step loses it."""
    rows = []
    for trace in traces:
        right = [answer["status"] == "correct" for answer in trace["answers"]]
        places = [a["thinking_tokens"] for a, ok in zip(trace["answers"], right, strict=True) if ok]
        lost = sum(a and not b for a, b in pairwise(right))
        end = "right" if trace["status"] == "correct" else "wrong"
        first = places[0] if places else "never"
        rows.append((trace["question"], trace["thinking_tokens"], first, lost, end))
    return lines("question | thinking tokens | first right at | lost again | in the end", rows)


def spared(rows: Rows) -> list[int]:
    """Tokens thought after the first right answer, where the end is right, fewest first."""
    right = (row for row in rows if row["in the end"] == "right")
    ends = ((row["thinking tokens"], row["first right at"]) for row in right)
    return sorted(end - first for end, first in ends if first != "never")


def turns(traces: Rows) -> Counter[tuple[bool, bool]]:
    """Steps that a forced Wait opens: was the answer right before the step, is it after?"""
    seen: Counter[tuple[bool, bool]] = Counter()
    for trace in traces:
        right = {a["thinking_tokens"]: a["status"] == "correct" for a in trace["answers"]}
        forced = [s for s in trace["steps"] if s["pieces"][0]["origin"] == "forced"]
        seen.update((right[step["start"]], right[step["end"]]) for step in forced)
    return seen


def cue_costs(traces: Rows) -> tuple[int, int]:
    """Traces that end right by themselves, and those of them that are wrong when asked there."""
    by_itself = [t for t in traces if t["status"] == "correct" and t["outcome"] == "ended"]
    return len(by_itself), sum(t["answers"][-1]["status"] != "correct" for t in by_itself)


def contrasts(rows: Rows, n: int) -> list[Row]:
    """Steps after a forced Wait beside all others, in bits, over `n` traces."""
    ends, cells = ("difference", "low", "high"), []
    for row in rows:
        gap = Interval(*(float(row[name]) for name in ends), n)
        means = (float(row[name]) for name in ("forced", "plain"))
        cells.append((row["measure"], row["where"], *means, gap))
    return lines("measure | where | forced Wait | other steps | difference", cells)
