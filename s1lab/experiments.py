"""Everything the paper measures, as conditions: which checkpoint, asked how, under which budget.

Pure descriptions made from a profile; `Pipeline` turns a condition into a run. Notebooks ask for
the conditions of their tables here too, so the runs of a profile and the book cannot part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
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


def condition(
    profile: Profile, label: str, kind: str, *, benchmark: str | None = None, **fields: Any
) -> Condition:
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
    return Condition(label, kind, benchmark or asked.benchmarks[0], Budget(**budget), **fields)


def natural(profile: Profile, benchmark: str | None = None, **fields: Any) -> Condition:
    """The model stops by itself: no cap but the profile's limit, no Wait."""
    return condition(profile, "no budget", "natural", benchmark=benchmark, **fields)


def curve(profile: Profile, benchmark: str | None = None) -> Conditions:
    """Figures 1 and 4a: capped thinking, natural ends, and forced Waits."""
    capped = (
        condition(profile, f"{cap} tokens", "budget", max_thinking=cap, benchmark=benchmark)
        for cap in sorted(profile.evaluation.budgets)
    )
    return (*capped, natural(profile, benchmark), *waits(profile, benchmark))


def waits(profile: Profile, benchmark: str | None = None) -> Conditions:
    """The extrapolation of Figure 4a: the end of thinking replaced by "Wait" n times."""
    return tuple(
        condition(profile, f"Wait {n}x", "wait", num_ignore=n, benchmark=benchmark)
        for n in sorted(profile.evaluation.waits)
    )


def extrapolation(profile: Profile, benchmark: str | None = None) -> Conditions:
    """Table 4: what is put in the place of the end of thinking."""
    n = profile.methods.num_ignore
    found = [replace(natural(profile, benchmark), label="No extrapolation")]
    for text in profile.methods.ignore_strs:
        label = f'{n}x "{text}"' if text else f"{n}x without string"
        fields: dict[str, Any] = {"num_ignore": n, "ignore_str": text, "benchmark": benchmark}
        found.append(condition(profile, label, text or "without string", **fields))
    return tuple(found) if len(found) > 1 else ()


def subsets(profile: Profile, benchmark: str | None = None) -> Conditions:
    """Table 2: the same recipe on other thousands, and on the whole pool."""
    names = ("s1", *profile.ablations.subsets) if profile.ablations.subsets else ()
    return tuple(
        condition(profile, name, name, benchmark=benchmark, training=Training(name))
        for name in names
    )


def sequence_lengths(profile: Profile, benchmark: str | None = None) -> Conditions:
    """Table 8: examples cut at a shorter sequence length, each with several seeds of training."""
    ablations, longest = profile.ablations, SFTConfig(**profile.sft).max_seq_len
    found = []
    for length in (*ablations.seq_lens, longest) if ablations.seq_lens else ():
        cut = () if length == longest else (("max_seq_len", length), ("on_too_long", "truncate"))
        for seed in range(profile.seed, profile.seed + ablations.seeds):
            seeded = () if seed == profile.seed else (("seed", seed),)
            fields: dict[str, Any] = {"training": Training(changes=cut + seeded)}
            label, kind = f"{length} tokens, seed {seed}", f"{length} tokens"
            found.append(condition(profile, label, kind, benchmark=benchmark, **fields))
    return tuple(found)


def token_conditional(profile: Profile) -> Conditions:
    """Table 12: the budget named in the prompt in tokens, alone and enforced by the decoder."""
    return _named(profile, "tokens", "TCC", profile.methods.token_limits, "max_thinking")


def step_conditional(profile: Profile) -> Conditions:
    """Table 13: the budget named in the prompt in steps, alone and enforced by the decoder."""
    return _named(profile, "steps", "SCC", profile.methods.step_limits, "steps")


def class_conditional(profile: Profile) -> Conditions:
    """Table 14: asked for a short or a long amount of thinking, and not asked."""
    samples = profile.methods.samples
    asked = [
        condition(profile, f"{name} prompt", "CCC", instruct=("class", name), samples=samples)
        for name in profile.methods.classes
    ]
    return (*asked, natural(profile)) if asked else ()


def _named(
    profile: Profile, unit: Any, kind: str, limits: tuple[int, ...], enforced: str
) -> Conditions:
    common, found = {"training": Training(control=unit), "samples": profile.methods.samples}, []
    for word, mark in (("", ""), (", forced", "+BF")):
        for limit in limits:
            fields = {**common, "instruct": (unit, limit), **({enforced: limit} if mark else {})}
            found.append(condition(profile, f"{limit} {unit}{word}", kind + mark, **fields))
    return tuple(found)


def voting(profile: Profile) -> Conditions:
    """Figures 4b and 7: many samples to vote over, of the base model and of the fine-tuned one;
    rejection sampling (Figure 6) draws from those that stop by themselves."""
    methods = profile.methods
    if methods.votes < 2:
        return ()
    sampled = {"samples": methods.votes, "temperature": methods.vote_temperature}
    base: dict[str, Any] = {"training": None, "thinking": False, **sampled}
    capped = (
        condition(profile, f"votes at {cap} tokens", "majority", max_thinking=cap, **sampled)
        for cap in methods.vote_budgets
    )
    return (
        condition(profile, "votes, base model", "majority, base", **base),
        *capped,
        replace(natural(profile, **sampled), label="votes, no budget"),
    )


def direct(profile: Profile, benchmark: str | None = None) -> Conditions:
    """The base model asked for its solution in its own words, where the profile says how."""
    if not profile.attempts.reasoning:
        return ()
    fields: dict[str, Any] = {"benchmark": benchmark, "training": None, "thinking": False}
    return (condition(profile, "base model, asked directly", "direct", **fields),)


def arms(profile: Profile) -> Conditions:
    """Forcing without fine-tuning, and fine-tuning without forcing: two by two."""
    found = []
    for name, training in (("base model", None), ("fine-tuned", Training())):
        for n in (0, profile.methods.num_ignore) if profile.methods.ignore_strs else ():
            label = f"{name}, {f'Wait {n}x' if n else 'no Wait'}"
            found.append(condition(profile, label, name, num_ignore=n, training=training))
    return tuple(found)


def released(profile: Profile, benchmark: str | None = None) -> Conditions:
    """Figure 1 and Tables 1 and 5 without training: the checkpoints that the authors released."""
    found: list[Condition] = []
    for name, arm in profile.released.items():
        caps = [(f"{cap} tokens", {"max_thinking": cap}) for cap in sorted(arm.get("budgets", ()))]
        forced = [(f"Wait {n}x", {"num_ignore": n}) for n in sorted(arm.get("waits", ()))]
        fields: dict[str, Any] = {"benchmark": benchmark, "training": Training(released=name)}
        for label, budget in (*caps, ("no budget", {}), *forced):
            found.append(condition(profile, f"{name}, {label}", name, **budget, **fields))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A table or figure of the paper, where it is there, and its conditions under a profile: on one
    benchmark, or (`per_benchmark`) on each of the profile's."""

    name: str
    paper: str
    conditions: Callable[..., Conditions]
    per_benchmark: bool = False


EXPERIMENTS = (
    Experiment("scaling curve", "Figures 1 and 4a, Table 1", curve, per_benchmark=True),
    Experiment("extrapolation", "Table 4", extrapolation, per_benchmark=True),
    Experiment("data subsets", "Table 2", subsets, per_benchmark=True),
    Experiment("sequence length", "Table 8", sequence_lengths, per_benchmark=True),
    Experiment("token-conditional control", "Tables 3 and 12", token_conditional),
    Experiment("step-conditional control", "Tables 3 and 13", step_conditional),
    Experiment("class-conditional control", "Tables 3 and 14", class_conditional),
    Experiment("parallel scaling", "Figures 4b, 6 and 7", voting),
    Experiment("forcing without fine-tuning", "Section 4.2", arms),
    Experiment("base model", "Section 4.2", direct, per_benchmark=True),
    Experiment("released checkpoints", "Figure 1, Tables 1 and 5", released, per_benchmark=True),
)


def conditions(profile: Profile) -> Iterator[tuple[Experiment, Condition]]:
    """Every condition of a profile with the experiment that wants it; two of them may be one run,
    under different labels."""
    every, ablated = profile.evaluation.benchmarks, profile.ablations.benchmarks or ()
    for experiment in EXPERIMENTS:
        whole = not ablated or experiment.conditions in (curve, direct, released)
        places = [{"benchmark": b} for b in every if whole or b in ablated]
        for place in places if experiment.per_benchmark else [{}]:
            yield from ((experiment, c) for c in experiment.conditions(profile, **place))
