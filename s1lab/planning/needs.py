"""What a profile reads from outside: data sets and models, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s1core.checkpoints import SHIPPED
from s1lab.data.benchmarks import benchmark
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
    benchmarks = [benchmark(name) for name in asked]
    models = [profile.model, *(arm["model"] for arm in profile.released.values())]
    return Needs(
        tuple(dict.fromkeys(training)),
        tuple(dict.fromkeys(b.name for b in benchmarks if b.kind != "countdown")),
        tuple(dict.fromkeys(str(m) for m in models if not str(m).startswith(SHIPPED))),
    )


def find_missing(profile: Profile) -> dict[str, str]:
    """What a run of the profile will go without, and why: benchmarks, subsets, released models.

    Data sets are read as the run will read them; of a model only its being there is checked.

    Raises:
        InputError: the training set itself cannot be had: nothing can run.
    """
    from s1core.errors import InputError
    from s1lab.data import benchmarks
    from s1lab.data.load import examples

    wanted = needs(profile)
    missing: dict[str, str] = {}
    for number, name in enumerate(wanted.training):
        try:
            examples(name)
        except InputError as error:
            if number == 0:
                raise
            missing[name] = str(error)
    for name in wanted.benchmarks:
        try:
            benchmarks.load(name)
        except (InputError, benchmarks.InputError) as error:
            missing[name] = str(error)
    for name in wanted.models[1:]:
        reason = _unreachable(name)
        if reason:
            missing[name] = reason
    return missing


def _unreachable(model: str) -> str:
    """Why a model cannot be had; "" when it can."""
    import os

    from s1core.checkpoints import in_mirror, locate, split_revision
    from s1core.errors import InputError

    if Path(model).exists() or in_mirror(model):
        try:
            locate(model)
        except InputError as error:
            return str(error)
        return ""
    if os.environ.get("S1CORE_DATA_DIR"):
        return f"{model} is not in the mirror"
    from huggingface_hub import HfApi

    repository, revision = split_revision(model)
    try:
        HfApi().model_info(
            repository, revision=revision or None, token=os.environ.get("HF_TOKEN") or None
        )
    except Exception as error:  # the Hub's clients raise a dozen unrelated types
        summary = (str(error).splitlines() or [""])[0][:200]
        return f"{model} is out of reach: {type(error).__name__}: {summary}"
    return ""
