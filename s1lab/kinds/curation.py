"""From a pool to the training set: `difficulty` and `selection` (Section 2.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.errors import RunError
from s1core.records import Example, read_jsonl, write_jsonl
from s1lab.data.sources import SUBSETS
from s1lab.lab import Lab
from s1lab.runs import Run
from s1lab.steps import Step

if TYPE_CHECKING:
    from s1core.selection import BenchmarkIndex, Candidate, SelectionConfig


def listed(lab: Lab) -> Iterator[tuple[str, Step]]:
    """Where the pool comes selected, the profile whose pool shows how one selects."""
    if lab.curated is not lab:
        yield "data curation", selection(lab.curated)


def difficulty(lab: Lab) -> Step:
    """Both graders are asked every question of the pool, directly; table `solved.csv`."""
    profile = lab.profile
    settings = {
        "pool": profile.pool,
        "pool_size": profile.pool_size,
        "seed": profile.seed,
        "graders": lab.grader_ids,
        "max_answer": profile.evaluation.max_answer,
    }

    def compute(run: Run) -> None:
        from s1lab.pocket.pool import solved

        pool = [row.example.problem for row in _pool(lab)]
        lab.say(f"difficulty: {len(pool):,} questions, {' and '.join(profile.graders)}")
        common: Any = (pool, profile.template, profile.evaluation.max_answer)
        columns = [
            solved(lab.backend(name), *common, progress=lab.progress) for name in profile.graders
        ]
        run.write_table(
            "solved.csv",
            [
                {"problem_key": problem.key, "small": int(small), "large": int(large)}
                for problem, small, large in zip(pool, *columns, strict=True)
            ],
        )

    return lab.step("difficulty", settings, "difficulty of the pool", compute)


def selection(lab: Lab, subset: str = "s1") -> Step:
    """The examples that are selected; `subset` is "s1" or a baseline of Table 2."""
    graded = difficulty(lab)
    settings = {
        "difficulty": graded.run.id,
        "selected": lab.profile.selected,
        "seed": lab.profile.seed,
        "subset": subset,
    }

    def compute(run: Run) -> None:
        from s1core import selection
        from s1lab.data.baselines import BASELINES

        candidates, index, config = material(lab)
        rng = np.random.default_rng([lab.profile.seed, 1000])
        if subset == "s1":
            chosen, funnel = selection.select(candidates, index, config, rng)
            run.write_json("funnel.json", asdict(funnel))
        else:
            clean, _, _ = selection.curate(candidates, index, config)
            chosen = BASELINES[subset](clean, lab.profile.selected, rng)
        kept = [candidate.example for candidate in chosen]
        if subset == "s1":
            run.write_records("examples.jsonl", kept)  # for people to read
        write_jsonl(run.path / "examples.jsonl", kept)
        keys = "\n".join(example.problem.key for example in kept)
        run.write_json(
            "summary.json",
            {
                "examples": len(chosen),
                "domains": len({c.domain for c in chosen}),
                "mean_thinking_tokens": float(np.mean([c.thinking_tokens for c in chosen])),
                "correct_traces": sum(bool(c.trace_correct) for c in chosen),
                "keys_sha256": hashlib.sha256(keys.encode()).hexdigest(),
            },
        )

    return lab.step("selection", settings, f"selection, {subset}", compute, needs=(graded,))


def material(lab: Lab) -> tuple[list[Candidate], BenchmarkIndex, SelectionConfig]:
    """What selection works on: the annotated pool, the evaluation questions that must not be in
    it, and the settings. The selected examples themselves are `selection`'s."""
    from s1lab.pocket.pool import evaluation_index, pocket_candidates, pocket_config

    solved = difficulty(lab).make().read_table("solved.csv")
    candidates = pocket_candidates(_pool(lab), solved)
    return candidates, evaluation_index(), pocket_config(lab.profile.selected)


def examples(lab: Lab, subset: str = "s1") -> list[Example]:
    """The training examples of a subset, in the order of selection."""
    if lab.profile.pool != "pocket":
        from s1lab.data import examples as released

        return released(SUBSETS.get(subset, lab.profile.pool))
    run = selection(lab, subset).make()
    path = run.path / "examples.jsonl"
    if not path.exists():  # committed results hold what people read
        path = run.path / "public" / "examples.jsonl"
    return list(read_jsonl(path, Example))


def _pool(lab: Lab) -> list[Any]:
    from s1lab.pocket.pool import build_pool

    if lab.profile.pool != "pocket":
        raise RunError(
            f"the pool {lab.profile.pool!r} comes selected; only the pocket pool is curated from "
            "its raw state here"
        )
    return build_pool(lab.profile.seed, lab.profile.pool_size)
