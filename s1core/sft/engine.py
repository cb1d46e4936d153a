"""One optimizer step, on one process or many: packed forward passes, loss, gradients, update. The
loss of a step is the sum of cross-entropies over the global batch divided by its number of
supervised tokens, so neither packing nor the number of processes changes it."""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import PreTrainedModel

from s1core.errors import InputError
from s1core.sft import attention
from s1core.sft.config import SFTConfig
from s1core.sft.encode import IGNORE, EncodedExample, plan_step


@dataclass(frozen=True, slots=True)
class Group:
    """This process, its index among `size` (0 writes the files), and where it computes."""

    rank: int
    size: int
    device: torch.device
    mesh: Any = None  # the one-dimensional device mesh that shards the model, if any

    def total(self, value: float) -> float:
        """Sum over all processes, in float64: integers up to 2**53 stay exact."""
        if self.size == 1:
            return float(value)
        summed = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(summed)
        return summed.item()

    def wait(self) -> None:
        """Until every process is here. One that fails instead is enough to end them all."""
        self.total(0.0)


def join(device: str | None = None) -> Group:
    """Join the processes that `torchrun` started; alone when it started none. On a GPU there is a
    mesh even for one process, for sharding keeps fp32 and computes in bf16."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    gpu = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    place = torch.device(device or gpu)
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


class _ChunkedLinearCrossEntropy(torch.autograd.Function):
    """Only supervised positions are projected, a chunk at a time, and its gradient is taken while
    its logits exist: at 32,768 tokens and 152K words all logits are 20 GB in fp32."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> Tensor:
        """hidden [N, H], weight [V, H], targets [N] -> the summed loss, fp32."""
        total = hidden.new_zeros((), dtype=torch.float32)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        for start in range(0, hidden.shape[0], chunk):
            rows = hidden[start : start + chunk]
            wanted = targets[start : start + chunk, None]
            logits = (rows @ weight.T).float()
            # Everything happens in the logits' own memory: logsumexp would double the peak.
            largest = logits.amax(-1, keepdim=True)
            at_target = logits.gather(1, wanted)
            masses = logits.sub_(largest).exp_()
            normalizer = masses.sum(-1, keepdim=True)
            total += (normalizer.log() + largest - at_target).sum()
            slope = masses.div_(normalizer)  # the softmax
            slope.scatter_add_(1, wanted, slope.new_full(wanted.shape, -1.0))
            slope = slope.to(hidden.dtype)
            torch.mm(slope, weight, out=grad_hidden[start : start + chunk])
            if slope.dtype == torch.float32:
                grad_weight.addmm_(slope.T, rows)
            else:
                grad_weight += slope.T @ rows
        ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # In place: nobody reads them again.
        slopes = (slope.mul_(grad.to(slope.dtype)) for slope in ctx.saved_tensors)
        return *slopes, None, None


def summed_loss(hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int = 2048) -> Tensor:
    """Sum of the cross-entropies of the supervised positions, in nats, fp32. Of final hidden states
    [T, H], an output matrix [V, H] and, for each position, the token that it must predict or
    `IGNORE` [T]; `chunk` supervised tokens have their logits at one time."""
    supervised = targets != IGNORE
    hidden, targets = hidden[supervised], targets[supervised]
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    with torch.autocast(hidden.device.type, enabled=False):
        return _ChunkedLinearCrossEntropy.apply(hidden, weight, targets, chunk)


class PackedLM(nn.Module):
    """A causal language model whose forward is the summed loss of a packed row."""

    def __init__(self, lm: PreTrainedModel, chunk: int = 2048, team: Any = None) -> None:
        super().__init__()
        self.lm, self.chunk, self.team = lm, chunk, team
        factor, divisor = (getattr(lm.config, n, None) for n in ("logit_scale", "logits_scaling"))
        self.scale = (factor or 1.0) / (divisor or 1.0)  # as Cohere and Granite say it

    def forward(self, input_ids: Tensor, targets: Tensor, lengths: tuple[int, ...]) -> Tensor:
        """Summed loss of a packed row's token ids [T], or this process's share, and targets [T]."""
        extra = attention.layout(lengths, input_ids.device, self.team)
        out = self.lm.get_decoder()(input_ids=input_ids[None], use_cache=False, **extra)
        hidden, weight = out.last_hidden_state[0], self.lm.get_output_embeddings().weight
        hidden = hidden if self.scale == 1.0 else hidden * self.scale
        return summed_loss(hidden, weight, targets, self.chunk)


class Engine:
    """A model in training: `step` it; `state` is what a checkpoint holds of it."""

    def __init__(self, model: PreTrainedModel, config: SFTConfig, group: Group) -> None:
        self.config, self.group, self.model = config, group, model
        model.set_attn_implementation(attention.NAME)
        if config.activation_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        size = config.sequence_parallel
        heads = getattr(model.config, "num_attention_heads", size)
        pairs = getattr(model.config, "num_key_value_heads", None) or heads
        if group.size % size or heads % size or (pairs % size and size % pairs):
            wanted = f"{group.size} processes, {heads} heads, and fit {pairs} key/value heads"
            raise InputError(f"sequence_parallel={size} must divide the {wanted}")
        team = None  # neighbouring processes that share one packed row
        if size > 1:
            teams = dist.init_device_mesh(group.device.type, (group.size // size, size))
            team = teams.get_group(1)
        self.packed = PackedLM(model, config.loss_chunk_tokens, team).train()
        if group.mesh is not None:
            _shard(self.packed, config, group.mesh)
        self.named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        trained = [p for _, p in self.named]
        # What Trainer exempts from decay by name is one-dimensional: biases and norms.
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        settings: dict[str, Any] = {"lr": config.lr, "betas": config.betas, "eps": config.eps}
        settings["fused"] = group.mesh is None or group.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(groups, **settings)

    def step(self, batch: Sequence[EncodedExample], lr: float, seed: int) -> dict[str, Any]:
        """One optimizer step on a global batch (the same on every process).

        A loss or gradient that is not finite leaves the weights as they are. Returns `loss`, the
        mean cross-entropy per supervised token in nats, `grad_norm` before clipping, `tokens`
        computed and `supervised_tokens` taught, over all processes.
        """
        torch.manual_seed(seed)
        lengths = [len(example.token_ids) for example in batch]
        supervised = sum(example.supervised for example in batch)
        size, on_gpu = self.config.sequence_parallel, self.group.device.type == "cuda"
        plan = plan_step(lengths, self.config, self.group.size, on_gpu)
        self.optimizer.zero_grad(set_to_none=True)
        # When sharded, the mesh's policy sets the precision.
        lower = self.group.mesh is None and self.config.dtype == "bfloat16"
        summed = 0.0
        for row in plan[self.group.rank // size]:
            with torch.autocast(self.group.device.type, torch.bfloat16, enabled=lower):
                loss = self.packed(*self._tensors([batch[i] for i in row]))
            # Sharded gradients are averaged over processes; the sum is what is meant.
            (loss * (self.group.size / supervised)).backward()
            summed += float(loss.detach())
        loss = self.group.total(summed) / supervised
        norm: Any = nn.utils.clip_grad_norm_([p for _, p in self.named], self.config.max_grad_norm)
        norm = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        if torch.isfinite(torch.tensor([loss, norm])).all():
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
        counts = {"tokens": sum(lengths), "supervised_tokens": supervised}
        return {"loss": loss, "grad_norm": norm, **counts}

    def _tensors(self, row: Sequence[EncodedExample]) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        ids = [token for example in row for token in example.token_ids]
        targets = [label for e in row for label in (*e.labels[1:], IGNORE)]
        lengths = [len(example.token_ids) for example in row]
        # A process without work still takes part, for a sharded model gathers its weights in
        # every pass; and the members of a team need equal shares of the row.
        size = self.config.sequence_parallel
        filling = -len(ids) % size if ids else size
        if filling:
            ids, targets = ids + [0] * filling, targets + [IGNORE] * filling
            lengths.append(filling)
        share = len(ids) // size
        mine = slice(self.group.rank % size * share, (self.group.rank % size + 1) * share)
        ours = (torch.tensor(values[mine], device=self.group.device) for values in (ids, targets))
        return *ours, tuple(lengths)  # type: ignore[return-value] - two of them

    def state(self, step: int | None = None) -> dict[str, Tensor]:
        """Weights and moments by name, as views; `step`: of a checkpoint about to fill them."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.named:
            own = self.optimizer.state[parameter]
            tensors[f"model/{name}"] = parameter.detach()
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment not in own:
                    own[moment] = torch.zeros_like(parameter, requires_grad=False)
                tensors[f"{moment}/{name}"] = own[moment]
            if step is not None or "step" not in own:
                own["step"] = torch.tensor(float(step or 0), device=self.group.device)
        return tensors


def _shard(packed: PackedLM, config: SFTConfig, mesh: Any) -> None:
    """FSDP2: one unit per decoder layer, one for the rest (embeddings, norm, output matrix)."""
    low = torch.bfloat16 if config.dtype == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32)
    children = packed.lm.get_decoder().children()
    for layer in next(child for child in children if isinstance(child, nn.ModuleList)):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(packed, mesh=mesh, mp_policy=policy)
