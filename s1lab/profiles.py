"""Profiles: one small YAML per scale: which models, data, budgets, and how many samples.

Nothing but the profile (and a seed given by name) changes what a run computes.
"""

import itertools
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from s1core import templates
from s1core.errors import InputError, check_number
from s1core.forcing import Budget
from s1core.jsonl import from_dict, typed
from s1core.sft.config import SFTConfig
from s1lab.data.benchmarks import benchmark
from s1lab.data.sources import SUBSETS, source

FOLDER = Path(__file__).parent / "profiles"

NAME = "[A-Za-z0-9][A-Za-z0-9_-]*"
"""What a profile may be called: `results/` has a folder of that name."""
LARGEST, DEEPEST = 64_000, 20
"""Characters of a profile's file, and levels of what it holds."""

Count = Annotated[int, 1, 10_000_000]
Tokens = Annotated[int, 0, 10_000_000]
Waits = Annotated[int, 0, 10_000]
Seed = Annotated[int, 0, 2**32 - 1]
Processes = Annotated[int, 1, 1024]
Temperature = Annotated[float, 0, 100]
"""Numbers with their range, which every profile is held to."""
Subset = Literal["random", "diverse", "longest", "full"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is measured (Section 4.2)."""

    benchmarks: tuple[str, ...]
    questions: Count | None  # of each benchmark; None takes all
    samples: Count  # generations per question
    temperature: Temperature  # 0 is greedy, as in the paper
    max_thinking: Tokens  # where no budget is imposed, as the next
    max_answer: Count
    budgets: tuple[Tokens, ...]  # values of `max_thinking` for the scaling curve (Figure 1)
    waits: tuple[Waits, ...]  # values of `num_ignore` for its extrapolation (Figure 4a)
    limits: Mapping[str, Any] = field(default_factory=dict)  # `questions` of single benchmarks

    def questions_of(self, name: str) -> int | None:
        """How many questions of a benchmark are asked; None: all."""
        return self.limits.get(name, self.questions)


@dataclass(frozen=True, slots=True)
class Ablations:
    """What is trained beside the recipe itself."""

    benchmarks: tuple[str, ...] = ()  # where it is measured; empty takes all of `evaluation`
    subsets: tuple[Subset, ...] = ()  # baselines of Table 2
    seq_lens: tuple[Count, ...] = ()  # below the recipe's; examples are cut there (Table 8)
    seeds: Processes = 1  # trainings per sequence length


@dataclass(frozen=True, slots=True)
class Methods:
    """The other ways to spend test-time compute (Sections 3.1, 5.2, 6.2, Appendix E)."""

    ignore_strs: tuple[str, ...] = ()  # in the place of the end of thinking (Table 4); "" for none
    num_ignore: Waits = 2  # and how often
    token_limits: tuple[Count, ...] = ()  # budgets named in the prompt: powers of two (Table 12)
    step_limits: tuple[Count, ...] = ()  # the same in steps (Table 13)
    step_separator: str = "\n\n"  # between two steps of a trace
    classes: tuple[Literal["short", "long"], ...] = ()  # (Table 14)
    samples: Count | None = None  # per question under such prompts; None takes `evaluation`'s
    votes: Tokens = 0  # samples for majority voting (Figures 4b, 7) and rejection (Figure 6)
    vote_budgets: tuple[Tokens, ...] = ()  # thinking caps of the votes, beside natural ends
    vote_temperature: Temperature = 1.0


@dataclass(frozen=True, slots=True)
class Attempts:
    """How the model to be trained is asked the questions of the pool: it is grader and teacher."""

    reasoning: str = ""  # the system prompt; also how a base model is asked in its own words
    max_tokens: Count = 320  # of a solution
    hint: str = ""  # how a `question` is asked again, with its human `solution`
    taught: Tokens = 0  # parts of which what was wrong is asked again
    parts: Processes = 8  # of the pool, each a run of its own, that processes share


@dataclass(frozen=True, slots=True)
class Profile:
    """One scale of the reproduction.

    `graders` are the two models of the difficulty stage (Section 2.2), the smaller first. `efforts`
    are budgets by name, as commercial APIs offer them: {"low": {"max_thinking": 64}}. `released`
    checkpoints are sampled from as they are: each has a `model`, and may have `budgets`, `waits`
    and `engine_options` of its own.
    """

    name: str
    title: str
    hardware: str
    template: str
    model: str  # what is fine-tuned: `pocket-large`, or a Hub id or folder
    graders: tuple[str, ...]
    pool: str  # where selection starts: `pocket`, or a published set
    pool_size: Count
    selected: Count  # examples (1,000 in the paper)
    evaluation: Evaluation
    sft: Mapping[str, Any] = field(default_factory=dict)  # settings of `s1core.sft.SFTConfig`
    ablations: Ablations = field(default_factory=Ablations)
    methods: Methods = field(default_factory=Methods)
    attempts: Attempts = field(default_factory=Attempts)
    efforts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    curation: str = ""  # where the pool comes selected: the profile that shows how one selects
    engine: Literal["hf", "vllm"] = "hf"
    batch_size: Count = 256
    threads: Processes | None = None  # of the CPU; results are the same bits for equal numbers only
    jobs: Processes = 1  # processes that `reproduce` starts
    one_training: bool = False  # memory holds one fine-tuning, in a process of its own
    rates: Mapping[str, Any] = field(default_factory=dict)  # measured (`s1lab.planning.cost`)
    gpus: Waits = 0  # NVIDIA's, that the profile is for
    gpu_memory: Annotated[float, 0, 100_000] = 80  # GiB of each
    price: Annotated[float, 0, 1_000_000] = 0.05  # US$ of a GPU's hour; without one, of a thread's
    processes: Processes = 1  # that fine-tune together
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    released: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rehearsal: bool = False  # cut sizes, a stand-in model: figures are stamped, results not kept
    seed: Seed = 0  # of the pool, the selection, the order of training and the sampling

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise InputError(f"a profile's name is letters, digits, - and _, not {self.name!r:.40}")
        _check_values(self)

    @property
    def curates(self) -> bool:
        """Whether its examples are selected here from a raw pool."""
        return self.pool == "pocket" or bool(self.attempts.reasoning)

    def without(self, missing: Collection[str]) -> "Profile":
        """The same profile without what cannot be had: data sets and models, by name."""
        if not missing:
            return self
        asked, beside = (
            replace(part, benchmarks=tuple(b for b in part.benchmarks if b not in missing))
            for part in (self.evaluation, self.ablations)
        )
        subsets = tuple(s for s in beside.subsets if SUBSETS.get(s) not in missing)
        kept = {k: arm for k, arm in self.released.items() if arm["model"] not in missing}
        beside = replace(beside, subsets=subsets)
        return replace(self, evaluation=asked, ablations=beside, released=kept)

    def cost(self, minutes: float) -> str:
        """Minutes of a run and what its GPUs, or else its CPU threads, are rented for meanwhile:
        `2.1 min · 0.17 ¢`; a dash where the minutes are not known (NaN)."""
        cents = minutes / 60 * 100 * self.price * (self.gpus or self.threads or 1)

        def some(value: float, digits: int) -> str:
            least = 10**-digits
            return f"{value:,.{digits}f}" if value >= least / 2 else f"<\N{NO-BREAK SPACE}{least}"

        money = f"{some(cents, 2)}\N{NO-BREAK SPACE}¢" if cents < 100 else f"${cents / 100:,.2f}"
        return "–" if math.isnan(minutes) else f"{some(minutes, 1)}\N{NO-BREAK SPACE}min · {money}"

    def with_seed(self, seed: int | None) -> "Profile":
        """The same profile with another seed; None keeps its own."""
        return self if seed is None else replace(self, seed=typed(Seed, seed, "seed"))


def names() -> list[str]:
    """The profiles that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str | Path) -> Profile:
    """Load a shipped profile by name, or any by the path of its YAML file; InputError where there
    is none, or a setting is unknown, missing, of another type or out of its range."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name}.yaml"
        if str(name) not in names():
            raise InputError(f"no profile {str(name)!r}; pick one of {', '.join(names())}")
    try:
        return from_dict(Profile, _settings(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _settings(path: Path) -> dict[str, Any]:
    """What a YAML file holds: bounded in size, plain values, none of which stands for another."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST)
        nested = itertools.accumulate(map(_nests, yaml.scan(text)))
        plain = all(depth < DEEPEST for depth in nested)
        found = json.loads(json.dumps(yaml.safe_load(text))) if plain else None
    except FileNotFoundError as error:
        raise InputError("there is no such profile") from error
    except (yaml.YAMLError, ValueError, TypeError, OSError, RecursionError) as error:
        raise InputError(f"not YAML that can be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or len(text) == LARGEST:
        most = f"fewer than {LARGEST:,} characters, nested less than {DEEPEST} deep"
        raise InputError(f"not a profile: expected settings by name, {most}, no aliases (*name)")
    return found


def _nests(token: Any) -> int:
    """How much deeper a token of YAML leads; what stands for something else, too deep."""
    name = type(token).__name__
    return DEEPEST if name == "AliasToken" else ("Start" in name) - ("End" in name)


def _check_values(profile: Profile) -> None:
    """Refuse what only the rest of the package can tell to be wrong, before anything is made."""
    templates.get(profile.template)
    for name in (*profile.evaluation.benchmarks, *profile.ablations.benchmarks):
        benchmark(name)
    for name, count in profile.evaluation.limits.items():
        check_number(f"evaluation.limits.{benchmark(name).name}", count, 1, 10_000_000)
    for name, rate in profile.rates.items():
        check_number(f"rates.{name}", rate, 1e-9, 1e9, whole=False)
    if not profile.evaluation.benchmarks:
        raise InputError("evaluation.benchmarks is empty: there is nothing to measure")
    if profile.pool != "pocket":
        source(profile.pool)
    elif profile.selected > profile.pool_size:
        raise InputError(f"selected ({profile.selected}) exceeds pool_size ({profile.pool_size})")
    elif len(profile.graders) != 2:
        raise InputError("graders must be two models, the smaller first")
    typed(SFTConfig, profile.sft, "sft")
    for name, effort in profile.efforts.items():
        typed(Budget, effort, f"efforts.{name}")
    for name, arm in profile.released.items():
        typed(_Released, arm, f"released.{name}")


@dataclass(frozen=True, slots=True)
class _Released:
    """What a profile says of a released checkpoint."""

    model: str
    budgets: tuple[Tokens, ...] = ()
    waits: tuple[Waits, ...] = ()
    engine_options: Mapping[str, Any] = field(default_factory=dict)
