"""One optimizer step, on one process or many: packed forward passes, loss, gradients, update.

The loss of a step is the sum of cross-entropies over the global batch divided by its number of
supervised tokens, so neither packing nor accumulation nor the number of processes changes it.
What this module does not know: files, epochs, resuming (`s1core.sft.train`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from s1core.errors import InputError
from s1core.sft import attention
from s1core.sft.config import SFTConfig
from s1core.sft.encode import IGNORE, EncodedExample, plan_step
from s1core.sft.loss import logit_scale, summed_loss
from s1core.sft.processes import Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOMENTS = ("exp_avg", "exp_avg_sq")


class PackedLM(nn.Module):
    """A causal language model whose forward is the summed loss of a packed row."""

    def __init__(self, lm: PreTrainedModel, chunk: int = 2048, team: Any = None) -> None:
        super().__init__()
        self.lm = lm
        self.team = team
        self.chunk = chunk
        self.scale = logit_scale(lm.config)

    def hidden(self, input_ids: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
        """Final hidden states [T, H] of a packed row of token ids [T].

        With a team, ids and states are this process's share and `lengths` those of the row.
        """
        extra = attention.layout(lengths, input_ids.device, self.team)
        out = self.lm.get_decoder()(input_ids=input_ids[None], use_cache=False, **extra)
        return out.last_hidden_state[0]

    def forward(
        self, input_ids: torch.Tensor, targets: torch.Tensor, lengths: tuple[int, ...]
    ) -> torch.Tensor:
        """Summed loss of token ids [T] against targets [T]."""
        hidden = self.hidden(input_ids, lengths)
        weight = self.lm.get_output_embeddings().weight
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
        self.optimizer = adamw((p for _, p in self.named), config, fused)

    def step(self, batch: Sequence[EncodedExample], lr: float, seed: int) -> dict[str, Any]:
        """One optimizer step on a global batch (the same on every process).

        A loss or gradient that is not finite leaves the weights as they are; the caller decides.

        Returns:
            `loss`, the mean cross-entropy per supervised token in nats; `grad_norm` before
            clipping; `tokens` and `supervised_tokens`, computed and taught. Over all processes.
        """
        torch.manual_seed(seed)
        lengths = [len(example.token_ids) for example in batch]
        supervised = sum(example.supervised for example in batch)
        size, tokens = self.config.sequence_parallel, self.config.micro_batch_tokens
        on_gpu = self.group.device.type == "cuda"
        plan = plan_step(
            lengths, tokens, self.group.size, self.config.packing, team=size, on_gpu=on_gpu
        )
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
        share, place = len(ids) // size, self.group.rank % size
        mine = slice(place * share, (place + 1) * share)
        device = self.group.device
        tensors = (torch.tensor(values[mine], device=device) for values in (ids, targets))
        return *tensors, tuple(lengths)  # type: ignore[return-value] - two of them

    def state(self, step: int | None = None) -> dict[str, torch.Tensor]:
        """Weights and moments by name, as views: what is copied into them, the engine has.

        Args:
            step: optimizer steps that were made, when they are about to be filled from a
                checkpoint; None leaves the optimizer's own count.
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


def adamw(
    trained: Iterable[nn.Parameter], config: SFTConfig, fused: bool = False
) -> torch.optim.AdamW:
    """AdamW over the trained parameters; matrices decay, biases and norms do not.

    transformers' Trainer exempts by name (bias, norm); for decoders that is what one-dimensional
    means, and a test holds the two against each other.
    """
    trained = list(trained)
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
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
