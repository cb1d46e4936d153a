"""How fast is this machine under a profile? `python benchmarks/calibrate.py PROFILE`, on its GPUs.

A minute of training and one of sampling, of the profile's own model with random weights, since
speed does not depend on them. What they reach goes into `measured.json` in the run store, from
which `s1lab plan` is then made. Under Slurm all nodes of the job take part.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from s1core.backends.base import SamplingParams
from s1core.errors import BackendError
from s1lab import profiles
from s1lab.kinds.launch import ServedBackend, run
from s1lab.planning import cost as planned
from s1lab.planning.cost import PROMPT
from s1lab.planning.sft_plan import BANDWIDTH
from s1lab.planning.shapes import shape_of
from s1lab.profiles import Profile
from s1lab.runs import RunStore

MINUTE = 60.0


def sample_a_while(profile: Profile, log: Path) -> tuple[float, float, float]:
    """Seconds until the profile's engine has started over random weights, the share of bandwidth
    that it reaches in a minute of sampling, and tokens per second of all replicas."""
    options, gpus = {**profile.engine_options, "load_format": "dummy"}, profile.gpus or 1
    team, began = options.get("tensor_parallel_size", 1), time.monotonic()
    size, shape = profile.batch_size, shape_of(profile.model)
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


def main() -> None:
    """Measure training, then sampling, and note both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("profile")
    options = parser.parse_args()
    profile = profiles.load(options.profile)
    if profile.gpus and not torch.cuda.is_available():
        parser.error(f"there is no GPU here, and {profile.name} is for {profile.gpus}")
    store = RunStore.default(profile.name).root.resolve()
    store.mkdir(parents=True, exist_ok=True)
    script = str(Path(__file__).with_name("sft_gpu.py").resolve())
    program = [script, "--profile", options.profile, "--record", str(store)]
    run(profile.processes, program, store / planned.FILE)
    if profile.engine == "vllm":
        start, share, speed = sample_a_while(profile, store / "server.log")
        planned.note_speeds(store, sampling=share, start=start)
        print(f"sampling: {speed:,.0f} tokens/s of all, {share:.1%} of an H100's bandwidth each")
    print(f"plans are made with {planned.read_speeds(store).source}")


if __name__ == "__main__":
    main()
