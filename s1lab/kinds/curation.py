"""From a pool to the training set: `difficulty` and `selection` (Section 2.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from s1core.checkpoints import identify
from s1core.errors import RunError
from s1core.records import Example, read_jsonl, write_jsonl
from s1core.selection import curate, select
from s1lab.data.baselines import BASELINES
from s1lab.data.sources import SUBSETS
from s1lab.kinds import attempts
from s1lab.lab import Lab, Step
from s1lab.runs import Run

SHOWN = 12
"""Examples with questions of others that are kept among the small files, for people to read."""


def listed(lab: Lab) -> Iterator[tuple[str, Step]]:
    """Where the pool comes selected, the profile whose pool shows how one selects."""
    if lab.curated is not lab:
        yield "data curation", selection(lab.curated)


def difficulty(lab: Lab) -> Step:
    """Both graders are asked every question of the pool, directly; table `solved.csv`."""
    profile, most = lab.profile, lab.profile.evaluation.max_answer
    if profile.attempts.reasoning:
        return _attempted(lab)
    settings = {name: getattr(profile, name) for name in ("pool", "pool_size", "seed")}
    settings |= {"graders": [identify(name) for name in profile.graders], "max_answer": most}

    def compute(run: Run) -> None:
        from s1lab.pocket.pool import solved

        pool = [row.example.problem for row in _pool(lab)]
        lab.say(f"difficulty: {len(pool):,} questions, {' and '.join(profile.graders)}")
        options: Any = {"template": profile.template, "progress": lab.progress}
        columns = [solved(lab.backend(name), pool, most, **options) for name in profile.graders]
        rows = (
            {"problem_key": problem.key, "small": int(small), "large": int(large)}
            for problem, small, large in zip(pool, *columns, strict=True)
        )
        run.write_table("solved.csv", rows)

    return lab.step("difficulty", settings, "difficulty of the pool", compute)


def _attempted(lab: Lab) -> Step:
    """The same where the model to be trained is the grader: `solved.csv` from its attempts, with
    the round that first got a question right ("" for none)."""
    made = tuple(attempts.every(lab))

    def compute(run: Run) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for one in made:
            asked = one.run.settings["round"]
            for key, status in attempts.grades(one.make()):
                row = rows.setdefault(key, {"problem_key": key, "large": 0, "right": ""})
                if status == "correct":
                    row |= {"large": int(asked == attempts.GREEDY), "right": asked}
        run.write_table("solved.csv", rows.values())

    settings = {"pool": lab.profile.pool, "attempts": [one.run.id for one in made]}
    return lab.step("difficulty", settings, "difficulty of the pool", compute, needs=made)


def selection(lab: Lab, subset: str = "s1") -> Step:
    """The examples that are selected; `subset` is "s1" or a baseline of Table 2."""
    graded, selected, seed = difficulty(lab), lab.profile.selected, lab.profile.seed
    settings = {"difficulty": graded.run.id, "selected": selected, "seed": seed, "subset": subset}

    def compute(run: Run) -> None:
        candidates, index, config = material(lab)
        rng = np.random.default_rng([seed, 1000])
        if subset == "s1":
            chosen, funnel = select(candidates, index, config, rng)
            run.write_json("funnel.json", asdict(funnel))
        else:
            clean, _ = curate(candidates, index, config)
            chosen = BASELINES[subset](clean, selected, rng)
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

    return lab.step("selection", settings, f"selection, {subset}", compute, needs=(graded,))


def material(lab: Lab) -> attempts.Material:
    """The annotated pool, the questions that must not be in it, and the selection's settings."""
    from s1lab.pocket import pool

    solved = difficulty(lab).make().read_table("solved.csv")
    if lab.profile.attempts.reasoning:
        return attempts.material(lab, solved)
    return pool.material(_pool(lab), solved, lab.profile.selected)


def examples(lab: Lab, subset: str = "s1") -> list[Example]:
    """The training examples of a subset, in the order of selection."""
    if not lab.profile.curates:
        from s1lab.data import examples as released

        return released(SUBSETS.get(subset, lab.profile.pool))
    folder = selection(lab, subset).make().path
    if not (path := folder / "examples.jsonl").exists():  # committed results: what people read
        path = folder / "public" / "examples.jsonl"
    if not path.exists():
        raise RunError(f"{folder} has no examples: of a baseline only the counts are committed")
    return list(read_jsonl(path, Example))


def _pool(lab: Lab) -> list[Any]:
    from s1lab.pocket.pool import build_pool

    if lab.profile.pool != "pocket":
        told = "comes selected; only the pocket pool is curated from its raw state here"
        raise RunError(f"the pool {lab.profile.pool!r} {told}")
    return build_pool(lab.profile.seed, lab.profile.pool_size)
