"""One optimizer step, on one process or many: packed forward passes, loss, gradients, update.

The loss of a step is the sum of cross-entropies over the global batch divided by its number of
supervised tokens, so neither packing nor accumulation nor the number of processes changes it.
What this module does not know: files, epochs, resuming (`s1core.sft.train`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from s1core.errors import InputError
from s1core.sft import attention
from s1core.sft.checkpoint import Reader, Rows
from s1core.sft.config import SFTConfig
from s1core.sft.encode import IGNORE, EncodedExample
from s1core.sft.export import save_model, save_tokenizer
from s1core.sft.group import Group
from s1core.sft.loss import summed_loss
from s1core.sft.optimizer import MOMENTS, build, local
from s1core.sft.pack import plan_step, row_capacity

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class StepStats:
    """What one optimizer step did, over all processes.

    Attributes:
        loss: mean cross-entropy per supervised token, nats.
        grad_norm: global gradient norm before clipping.
        tokens, supervised: tokens computed and tokens taught.
    """

    loss: float
    grad_norm: float
    tokens: int
    supervised: int


class PackedLM(nn.Module):
    """A causal language model whose forward is the summed loss of a packed row."""

    def __init__(self, lm: PreTrainedModel, config: SFTConfig, team: Any = None) -> None:
        super().__init__()
        self.lm = lm
        self.team = team
        self.kernel = config.loss_kernel
        self.chunk = config.loss_chunk_tokens

    def hidden(self, input_ids: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
        """Final hidden states [T, H] of a packed row of token ids [T].

        With a team, ids and states are this process's share and `lengths` those of the row.
        """
        base = self.lm.get_base_model() if hasattr(self.lm, "peft_config") else self.lm
        extra = attention.layout(lengths, input_ids.device, self.team)
        out = base.get_decoder()(input_ids=input_ids[None], use_cache=False, **extra)
        return out.last_hidden_state[0]

    def forward(
        self, input_ids: torch.Tensor, targets: torch.Tensor, lengths: tuple[int, ...]
    ) -> torch.Tensor:
        """Summed loss of token ids [T] against targets [T]."""
        hidden = self.hidden(input_ids, lengths)
        weight = self.lm.get_output_embeddings().weight
        return summed_loss(hidden, weight, targets, self.chunk, self.kernel)


class Engine:
    """A model in training: `step` it, take its state as `rows`, `restore` it, `export` it."""

    def __init__(self, model: PreTrainedModel, config: SFTConfig, group: Group) -> None:
        self.config, self.group = config, group
        self.model = model
        self._restore_attention = model.config._attn_implementation
        model.set_attn_implementation(attention.NAME)
        if config.activation_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        _check_team(model, config, group)
        self.packed = PackedLM(model, config, group.team(config.sequence_parallel)).train()
        if group.mesh is not None:
            _shard(self.packed, config, group.mesh)
        fused = group.mesh is None or group.device.type == "cuda"
        self.optimizer = build(self.named(), config, fused)

    def named(self) -> list[tuple[str, nn.Parameter]]:
        """The trained parameters under the names of the plain model."""
        named = self.packed.lm.named_parameters()
        return [(name, parameter) for name, parameter in named if parameter.requires_grad]

    def step(self, batch: Sequence[EncodedExample], lr: float, seed: int) -> StepStats:
        """One optimizer step on a global batch (the same on every process).

        A loss or gradient that is not finite leaves the weights as they are; the caller decides.
        """
        torch.manual_seed(seed)
        lengths = [len(example.token_ids) for example in batch]
        tokens, supervised = sum(lengths), sum(example.supervised for example in batch)
        size = self.config.sequence_parallel
        on_gpu = self.group.device.type == "cuda"
        wanted = self.config.micro_batch_tokens
        capacity = row_capacity(wanted, lengths, on_gpu=on_gpu, processes=size)
        plan = plan_step(lengths, capacity, self.group.size // size, self.config.packing)
        self.optimizer.zero_grad(set_to_none=True)
        summed = 0.0
        for row in plan[self.group.rank // size]:
            with self._precision():
                loss = self.packed(*self._tensors([batch[i] for i in row]))
            # Sharded gradients are averaged over processes; the sum is what is meant.
            (loss * (self.group.size / supervised)).backward()
            summed += float(loss.detach())
        loss = self.group.total(summed)[0] / supervised
        norm = float(self._clip())
        if torch.isfinite(torch.tensor([loss, norm])).all():
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
        return StepStats(loss, norm, tokens, supervised)

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
        return (
            torch.tensor(ids[mine], device=device),
            torch.tensor(targets[mine], device=device),
            tuple(lengths),
        )

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        alone = self.group.mesh is None  # when sharded, the mesh's policy sets the precision
        wanted = alone and self.config.dtype == "bfloat16"
        return torch.autocast(self.group.device.type, torch.bfloat16, enabled=wanted)

    def _clip(self) -> torch.Tensor:
        parameters = [parameter for _, parameter in self.named()]
        norm = nn.utils.clip_grad_norm_(parameters, self.config.max_grad_norm)
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm

    # ------------------------------------------------------------------------------ state

    def rows(self) -> Iterator[Rows]:
        """The rows of weights and moments that this process holds."""
        for name, parameter in self.named():
            start, total = own_rows(parameter, self.group)
            yield Rows(f"model/{name}", local(parameter), start, total)
            for moment in MOMENTS:
                if parameter in self.optimizer.state:
                    tensor = local(self.optimizer.state[parameter][moment])
                    yield Rows(f"{moment}/{name}", tensor, start, total)

    @torch.no_grad()
    def restore(self, reader: Reader, step: int) -> None:
        """Take weights and moments from a checkpoint made after `step` steps.

        Raises:
            InputError: the checkpoint is of another model.
        """
        mine = {f"model/{name}" for name, _ in self.named()}
        saved = {name for name in reader.names if name.startswith("model/")}
        if mine != saved:
            odd = sorted(mine ^ saved)
            raise InputError(
                f"the checkpoint is of another model: {len(odd)} tensors differ, such as {odd[0]}"
            )
        for name, parameter in self.named():
            start, _ = own_rows(parameter, self.group)
            stop = start + len(local(parameter))
            local(parameter).copy_(reader.rows(f"model/{name}", start, stop))
            state: dict[str, torch.Tensor] = {"step": torch.tensor(float(step))}
            if self.group.device.type == "cuda" and isinstance(self.optimizer, torch.optim.AdamW):
                state["step"] = state["step"].to(self.group.device)
            for moment in MOMENTS:
                dtype = getattr(torch, self.config.optimizer_dtype)
                state[moment] = torch.zeros_like(parameter, dtype=dtype)
                local(state[moment]).copy_(reader.rows(f"{moment}/{name}", start, stop))
            self.optimizer.state[parameter] = state

    def release(self) -> None:
        """Give the model back in the state in which it generates."""
        self.model.set_attn_implementation(self._restore_attention)
        if self.config.activation_checkpointing:
            self.model.gradient_checkpointing_disable()
        self.optimizer.zero_grad(set_to_none=True)
        self.model.eval()

    def export(self, folder: Path, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype) -> None:
        """Write the model as plain safetensors with its tokenizer, for transformers and vLLM."""
        lora = self.config.lora
        scale = lora.alpha / lora.rank if lora else None
        save_model(self.model, folder, dtype, self.group.first, scale)
        if self.group.first:
            save_tokenizer(tokenizer, folder)


def own_rows(parameter: torch.Tensor, group: Group) -> tuple[int, int]:
    """First row of the local part of a parameter, and the number of rows of the whole."""
    total = parameter.shape[0]
    if not hasattr(parameter, "to_local"):
        return 0, total
    return min(group.rank * -(-total // group.size), total), total


def fingerprint(named: Sequence[tuple[str, torch.Tensor]]) -> str:
    """sha256 over names, shapes and the ends of every tensor: enough to tell models apart."""
    digest = hashlib.sha256()
    for name, tensor in named:
        ends = torch.cat([tensor[0].flatten()[:16], tensor[-1].flatten()[-16:]])
        digest.update(repr((name, tuple(tensor.shape), ends.float().tolist())).encode())
    return digest.hexdigest()


def _shard(packed: PackedLM, config: SFTConfig, mesh: Any) -> None:
    """FSDP2: one unit per decoder layer, one for the rest (embeddings, norm, output matrix)."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    low = torch.bfloat16 if config.dtype == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32)
    base = packed.lm.get_base_model() if hasattr(packed.lm, "peft_config") else packed.lm
    for layer in base.get_decoder().layers:
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


def check_model(model: PreTrainedModel, longest: int) -> None:
    """Refuse examples that this model cannot attend over.

    Raises:
        InputError: the longest example exceeds the model's positions or its attention window.
    """
    positions = getattr(model.config, "max_position_embeddings", None) or longest
    if "sliding_attention" in (getattr(model.config, "layer_types", None) or ()):
        positions = min(positions, model.config.sliding_window or positions)
    if longest > positions:
        raise InputError(
            f"the longest example has {longest} tokens and the model attends over {positions}: "
            f"set max_seq_len to at most {positions}"
        )
