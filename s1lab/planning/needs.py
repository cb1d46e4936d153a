"""What a profile reads from outside: data sets and models, by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.checkpoints import SHIPPED, in_mirror, locate, split_revision
from s1core.errors import InputError
from s1lab.data import benchmarks
from s1lab.data.load import examples
from s1lab.data.sources import SUBSETS, source
from s1lab.profiles import Profile


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be at hand before a profile can run.

    Attributes:
        training: data sets that are trained on; without the first nothing can run.
        benchmarks: those that are evaluated on; the run goes on without one that cannot be had.
        models: Hub ids or folders; the first is the one that is fine-tuned.
    """

    training: tuple[str, ...]
    benchmarks: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        return (*self.training, *self.benchmarks)


def needs(profile: Profile) -> Needs:
    """List what a profile needs from the Hub or a mirror; nothing is loaded.

    What ships with the package (the pocket pool, its models and its questions) is left out.
    """
    training: list[str] = []
    if profile.pool != "pocket":
        training = [source(profile.pool).name]
        training += [SUBSETS[name] for name in profile.ablations.subsets]
    asked = [*profile.evaluation.benchmarks, *profile.ablations.benchmarks]
    found = [benchmarks.benchmark(name) for name in asked]
    models = [profile.model, *(arm["model"] for arm in profile.released.values())]
    return Needs(
        tuple(dict.fromkeys(training)),
        tuple(dict.fromkeys(b.name for b in found if b.kind != "countdown")),
        tuple(dict.fromkeys(str(m) for m in models if not str(m).startswith(SHIPPED))),
    )


def find_missing(profile: Profile) -> dict[str, str]:
    """What a run of the profile will go without, and why: benchmarks, subsets, released models.

    Data sets are read as the run will read them; of a model only its being there is checked.

    Raises:
        InputError: the training set itself cannot be had: nothing can run.
    """
    wanted = needs(profile)
    readers: list[tuple[str, Callable[[str], Any]]] = [
        *((name, examples) for name in wanted.training),
        *((name, benchmarks.load) for name in wanted.benchmarks),
        *((name, reach) for name in wanted.models[1:]),
    ]
    missing: dict[str, str] = {}
    for name, read in readers:
        try:
            read(name)
        except InputError as error:
            if name in wanted.training[:1]:
                raise
            missing[name] = str(error)
    return missing


def reach(model: str) -> None:
    """Look whether a model can be had, from a folder, the mirror or the Hub.

    Raises:
        InputError: it cannot; the message says why.
    """
    if Path(model).exists() or in_mirror(model):
        locate(model)
    elif os.environ.get("S1CORE_DATA_DIR"):
        raise InputError(f"{model} is not in the mirror")
    else:
        model_info(model)


def model_info(model: str, **options: Any) -> Any:
    """What the Hub says of a model at its revision.

    Raises:
        InputError: it says nothing; the message has the client's own reason.
    """
    from huggingface_hub import HfApi

    repository, revision = split_revision(model)
    token = os.environ.get("HF_TOKEN") or None
    try:
        return HfApi().model_info(
            repository, revision=revision or None, timeout=20, token=token, **options
        )
    except Exception as error:  # the Hub's clients raise a dozen unrelated types
        summary = (str(error).splitlines() or [""])[0][:160]
        reason = f"{type(error).__name__}: {summary}"
        raise InputError(f"{model} is out of reach on the Hub: {reason}") from error
