"""What a profile takes: tokens, GPU-hours, memory, disk, downloads, money.

Training time follows from FLOPs and a share of the chip's peak, memory from `sft_plan`.
Sampling is bound by memory traffic: every step reads the weights and the context of each sequence
in the batch, and the batch is as large as the memory that the weights leave. The shares of peak
that bound each range are assumptions, named here, until somebody measures them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from s1core.errors import InputError, RunError
from s1lab.desk import plan as desk
from s1lab.pipeline import Pipeline
from s1lab.planning.needs import find_missing, needs
from s1lab.planning.sft_plan import H100
from s1lab.planning.sft_plan import plan as plan_training
from s1lab.planning.shapes import ModelShape
from s1lab.planning.status import clock
from s1lab.planning.tokens import Counter, Tokens
from s1lab.steps import Step, wanted

BANDWIDTH = 3.35e12  # bytes per second between an H100 SXM and its memory, by the data sheet
SAMPLING = (0.6, 0.25)  # share of that bandwidth which sampling reaches: at best, at worst
TRAINING = (0.45, 0.2)  # share of peak FLOPs: this recipe's goal, and what the paper's took
PREFILL = 0.4  # share of peak FLOPs at which prompts are read
WORKSPACE = 4e9  # bytes that vLLM keeps for activations and CUDA graphs
START = (60.0, 180.0)  # seconds until an engine has loaded a checkpoint, or a training has begun
PROMPT = 200  # tokens of a question with its chat template
ROW_BYTES = 30_000  # bytes of a released example with its trace, roughly
ASK_BEYOND = 3600.0  # seconds of work, at worst, that are started without asking

COLUMNS = ("step", "experiment", "done", *Tokens._fields, "best", "worst", "memory", "misfit")


@dataclass(frozen=True, slots=True)
class Cost:
    """A profile's cost.

    Attributes:
        steps: a row a `step`: the first `experiment` that wants it, whether it is done, its
            tokens (as in `Tokens`), the wall seconds that are left at best and at worst (0 where
            there is no GPU to model), peak bytes of one GPU, and why it does not fit ("").
        disk: bytes of the store at its fullest.
        downloads: bytes of models and data sets.
        gpus: that are rented while it runs.
        counted: training tokens were counted from the data, not assumed.
        hours: wall hours that are left without a GPU, where the profile has rates for it.
    """

    steps: pd.DataFrame
    disk: float
    downloads: float
    gpus: int
    counted: bool
    hours: float = 0.0

    @property
    def misfits(self) -> tuple[str, ...]:
        """What does not fit, one sentence per kind of step."""
        return tuple(text for text in self.steps.misfit.unique() if text)


def cost(pipeline: Pipeline, only: Sequence[str] = (), encodes: bool = True) -> Cost:
    """What the unfinished steps of a pipeline take on H100s. Nothing is downloaded.

    Args:
        encodes: count training tokens where the data are at hand; False assumes them, at once.
        only: the experiments to count; empty counts all.

    Raises:
        InputError: a model whose shape is not known and whose files are not at hand.
    """
    gpus, counter = pipeline.profile.gpus, Counter(pipeline, encodes)
    every, rows, loaded = pipeline.steps(), [], set()
    for step in wanted(every, only) if only else every:
        tokens, done = counter.tokens(step), step.run.is_finished
        best, worst, memory, misfit = 0.0, 0.0, 0.0, ""
        if gpus and step.condition is not None:
            best, worst, memory, misfit = _sampling(counter, step, tokens)
            checkpoint = step.needs[0].run.id if step.needs else str(step.condition.training)
            if checkpoint not in loaded and not done:
                loaded.add(checkpoint)
                best, worst = best + START[0], worst + START[1]
        elif gpus and step.training is not None:
            best, worst, memory, misfit = _training(counter, step)
        elif pipeline.profile.rates:
            best = worst = desk.seconds(pipeline.profile, step, tokens.trained)
        left = (0.0, 0.0) if done else (best, worst)
        rows.append((step, step.experiments[0], done, *tokens, *left, memory, misfit))
    disk, downloads = _storage(pipeline, every)
    frame, wall = pd.DataFrame(rows, columns=COLUMNS), 0.0
    if pipeline.profile.rates:
        wall = desk.hours(pipeline.profile, list(zip(frame.step, frame.best, strict=True)))
    return Cost(frame, disk, downloads, gpus, counter.counts, wall)


def _training(counter: Counter, step: Step) -> tuple[float, float, float, str]:
    """Seconds at best and at worst, bytes per GPU, and what does not fit, of one fine-tuning."""
    profile, training = counter.pipeline.profile, step.training
    assert training is not None
    lengths, config = counter.lengths(training), counter.config(training)
    made = plan_training(shape_of(profile.model), lengths, config, processes=profile.processes)
    at_goal = made.wall_hours * 3600 * H100.share
    best, worst = (at_goal / share + start for share, start in zip(TRAINING, START, strict=True))
    try:
        made.refuse_unless_it_fits(H100)
    except InputError as error:
        return best, worst, made.memory.total, f"fine-tuning {profile.model}: {error}"
    return best, worst, made.memory.total, ""


def _sampling(counter: Counter, step: Step, tokens: Tokens) -> tuple[float, float, float, str]:
    """The same of one generation step."""
    profile, condition = counter.pipeline.profile, step.condition
    assert condition is not None
    model, options = profile.model, dict(profile.engine_options)
    if condition.training is not None and condition.training.released:
        arm = profile.released[condition.training.released]
        model, options = arm["model"], options | arm.get("engine_options", {})
    shape = shape_of(model)
    team = options.get("tensor_parallel_size", 1)
    weights = shape.parameters * (1 if options.get("quantization") == "fp8" else 2) / team
    per_token = 4 * shape.layers * shape.kv_heads * shape.head_size / team  # key and value, bf16
    room = H100.memory * options.get("gpu_memory_utilization", 0.9) - weights - WORKSPACE
    budget = condition.budget.max_thinking + condition.budget.max_answer
    longest = PROMPT + min(budget, options.get("max_model_len", 32_768))
    if max(room, 0) < longest * per_token or shape.parameters * 2 / team > H100.memory:
        text = (
            f"sampling from {model}: weights take {weights / 1e9:.0f} GB of "
            f"{H100.memory / 1e9:.0f} and one sequence of {longest:,} tokens "
            f"{longest * per_token / 1e9:.0f} more; raise tensor_parallel_size, or set "
            "quantization: fp8"
        )
        return 0.0, 0.0, weights + longest * per_token, text
    count = counter.generations(condition)
    prefill = 2 * shape.parameters * PROMPT * count / (H100.peak_flops * PREFILL * team)
    seconds = []
    for total, share, tail in zip((tokens.low, tokens.high), SAMPLING, (0, longest), strict=True):
        mean = total / max(count, 1)
        batch = min(count, room / (per_token * (PROMPT + max(mean, 1))), profile.batch_size)
        steps = mean * count / max(batch, 1)
        traffic = weights + batch * per_token * (PROMPT + mean / 2)
        alone = max(0.0, tail - mean) * weights  # the longest one ends by itself
        seconds.append((steps * traffic + alone) / (BANDWIDTH * share) + prefill)
    batch = min(count, room / (per_token * longest))
    return *seconds, weights + WORKSPACE + max(batch, 1) * per_token * longest, ""


def shape_of(model: str) -> ModelShape:
    """The sizes of a model by its name, or from its files where they are at hand.

    The released s1 checkpoints are fine-tuned from Qwen2.5-32B and have its shape.
    """
    from s1core.checkpoints import locate, split_revision

    name, _ = split_revision(model)
    try:
        return ModelShape.of("Qwen2.5-32B" if name.startswith("simplescaling/s1") else name)
    except InputError:
        return ModelShape.of(locate(model))


def _storage(pipeline: Pipeline, steps: Sequence[Step]) -> tuple[float, float]:
    """Bytes of the store at its fullest, and bytes to download."""
    from s1lab.data.sources import source

    parameters = shape_of(pipeline.profile.model).parameters
    trained = [step for step in steps if step.training is not None and step.condition is None]
    left = sum(not step.run.is_finished for step in trained)
    # A model each, and two checkpoints of the one that is under way.
    disk = parameters * (2.0 * left + (24.0 if left else 0.0))
    asked = needs(pipeline.profile)
    downloads = sum(2.0 * shape_of(model).parameters for model in asked.models)
    return disk, downloads + sum(ROW_BYTES * source(name).rows for name in asked.training)


def lines(found: Cost, price: float) -> list[str]:
    """A cost as text, at a price per GPU-hour: a line per experiment, then the totals."""
    head = f"  {'':28} {'runs':>9} {'trained':>9} {'generated':>9} {'range':>17}"
    text = [head + (f" {'GPU-hours':>15} {'money':>15}" if found.gpus else "")]
    for name, part in [*found.steps.groupby("experiment", sort=False), ("total", found.steps)]:
        total = part.drop(columns=["step", "experiment", "misfit"]).sum()
        trained, low, expected, high = (short(total[column]) for column in Tokens._fields)
        best, worst = (total[column] * found.gpus / 3600 for column in ("best", "worst"))
        row = f"  {name:28} {f'{total.done:.0f}/{len(part)}':>9} {trained:>9} {expected:>9} "
        row += f"{f'{low} to {high}':>17}"
        if found.gpus:
            row += f" {f'{best:.1f} to {worst:.1f}':>15}"
            row += f" {f'{best * price:,.0f} to {worst * price:,.0f}':>15}"
        text.append(row)
    left, how = (~found.steps.done.astype(bool)).sum(), "assumed, since the data are not at hand"
    text.append(f"{left} of {len(found.steps)} runs to do; finished ones count what they used")
    text.append(f"training tokens: {'counted from the data' if found.counted else how}")
    if found.gpus:
        text += [
            f"wall time: {best / found.gpus:.1f} to {worst / found.gpus:.1f} hours on {found.gpus} "
            f"GPU(s), {best * price:,.0f} to {worst * price:,.0f} at {price:g} per GPU-hour",
            f"peak memory of a GPU: {found.steps.memory.max() / 1e9:.0f} GB",
            f"disk: {found.disk / 1e9:.0f} GB for the store, "
            f"{found.downloads / 1e9:.0f} GB of downloads",
        ]
    elif found.hours:
        text.append(f"wall time: {found.hours:.1f} hours on two cores with nothing else to do")
        text.append(f"disk: {found.disk / 1e9:.0f} GB for the store")
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
    """The pipeline to run: without what cannot be had, and with its cost agreed to.

    Only profiles that need GPUs are asked about; the others cost nothing but patience.

    Args:
        ask: puts a question and says whether the answer was yes; None agrees to anything.
        only: the experiments that are started; empty for all.

    Raises:
        RunError: more than an hour of work was not agreed to, or something of it does not fit.
        InputError: the training set cannot be had.
    """
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
            raise RunError(
                f"{text}; nothing was started. See `s1lab plan {profile.name}`, then start it with "
                "--yes"
            )
    missing = find_missing(pipeline.whole)
    for name, reason in sorted(missing.items()):
        pipeline.say(f"goes without {name}: {reason}")
    pipeline.store.note_missing(profile.name, missing)
    return Pipeline(pipeline.whole, pipeline.store, progress=pipeline.progress, say=pipeline.say)
