"""A plain word before the money is spent: where others have not gained from this recipe.

Each sentence names the report it rests on. They are reports by users of the paper's code, not
measurements of ours.
"""

from __future__ import annotations

from s1core.sft.config import SFTConfig
from s1lab.planning.shapes import ModelShape

SMALL = 8e9
"""Parameters up to which users report no gain (0.5B to 7B in simplescaling/s1#115)."""

SHORT = 20_000
"""The sequence length below which the authors advise against training on s1K-1.1."""


def caveats(shape: ModelShape, config: SFTConfig) -> list[str]:
    """What to know before fine-tuning this model in this way; empty for the paper's own run."""
    words = []
    if shape.parameters < SMALL:
        words.append(
            f"This model has {shape.parameters / 1e9:.1f}B parameters. Users who trained Qwen2.5 "
            "models of 0.5B to 7B with this recipe report no gain, or a loss "
            "(simplescaling/s1#115)."
        )
    if config.lora is not None:
        words.append(
            "LoRA is not the paper's recipe. A user who trained a 7B model with it reports results "
            "below the base model although the loss fell (simplescaling/s1#132)."
        )
    if config.max_seq_len < SHORT:
        words.append(
            f"At {config.max_seq_len} tokens longer examples lose their answer, and Table 8 shows "
            "what follows: longer thinking, lower accuracy. s1K fits in 9,109 tokens of Qwen2.5's "
            "tokenizer, s1K-1.1 does not; its authors advise 20,000 or more (simplescaling/s1#115)."
        )
    return words
