"""How fast the GPUs are: assumed once, here, until this machine measures it: `s1lab calibrate`.

A minute of training and one of sampling, of the profile's own model with random weights, since
speed does not depend on them. What they reach of an H100's data sheet goes into `measured.json` in
the run store, from which the plan is then made.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.records import write_atomically
from s1core.sft.config import SFTConfig
from s1lab.planning.sft_plan import BANDWIDTH, H100, memory
from s1lab.planning.shapes import ModelShape
from s1lab.provenance import json_text, recorded

if TYPE_CHECKING:
    from s1core.sft.encode import EncodedExample
    from s1core.sft.processes import Group
    from s1lab.profiles import Profile

FILE = "measured.json"
MARGIN = 1.25  # by how much a longer run may go faster or slower than what was measured
MINUTE = 60.0
PROMPT = 200  # tokens of a question with its chat template


@dataclass(frozen=True, slots=True)
class Speeds:
    """At best and at worst: shares of an H100's data sheet, and seconds."""

    training: tuple[float, float]  # of its dense bf16 FLOPs
    sampling: tuple[float, float]  # of the bandwidth of its memory
    start: tuple[float, float]  # until an engine has loaded a checkpoint, or a training has begun
    source: str = ""


ASSUMED = Speeds((0.45, 0.2), (0.6, 0.25), (60.0, 180.0))
"""Training: this recipe's goal, and what the paper's own run took."""


def read(store: Path) -> Speeds:
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
    rest = "assumed until `s1lab calibrate` measures them"
    return replace(speeds, source=f"{text}; {where if known else rest}")


def note(store: Path, **values: float) -> None:
    """Add what was measured (`training`, `sampling`, `start`) to what the plan is made from."""
    import torch

    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if on_gpu else platform.machine()
    about = {"device": device, "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    write_atomically(store / FILE, [json_text({**recorded(store / FILE), **about, **values})])


@dataclass(frozen=True, slots=True)
class Reading:
    """What a shape in training did, on each process."""

    tokens_per_second: float
    share_of_peak: float  # of an H100's
    peak_bytes: float
    planned_bytes: float


def train_a_while(
    shape: ModelShape, config: SFTConfig, group: Group, rows: int, steps: int = 6
) -> Reading:
    """Train a random Qwen2 of a shape on packed rows of `config.max_seq_len` tokens; the speed is
    the median over `steps`, after two that warm up."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from s1core.sft.engine import Engine

    tokens, on_gpu = config.max_seq_len, group.device.type == "cuda"
    settings = Qwen2Config(**shape.settings(), max_position_embeddings=tokens)
    if group.size == 1:
        with torch.device(group.device):
            engine = Engine(Qwen2ForCausalLM(settings), config, group)
    else:  # no process holds a whole model
        from accelerate import init_empty_weights

        with init_empty_weights(include_buffers=False):
            model = Qwen2ForCausalLM(settings)
        model.tie_weights()
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        engine = Engine(model, config, group)
        engine.packed.to_empty(device=group.device)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
            for _, parameter in engine.named:
                parameter.normal_(0, 0.02) if parameter.ndim > 1 else parameter.fill_(1.0)
    lengths = row_of_traces(tokens) * rows
    batch, times = random_batch(lengths, shape.vocab), []
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for step in range(steps + 2):
        began = time.perf_counter()
        engine.step(batch, 1e-5, seed=step)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times[2:]) * group.size
    share = -(-tokens // config.sequence_parallel)
    return Reading(
        tokens_per_second=sum(lengths) / seconds,
        share_of_peak=shape.train_flops(lengths) / seconds / H100.peak_flops,
        peak_bytes=float(torch.cuda.max_memory_allocated()) if on_gpu else 0.0,
        planned_bytes=memory(shape, config, share, processes=group.size).total,
    )


def s1k_like_lengths(count: int) -> list[int]:
    """Log-normal lengths in the place of s1K's own, which are not shipped.

    Their mean is near the 4.7K thinking tokens of Table 6, and the longest has 9,109 tokens, as a
    user counted with Qwen2.5's tokenizer (simplescaling/s1#115).
    """
    import numpy as np

    drawn = np.random.default_rng(0).lognormal(8.4, 0.45, count)
    return drawn.clip(700, 9_109).astype(int).tolist()


def row_of_traces(tokens: int) -> list[int]:
    """Such lengths, as many as fill one row."""
    lengths: list[int] = []
    for length in s1k_like_lengths(64):
        if sum(lengths) + length < tokens:
            lengths.append(length)
    return [*lengths, tokens - sum(lengths)]


def random_batch(lengths: Sequence[int], vocab: int) -> list[EncodedExample]:
    """Examples of random tokens, all but the first tenth supervised."""
    import numpy as np

    from s1core.sft.encode import IGNORE, EncodedExample

    rng, batch = np.random.default_rng(1), []
    for index, length in enumerate(lengths):
        ids = tuple(rng.integers(0, vocab, length).tolist())
        labels = (IGNORE,) * (length // 10) + ids[length // 10 :]
        batch.append(EncodedExample(str(index), ids, labels, length))
    return batch


def calibrate(profile: Profile, shape: ModelShape, store: Path) -> str:
    """Measure training and sampling on this machine, note them in `store`, and say what was seen.

    Raises:
        RunError, BackendError: training or the engine failed.
    """
    from s1lab.kinds.launch import run

    store.mkdir(parents=True, exist_ok=True)
    told = {"shape": asdict(shape), "sft": dict(profile.sft), "store": str(store.resolve())}
    program = ["-m", "s1lab.planning.calibrate", json.dumps(told)]
    run(profile.processes, program, store / FILE)
    said = f"training: {recorded(store / FILE)['training']:.1%} of an H100's peak, each process"
    if profile.engine == "vllm":
        start, share, speed = sample_a_while(profile, shape, store / "server.log")
        note(store, sampling=share, start=start)
        said += f"; sampling: {speed:,.0f} tokens/s, {share:.1%} of its bandwidth on each GPU"
    return said


def sample_a_while(profile: Profile, shape: ModelShape, log: Path) -> tuple[float, float, float]:
    """Seconds until the profile's engine has started over random weights, the share of bandwidth
    that it reaches in a minute of sampling, and tokens per second of all replicas."""
    from s1core.backends.base import SamplingParams
    from s1core.errors import BackendError
    from s1lab.kinds.launch import ServedBackend

    options, gpus = {**profile.engine_options, "load_format": "dummy"}, profile.gpus or 1
    team, began = options.get("tensor_parallel_size", 1), time.monotonic()
    size = profile.batch_size
    engine = ServedBackend(profile.model, gpus=gpus, batch_size=size, log=log, **options)
    try:
        start, rows = time.monotonic() - began, min(64 * gpus // team, size)
        prompts = [[(7 * i + j) % 1000 for j in range(PROMPT)] for i in range(rows)]

        def seconds(tokens: int) -> float:
            asked = [SamplingParams(tokens, temperature=1.0, seed=i) for i in range(rows)]
            began = time.monotonic()
            made = engine.complete(prompts, asked)
            if failed := [one.error for one in made if one.finish_reason == "error"]:
                raise BackendError(f"sampling failed: {failed[0]}")
            return time.monotonic() - began

        seconds(16)  # warms up
        most = engine.context_length - PROMPT - 1
        tokens = min(max(int(32 * MINUTE / seconds(32)), 32), most)
        took = seconds(tokens)
    finally:
        engine.close()
    context = shape.cache_bytes * rows * team / gpus * (PROMPT + tokens / 2)
    weights = shape.parameters * (1 if options.get("quantization") == "fp8" else 2)
    share = tokens * (weights + context) / team / took / BANDWIDTH
    return start, share, rows * tokens / took


def main(told: dict[str, Any]) -> None:
    """What each process of a training does; the first one notes how fast it was."""
    from s1core.sft.processes import join

    group, config = join(), SFTConfig(**told["sft"])
    config = replace(config, micro_batch_tokens=config.max_seq_len)
    rows = max(2 * group.size // config.sequence_parallel, 2)
    reading = train_a_while(ModelShape(**told["shape"]), config, group, rows)
    if group.rank == 0:
        note(Path(told["store"]), training=reading.share_of_peak)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
