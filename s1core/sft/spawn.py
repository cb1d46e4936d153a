"""Fine-tune in processes of their own: one on a GPU, or many under torchrun.

A process that ends gives back all of its device's memory, which one that goes on does not. Where
torchrun must be started on several hosts, `S1CORE_LAUNCH` names the command that does it (see
`runs/`): it gets `-m s1core.sft.launch` and that module's arguments.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from s1core.errors import InputError
from s1core.records import Example, read_jsonl, write_atomically, write_jsonl
from s1core.sft.config import SFTConfig
from s1core.sft.launch import RESULT
from s1core.sft.train import TrainResult

LAUNCH_VARIABLE = "S1CORE_LAUNCH"


def spawn(
    model: str, examples: Sequence[Example], config: SFTConfig, out: str | Path, processes: int
) -> TrainResult:
    """As `s1core.sft.train`, elsewhere; the same call resumes what was stopped.

    Args:
        model: folder of a transformers checkpoint.
        processes: how many, over all hosts.

    Raises:
        InputError: training failed; the message says how to see why.
    """
    out = Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    data, settings = out / "examples.jsonl", out / "config.yaml"
    write_jsonl(data, examples)
    row = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}
    write_atomically(settings, [yaml.safe_dump(row, sort_keys=True)])
    command = [*launcher(processes), "-m", "s1core.sft.launch"]
    command += ["--model", str(Path(model).resolve()), "--data", str(data)]
    command += ["--config", str(settings), "--out", str(out)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode or not (out / RESULT).is_file():
        raise InputError(
            f"fine-tuning ended with status {done.returncode}; what was wrong is said above, and "
            "the same command goes on from the last checkpoint. It was: " + shlex.join(command)
        )
    facts = json.loads((out / RESULT).read_text(encoding="utf-8"))
    return TrainResult(path=out / "final", log=tuple(read_jsonl(out / "log.jsonl")), **facts)


def launcher(processes: int) -> list[str]:
    """The command that starts Python on so many processes, here or as `S1CORE_LAUNCH` says."""
    named = os.environ.get(LAUNCH_VARIABLE)
    if named and processes > 1:
        return shlex.split(named)
    if processes == 1:
        return [sys.executable]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*torchrun, "--nproc-per-node", str(processes)]
