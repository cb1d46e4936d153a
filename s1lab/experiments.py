"""Everything the paper measures, as conditions: which checkpoint, asked how, under which budget.

Pure descriptions made from a profile; `Pipeline` turns a condition into a run. Notebooks ask for
the conditions of their tables here too, so the runs of a profile and the book cannot part.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Literal

from s1core.forcing import Budget
from s1core.sft.config import SFTConfig
from s1lab.profiles import Profile

Instruction = tuple[Literal["tokens", "steps", "class"], Any]


@dataclass(frozen=True, slots=True)
class Training:
    """How a checkpoint comes about; `control` is what training questions name the budget of their
    trace in, if at all (Appendix E.1)."""

    subset: str = "s1"  # or a baseline of Table 2: random, diverse, longest, full
    changes: tuple[tuple[str, Any], ...] = ()  # settings of `SFTConfig`, instead of the profile's
    control: Literal["", "tokens", "steps"] = ""
    released: str = ""  # a checkpoint of the profile's `released`, as it is; the rest is unused

    @property
    def label(self) -> str:
        """In words: `s1, max_seq_len 112, seed 1`."""
        if self.released:
            return self.released
        changes = [f"{name} {value}" for name, value in self.changes if name != "on_too_long"]
        control = [f"{self.control} in the prompt"] if self.control else []
        return ", ".join([self.subset, *changes, *control])


@dataclass(frozen=True, slots=True)
class Condition:
    """One point of a figure or cell of a table, before it is measured."""

    label: str  # on the page
    kind: str  # the series it belongs to: "budget", "natural", "wait", a subset's name, ...
    benchmark: str
    budget: Budget  # what the decoder enforces (Section 3.1)
    samples: int  # per question
    temperature: float  # 0 is greedy
    training: Training | None = field(default_factory=Training)  # None: the base model
    instruct: Instruction | None = None  # a budget in the prompt (Appendix E.1): ("class", "short")
    steps: int | None = None  # most that the decoder allows; None does not count them
    thinking: bool = True  # False asks for the answer at once

    @property
    def counts_steps(self) -> bool:
        """Whether the decoder tells steps apart: it limits them, or the model writes their mark."""
        trained = self.training is not None and self.training.control == "steps"
        return trained or self.steps is not None


Conditions = tuple[Condition, ...]
Where = Literal["first", "each", "ablations"]


def condition(profile: Profile, label: str, kind: str, **fields: Any) -> Condition:
    """A condition with the profile's own values for whatever is not given: `fields` are those of a
    `Condition`, and `max_thinking`, `num_ignore`, `ignore_str` of its budget."""
    asked = profile.evaluation
    budget = {"max_thinking": asked.max_thinking, "max_answer": asked.max_answer}
    for name in ("max_thinking", "num_ignore", "ignore_str"):
        if name in fields:
            budget[name] = fields.pop(name)
    if not fields.get("thinking", True) and profile.attempts.reasoning:
        budget["max_answer"] = profile.attempts.max_tokens  # the solution is in the answer
    fields = {"temperature": asked.temperature, **fields}
    fields["samples"] = fields.get("samples") or asked.samples
    fields["benchmark"] = fields.get("benchmark") or asked.benchmarks[0]
    return Condition(label, kind, budget=Budget(**budget), **fields)


def natural(profile: Profile, benchmark: str | None = None, **fields: Any) -> Condition:
    """The model stops by itself: no cap but the profile's limit, no Wait."""
    return condition(profile, "no budget", "natural", benchmark=benchmark, **fields)


EXPERIMENTS: dict[str, tuple[Callable[..., Conditions], Where]] = {}
"""What `--only` calls the paper's tables and figures: what makes their conditions, given a profile
and perhaps another benchmark than its first, and on which benchmarks they are measured."""


def _experiment(name: str = "", where: Where = "first") -> Callable[..., Any]:
    def register(made: Callable[[Profile], Iterator[Condition]]) -> Callable[..., Conditions]:
        @wraps(made, assigned=("__module__", "__qualname__", "__name__", "__doc__"))
        def asked(profile: Profile, benchmark: str | None = None) -> Conditions:
            return tuple(replace(c, benchmark=benchmark or c.benchmark) for c in made(profile))

        del asked.__wrapped__  # it takes a benchmark too
        if name:
            EXPERIMENTS[name] = asked, where
        return asked

    return register


@_experiment("scaling curve", "each")
def curve(profile: Profile) -> Iterator[Condition]:
    """Figures 1 and 4a, Table 1: capped thinking, natural ends, and forced Waits."""
    for cap in sorted(profile.evaluation.budgets):
        yield condition(profile, f"{cap} tokens", "budget", max_thinking=cap)
    yield natural(profile)
    yield from waits(profile)


@_experiment()
def waits(profile: Profile) -> Iterator[Condition]:
    """The extrapolation of Figure 4a: the end of thinking replaced by "Wait" n times."""
    for n in sorted(profile.evaluation.waits):
        yield condition(profile, f"Wait {n}x", "wait", num_ignore=n)


@_experiment("extrapolation", "ablations")
def extrapolation(profile: Profile) -> Iterator[Condition]:
    """Table 4: what is put in the place of the end of thinking."""
    if profile.methods.ignore_strs:
        yield replace(natural(profile), label="No extrapolation")
    for text in profile.methods.ignore_strs:
        n, shown = profile.methods.num_ignore, f'"{text}"' if text else "without string"
        kind = text or "without string"
        yield condition(profile, f"{n}x {shown}", kind, num_ignore=n, ignore_str=text)


@_experiment("data subsets", "ablations")
def subsets(profile: Profile) -> Iterator[Condition]:
    """Table 2: the same recipe on other thousands, and on the whole pool."""
    for name in ("s1", *profile.ablations.subsets) if profile.ablations.subsets else ():
        yield condition(profile, name, name, training=Training(name))


@_experiment("sequence length", "ablations")
def sequence_lengths(profile: Profile) -> Iterator[Condition]:
    """Table 8: examples cut at a shorter sequence length, each with several seeds of training."""
    ablations, longest = profile.ablations, SFTConfig(**profile.sft).max_seq_len
    for length in (*ablations.seq_lens, longest) if ablations.seq_lens else ():
        cut = () if length == longest else (("max_seq_len", length), ("on_too_long", "truncate"))
        for seed in range(profile.seed, profile.seed + ablations.seeds):
            training = Training(changes=cut + (() if seed == profile.seed else (("seed", seed),)))
            label = f"{length} tokens"
            yield condition(profile, f"{label}, seed {seed}", label, training=training)


@_experiment("token-conditional control")
def token_conditional(profile: Profile) -> Iterator[Condition]:
    """Tables 3 and 12: the budget named in the prompt in tokens, alone and enforced."""
    yield from _named(profile, "tokens", "TCC", profile.methods.token_limits, "max_thinking")


@_experiment("step-conditional control")
def step_conditional(profile: Profile) -> Iterator[Condition]:
    """Tables 3 and 13: the budget named in the prompt in steps, alone and enforced."""
    yield from _named(profile, "steps", "SCC", profile.methods.step_limits, "steps")


def _named(
    profile: Profile, unit: Any, kind: str, limits: tuple[int, ...], enforced: str
) -> Iterator[Condition]:
    common = {"training": Training(control=unit), "samples": profile.methods.samples}
    for told, more in (("", ""), (", forced", "+BF")):
        for limit in limits:
            fields = {**common, "instruct": (unit, limit)} | ({enforced: limit} if more else {})
            yield condition(profile, f"{limit} {unit}{told}", kind + more, **fields)


@_experiment("class-conditional control")
def class_conditional(profile: Profile) -> Iterator[Condition]:
    """Tables 3 and 14: asked for a short or a long amount of thinking, and not asked."""
    how = {"samples": profile.methods.samples}
    for name in profile.methods.classes:
        yield condition(profile, f"{name} prompt", "CCC", instruct=("class", name), **how)
    if profile.methods.classes:
        yield natural(profile)


@_experiment("parallel scaling")
def voting(profile: Profile) -> Iterator[Condition]:
    """Figures 4b and 7: many samples to vote over, of the base model and of the fine-tuned one;
    rejection sampling (Figure 6) draws from those that stop by themselves."""
    methods = profile.methods
    if methods.votes < 2:
        return
    how: dict[str, Any] = {"samples": methods.votes, "temperature": methods.vote_temperature}
    base = {"training": None, "thinking": False}
    yield condition(profile, "votes, base model", "majority, base", **base, **how)
    for cap in methods.vote_budgets:
        yield condition(profile, f"votes at {cap} tokens", "majority", max_thinking=cap, **how)
    yield replace(natural(profile, **how), label="votes, no budget")


@_experiment("forcing without fine-tuning")
def arms(profile: Profile) -> Iterator[Condition]:
    """Section 4.2: forcing without fine-tuning, and fine-tuning without forcing: two by two."""
    for name, training in (("base model", None), ("fine-tuned", Training())):
        for n in (0, profile.methods.num_ignore) if profile.methods.ignore_strs else ():
            label = f"{name}, {f'Wait {n}x' if n else 'no Wait'}"
            yield condition(profile, label, name, num_ignore=n, training=training)


@_experiment("base model", "each")
def direct(profile: Profile) -> Iterator[Condition]:
    """The base model asked for its solution in its own words, where the profile says how."""
    if profile.attempts.reasoning:
        base = {"training": None, "thinking": False}
        yield condition(profile, "base model, asked directly", "direct", **base)


@_experiment("released checkpoints", "each")
def released(profile: Profile) -> Iterator[Condition]:
    """Figure 1, Tables 1 and 5 without training: the checkpoints that the authors released."""
    for name, arm in profile.released.items():
        how: Any = {"kind": name, "training": Training(released=name)}
        for cap in sorted(arm.get("budgets", ())):
            yield condition(profile, f"{name}, {cap} tokens", max_thinking=cap, **how)
        yield condition(profile, f"{name}, no budget", **how)
        for n in sorted(arm.get("waits", ())):
            yield condition(profile, f"{name}, Wait {n}x", num_ignore=n, **how)


def conditions(profile: Profile) -> Iterator[tuple[str, Condition]]:
    """Every condition of a profile with the experiment that wants it; two may be one run."""
    every, ablated = profile.evaluation.benchmarks, profile.ablations.benchmarks
    some = tuple(name for name in every if name in ablated or not ablated)
    places = {"first": every[:1], "each": every, "ablations": some}
    for name, (experiment, where) in EXPERIMENTS.items():
        for benchmark in places[where]:
            yield from ((name, asked) for asked in experiment(profile, benchmark))
