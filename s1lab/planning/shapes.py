"""Shapes of decoder models, and what follows from them: parameters and FLOPs.

Counting is arithmetic on a handful of integers; no model is built and torch is not imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.errors import InputError


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of a Qwen2- or Llama-like decoder."""

    layers: int
    hidden: int
    intermediate: int  # width of the MLP
    heads: int
    kv_heads: int
    vocab: int  # rows of the embedding
    tied: bool  # the output matrix is the embedding
    head_size: int = 0  # 0: hidden / heads
    attention_bias: bool = True  # on query, key and value (Qwen2 has them)

    def __post_init__(self) -> None:
        if self.head_size == 0:
            object.__setattr__(self, "head_size", self.hidden // self.heads)

    @classmethod
    def of(cls, source: Any) -> ModelShape:
        """From a transformers config, a folder with `config.json`, or a name in `SHAPES`.

        Raises:
            InputError: none of these, or a config without the sizes of a decoder.
        """
        if isinstance(source, str) and source.split("/")[-1].removesuffix("-Instruct") in SHAPES:
            return SHAPES[source.split("/")[-1].removesuffix("-Instruct")]
        path = Path(source) / "config.json" if isinstance(source, str | Path) else None
        if path and not path.is_file():
            raise InputError(f"{source} is neither a model folder nor one of {', '.join(SHAPES)}")
        try:
            row = json.loads(path.read_text(encoding="utf-8")) if path else source.to_dict()
            return cls(
                layers=row["num_hidden_layers"],
                hidden=row["hidden_size"],
                intermediate=row["intermediate_size"],
                heads=row["num_attention_heads"],
                kv_heads=row.get("num_key_value_heads") or row["num_attention_heads"],
                vocab=row["vocab_size"],
                tied=bool(row.get("tie_word_embeddings")),
                head_size=row.get("head_dim") or 0,
                attention_bias=bool(row.get("attention_bias", row.get("model_type") == "qwen2")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
            raise InputError(
                f"{path or source} does not give a decoder's sizes: {error}"
            ) from error

    @property
    def layer_parameters(self) -> int:
        """Parameters of one decoder layer."""
        query = self.heads * self.head_size
        pair = 2 * self.kv_heads * self.head_size
        bias = query + pair if self.attention_bias else 0
        matrices = self.hidden * (2 * query + pair + 3 * self.intermediate)
        return matrices + bias + 2 * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters: `SHAPES["Qwen2.5-32B"].parameters -> 32_763_876_352`."""
        tables = self.vocab * self.hidden * (1 if self.tied else 2)
        return self.layers * self.layer_parameters + tables + self.hidden

    @property
    def matrix_parameters(self) -> int:
        """Parameters a token is multiplied with: all but the embedding it is looked up in."""
        return self.parameters - (0 if self.tied else self.vocab * self.hidden)

    def train_flops(self, lengths: Iterable[int]) -> float:
        """Model FLOPs to train once on sequences of these lengths.

        6 N per token (forward 2, backward 4), N being `matrix_parameters`, plus causal attention,
        6 * layers * heads * head size * n^2 per sequence of n tokens. Recomputation is not
        counted, so a share of peak made from this is "model FLOPs utilization".
        """
        per_pair = 6 * self.layers * self.heads * self.head_size
        return float(sum(6 * self.matrix_parameters * n + per_pair * n * n for n in lengths))


SHAPES: dict[str, ModelShape] = {
    "Qwen2.5-0.5B": ModelShape(24, 896, 4864, 14, 2, 151_936, True),
    "Qwen2.5-1.5B": ModelShape(28, 1536, 8960, 12, 2, 151_936, True),
    "Qwen2.5-3B": ModelShape(36, 2048, 11_008, 16, 2, 151_936, True),
    "Qwen2.5-7B": ModelShape(28, 3584, 18_944, 28, 4, 152_064, False),
    "Qwen2.5-14B": ModelShape(48, 5120, 13_824, 40, 8, 152_064, False),
    "Qwen2.5-32B": ModelShape(64, 5120, 27_648, 40, 8, 152_064, False),
    "Qwen2.5-72B": ModelShape(80, 8192, 29_568, 64, 8, 152_064, False),
}
