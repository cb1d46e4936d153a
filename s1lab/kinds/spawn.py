"""Fine-tuning in processes of their own: one on a GPU, or many under torchrun, on many hosts.

A process that ends gives back all of its GPU's memory, which one that goes on does not.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from s1core.checkpoints import load_tokenizer
from s1core.errors import RunError
from s1core.records import Example, write_atomically, write_jsonl
from s1core.sft import SFTConfig, TrainResult, train

LAUNCH_VARIABLE = "S1CORE_LAUNCH"


def spawn(
    model: str, examples: Sequence[Example], config: SFTConfig, out: str | Path, processes: int
) -> TrainResult:
    """As `s1core.sft.train`, elsewhere; the same call resumes what was stopped.

    Where torchrun must be started on several hosts, `S1CORE_LAUNCH` names the command that does it
    (see `launch/`): it gets `-m s1core.cli sft` and that command's arguments.

    Args:
        model: folder of a transformers checkpoint.
        processes: how many, over all hosts.

    Raises:
        RunError: training failed; what was wrong is on standard error.
    """
    out, model = Path(out).resolve(), str(Path(model).resolve())
    data, settings = out / "examples.jsonl", out / "config.yaml"
    write_jsonl(data, examples)
    row = asdict(config) | {"betas": list(config.betas)}
    write_atomically(settings, [yaml.safe_dump(row, sort_keys=True)])
    command = [sys.executable]
    if processes > 1 and (named := os.environ.get(LAUNCH_VARIABLE)):
        command = shlex.split(named)
    elif processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        command.append(str(processes))
    command += ["-m", "s1core.cli", "sft", "--model", model, "--data", str(data)]
    command += ["--config", str(settings), "--output", str(out)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode or not (out / "final").is_dir():
        raise RunError(
            f"fine-tuning ended with status {done.returncode}; what was wrong is said above, and "
            "the same command goes on from the last checkpoint. It was: " + shlex.join(command)
        )
    # A finished run is not repeated: this reads back what it left.
    return train(model, load_tokenizer(model), examples, config, out, device="cpu")
