"""What a profile reads from outside: data sets and models, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.checkpoints import SHIPPED, explained, in_mirror, locate, split_revision
from s1core.errors import InputError
from s1lab.data import benchmarks
from s1lab.data.load import examples, problems
from s1lab.data.sources import SUBSETS, source
from s1lab.profiles import Profile


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be at hand before a profile can run: data sets by name, models by id or folder."""

    training: tuple[str, ...]
    benchmarks: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Those that are trained on, then those that are evaluated on."""
        return (*self.training, *self.benchmarks)

    @property
    def essential(self) -> tuple[str, ...]:
        """The training set and the model that is fine-tuned: without these nothing can run."""
        return (*self.training[:1], *self.models[:1])


def needs(profile: Profile) -> Needs:
    """List what a profile needs from the Hub or a mirror; nothing is loaded.

    What ships with the package (the pocket pool, its models and its questions) is left out.
    """
    subsets = [SUBSETS[name] for name in profile.ablations.subsets]
    training = [] if profile.pool == "pocket" else [source(profile.pool).name, *subsets]
    training = training[:1] if profile.curates else training
    asked = [*profile.evaluation.benchmarks, *profile.ablations.benchmarks]
    found = [benchmarks.benchmark(name) for name in asked]
    models = [str(m) for m in (profile.model, *(arm["model"] for arm in profile.released.values()))]
    lists = (
        training,
        [one.name for one in found if one.kind != "countdown"],
        [model for model in models if not model.startswith(SHIPPED)],
    )
    return Needs(*(tuple(dict.fromkeys(names)) for names in lists))


def find_missing(profile: Profile) -> dict[str, str]:
    """What a run of the profile will go without, and why: benchmarks, subsets, released models.

    Data sets are read as the run will read them; of a model only its being there is checked.

    Raises:
        InputError: the training set itself cannot be had: nothing can run.
    """
    wanted, missing = needs(profile), {}
    readers: dict[str, Callable[[str], Any]] = dict.fromkeys(wanted.training, rows_of)
    readers |= dict.fromkeys(wanted.benchmarks, benchmarks.load)
    readers |= dict.fromkeys(wanted.models[1:], reach)
    for name, read in readers.items():
        try:
            read(name)
        except InputError as error:
            if name in wanted.essential:
                raise
            missing[name] = str(error)
    return missing


def rows_of(name: str) -> Sequence[Any]:
    """The rows of what is trained on: examples, or the questions of a raw pool."""
    return examples(name) if source(name).kind == "release" else problems(name)


def reach(model: str) -> None:
    """Raise InputError unless a model can be had, from a folder, the mirror or the Hub."""
    if Path(model).exists() or in_mirror(model):
        locate(model)
    elif os.environ.get("S1CORE_DATA_DIR"):
        raise InputError(f"{model} is not in the mirror")
    else:
        model_info(model)


def model_info(model: str, **options: Any) -> Any:
    """What the Hub says of a model at its revision; InputError, with its reason, if nothing."""
    from huggingface_hub import HfApi

    repository, revision = split_revision(model)
    options |= {"timeout": 20, "token": os.environ.get("HF_TOKEN") or None}
    with explained(f"{model} is out of reach on the Hub"):
        return HfApi().model_info(repository, revision=revision or None, **options)
