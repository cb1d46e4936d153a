"""Settings of a fine-tuning run. Nothing here imports torch."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_type_hints

from s1core.errors import InputError
from s1core.jsonl import typed

TooLong = Literal["truncate", "drop", "error"]

# How a run is carried out, not what it computes: a checkpoint may be resumed under other values of
# these (losses then agree to floating-point noise, not to the bit).
HOW_NOT_WHAT = frozenset(
    "packing micro_batch_tokens sequence_parallel loss_chunk_tokens activation_checkpointing "
    "checkpoint_every".split()
)


@dataclass(frozen=True, slots=True)
class SFTConfig:
    """How to fine-tune; the defaults are those of s1-32B (Section 4.1, Appendix D). InputError: a
    setting is of another type, or a number outside the range declared for it."""

    epochs: Annotated[int, 1, 10_000] = 5  # passes over the examples
    batch_size: Annotated[int, 1, 10**6] = 16  # examples per optimizer step, over all processes
    lr: Annotated[float, 1e-12, 1] = 1e-5  # peak learning rate
    warmup_ratio: Annotated[float, 0, 1] = 0.05  # share of the steps in which it rises from 0
    weight_decay: Annotated[float, 0, 1] = 1e-4  # of matrices; biases and norms are exempt
    betas: Annotated[tuple[float, float], 0, 0.999999] = (0.9, 0.95)  # AdamW
    eps: Annotated[float, 1e-20, 1] = 1e-8
    max_grad_norm: Annotated[float, 1e-12, 1e12] = 1.0  # global clip (the default of Trainer)
    max_seq_len: Annotated[int, 2, 1 << 24] = 32_768  # longest example, tokens (Table 8)
    on_too_long: TooLong = "truncate"  # what happens to a longer one
    template: str = "s1"  # which delimiters: a key of `s1core.templates.TEMPLATES`
    packing: bool = True  # several examples per forward pass; never changes the loss
    micro_batch_tokens: Annotated[int, 0, 1 << 24] = 0  # of a pass; 0: 8,192 on a GPU, 512 on a CPU
    # Processes that share each packed row, its tokens outside attention and its heads inside
    # (Ulysses). With the paper's 16 examples on 16, most wait for the longest; teams of 8 hardly.
    sequence_parallel: Annotated[int, 1, 1024] = 1
    seed: Annotated[int, 0, 2**32 - 1] = 0  # of the data's order (and dropout, if there is any)
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the matrix products; the paper's bf16
    loss_chunk_tokens: Annotated[int, 1, 1 << 24] = 2048  # tokens whose logits exist at one time
    activation_checkpointing: bool = False  # recompute each layer in the backward pass
    checkpoint_every: Annotated[int, 0, 10**9] = 0  # steps; 0 is once per epoch

    def __post_init__(self) -> None:
        if not (isinstance(self.betas, tuple) and len(self.betas) == 2):
            raise InputError(f"betas must be two numbers, not {self.betas!r:.40}")
        for name, declared in get_type_hints(SFTConfig, include_extras=True).items():
            typed(declared, getattr(self, name), name)

    def steps_per_epoch(self, examples: int) -> int:
        """Optimizer steps in one pass: 1,000 examples at batch 16 -> 63."""
        return -(-examples // self.batch_size)

    def total_steps(self, examples: int) -> int:
        """Optimizer steps of the run: 1,000 examples, 5 epochs, batch 16 -> 315 (Appendix D)."""
        return self.epochs * self.steps_per_epoch(examples)

    def lr_at(self, step: int, total: int) -> float:
        """Learning rate of optimizer step `step` (from 0): linear warm-up, then cosine to 0, as in
        transformers' `get_cosine_schedule_with_warmup`, which the paper's run used."""
        warmup = math.ceil(total * self.warmup_ratio)
        if step < warmup:
            return self.lr * step / max(1, warmup)
        progress = (step - warmup) / max(1, total - warmup)
        return self.lr * max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))

    def what(self) -> dict[str, Any]:
        """The settings that decide the result (for a run's identity)."""
        return {n: v for n, v in asdict(self).items() if n not in HOW_NOT_WHAT}
