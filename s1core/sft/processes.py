"""The processes of one training run: several under `torchrun`, otherwise one."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Group:
    """This process, its index `rank` among `size`, and the device where it computes."""

    rank: int
    size: int
    device: torch.device
    mesh: Any = None  # the one-dimensional device mesh that shards the model, if any

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

    On a GPU there is a mesh even for one process, for sharding keeps fp32 and computes in bf16.
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
