"""Profiles: one small YAML per scale, and one dial (`PROFILE`) to choose it.

A profile says which models, which data, which budgets and how many samples; everything else is the
same code. Nothing but the profile (and a seed given by name) changes what a run computes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1lab.data.sources import SUBSETS

FOLDER = Path(__file__).parent / "profiles"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is measured (Section 4.2).

    Attributes:
        questions: how many of each benchmark's questions; None takes all.
        samples: generations per question, each with random numbers of its own.
        temperature: 0 is greedy, as in the paper.
        max_thinking: thinking tokens where no budget is imposed.
        max_answer: answer tokens.
        budgets: values of `max_thinking` for the scaling curve (Figure 1).
        waits: values of `num_ignore` for its extrapolation (Figure 4a).
    """

    benchmarks: tuple[str, ...]
    questions: int | None
    samples: int
    temperature: float
    max_thinking: int
    max_answer: int
    budgets: tuple[int, ...]
    waits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ablations:
    """What is trained beside the recipe itself.

    Attributes:
        benchmarks: where ablations are measured; empty takes all of `evaluation`.
        subsets: baselines of Table 2: random, diverse, longest, full.
        seq_lens: sequence lengths below the recipe's, at which examples are cut (Table 8).
        seeds: trainings per sequence length.
    """

    benchmarks: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    seq_lens: tuple[int, ...] = ()
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Methods:
    """The other ways to spend test-time compute (Sections 3.1, 5.2, 6.2, Appendix E).

    Attributes:
        ignore_strs: what replaces the end of thinking (Table 4); "" only suppresses it.
        num_ignore: how often.
        token_limits: budgets named in the prompt, in tokens (Table 12); powers of two.
        step_limits: the same in steps (Table 13).
        step_separator: what stands between two steps of a trace.
        classes: "short" and "long" (Table 14).
        samples: generations per question under prompts that name a budget (Tables 12 to 14); None
            takes `evaluation`'s.
        votes: samples per question for majority voting (Figures 4b, 7) and rejection (Figure 6).
        vote_budgets: thinking caps at which votes are drawn, beside natural ends.
        vote_temperature: of those samples.
    """

    ignore_strs: tuple[str, ...] = ()
    num_ignore: int = 2
    token_limits: tuple[int, ...] = ()
    step_limits: tuple[int, ...] = ()
    step_separator: str = "\n\n"
    classes: tuple[str, ...] = ()
    samples: int | None = None
    votes: int = 0
    vote_budgets: tuple[int, ...] = ()
    vote_temperature: float = 1.0


@dataclass(frozen=True, slots=True)
class Profile:
    """One scale of the reproduction.

    Attributes:
        model: what is fine-tuned: `pocket-large`, or a Hub id or folder.
        graders: the two models of the difficulty stage (Section 2.2), smaller first.
        pool: where selection starts: `pocket`, or a published training set.
        pool_size: questions in the pocket pool.
        curation: where the pool comes selected, the profile whose pool shows how one selects.
        selected: how many examples are selected (1,000 in the paper).
        sft: settings of `s1core.sft.SFTConfig`.
        ablations: trainings beside the recipe (Tables 2 and 8).
        methods: other ways to spend test-time compute (Tables 3 and 4, Figures 4b, 6 and 7).
        efforts: named budgets, as commercial APIs offer them: {"low": {"max_thinking": 64}}.
        engine: the backend that generates: `hf` or `vllm`.
        threads: CPU threads; results are identical to the bit only for equal numbers.
        jobs: processes that `reproduce` starts; they share the runs between them.
        gpus: NVIDIA GPUs that the profile is for; 0 needs none.
        gpu_memory: GiB that each must have.
        processes: that fine-tune together, under torchrun.
        engine_options: further arguments of the engine, such as `tensor_parallel_size`.
        released: checkpoints that are sampled from as they were released, by name: their `model`,
            `budgets`, `waits`, and `engine_options` of their own.
        rehearsal: cut-down sizes and a stand-in model: figures are stamped, results never kept.
        seed: of the pool, the selection, the order of training and the sampling.
    """

    name: str
    title: str
    hardware: str
    template: str
    model: str
    graders: tuple[str, ...]
    pool: str
    pool_size: int
    selected: int
    evaluation: Evaluation
    sft: Mapping[str, Any] = field(default_factory=dict)
    ablations: Ablations = field(default_factory=Ablations)
    methods: Methods = field(default_factory=Methods)
    efforts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    curation: str = ""
    engine: str = "hf"
    batch_size: int = 256
    threads: int | None = None
    jobs: int = 1
    gpus: int = 0
    gpu_memory: float = 80
    processes: int = 1
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    released: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rehearsal: bool = False
    seed: int = 0

    def without(self, missing: Collection[str]) -> Profile:
        """The same profile without what cannot be had: data sets and models, by name."""
        if not missing:
            return self
        return replace(
            self,
            evaluation=replace(
                self.evaluation,
                benchmarks=tuple(b for b in self.evaluation.benchmarks if b not in missing),
            ),
            ablations=replace(
                self.ablations,
                benchmarks=tuple(b for b in self.ablations.benchmarks if b not in missing),
                subsets=tuple(s for s in self.ablations.subsets if SUBSETS.get(s) not in missing),
            ),
            released={k: arm for k, arm in self.released.items() if arm["model"] not in missing},
        )

    def with_seed(self, seed: int | None) -> Profile:
        """The same profile with another seed; None keeps its own."""
        return self if seed is None else replace(self, seed=seed)


def names() -> list[str]:
    """The profiles that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str | Path) -> Profile:
    """Load a shipped profile by name, or any profile by the path of its YAML file.

    Raises:
        InputError: there is no such profile, or the file has unknown or missing settings.
    """
    import yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name}.yaml"
        if not path.exists():
            raise InputError(f"no profile {str(name)!r}; pick one of {', '.join(names())}")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"no profile file {path}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path} is not a profile: expected settings, found {settings!r}")
    for name, kind in SECTIONS.items():
        section = settings.get(name, {})
        if not isinstance(section, dict):
            raise InputError(f"{path}: {name!r} should hold settings, not {section!r}")
        settings[name] = _build(kind, section, path)
    return _build(Profile, settings, path)


SECTIONS = {"evaluation": Evaluation, "ablations": Ablations, "methods": Methods}


def _build(kind: type, settings: Mapping[str, Any], path: Path) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(settings) - set(fields))
    missing = sorted(
        name
        for name, f in fields.items()
        if name not in settings
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    )
    if unknown or missing:
        parts = [f"unknown settings {', '.join(unknown)}"] if unknown else []
        parts += [f"missing settings {', '.join(missing)}"] if missing else []
        raise InputError(f"{path}: {'; '.join(parts)}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return kind(**values)
