"""Settings of a fine-tuning run; the defaults are the paper's (Section 4.1, Appendix D).

Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_type_hints

from s1core.errors import InputError

TooLong = Literal["truncate", "drop", "error"]

# Settings that decide how a run is carried out but not what it computes: a checkpoint may be
# resumed under other values of these (losses then agree to floating-point noise, not to the bit).
HOW_NOT_WHAT = frozenset(
    "packing micro_batch_tokens sequence_parallel loss_chunk_tokens activation_checkpointing "
    "checkpoint_every".split()
)


@dataclass(frozen=True, slots=True)
class SFTConfig:
    """How to fine-tune; the defaults are those of s1-32B (Section 4.1, Appendix D).

    Raises:
        InputError: a setting is of another type, or a number outside the range declared for it.
    """

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
    # Most tokens in one forward pass (the longest example always fits); 0 takes 8,192 on a GPU
    # and 512 on a CPU, where more only costs memory.
    micro_batch_tokens: Annotated[int, 0, 1 << 24] = 0
    # Processes that share each packed row, splitting its tokens outside attention and its heads
    # inside (Ulysses). With one example per process, the paper's 16 on 16, most processes wait
    # for the longest example; teams of 8 hardly wait.
    sequence_parallel: Annotated[int, 1, 1024] = 1
    seed: Annotated[int, 0, 2**32 - 1] = 0  # of the data's order (and dropout, if there is any)
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the matrix products; the paper's bf16
    loss_chunk_tokens: Annotated[int, 1, 1 << 24] = 2048  # tokens whose logits exist at one time
    activation_checkpointing: bool = False  # recompute each layer in the backward pass
    checkpoint_every: Annotated[int, 0, 10**9] = 0  # steps; 0 is once per epoch

    def __post_init__(self) -> None:
        for name, hint in _hints().items():
            value = getattr(self, name)
            kind, *limits = get_args(hint) or (hint,)
            if not limits:
                fits, wanted = isinstance(value, kind), "true or false" if kind is bool else "text"
            elif isinstance(kind, str):  # a Literal
                fits, wanted = value in (kind, *limits), " or ".join((kind, *limits))
            else:
                values = value if isinstance(value, tuple) else (value,)
                number = Integral if kind is int else Real
                fits = len(values) == (1 if kind in (int, float) else 2) and all(
                    isinstance(v, number)
                    and not isinstance(v, bool)
                    and limits[0] <= v <= limits[1]
                    for v in values
                )
                noun = {int: "a whole number", float: "a number"}.get(kind, "two numbers")
                wanted = f"{noun} from {limits[0]:g} to {limits[1]:g}"
            if not fits:
                scalar = isinstance(value, str | Real | tuple) or value is None
                shown = repr(value)[:40] if scalar else f"a {type(value).__name__}"
                raise InputError(f"{name} must be {wanted}, not {shown} (SFTConfig)")

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

    def what(self) -> dict[str, Any]:
        """The settings that decide the result (for a run's identity)."""
        row = dataclasses.asdict(self)
        return {name: value for name, value in row.items() if name not in HOW_NOT_WHAT}


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(SFTConfig, include_extras=True)
