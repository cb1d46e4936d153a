"""What a profile takes: tokens, GPU-hours, memory, disk, downloads, money.

Training time follows from FLOPs and a share of the chip's peak, memory from `sft_plan`.
Sampling is bound by memory traffic: every step reads the weights and the context of each sequence
in the batch, and the batch is as large as the memory that the weights leave. The conditions of a
checkpoint share its server; at its end the longest one is alone. What is assumed stands in
`ASSUMED`, and `make calibrate` measures it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from s1core.errors import InputError, RunError
from s1core.records import write_atomically
from s1lab.data.sources import source
from s1lab.desk import plan as desk
from s1lab.experiments import Condition, Training
from s1lab.lab import Step, wanted
from s1lab.pipeline import Pipeline
from s1lab.planning.fetch import find_missing, needs
from s1lab.planning.sft_plan import BANDWIDTH, H100
from s1lab.planning.sft_plan import plan as plan_training
from s1lab.planning.shapes import shape_of
from s1lab.planning.tokens import Counter, Tokens, clock
from s1lab.profiles import Profile
from s1lab.provenance import json_text, recorded

FILE = "measured.json"  # in the run store; `benchmarks/calibrate.py` has it written
MARGIN = 1.25  # by how much a longer run may go faster or slower than what was measured


@dataclass(frozen=True, slots=True)
class Speeds:
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
        speeds = replace(speeds, **{name: (low, high) if name == "start" else (high, low)})
    (fast, slow), (quick, late) = speeds.training, speeds.sampling
    text = (
        f"training at {slow:.0%} to {fast:.0%} of the peak FLOPs, sampling at {late:.0%} to "
        f"{quick:.0%} of the memory's bandwidth, {speeds.start[0]:.0f} to {speeds.start[1]:.0f} s "
        "to start an engine"
    )
    where = f"{', '.join(known)} measured on {found.get('device')}, {found.get('date')}"
    rest = "assumed until `make calibrate` measures them"
    return replace(speeds, source=f"{text}; {where if known else rest}")


def note_speeds(store: Path, **values: float) -> None:
    """Add what was measured (`training`, `sampling`, `start`) to what the plan is made from."""
    import torch

    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if on_gpu else platform.machine()
    about = {"device": device, "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    write_atomically(store / FILE, [json_text({**recorded(store / FILE), **about, **values})])


PROMPT = 200  # tokens of a question with its chat template
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
    profile, counter = pipeline.profile, Counter(pipeline, encodes)
    every, rows, known = pipeline.steps(), [], read_speeds(pipeline.store.root)
    chosen = wanted(every, only) if only else every
    servers: dict[Training | None, _Server] = {}
    for step in chosen if profile.gpus else ():
        if step.condition:
            if step.training not in servers:
                servers[step.training] = _Server(profile, step.training)
            servers[step.training].asked(counter, step)
    for step in chosen:
        tokens, done = counter.tokens(step), step.run.is_finished
        left: Left = (0.0, 0.0, 0.0, "")
        if profile.gpus and step.condition:
            left = servers[step.training].left(counter, step, tokens.generated, known)
        elif profile.gpus and step.training:
            left = _training(counter, step.training, known)
        elif profile.rates:
            left = ((seconds := desk.seconds(profile, step, tokens.trained)), seconds, 0.0, "")
        left = (0.0, 0.0, *left[2:]) if done else left
        rows.append((step, step.experiments[0], done, *tokens, *left))
    table, wall = pd.DataFrame(rows, columns=COLUMNS), 0.0
    if profile.rates:
        wall = desk.hours(profile, list(zip(table.step, table.best, strict=True)))
    storage = _storage(profile, every)
    return Cost(table, *storage, profile.gpus, counter.counts, known.source, wall)


def _training(counter: Counter, training: Training, known: Speeds) -> Left:
    profile = counter.pipeline.profile
    lengths, config = counter.lengths(training), counter.config(training)
    made = plan_training(shape_of(profile.model), lengths, config, processes=profile.processes)
    at_goal, misfit = made.wall_hours * 3600 * H100.share, ""
    best, worst = (at_goal / share + more for share, more in zip(known.training, known.start))
    try:
        made.refuse_unless_it_fits(H100)
    except InputError as error:
        misfit = f"fine-tuning {profile.model}: {error}"
    return best, worst, made.memory.total, misfit


def _most_tokens(profile: Profile, condition: Condition) -> int:
    """The longest sequence that a condition allows, its prompt included."""
    budget = condition.budget.max_thinking + condition.budget.max_answer
    return PROMPT + min(budget, profile.engine_options.get("max_model_len", 32_768))


class _Server:
    """A checkpoint's server: a replica for each team of GPUs, and what they are asked together."""

    def __init__(self, profile: Profile, training: Training | None) -> None:
        self.profile, self.model, options = profile, profile.model, dict(profile.engine_options)
        if training is not None and training.released:
            arm = profile.released[training.released]
            self.model, options = arm["model"], options | arm.get("engine_options", {})
        self.shape, self.team = shape_of(self.model), options.get("tensor_parallel_size", 1)
        size = 1 if options.get("quantization") == "fp8" else 2
        self.weights = self.shape.parameters * size / self.team  # bytes on each GPU
        memory = H100.memory * options.get("gpu_memory_utilization", 0.9)
        self.room = memory - self.weights - WORKSPACE  # bytes on each GPU for the context
        self.per_token = self.shape.cache_bytes / self.team  # bytes on each GPU
        self.replicas = max(profile.gpus // self.team, 1)
        self.in_flight = -(-profile.batch_size // self.replicas)  # requests of each replica
        self.rows, self.longest, self.begun = 0, 0, False

    def asked(self, counter: Counter, step: Step) -> None:
        """Note that it will be asked for a step, if that is not finished."""
        if step.condition and not step.run.is_finished:
            self.rows += counter.generations(step.condition)
            self.longest = max(self.longest, _most_tokens(self.profile, step.condition))

    def left(self, counter: Counter, step: Step, tokens: int, known: Speeds) -> Left:
        """What is left of a step that generates so many tokens; the first one waits for the start
        of the server."""
        assert step.condition is not None
        count, longest = (
            counter.generations(step.condition),
            _most_tokens(self.profile, step.condition),
        )
        need, whole = longest * self.per_token, 2 * self.shape.parameters / self.team
        if max(self.room, 0) < need or whole > H100.memory:
            return (
                0.0,
                0.0,
                self.weights + need,
                (
                    f"sampling from {self.model}: weights take {self.weights / 1e9:.0f} GB of "
                    f"{H100.memory / 1e9:.0f} and one sequence of {longest:,} tokens "
                    f"{need / 1e9:.0f} more; raise tensor_parallel_size, or set quantization: fp8"
                ),
            )
        memory = self.weights + WORKSPACE + max(min(self.in_flight, self.room / need), 1) * need
        if step.run.is_finished:
            return 0.0, 0.0, memory, ""
        best, worst = (
            self._seconds(count, tokens, share) + (0 if self.begun else start)
            for share, start in zip(known.sampling, known.start)
        )
        self.begun = True
        return best, worst, memory, ""

    def _seconds(self, count: int, tokens: int, share: float) -> float:
        """Of a condition's generations, at this share of the bandwidth; the server's first one
        waits for the longest of all, which ends alone."""
        mean = PROMPT + tokens / max(count, 1)
        batch = min(self.in_flight, self.rows / self.replicas, self.room / (self.per_token * mean))
        batch = max(batch, 1.0)
        traffic = self.weights + batch * self.per_token * (mean + PROMPT) / 2
        alone = 0.0 if self.begun else self.longest * self.weights
        flops = 2 * self.shape.parameters * PROMPT * count / (self.replicas * self.team)
        moved = tokens / self.replicas / batch * traffic + alone
        return moved / (BANDWIDTH * share) + flops / (H100.peak_flops * PREFILL)


def _storage(profile: Profile, steps: Sequence[Step]) -> tuple[float, float]:
    """Bytes of the store at its fullest, and bytes to download."""
    trained = [step for step in steps if step.training is not None and step.condition is None]
    left = sum(not step.run.is_finished for step in trained)
    # A model each, and two checkpoints of the one that is under way.
    disk = shape_of(profile.model).parameters * (2.0 * left + (24.0 if left else 0.0))
    asked = needs(profile)
    downloads = sum(2.0 * shape_of(model).parameters for model in asked.models)
    return disk, downloads + sum(ROW_BYTES * source(name).rows for name in asked.training)


def lines(found: Cost, price: float) -> list[str]:
    """A cost as text, at a price per GPU-hour: a line per experiment, then the totals."""
    head = f"  {'':28} {'runs':>9} {'trained':>9} {'generated':>9}"
    text = [head + (f" {'GPU-hours':>15} {'money':>15}" if found.gpus else "")]
    for name, part in [*found.steps.groupby("experiment", sort=False), ("total", found.steps)]:
        total = part.drop(columns=["step", "experiment", "misfit"]).sum()
        trained, generated = (short(total[column]) for column in Tokens._fields)
        best, worst = (total[column] * found.gpus / 3600 for column in ("best", "worst"))
        row = f"  {name:28} {f'{total.done:.0f}/{len(part)}':>9} {trained:>9} {generated:>9}"
        if found.gpus:
            row += f" {f'{best:.1f} to {worst:.1f}':>15}"
            row += f" {f'{best * price:,.0f} to {worst * price:,.0f}':>15}"
        text.append(row)
    left, how = (~found.steps.done.astype(bool)).sum(), "assumed, since the data are not at hand"
    text.append(f"{left} of {len(found.steps)} runs to do; finished ones count what they used")
    text.append(f"training tokens: {'counted from the data' if found.counted else how}")
    disk = f"disk: {found.disk / 1e9:.0f} GB for the store"
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
        hours = f"wall time: {found.hours:.1f} hours on two cores with nothing else to do"
        text += [hours, disk]
    return text + [f"does not fit: {misfit}" for misfit in found.misfits]


def short(count: float) -> str:
    """A number of tokens for people: `12.3M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"


def begin_with(
    pipeline: Pipeline, ask: Callable[[str], bool] | None, only: Sequence[str] = ()
) -> Pipeline:
    """The pipeline to run: without what cannot be had, and with its cost agreed to by `ask`, which
    puts a question (None agrees to anything). Only profiles that need GPUs are asked about.
    RunError: more than an hour of work was not agreed to, or something of it does not fit;
    InputError: the training set cannot be had."""
    profile = pipeline.profile
    if profile.rates:
        desk.refuse(pipeline, cost(pipeline, only, encodes=False).disk)
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
