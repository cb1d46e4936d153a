"""What a profile without a GPU takes in hours, by rates that were measured, and what it lacks.

A profile's `rates` are tokens per second of one process (`read` a prompt, `sample`, `train`), the
expected tokens of a `prompt`, a `natural` thought, a `direct` solution and an `example`, the share
of greedy solutions that are `right`, and the gigabytes of `memory` that all of it takes at once.
"""

import os
import shutil
from pathlib import Path

from s1core.checkpoints import in_mirror, load_tokenizer, locate
from s1core.errors import InputError
from s1lab.data.benchmarks import benchmark
from s1lab.desk import weights
from s1lab.kinds.attempts import TAUGHT
from s1lab.lab import Step
from s1lab.pipeline import Pipeline
from s1lab.profiles import Profile

WAIT = 0.5
"""Of a natural thought: what one Wait adds, as long as the limit leaves room."""


def seconds(profile: Profile, step: Step, trained: int) -> float:
    """Seconds of one process for a step; `trained` are the tokens of a fine-tuning."""
    rates, how, one = profile.rates, profile.attempts, step.condition
    if one is not None:
        asked = profile.evaluation.questions_of(one.benchmark) or benchmark(one.benchmark).rows
        long = rates["natural"] * (1 + WAIT * one.budget.num_ignore)
        tokens = min(one.budget.max_thinking, long) if one.thinking else rates["direct"]
        rows = asked * one.samples
    elif step.training is not None:
        return trained / rates["train"]
    elif step.run.kind == "attempts":
        rows, tokens = profile.pool_size / how.parts, rates["direct"]
        if step.run.settings["round"] == TAUGHT:
            rows *= 1 - rates["right"]
    else:
        return 60.0
    return rows * (rates["prompt"] / rates["read"] + tokens / rates["sample"])


def hours(profile: Profile, left: list[tuple[Step, float]]) -> float:
    """Wall hours of steps that are left, each with its seconds: `jobs` processes share them, and
    fine-tunings, where memory holds one, follow one another and the attempts."""
    shared = sum(one for _, one in left) / profile.jobs
    chain = 0.0
    if profile.one_training:
        chain = sum(one for step, one in left if step.training and not step.condition)
        chain += sum(one for step, one in left if step.run.kind == "attempts") / profile.jobs
    return max(shared, chain) / 3600


def refuse(pipeline: Pipeline, disk: float) -> None:
    """InputError for the first of what would fail hours later, and what to do: weights, tokenizer,
    `disk` (bytes), memory."""
    profile = pipeline.profile
    if profile.model == weights.MODEL:
        folder, fetch = in_mirror(profile.model), f"`s1lab fetch {profile.name} --to FOLDER`"
        told = f"make the weights with {fetch} and name the folder in S1CORE_DATA_DIR"
        if folder is None:
            raise InputError(f"{profile.model} is not here: {told}")
        if problem := weights.lacks(folder):
            raise InputError(f"{problem}: {told}")
    if not weights.is_qwen(load_tokenizer(locate(profile.model))):
        raise InputError(f"{profile.model} has another tokenizer than Qwen2.5, which results need")
    root = Path(pipeline.store.root).resolve()
    free = shutil.disk_usage(next(p for p in (root, *root.parents) if p.exists())).free
    if free < disk:
        raise InputError(
            f"the store at {root} needs {disk / 1e9:.0f} GB of disk, and {free / 1e9:.0f} GB are "
            "free: make room, or name another folder in S1CORE_STORE"
        )
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if have < profile.rates["memory"]:
        raise InputError(
            f"{profile.name} needs {profile.rates['memory']:.0f} GB of memory, and this machine "
            f"has {have:.0f} GB: take a larger one"
        )
