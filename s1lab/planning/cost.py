"""What a profile takes: tokens, GPU-hours, memory, disk, downloads, money.

Training time follows from FLOPs and a share of the chip's peak, memory from `sft_plan`.
Sampling is bound by memory traffic: every step reads the weights and the context of each sequence
in the batch, and the batch is as large as the memory that the weights leave. The shares of peak
that bound each range are assumptions, named here, until somebody measures them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from s1core.errors import InputError, RunError
from s1lab.pipeline import Pipeline
from s1lab.planning.needs import find_missing, needs
from s1lab.planning.sft_plan import H100, Hardware
from s1lab.planning.sft_plan import plan as plan_training
from s1lab.planning.shapes import ModelShape
from s1lab.planning.status import clock
from s1lab.planning.tokens import Counter, Tokens
from s1lab.steps import Step, wanted

BANDWIDTH = 3.35e12
"""Bytes per second between an H100 SXM and its memory, by NVIDIA's data sheet."""

SAMPLING = (0.6, 0.25)
"""Share of that bandwidth which sampling reaches: at best, at worst."""

TRAINING = (0.45, 0.2)
"""Share of peak FLOPs which training reaches: this recipe's goal, and what the paper's took."""

PREFILL = 0.4
"""Share of peak FLOPs at which prompts are read."""

WORKSPACE = 4e9
"""Bytes that vLLM keeps for activations and CUDA graphs."""

START = (60.0, 180.0)
"""Seconds until an engine has loaded a checkpoint, or a training has begun."""

PROMPT = 200
"""Tokens of a question with its chat template."""

ROW_BYTES = 30_000
"""Bytes of a released example with its trace, roughly."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class StepCost:
    """One step: its tokens, wall seconds (at best, at worst), and memory per GPU in bytes."""

    step: Step
    tokens: Tokens
    seconds: Range = (0.0, 0.0)
    memory: float = 0.0
    misfit: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """A profile's cost.

    Attributes:
        steps: every step with what is left to do of it; a finished one takes no time.
        disk: bytes of the store at its fullest.
        downloads: bytes of models and data sets.
        gpus: that are rented while it runs.
        counted: training tokens were counted from the data, not assumed.
    """

    steps: tuple[StepCost, ...]
    disk: float
    downloads: float
    gpus: int
    counted: bool

    @property
    def seconds(self) -> Range:
        """Wall time that is left, at best and at worst; (0, 0) where there is no GPU to model."""
        low, high = zip(*(s.seconds for s in self.steps)) if self.steps else ((), ())
        return sum(low), sum(high)

    @property
    def gpu_hours(self) -> Range:
        low, high = self.seconds
        return low * self.gpus / 3600, high * self.gpus / 3600

    @property
    def tokens(self) -> Tokens:
        return sum((s.tokens for s in self.steps), Tokens())

    @property
    def memory(self) -> float:
        """Peak bytes of one GPU."""
        return max((s.memory for s in self.steps), default=0.0)

    @property
    def misfits(self) -> tuple[str, ...]:
        """What does not fit, one sentence per kind of step."""
        return tuple(dict.fromkeys(s.misfit for s in self.steps if s.misfit))

    def of(self, experiment: str) -> Cost:
        """One experiment's part; a step that several want counts for the first."""
        steps = tuple(s for s in self.steps if s.step.experiments[:1] == (experiment,))
        return Cost(steps, self.disk, self.downloads, self.gpus, self.counted)


def cost(
    pipeline: Pipeline,
    hardware: Hardware = H100,
    only: Sequence[str] = (),
    encodes: bool = True,
) -> Cost:
    """What the unfinished steps of a pipeline take. Nothing is downloaded.

    Args:
        encodes: count training tokens where the data are at hand; False assumes them, at once.
        only: the experiments to count; empty counts all.

    Raises:
        InputError: a model whose shape is not known and whose files are not at hand.
    """
    profile, counter = pipeline.profile, Counter(pipeline, encodes)
    steps, seen = [], set()
    every = pipeline.steps()
    for step in wanted(every, only) if only else every:
        tokens = counter.tokens(step)
        seconds: Range = (0.0, 0.0)
        memory, misfit = 0.0, ""
        if profile.gpus and step.training is not None and step.condition is None:
            seconds, memory, misfit = _training(profile, counter, step, hardware)
        elif profile.gpus and step.condition is not None:
            seconds, memory, misfit = _sampling(profile, counter, step, tokens, hardware)
            if _checkpoint(step) not in seen and not step.run.is_finished:
                seen.add(_checkpoint(step))
                seconds = (seconds[0] + START[0], seconds[1] + START[1])
        if step.run.is_finished:
            seconds = (0.0, 0.0)
        steps.append(StepCost(step, tokens, seconds, memory, misfit))
    disk, downloads = _storage(pipeline, counter)
    return Cost(tuple(steps), disk, downloads, profile.gpus, counter.counts)


def _training(profile: Any, counter: Counter, step: Step, hardware: Hardware) -> Any:
    shape = shape_of(profile.model)
    config = counter.config(step.training)
    made = plan_training(
        shape,
        counter.lengths(step.training),
        config,
        processes=profile.processes,
        hardware=hardware,
    )
    at_goal = made.wall_hours * 3600 * hardware.share
    seconds = (at_goal / TRAINING[0] + START[0], at_goal / TRAINING[1] + START[1])
    try:
        made.refuse_unless_it_fits(hardware)
    except InputError as error:
        return seconds, made.memory.total, f"fine-tuning {profile.model}: {error}"
    return seconds, made.memory.total, ""


def _sampling(
    profile: Any, counter: Counter, step: Step, tokens: Tokens, hardware: Hardware
) -> tuple[Range, float, str]:
    """Seconds, memory per GPU, and what does not fit, of one generation step."""
    condition = step.condition
    assert condition is not None
    model, options = profile.model, dict(profile.engine_options)
    if condition.training is not None and condition.training.released:
        arm = profile.released[condition.training.released]
        model, options = arm["model"], options | arm.get("engine_options", {})
    shape = shape_of(model)
    team = options.get("tensor_parallel_size", 1)
    weights = shape.parameters * (1 if options.get("quantization") == "fp8" else 2) / team
    per_token = 4 * shape.layers * shape.kv_heads * shape.head_size / team  # key and value, bf16
    room = hardware.memory * options.get("gpu_memory_utilization", 0.9) - weights - WORKSPACE
    longest = PROMPT + min(
        condition.budget.max_thinking + condition.budget.max_answer,
        options.get("max_model_len", 32_768),
    )
    if max(room, 0) < longest * per_token or shape.parameters * 2 / team > hardware.memory:
        text = (
            f"sampling from {model}: weights take {weights / 1e9:.0f} GB of "
            f"{hardware.memory / 1e9:.0f} and one sequence of {longest:,} tokens "
            f"{longest * per_token / 1e9:.0f} more; raise tensor_parallel_size, or set "
            "quantization: fp8"
        )
        return (0.0, 0.0), weights + longest * per_token, text
    count = counter.generations(condition)
    found = []
    for total, share, tail in (
        (tokens.low, SAMPLING[0], 0.0),
        (tokens.high, SAMPLING[1], float(longest)),
    ):
        mean = total / max(count, 1)
        batch = min(count, room / (per_token * (PROMPT + max(mean, 1))), profile.batch_size)
        steps = mean * count / max(batch, 1)
        traffic = weights + batch * per_token * (PROMPT + mean / 2)
        alone = max(0.0, tail - mean) * weights  # the longest one ends by itself
        seconds = (steps * traffic + alone) / (BANDWIDTH * share)
        prefill = 2 * shape.parameters * PROMPT * count / (hardware.peak_flops * PREFILL * team)
        found.append(seconds + prefill)
    batch = min(count, room / (per_token * longest))
    used = weights + WORKSPACE + max(batch, 1) * per_token * longest
    return (found[0], found[1]), used, ""


def shape_of(model: str) -> ModelShape:
    """The sizes of a model by its name, or from its files where they are at hand.

    The released s1 checkpoints are fine-tuned from Qwen2.5-32B and have its shape.
    """
    from s1core.checkpoints import locate, split_revision

    name, _ = split_revision(model)
    if name.startswith("simplescaling/s1"):
        name = "Qwen2.5-32B"
    try:
        return ModelShape.of(name)
    except InputError:
        return ModelShape.of(locate(model))


def _checkpoint(step: Step) -> str:
    condition = step.condition
    assert condition is not None
    return step.needs[0].run.id if step.needs else str(condition.training)


def _storage(pipeline: Pipeline, counter: Counter) -> Range:
    """Bytes of the store at its fullest, and bytes to download."""
    from s1lab.data.sources import source

    profile = pipeline.profile
    shape = shape_of(profile.model)
    trainings = [s for s in pipeline.steps() if s.training is not None and s.condition is None]
    left = [step for step in trainings if not step.run.is_finished]
    disk = len(left) * shape.parameters * 2.0
    if left:
        disk += 2.0 * shape.parameters * 12  # two checkpoints of the one that is under way
    wanted = needs(profile)
    downloads = sum(2.0 * shape_of(model).parameters for model in wanted.models)
    downloads += sum(ROW_BYTES * source(name).rows for name in wanted.training)
    return disk, downloads


def lines(found: Cost, pipeline: Pipeline, price: float, experiments: Sequence[Any]) -> list[str]:
    """A cost as text: one line per figure, then the totals."""
    head = f"  {'':28} {'runs':>9} {'trained':>9} {'generated':>9} {'range':>17}"
    text = [head + (f" {'GPU-hours':>15} {'money':>15}" if found.gpus else "")]
    for name, part in [*((e.name, found.of(e.name)) for e in experiments), ("total", found)]:
        if not part.steps:
            continue
        done = sum(s.step.run.is_finished for s in part.steps)
        tokens = part.tokens
        row = f"  {name:28} {f'{done}/{len(part.steps)}':>9} {short(tokens.trained):>9} "
        row += f"{short(tokens.expected):>9} {f'{short(tokens.low)} to {short(tokens.high)}':>17}"
        if found.gpus:
            low, high = part.gpu_hours
            row += f" {f'{low:.1f} to {high:.1f}':>15}"
            row += f" {f'{low * price:,.0f} to {high * price:,.0f}':>15}"
        text.append(row)
    return text


def short(count: float) -> str:
    """A number of tokens for people: `12.3M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"


ASK_BEYOND = 3600.0
"""Seconds of work, at worst, that are started without asking."""


def begin_with(
    pipeline: Pipeline, ask: Callable[[str], bool] | None, only: Sequence[str] = ()
) -> Pipeline:
    """The pipeline to run: without what cannot be had, and with its cost agreed to.

    Only profiles that need GPUs are asked about; the others cost nothing but patience.

    Args:
        ask: puts a question and says whether the answer was yes; None agrees to anything.
        only: the experiments that are started; empty for all.

    Raises:
        RunError: it is more than an hour of work and was not agreed to, or something of it does
            not fit.
        InputError: the training set cannot be had.
    """
    if not pipeline.profile.gpus and not pipeline.profile.rehearsal:
        return pipeline
    if pipeline.profile.gpus:
        refuse_or_agree(cost(pipeline, only=only), pipeline, ask)
    missing = find_missing(pipeline.whole)
    for name, reason in sorted(missing.items()):
        pipeline.say(f"goes without {name}: {reason}")
    pipeline.store.note_missing(pipeline.profile.name, missing)
    return Pipeline(pipeline.whole, pipeline.store, progress=pipeline.progress, say=pipeline.say)


def refuse_or_agree(found: Cost, pipeline: Pipeline, ask: Callable[[str], bool] | None) -> None:
    """Raise RunError unless what is left fits, and is short or agreed to."""
    name = pipeline.profile.name
    if found.misfits:
        raise RunError(f"nothing was started: {found.misfits[0]}")
    low, high = found.seconds
    if ask is None or high <= ASK_BEYOND:
        return
    text = f"{name}: {clock(low)} to {clock(high)} of work on {found.gpus} GPU(s) are left"
    if not ask(f"{text}. Start?"):
        raise RunError(
            f"{text}; nothing was started. See `s1lab plan {name}`, then start it with --yes"
        )
