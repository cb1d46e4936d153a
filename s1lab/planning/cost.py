"""What a profile takes: tokens, GPU-hours, memory, disk, downloads, money.

Without a GPU, time follows from a profile's `rates`, which were measured: tokens per second of one
process (`read` a prompt, `sample`, `train`), the expected tokens of a `prompt`, a `natural`
thought, a `direct` solution and an `example`, and the share of greedy solutions that are `right`.

With GPUs, training time follows from FLOPs and a share of the chip's peak, memory from `sft_plan`.
Sampling is bound by memory traffic: every step reads the weights and the context of each sequence
in the batch, and the batch is as large as the memory that the weights leave. The conditions of a
checkpoint share its server; at its end the longest one is alone. What is assumed stands in
`ASSUMED`, and `make calibrate` measures it.
"""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from s1core.errors import RunError
from s1core.forcing import Budget
from s1core.records import write_atomically
from s1lab.data.sources import source
from s1lab.desk.weights import refuse
from s1lab.experiments import Training
from s1lab.kinds.attempts import TAUGHT
from s1lab.lab import Step, wanted
from s1lab.pipeline import Pipeline
from s1lab.planning.fetch import find_missing, needs
from s1lab.planning.sft_plan import BANDWIDTH, MEMORY, PEAK_FLOPS
from s1lab.planning.sft_plan import plan as plan_training
from s1lab.planning.shapes import shape_of
from s1lab.planning.tokens import Counter, Tokens, clock
from s1lab.profiles import Profile
from s1lab.provenance import json_text, recorded

FILE = "measured.json"  # in the run store; `benchmarks/calibrate.py` has it written
MARGIN = 1.25  # by how much a longer run may go faster or slower than what was measured


class Speeds(NamedTuple):
    """At best and at worst: shares of an H100's data sheet, and seconds."""

    training: tuple[float, float] = (0.45, 0.2)  # of its bf16 FLOPs: our goal, the paper's own run
    sampling: tuple[float, float] = (0.6, 0.25)  # of the bandwidth of its memory
    start: tuple[float, float] = (60.0, 180.0)  # s until a checkpoint is loaded, a training begun
    source: str = ""


ASSUMED = Speeds()


def read_speeds(store: Path) -> Speeds:
    """The speeds that a plan is made with: of what `store` has no measurement, those assumed."""
    found, speeds = recorded(store / FILE), ASSUMED
    known = [name for name in ("training", "sampling", "start") if name in found]
    for name in known:
        low, high = found[name] / MARGIN, found[name] * MARGIN
        speeds = speeds._replace(**{name: (low, high) if name == "start" else (high, low)})
    (fast, slow), (quick, late), (soon, last), _ = speeds
    text = f"training at {slow:.0%} to {fast:.0%} of the peak FLOPs, sampling at {late:.0%} to "
    text += f"{quick:.0%} of the memory's bandwidth, {soon:.0f} to {last:.0f} s to start an engine"
    where = f"{', '.join(known)} measured on {found.get('device')}, {found.get('date')}"
    rest = "assumed until `make calibrate` measures them"
    return speeds._replace(source=f"{text}; {where if known else rest}")


def note_speeds(store: Path, **values: float) -> None:
    """Add what was measured (`training`, `sampling`, `start`) to what the plan is made from."""
    import torch

    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if on_gpu else platform.machine()
    about = {"device": device, "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    write_atomically(store / FILE, [json_text({**recorded(store / FILE), **about, **values})])


PROMPT = 200  # tokens of a question with its chat template
WAIT = 0.5  # of a natural thought: what one Wait adds, as long as the limit leaves room
PREFILL = 0.4  # share of peak FLOPs at which prompts are read
WORKSPACE = 4e9  # bytes that vLLM keeps for activations and CUDA graphs
ROW_BYTES = 30_000  # bytes of a released example with its trace, roughly
ASK_BEYOND = 3600.0  # seconds of work, at worst, that are started without asking

COLUMNS = ("step", "experiment", "done", *Tokens._fields, "best", "worst", "memory", "misfit")
Left = tuple[float, float, float, str]
"""Of a step: seconds left at best and at worst, peak bytes of a GPU, and what does not fit ("")."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A profile's cost; a row of `steps` has the first experiment that wants a step, whether it is
    done, its tokens, and what is left of it (`Left`; no seconds where no GPU is modelled)."""

    steps: pd.DataFrame
    disk: float  # bytes of the store at its fullest
    downloads: float  # bytes of models and data sets
    gpus: int  # rented while it runs
    counted: bool  # training tokens were counted from the data, not assumed
    speeds: str  # what the seconds follow from: assumed, or measured where and when
    hours: float  # wall hours that are left without a GPU, where the profile has rates for it

    @property
    def misfits(self) -> tuple[str, ...]:
        """What does not fit, one sentence per kind of step."""
        return tuple(text for text in self.steps.misfit.unique() if text)


def cost(pipeline: Pipeline, only: Sequence[str] = (), encodes: bool = True) -> Cost:
    """What the unfinished steps of some experiments (empty: of all) take on H100s; nothing is
    downloaded. `encodes=False` assumes training tokens, at once, even where the data are at hand.
    InputError: a model whose shape is not known and whose files are not at hand."""
    profile, counter, every = pipeline.profile, Counter(pipeline, encodes), pipeline.steps()
    chosen, known = wanted(every, only) if only else every, read_speeds(pipeline.store.root)
    tokens = {step.run.id: counter.tokens(step) for step in chosen}
    left: dict[str, Left] = {}
    for step in chosen:
        if profile.gpus and step.training and not step.condition:
            left[step.run.id] = _training(counter, step.training, known)
        elif profile.rates:
            seconds = _by_rates(counter, step, tokens[step.run.id].trained)
            left[step.run.id] = (seconds, seconds, 0.0, "")
    served = [step for step in chosen if step.condition and profile.gpus]
    for training in dict.fromkeys(step.training for step in served):
        asked = [step for step in served if step.training == training]
        left |= _sampling(counter, asked, tokens, known)
    rows = []
    for step in chosen:
        about = step, step.experiments[0], step.run.is_finished
        rows.append((*about, *tokens[step.run.id], *left.get(step.run.id, (0.0, 0.0, 0.0, ""))))
    table, wall = pd.DataFrame(rows, columns=COLUMNS), 0.0
    table.loc[table.done, ["best", "worst"]] = 0.0
    if profile.rates:
        wall = hours(profile, list(zip(table.step, table.best, strict=True)))
    begun = sum(not s.run.is_finished for s in every if s.training and not s.condition)
    # A model each, and two checkpoints of the one that is under way.
    disk = shape_of(profile.model).parameters * (2.0 * begun + 24.0 * bool(begun))
    lacked = needs(profile)
    downloads = sum(2.0 * shape_of(model).parameters for model in lacked.models)
    downloads += sum(ROW_BYTES * source(name).rows for name in lacked.training)
    return Cost(table, disk, downloads, profile.gpus, counter.counts, known.source, wall)


def _by_rates(counter: Counter, step: Step, trained: int) -> float:
    """Seconds of one process for a step; `trained` are the tokens of a fine-tuning."""
    profile, one = counter.pipeline.profile, step.condition
    rates, rows, tokens = profile.rates, 0.0, profile.rates["direct"]
    if one is not None:
        rows = counter.generations(one)
        if one.thinking:
            long = rates["natural"] * (1 + WAIT * one.budget.num_ignore)
            tokens = min(one.budget.max_thinking, long)
    elif step.training is not None:
        return trained / rates["train"]
    elif step.run.kind == "attempts":
        rows = profile.pool_size / profile.attempts.parts
        rows *= 1 - rates["right"] * (step.run.settings["round"] == TAUGHT)
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


def _training(counter: Counter, training: Training, known: Speeds) -> Left:
    profile = counter.pipeline.profile
    lengths, config = counter.lengths(training), counter.config(training)
    made = plan_training(shape_of(profile.model), lengths, config, processes=profile.processes)
    best, worst = (made.seconds / share + more for share, more in zip(known.training, known.start))
    misfit = made.misfit and f"fine-tuning {profile.model}: {made.misfit}"
    return best, worst, made.memory, misfit


def _sampling(
    counter: Counter, steps: Sequence[Step], tokens: Mapping[str, Tokens], known: Speeds
) -> Iterator[tuple[str, Left]]:
    """What is left of the conditions of one checkpoint, by run. They share its server, a replica
    for each team of GPUs; the first waits for its start, and for the longest, which ends alone."""
    profile, training = counter.pipeline.profile, steps[0].training
    arm = profile.released[training.released] if training and training.released else {}
    options = {**profile.engine_options, **arm.get("engine_options", {})}
    model, team = arm.get("model", profile.model), options.get("tensor_parallel_size", 1)
    replicas = max(profile.gpus // team, 1)
    in_flight = -(-profile.batch_size // replicas)  # requests of each replica
    # Bytes on each GPU: of the weights, of a token's keys and values, and the room for these.
    shape, size = shape_of(model), 1 if options.get("quantization") == "fp8" else 2
    weights, per_token = shape.parameters * size / team, shape.cache_bytes / team
    room = MEMORY * options.get("gpu_memory_utilization", 0.9) - weights - WORKSPACE

    def longest(budget: Budget) -> int:
        most = profile.engine_options.get("max_model_len", 32_768)
        return PROMPT + min(budget.max_thinking + budget.max_answer, most)

    asked = [step.condition for step in steps if step.condition and not step.run.is_finished]
    rows = sum(map(counter.generations, asked))
    alone = weights * max((longest(one.budget) for one in asked), default=0)
    start = known.start
    for step in steps:
        assert step.condition is not None
        count, length = counter.generations(step.condition), longest(step.condition.budget)
        need = length * per_token
        if max(room, 0) < need or 2 * shape.parameters / team > MEMORY:
            held = f"weights take {weights / 1e9:.0f} GB of {MEMORY / 1e9:.0f}"
            more = f"one sequence of {length:,} tokens {need / 1e9:.0f} more"
            fix = "raise tensor_parallel_size, or set quantization: fp8"
            misfit = f"sampling from {model}: {held} and {more}; {fix}"
            yield step.run.id, (0.0, 0.0, weights + need, misfit)
            continue
        generated = tokens[step.run.id].generated
        mean = PROMPT + generated / max(count, 1)
        batch = max(min(in_flight, rows / replicas, room / (per_token * mean)), 1.0)
        traffic = weights + batch * per_token * (mean + PROMPT) / 2
        moved = generated / replicas / batch * traffic + alone
        flops = 2 * shape.parameters * PROMPT * count / (replicas * team)
        best, worst = (
            moved / (BANDWIDTH * share) + flops / (PEAK_FLOPS * PREFILL) + wait
            for share, wait in zip(known.sampling, start)
        )
        memory = weights + WORKSPACE + max(min(in_flight, room / need), 1) * need
        yield step.run.id, (best, worst, memory, "")
        if not step.run.is_finished:
            alone, start = 0.0, (0.0, 0.0)


def lines(found: Cost, price: float) -> list[str]:
    """A cost as text, at a price per GPU-hour: a line per experiment, tokens in millions, then the
    totals."""
    rows = []
    for name, part in [*found.steps.groupby("experiment", sort=False), ("total", found.steps)]:
        total = part.drop(columns=["step", "experiment", "misfit"]).sum()
        row = {"": name, "runs": f"{total.done:.0f}/{len(part)}"}
        row |= {f"{what}, M": f"{total[what] / 1e6:,.1f}" for what in Tokens._fields}
        best, worst = total.best * found.gpus / 3600, total.worst * found.gpus / 3600
        if found.gpus:
            row["GPU-hours"] = f"{best:.1f} to {worst:.1f}"
            row["money"] = f"{best * price:,.0f} to {worst * price:,.0f}"
        rows.append(row)
    text = pd.DataFrame(rows).to_string(index=False).splitlines()
    left, disk = (~found.steps.done).sum(), f"disk: {found.disk / 1e9:.0f} GB for the store"
    how = "counted from the data" if found.counted else "assumed, since the data are not at hand"
    text.append(f"{left} of {len(found.steps)} runs to do; finished ones count what they used")
    text.append(f"training tokens: {how}")
    if found.gpus:
        text += [
            f"wall time: {best / found.gpus:.1f} to {worst / found.gpus:.1f} hours on {found.gpus} "
            f"GPU(s), {best * price:,.0f} to {worst * price:,.0f} at {price:g} per GPU-hour",
            f"speeds: {found.speeds}",
            "generated tokens: the expected ones are paid for; where no budget cuts it, thinking "
            "is taken to be as long as the paper's (Table 8)",
            f"peak memory of a GPU: {found.steps.memory.max() / 1e9:.0f} GB",
            f"{disk}, {found.downloads / 1e9:.0f} GB of downloads",
        ]
    elif found.hours:
        text += [f"wall time: {found.hours:.1f} hours on two cores with nothing else to do", disk]
    return text + [f"does not fit: {misfit}" for misfit in found.misfits]


def begin_with(
    pipeline: Pipeline, ask: Callable[[str], bool] | None, only: Sequence[str] = ()
) -> Pipeline:
    """The pipeline to run: without what cannot be had, and with its cost agreed to by `ask`, which
    puts a question (None agrees to anything). Only profiles that need GPUs are asked about.
    RunError: more than an hour of work was not agreed to, or something of it does not fit;
    InputError: the training set cannot be had."""
    profile = pipeline.profile
    if profile.rates:
        refuse(profile, pipeline.store.root, cost(pipeline, only, encodes=False).disk)
    elif not profile.gpus and not profile.rehearsal:
        return pipeline
    if profile.gpus:
        found = cost(pipeline, only=only)
        if found.misfits:
            raise RunError(f"nothing was started: {found.misfits[0]}")
        best, worst = found.steps.best.sum(), found.steps.worst.sum()
        text = f"{clock(best)} to {clock(worst)} of work on {found.gpus} GPU(s) are left"
        if worst > ASK_BEYOND and ask is not None and not ask(f"{profile.name}: {text}. Start?"):
            told = f"See `s1lab plan {profile.name}`, then start it with --yes"
            raise RunError(f"{text}; nothing was started. {told}")
    missing = find_missing(pipeline.whole)
    for name, reason in sorted(missing.items()):
        pipeline.say(f"goes without {name}: {reason}")
    pipeline.store.note_missing(profile.name, missing)
    return Pipeline(pipeline.whole, pipeline.store, progress=pipeline.progress, say=pipeline.say)
