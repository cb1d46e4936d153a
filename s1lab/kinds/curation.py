"""From a pool to the training set: `difficulty` and `selection` (Section 2.2)."""

import hashlib
from collections import defaultdict
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from s1core import selection as method
from s1core.checkpoints import identify
from s1core.errors import InputError, RunError
from s1core.forcing import Budget, generate
from s1core.grading import grade_text
from s1core.records import Example, read_jsonl, write_jsonl
from s1lab import data
from s1lab.data.sources import SUBSETS
from s1lab.kinds import attempts
from s1lab.lab import Lab, Step
from s1lab.pocket import pool
from s1lab.runs import Run

SHOWN = 12
"""Examples with questions of others that are kept among the small files, for people to read."""
Material = tuple[list[method.Candidate], method.BenchmarkIndex, method.SelectionConfig]


def difficulty(lab: Lab) -> Step:
    """Every question of the pool asked directly; table `solved.csv`: whether the `small` and the
    `large` grader answered it. Where the model to be trained is the only grader, its attempts are
    read, and `right` names the round that first got a question right ("" for none)."""
    profile, needs = lab.profile, ()
    if profile.attempts.reasoning:
        needs = tuple(attempts.every(lab))
        settings: dict[str, Any] = {"pool": profile.pool, "attempts": [one.run.id for one in needs]}
    else:
        settings = {name: getattr(profile, name) for name in ("pool", "pool_size", "seed")}
        settings["graders"] = [identify(name) for name in profile.graders]
        settings["max_answer"] = profile.evaluation.max_answer

    def compute(run: Run) -> None:
        run.write_table("solved.csv", attempts.solved(needs) if needs else _solved(lab))

    run = lab.store.locate("difficulty", settings)
    return Step("difficulty of the pool", run, compute, needs)


def _solved(lab: Lab) -> list[dict[str, Any]]:
    profile, budget = lab.profile, Budget(0, max_answer=lab.profile.evaluation.max_answer)
    problems = [candidate.example.problem for candidate in _pool(lab)]
    lab.say(f"difficulty: {len(problems):,} questions, {' and '.join(profile.graders)}")
    rows: list[dict[str, Any]] = [{"problem_key": problem.key} for problem in problems]
    how: Any = {"template": profile.template, "progress": lab.progress, "thinking": False}
    for size, name in zip(("small", "large"), profile.graders, strict=True):
        made = generate(lab.backend(name), problems, budget, **how)
        for row, problem, one in zip(rows, problems, made, strict=True):
            row[size] = int(grade_text(problem, one.answer, "countdown").status == "correct")
    return rows


def selection(lab: Lab, subset: str = "s1") -> Step:
    """The examples that are selected; `subset` is "s1" or a baseline of Table 2. `funnel.json`
    counts what each stage left, `summary.json` what was selected."""
    graded, selected, seed = difficulty(lab), lab.profile.selected, lab.profile.seed
    settings = {"difficulty": graded.run.id, "selected": selected, "seed": seed, "subset": subset}

    def compute(run: Run) -> None:
        found, rng = material(lab), np.random.default_rng([seed, 1000])
        if subset == "s1":
            chosen, funnel = method.select(*found, rng)
            run.write_json("funnel.json", asdict(funnel))
        else:
            chosen = baseline(subset, method.curate(*found)[0], selected, rng)
        kept = [candidate.example for candidate in chosen]
        if subset == "s1":  # for people to read: of real questions a few
            shown = kept if lab.profile.pool == "pocket" else kept[:SHOWN]
            run.write_records("examples.jsonl", shown)
        write_jsonl(run.path / "examples.jsonl", kept)
        keys = "\n".join(example.problem.key for example in kept)
        facts = {
            "examples": len(chosen),
            "domains": len({c.domain for c in chosen}),
            "mean_thinking_tokens": float(np.mean([c.thinking_tokens for c in chosen])),
            "correct_traces": sum(bool(c.trace_correct) for c in chosen),
            "keys_sha256": hashlib.sha256(keys.encode()).hexdigest(),
        }
        if lab.profile.attempts.reasoning:
            facts["mended_traces"] = sum(attempts.TURN in one.trace.thinking for one in kept)
        run.write_json("summary.json", facts)

    run = lab.store.locate("selection", settings)
    return Step(f"selection, {subset}", run, compute, (graded,))


def baseline(
    subset: str, candidates: list[method.Candidate], target: int, rng: np.random.Generator
) -> list[method.Candidate]:
    """A row of Table 2 beside s1K, out of the pool after its quality stages (Section 5.1).

    "random": questions uniformly; "diverse": uniformly a domain that is left, then a question of
    it; "longest": the longest traces first, ties by key; "full": the whole pool. InputError: a pool
    smaller than the target.
    """
    pool = sorted(candidates, key=lambda c: c.key)
    if subset == "full":
        return pool
    if target > len(pool):
        raise InputError(f"{target} of {len(pool)} questions cannot be selected: lower the target")
    if subset == "random":
        return [pool[i] for i in rng.choice(len(pool), size=target, replace=False)]
    if subset == "longest":
        return sorted(pool, key=lambda c: -c.thinking_tokens)[:target]
    domains: defaultdict[str, list[method.Candidate]] = defaultdict(list)
    for candidate in pool:
        domains[candidate.domain].append(candidate)
    names, selected = sorted(domains), []
    while len(selected) < target:
        members = domains[name := names[rng.integers(len(names))]]
        selected.append(members.pop(rng.integers(len(members))))
        if not members:
            names.remove(name)
    return selected


def material(lab: Lab) -> Material:
    """What selection works on: the pool, annotated with what graders and teacher got right, the
    questions that must not be in it, and the paper's settings, with no source taken whole."""
    solved = {row["problem_key"]: row for row in difficulty(lab).make().read_table("solved.csv")}
    goal = method.DiversityConfig(lab.profile.selected, correct_sources=(), long_sources=())
    if lab.profile.attempts.reasoning:
        found, graders = attempts.candidates(lab), ("large",)
        asked = {name: data.problems(name) for name in lab.profile.evaluation.benchmarks}
        index = method.BenchmarkIndex({n: [p.question for p in of] for n, of in asked.items()})
        required = ("domain", "large_correct", "trace_correct")
        config = method.SelectionConfig(required=required, diversity=goal)
    else:
        found, graders, index = _pool(lab), ("small", "large"), pool.held_out()
        config = method.SelectionConfig(ngram=None, patterns=pool.POCKET_PATTERNS, diversity=goal)
    said = ({f"{name}_correct": solved[c.key][name] == "1" for name in graders} for c in found)
    return [replace(c, **right) for c, right in zip(found, said, strict=True)], index, config


def examples(lab: Lab, subset: str = "s1") -> list[Example]:
    """The training examples of a subset, in the order of selection."""
    if not lab.profile.curates:
        return data.examples(SUBSETS.get(subset, lab.profile.pool))
    folder = selection(lab, subset).make().path
    if not (path := folder / "examples.jsonl").exists():  # committed results: what people read
        path = folder / "public" / "examples.jsonl"
    if not path.exists():
        raise RunError(f"{folder} has no examples: of a baseline only the counts are committed")
    return list(read_jsonl(path, Example))


def _pool(lab: Lab) -> list[method.Candidate]:
    if lab.profile.pool != "pocket":
        told = "comes selected; only the pocket pool is curated from its raw state here"
        raise RunError(f"the pool {lab.profile.pool!r} {told}")
    return pool.build_pool(lab.profile.seed, lab.profile.pool_size)
