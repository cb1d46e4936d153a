"""Shapes of decoder models, and what follows from them by arithmetic: parameters and FLOPs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.checkpoints import locate, split_revision
from s1core.errors import InputError, explained
from s1lab import packaged

_NAMES = {
    "layers": "num_hidden_layers", "hidden": "hidden_size", "intermediate": "intermediate_size",
    "heads": "num_attention_heads", "kv_heads": "num_key_value_heads", "vocab": "vocab_size",
    "tied": "tie_word_embeddings",
}  # fmt: skip
"""Our names for the sizes, and those of a transformers configuration."""


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
        object.__setattr__(self, "head_size", self.head_size or self.hidden // self.heads)

    def settings(self) -> dict[str, Any]:
        """The sizes as a Qwen2 configuration of transformers has them."""
        return {theirs: getattr(self, ours) for ours, theirs in _NAMES.items()}

    @property
    def cache_bytes(self) -> int:
        """Bytes of one token's keys and values, in bf16."""
        return 4 * self.layers * self.kv_heads * self.head_size

    @property
    def layer_parameters(self) -> int:
        """Parameters of one decoder layer."""
        query, pair = self.heads * self.head_size, 2 * self.kv_heads * self.head_size
        bias = query + pair if self.attention_bias else 0
        return self.hidden * (2 * query + pair + 3 * self.intermediate + 2) + bias

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
        """Model FLOPs to train once on sequences of these lengths: 6 N per token (forward 2,
        backward 4), N being `matrix_parameters`, plus causal attention, 6 * layers * heads * head
        size * n^2 per sequence of n tokens. Recomputation is not counted."""
        per_pair = 6 * self.layers * self.heads * self.head_size
        return float(sum(6 * self.matrix_parameters * n + per_pair * n * n for n in lengths))


SHAPES = {name: ModelShape(**row) for name, row in packaged("planning/shapes.json").items()}


def shape_of(model: str | Path) -> ModelShape:
    """The sizes of a model, by its name where that is in `SHAPES` (s1 checkpoints have those of
    Qwen2.5-32B), else by its `config.json`. InputError: there is none at hand, or it has not the
    sizes of a decoder."""
    name, _ = split_revision(str(model))
    name = "Qwen2.5-32B" if name.startswith("simplescaling/s1") else name
    if known := SHAPES.get(name.split("/")[-1].removesuffix("-Instruct")):
        return known
    path = Path(locate(model), "config.json")
    if not path.is_file():
        raise InputError(f"{model} is neither a model folder nor one of {', '.join(SHAPES)}")
    with explained(f"{path} does not give a decoder's sizes"):
        row = json.loads(path.read_text(encoding="utf-8"))
        usual = {"num_key_value_heads": row["num_attention_heads"], "head_dim": 0}
        usual["attention_bias"] = row.get("model_type") == "qwen2"
        usual["tie_word_embeddings"] = False
        row = usual | {name: value for name, value in row.items() if value is not None}
        sizes = {ours: row[theirs] for ours, theirs in _NAMES.items()}
        return ModelShape(**sizes, head_size=row["head_dim"], attention_bias=row["attention_bias"])
