"""Tiny random models of a loaded architecture, to compare a shortcut with plain transformers.

Batched decoding, packed rows and the fused loss each pass by a part of the model's own forward.
Whether that part does something in this architecture, under these settings, is not read from names:
a tiny twin is built once per process, and both ways are computed on it in milliseconds.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VOCABULARY, WINDOW = 61, 5
"""Of every tiny twin; a window, where the model has one, is shorter than the rows compared."""


def signature(model: PreTrainedModel) -> str:
    """What a comparison depends on, so that it is made once: architecture, settings, attention."""
    config = model.config
    return f"{type(model).__qualname__} {config._attn_implementation} {config.to_json_string()}"


def tiny_twin(model: PreTrainedModel) -> PreTrainedModel:
    """A random fp32 model on the CPU: same class and settings, a few layers of four heads.

    Every kind of layer that the model has is there, heads keep their size, and global random
    numbers are left as they were.

    Raises:
        Exception: of any type, where the architecture cannot be built this small.
    """
    import torch

    config = copy.deepcopy(model.config)
    _shrink(config)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        twin = type(model)(config).float().eval()
        for parameter in twin.parameters():
            # Wide enough that a wrong mask or scale shows in the logits.
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return twin


def _shrink(config: Any) -> None:
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    layers = _kept_layers(config)
    for name, value in list(vars(config).items()):
        if isinstance(value, (list, tuple)) and len(value) == config.num_hidden_layers:
            setattr(config, name, [value[layer] for layer in layers])
    config.num_hidden_layers = len(layers)
    config.num_attention_heads, config.hidden_size = 4, 4 * size
    for name in ("num_key_value_heads", "num_kv_heads"):
        if (pairs := getattr(config, name, None)) is not None:
            setattr(config, name, 4 if pairs == heads else min(pairs, 2))
    experts = max(4, getattr(config, "num_experts_per_tok", None) or 0)
    for name, value in {
        "vocab_size": VOCABULARY,
        "intermediate_size": 64,
        "ffn_hidden_size": 64,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
        "num_local_experts": experts,
        "num_experts": experts,
        "sliding_window": WINDOW,
    }.items():
        if getattr(config, name, None):
            setattr(config, name, value)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "quantization_config"):
        if hasattr(config, name):
            setattr(config, name, None)


def _kept_layers(config: Any) -> list[int]:
    """The first layer of each kind, at least two in all."""
    count = config.num_hidden_layers
    per_layer = [
        v for v in vars(config).values() if isinstance(v, (list, tuple)) and len(v) == count
    ]
    kinds = [tuple(map(repr, kind)) for kind in zip(*per_layer)] or [()] * count
    first = {kind: layer for layer, kind in reversed(list(enumerate(kinds)))}
    kept = sorted(first.values())
    return kept if len(kept) > 1 else [0, count - 1]
