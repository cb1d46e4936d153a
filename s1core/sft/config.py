"""Settings of a fine-tuning run; the defaults are the paper's (Section 4.1, Appendix D).

Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from s1core.errors import InputError

TooLong = Literal["truncate", "drop", "error"]
Precision = Literal["float32", "bfloat16"]

# Settings that decide how a run is carried out but not what it computes: a checkpoint may be
# resumed under other values of these (losses then agree to floating-point noise, not to the bit).
HOW_NOT_WHAT = frozenset(
    {
        "packing",
        "micro_batch_tokens",
        "sequence_parallel",
        "loss_chunk_tokens",
        "activation_checkpointing",
        "checkpoint_every",
    }
)

WHOLE = {
    "epochs": (1, 10_000),
    "batch_size": (1, 1_000_000),
    "max_seq_len": (2, 1 << 24),
    "micro_batch_tokens": (1, 1 << 24),
    "sequence_parallel": (1, 1024),
    "seed": (0, 2**32 - 1),
    "loss_chunk_tokens": (1, 1 << 24),
    "checkpoint_every": (0, 10**9),
}
REAL = {
    "lr": (1e-12, 1.0),
    "warmup_ratio": (0.0, 1.0),
    "weight_decay": (0.0, 1.0),
    "eps": (1e-20, 1.0),
    "max_grad_norm": (1e-12, 1e12),
}
CHOICES = {"on_too_long": ("truncate", "drop", "error"), "dtype": ("float32", "bfloat16")}


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
        loss_chunk_tokens: supervised tokens whose logits exist at one time.
        activation_checkpointing: recompute each layer in the backward pass.
        checkpoint_every: steps between checkpoints; 0 is once per epoch.

    Raises:
        InputError: a setting is of another type or outside its range.
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
    loss_chunk_tokens: int = 2048
    activation_checkpointing: bool = False
    checkpoint_every: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in WHOLE.items():
            value = getattr(self, name)
            if name != "micro_batch_tokens" or value is not None:
                _check(name, value, low, high, Integral)
        for name, (low, high) in REAL.items():
            _check(name, getattr(self, name), low, high, Real)
        if not isinstance(self.betas, tuple) or len(self.betas) != 2:
            raise InputError(f"betas must be two numbers, not {self.betas!r} (SFTConfig)")
        for beta in self.betas:
            _check("betas", beta, 0.0, 0.999999, Real)
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} must be {' or '.join(known)}, not {getattr(self, name)!r} (SFTConfig)"
                )
        for name in ("packing", "activation_checkpointing"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(
                    f"{name} must be true or false, not {getattr(self, name)!r} (SFTConfig)"
                )

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
        """The settings that decide the result (for a run's identity)."""
        row = dataclasses.asdict(self)
        return {name: value for name, value in row.items() if name not in HOW_NOT_WHAT}


def _check(name: str, value: object, low: float, high: float, kind: type) -> None:
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or not low <= value <= high:  # type: ignore[operator] - a number, if it fits
        noun = "a whole number" if kind is Integral else "a number"
        shown = repr(value)[:40]
        raise InputError(f"{name} must be {noun} from {low:g} to {high:g}, not {shown} (SFTConfig)")
