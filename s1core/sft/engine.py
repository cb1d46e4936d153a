"""One optimizer step, on one process or many: packed forward passes, loss, gradients, update.

The loss of a step is the sum of cross-entropies over the global batch divided by its number of
supervised tokens, so neither packing nor accumulation nor the number of processes changes it.
What this module does not know: files, epochs, resuming (`s1core.sft.train`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from s1core.errors import InputError
from s1core.sft import attention
from s1core.sft.config import SFTConfig
from s1core.sft.encode import IGNORE, EncodedExample, plan_step
from s1core.sft.processes import Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOMENTS = ("exp_avg", "exp_avg_sq")


class _ChunkedLinearCrossEntropy(torch.autograd.Function):
    """Only supervised positions are projected, a chunk at a time, and its gradient is taken while
    its logits exist: at 32,768 tokens and 152K words all logits are 20 GB in fp32."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, chunk: int
    ) -> torch.Tensor:
        """hidden [N, H], weight [V, H], targets [N] -> the summed loss, fp32."""
        want_hidden, want_weight = ctx.needs_input_grad[:2]
        total = hidden.new_zeros((), dtype=torch.float32)
        grad_hidden = torch.empty_like(hidden) if want_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if want_weight else None
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
            if not (want_hidden or want_weight):
                continue
            slope = masses.div_(normalizer)  # the softmax
            slope.scatter_add_(1, wanted, slope.new_full(wanted.shape, -1.0))
            slope = slope.to(hidden.dtype)
            if grad_hidden is not None:
                torch.mm(slope, weight, out=grad_hidden[start : start + chunk])
            if grad_weight is not None and slope.dtype == torch.float32:
                grad_weight.addmm_(slope.T, rows)
            elif grad_weight is not None:
                grad_weight += slope.T @ rows
        if grad_weight is not None:
            grad_weight = grad_weight.to(weight.dtype)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        for slope in ctx.saved_tensors:  # in place: nobody reads them again
            if slope is not None:
                slope.mul_(grad.to(slope.dtype))
        return grad_hidden, grad_weight, None, None


def summed_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    chunk: int = 2048,
    scale: float = 1.0,
) -> torch.Tensor:
    """Sum of the cross-entropies of the supervised positions, in nats, fp32.

    Args:
        hidden: [T, H] final hidden states, for the output matrix [V, H].
        targets: [T] the token each position must predict, or `IGNORE`.
        chunk: supervised tokens whose logits exist at one time.
        scale: factor of the logits.
    """
    supervised = targets != IGNORE
    hidden, targets = hidden[supervised], targets[supervised]
    if scale != 1.0:
        hidden = hidden * scale
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

    def hidden(self, input_ids: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
        """Final hidden states [T, H] of a packed row of token ids [T], or of this one's share."""
        extra = attention.layout(lengths, input_ids.device, self.team)
        out = self.lm.get_decoder()(input_ids=input_ids[None], use_cache=False, **extra)
        return out.last_hidden_state[0]

    def forward(
        self, input_ids: torch.Tensor, targets: torch.Tensor, lengths: tuple[int, ...]
    ) -> torch.Tensor:
        """Summed loss of token ids [T] against targets [T]."""
        weight, hidden = self.lm.get_output_embeddings().weight, self.hidden(input_ids, lengths)
        return summed_loss(hidden, weight, targets, self.chunk, self.scale)


class Engine:
    """A model in training: `step` it; `state` is what a checkpoint holds of it."""

    def __init__(self, model: PreTrainedModel, config: SFTConfig, group: Group) -> None:
        self.config, self.group, self.model = config, group, model
        self._restore_attention = model.config._attn_implementation
        model.set_attn_implementation(attention.NAME)
        if config.activation_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        _check_team(model, config, group)
        team = group.team(config.sequence_parallel)
        self.packed = PackedLM(model, config.loss_chunk_tokens, team).train()
        if group.mesh is not None:
            _shard(self.packed, config, group.mesh)
        self.named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        fused = group.mesh is None or group.device.type == "cuda"
        self.optimizer = _adamw([p for _, p in self.named], config, fused)

    def step(self, batch: Sequence[EncodedExample], lr: float, seed: int) -> dict[str, Any]:
        """One optimizer step on a global batch (the same on every process).

        A loss or gradient that is not finite leaves the weights as they are; the caller decides.
        Returns `loss`, the mean cross-entropy per supervised token in nats, `grad_norm` before
        clipping, `tokens` computed and `supervised_tokens` taught, over all processes.
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
        stats = {"loss": loss, "grad_norm": norm}
        return stats | {"tokens": sum(lengths), "supervised_tokens": supervised}

    def _tensors(
        self, row: Sequence[EncodedExample]
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]:
        ids = [token for example in row for token in example.token_ids]
        targets = [label for e in row for label in (*e.labels[1:], IGNORE)]
        lengths = [len(example.token_ids) for example in row]
        # A process without work still takes part in every pass, for a sharded model gathers its
        # weights in each; and the members of a team need equal shares of the row.
        size = self.config.sequence_parallel
        filling = -len(ids) % size if ids else size
        if filling:
            ids, targets = ids + [0] * filling, targets + [IGNORE] * filling
            lengths.append(filling)
        share = len(ids) // size
        mine = slice(self.group.rank % size * share, (self.group.rank % size + 1) * share)
        ours = (torch.tensor(values[mine], device=self.group.device) for values in (ids, targets))
        return *ours, tuple(lengths)  # type: ignore[return-value] - two of them

    def state(self, step: int | None = None) -> dict[str, torch.Tensor]:
        """Weights and moments by name, as views: what is copied into them, the engine has.

        `step`: they are about to be filled from a checkpoint made after so many steps.
        """
        tensors = {}
        for name, parameter in self.named:
            own = self.optimizer.state[parameter]
            for moment in MOMENTS:
                if moment not in own:
                    own[moment] = torch.zeros_like(parameter, requires_grad=False)
            if step is not None or "step" not in own:
                own["step"] = torch.tensor(float(step or 0), device=self.group.device)
            tensors[f"model/{name}"] = parameter.detach()
            tensors |= {f"{moment}/{name}": own[moment] for moment in MOMENTS}
        return tensors

    def release(self) -> None:
        """Give the model back in the state in which it generates."""
        self.model.set_attn_implementation(self._restore_attention)
        if self.config.activation_checkpointing:
            self.model.gradient_checkpointing_disable()
        self.optimizer.zero_grad(set_to_none=True)
        self.model.eval()


def _adamw(trained: list[nn.Parameter], config: SFTConfig, fused: bool) -> torch.optim.AdamW:
    """Matrices decay, biases and norms do not: what Trainer exempts by name is one-dimensional."""
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=fused)


def _shard(packed: PackedLM, config: SFTConfig, mesh: Any) -> None:
    """FSDP2: one unit per decoder layer, one for the rest (embeddings, norm, output matrix)."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    low = torch.bfloat16 if config.dtype == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32)
    children = packed.lm.get_decoder().children()
    for layer in next(child for child in children if isinstance(child, nn.ModuleList)):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(packed, mesh=mesh, mp_policy=policy)


def _check_team(model: PreTrainedModel, config: SFTConfig, group: Group) -> None:
    size = config.sequence_parallel
    heads = getattr(model.config, "num_attention_heads", size)
    pairs = getattr(model.config, "num_key_value_heads", None) or heads
    if group.size % size or heads % size or (pairs % size and size % pairs):
        raise InputError(
            f"sequence_parallel={size} must divide the {group.size} processes and the model's "
            f"{heads} attention heads, and fit its {pairs} key/value heads"
        )
