"""The processes of one training run: a thin seam over `torch.distributed`.

Under `torchrun` there are several, otherwise one, and callers need not know which.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


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

    def total(self, *values: float) -> list[float]:
        """Sums over all processes, in float64: integers up to 2**53 stay exact."""
        if self.size == 1:
            return [float(value) for value in values]
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(summed)
        return summed.tolist()

    def team(self, size: int) -> Any:
        """The `size` neighbouring processes that share one packed row; `None` for one."""
        if size == 1:
            return None
        shape = (self.size // size, size)
        mesh = dist.init_device_mesh(self.device.type, shape, mesh_dim_names=("teams", "team"))
        return mesh.get_group("team")

    def all_well(self, well: bool) -> bool:
        """Whether every process says so; also a barrier."""
        return self.total(0.0 if well else 1.0)[0] == 0.0


def join(device: torch.device | str | None = None, shard: bool | None = None) -> Group:
    """Join the processes that `torchrun` started; alone when it started none.

    Args:
        device: where to compute; default: the GPU of this local rank, else the CPU.
        shard: build a mesh even for one process; default: when there are several, or on a GPU,
            where sharding with one process is what keeps fp32 weights and computes in bf16.
    """
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
    mesh = dist.init_device_mesh(device.type, (dist.get_world_size(),))
    return Group(dist.get_rank(), dist.get_world_size(), device, mesh)
