"""Settings of a fine-tuning run and the error that every part of `s1core.sft` raises.

The defaults are the paper's recipe (Section 4.1, Appendix D). Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from s1core.errors import InputError

TooLong = Literal["truncate", "drop", "error"]
Precision = Literal["float32", "bfloat16"]
LossKernel = Literal["chunked", "liger"]

# Settings that decide how a run is carried out but not what it computes: a checkpoint may be
# resumed under other values of these (losses then agree to floating-point noise, not to the bit).
HOW_NOT_WHAT = frozenset(
    {
        "packing",
        "micro_batch_tokens",
        "sequence_parallel",
        "loss_kernel",
        "loss_chunk_tokens",
        "activation_checkpointing",
        "checkpoint_every",
        "keep_checkpoints",
    }
)


@dataclass(frozen=True, slots=True)
class LoRA:
    """Low-rank adapters in place of full fine-tuning. **Not the paper's recipe.**

    The paper updates every weight. People who tried LoRA or small models with this recipe report
    no gain, or a model below its base; the option exists for machines that hold nothing larger.
    The final checkpoint has the adapters merged, so it loads like any other.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )


@dataclass(frozen=True, slots=True)
class SFTConfig:
    """How to fine-tune; the defaults are those of s1-32B (Section 4.1, Appendix D).

    Attributes:
        epochs: passes over the examples.
        batch_size: examples per optimizer step, over all processes and micro-batches.
        lr: peak learning rate.
        warmup_ratio: share of the steps in which the rate rises linearly from 0.
        weight_decay: decoupled decay of matrices (biases and norms are exempt, as in Trainer).
        betas, eps: AdamW moments.
        max_grad_norm: global gradient-norm clip (the default of transformers' Trainer).
        max_seq_len: longest example in tokens (the axis of Table 8).
        on_too_long: what happens to a longer one.
        template: which delimiters (a key of `s1core.templates.TEMPLATES`).
        packing: several examples per forward pass, or one at a time. Never changes the loss.
        micro_batch_tokens: most tokens in one forward pass (the longest example always fits);
            `None` takes 8,192 on a GPU and 512 on a CPU, where more only costs memory.
        sequence_parallel: processes that share each packed row, splitting its tokens outside
            attention and its heads inside (Ulysses). With one example per process, the paper's 16
            on 16, most processes wait for the longest example; teams of 8 hardly wait.
        seed: data order (and dropout, where a model has any).
        dtype: precision of the matrix products ("bfloat16" is the paper's).
        master_dtype: precision in which weights are kept and updated; "bfloat16" halves it and
            rounds stochastically, since at lr 1e-5 most updates are below a bf16 step.
        optimizer_dtype: precision of the two AdamW moments.
        loss_kernel: "chunked" (any device) or "liger" (the Liger kernel, GPU).
        loss_chunk_tokens: supervised tokens whose logits exist at one time.
        activation_checkpointing: recompute each layer in the backward pass.
        checkpoint_every: steps between checkpoints; 0 is once per epoch.
        keep_checkpoints: keep the last checkpoint when the run is finished.
        lora: train adapters only; labelled as not the paper's recipe.
    """

    epochs: int = 5
    batch_size: int = 16
    lr: float = 1e-5
    warmup_ratio: float = 0.05
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    max_grad_norm: float = 1.0
    max_seq_len: int = 32_768
    on_too_long: TooLong = "truncate"
    template: str = "s1"
    packing: bool = True
    micro_batch_tokens: int | None = None
    sequence_parallel: int = 1
    seed: int = 0
    dtype: Precision = "float32"
    master_dtype: Precision = "float32"
    optimizer_dtype: Precision = "float32"
    loss_kernel: LossKernel = "chunked"
    loss_chunk_tokens: int = 2048
    activation_checkpointing: bool = False
    checkpoint_every: int = 0
    keep_checkpoints: bool = False
    lora: LoRA | None = None

    def __post_init__(self) -> None:
        rules = (
            (self.epochs >= 1, "epochs must be at least 1"),
            (self.batch_size >= 1, "batch_size must be at least 1"),
            (self.lr > 0 and math.isfinite(self.lr), "lr must be a positive number"),
            (0 <= self.warmup_ratio <= 1, "warmup_ratio must lie between 0 and 1"),
            (self.max_seq_len >= 2, "max_seq_len must be at least 2 tokens"),
            (self.max_grad_norm > 0, "max_grad_norm must be positive"),
            (self.checkpoint_every >= 0, "checkpoint_every must not be negative"),
            (self.sequence_parallel >= 1, "sequence_parallel must be at least 1"),
            (self.loss_chunk_tokens >= 1, "loss_chunk_tokens must be at least 1"),
            (self.on_too_long in ("truncate", "drop", "error"), "unknown on_too_long"),
            *(
                (getattr(self, name) in ("float32", "bfloat16"), f"{name}: float32 or bfloat16")
                for name in ("dtype", "master_dtype", "optimizer_dtype")
            ),
            (self.loss_kernel in ("chunked", "liger"), "loss_kernel must be chunked or liger"),
        )
        for holds, message in rules:
            if not holds:
                raise InputError(f"{message} (SFTConfig)")

    @property
    def paper_recipe(self) -> bool:
        """Whether every setting that the paper states has the paper's value."""
        stated = ("epochs", "batch_size", "lr", "warmup_ratio", "weight_decay", "betas")
        default = SFTConfig()
        same = all(getattr(self, name) == getattr(default, name) for name in stated)
        return same and self.max_seq_len == default.max_seq_len and self.lora is None

    def steps_per_epoch(self, examples: int) -> int:
        """Optimizer steps in one pass: 1,000 examples at batch 16 -> 63."""
        return -(-examples // self.batch_size)

    def total_steps(self, examples: int) -> int:
        """Optimizer steps of the run: 1,000 examples, 5 epochs, batch 16 -> 315 (Appendix D)."""
        return self.epochs * self.steps_per_epoch(examples)

    def lr_at(self, step: int, total: int) -> float:
        """Learning rate of optimizer step `step` (from 0): linear warm-up, then cosine to 0.

        The formula, and so the zero rate of the very first step, is that of transformers'
        `get_cosine_schedule_with_warmup`, which the paper's run used.
        """
        warmup = math.ceil(total * self.warmup_ratio)
        if step < warmup:
            return self.lr * step / max(1, warmup)
        progress = (step - warmup) / max(1, total - warmup)
        return self.lr * max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))

    def what(self) -> dict[str, object]:
        """The settings that decide the result, as JSON-ready values (for a run's identity)."""
        row = dataclasses.asdict(self)
        row["betas"] = list(self.betas)
        if self.lora is not None:
            row["lora"]["target_modules"] = list(self.lora.target_modules)
        return {name: value for name, value in row.items() if name not in HOW_NOT_WHAT}
