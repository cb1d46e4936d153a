"""The processes of one training run: a thin seam over `torch.distributed`, and their start.

Under `torchrun` there are several, otherwise one, and callers need not know which.
"""

from __future__ import annotations

import atexit
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.errors import RunError
from s1core.records import Example, write_atomically, write_jsonl

if TYPE_CHECKING:
    import torch

    from s1core.sft.config import SFTConfig
    from s1core.sft.train import TrainResult

LAUNCH_VARIABLE = "S1CORE_LAUNCH"


@dataclass(frozen=True, slots=True)
class Group:
    """This process and its peers.

    Attributes:
        rank: index of this process.
        size: number of processes.
        device: where this process computes.
        mesh: the one-dimensional device mesh that shards the model; `None` when nothing does.
    """

    rank: int
    size: int
    device: torch.device
    mesh: Any = None

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes logs, manifests and the final model."""
        return self.rank == 0

    def total(self, value: float) -> float:
        """Sum over all processes, in float64: integers up to 2**53 stay exact."""
        if self.size == 1:
            return float(value)
        import torch

        summed = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(summed)
        return summed.item()

    def team(self, size: int) -> Any:
        """The `size` neighbouring processes that share one packed row; `None` for one."""
        if size == 1:
            return None
        from torch.distributed import init_device_mesh

        shape = (self.size // size, size)
        mesh = init_device_mesh(self.device.type, shape, mesh_dim_names=("teams", "team"))
        return mesh.get_group("team")

    def all_well(self, well: bool) -> bool:
        """Whether every process says so; also a barrier."""
        return self.total(0.0 if well else 1.0) == 0.0


def join(device: torch.device | str | None = None, shard: bool | None = None) -> Group:
    """Join the processes that `torchrun` started; alone when it started none.

    Args:
        device: where to compute; default: the GPU of this local rank, else the CPU.
        shard: build a mesh even for one process; default: when there are several, or on a GPU,
            where sharding with one process is what keeps fp32 weights and computes in bf16.
    """
    import torch
    import torch.distributed as dist

    size = int(os.environ.get("WORLD_SIZE", "1"))
    if device is None:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size == 1 and not (device.type == "cuda" if shard is None else shard):
        return Group(0, 1, device)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        if "MASTER_ADDR" in os.environ:
            dist.init_process_group(backend)
        else:
            dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
        atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
    mesh = dist.init_device_mesh(device.type, (dist.get_world_size(),))
    return Group(dist.get_rank(), dist.get_world_size(), device, mesh)


def spawn(
    model: str, examples: Sequence[Example], config: SFTConfig, out: str | Path, processes: int
) -> TrainResult:
    """As `s1core.sft.train`, in processes of their own, which give back all of a GPU's memory.

    One on a GPU, or many under torchrun. Where torchrun must be started on several hosts,
    `S1CORE_LAUNCH` names the command that does it (see `runs/`): it gets `-m s1core.cli sft` and
    that command's arguments. The same call resumes what was stopped.

    Args:
        model: folder of a transformers checkpoint.
        processes: how many, over all hosts.

    Raises:
        RunError: training failed; what was wrong is on standard error.
    """
    import yaml

    from s1core.checkpoints import load_tokenizer
    from s1core.sft.train import train

    out = Path(out).resolve()
    model = str(Path(model).resolve())
    data, settings = out / "examples.jsonl", out / "config.yaml"
    write_jsonl(data, examples)
    row = asdict(config) | {"betas": list(config.betas)}
    write_atomically(settings, [yaml.safe_dump(row, sort_keys=True)])
    command = [*launcher(processes), "-m", "s1core.cli", "sft", "--model", model]
    command += ["--data", str(data), "--config", str(settings), "--output", str(out)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode or not (out / "final").is_dir():
        raise RunError(
            f"fine-tuning ended with status {done.returncode}; what was wrong is said above, and "
            "the same command goes on from the last checkpoint. It was: " + shlex.join(command)
        )
    # A finished run is not repeated: this reads back what it left.
    return train(model, load_tokenizer(model), examples, config, out, device="cpu")


def launcher(processes: int) -> list[str]:
    """The command that starts Python on so many processes, here or as `S1CORE_LAUNCH` says."""
    named = os.environ.get(LAUNCH_VARIABLE)
    if named and processes > 1:
        return shlex.split(named)
    if processes == 1:
        return [sys.executable]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*torchrun, "--nproc-per-node", str(processes)]
