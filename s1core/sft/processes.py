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
    """This process, its index `rank` among `size`, and the device where it computes.

    `mesh` is the one-dimensional device mesh that shards the model; `None` when nothing does.
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

    def wait(self) -> None:
        """Until every process is here. One that fails instead is enough to end them all."""
        self.total(0.0)


def join(device: str | None = None) -> Group:
    """Join the processes that `torchrun` started; alone when it started none.

    On a GPU there is a mesh even for one process: sharding is what keeps fp32 weights and
    computes in bf16. The device is by default the GPU of this local rank, else the CPU.
    """
    import torch
    import torch.distributed as dist

    size = int(os.environ.get("WORLD_SIZE", "1"))
    if device is None:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    place = torch.device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    elif size == 1:
        return Group(0, 1, place)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
        alone: dict[str, Any] = {"store": dist.HashStore(), "rank": 0, "world_size": 1}
        dist.init_process_group(backend, **({} if "MASTER_ADDR" in os.environ else alone))
        atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
    mesh = dist.init_device_mesh(place.type, (dist.get_world_size(),))
    return Group(dist.get_rank(), dist.get_world_size(), place, mesh)


def spawn(
    model: str, examples: Sequence[Example], config: SFTConfig, out: str | Path, processes: int
) -> TrainResult:
    """As `s1core.sft.train`, in processes of their own, which give back all of a GPU's memory.

    One on a GPU, or many under torchrun. Where torchrun must be started on several hosts,
    `S1CORE_LAUNCH` names the command that does it (see `launch/`): it gets `-m s1core.cli sft` and
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
