"""What a profile reads from outside: data sets and models, by name."""

from __future__ import annotations

from dataclasses import dataclass

from s1core.checkpoints import SHIPPED
from s1core.data.sources import SUBSETS, source
from s1core.evaluation.benchmarks import benchmark
from s1core.profiles import Profile


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
