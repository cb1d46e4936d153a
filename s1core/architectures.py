"""Whether batched decoding, packed rows or the fused loss change what a model computes: compared
with plain transformers on a tiny random twin of it, in milliseconds, once per process."""

import copy
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from s1core.errors import InputError, explained

_SMALL = {"vocab_size": 61, "intermediate_size": 64, "ffn_hidden_size": 64}
_SMALL |= {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
_SMALL |= {"num_attention_heads": 4, "sliding_window": 5}  # shorter than the rows compared
_UNSET = {"pad_token_id", "bos_token_id", "eos_token_id", "quantization_config"}
_checked: set[str] = set()


def check_twin(
    model: PreTrainedModel, what: str, same: Callable[[PreTrainedModel], bool], advice: str
) -> None:
    """InputError for a model on whose twin `same` fails: `what`, "{}" its kind, and `advice`."""
    config = model.config
    key = f"{what} {type(model)} {config._attn_implementation} {config.to_json_string()}"
    if key in _checked:
        return
    what = f"{what.format(config.model_type)} would not be as in transformers"
    with explained(f"{what}; {advice}"):  # whatever an architecture that is made otherwise raises
        if not same(tiny_twin(model)):
            raise InputError(f"{what} (the numbers differ); {advice}")
    _checked.add(key)


def tiny_twin(model: PreTrainedModel) -> PreTrainedModel:
    """A random fp32 model on the CPU: same class, settings, kinds of layers and size of heads, but
    few layers and four heads. Global random numbers are left as they were."""
    config = copy.deepcopy(model.config)
    heads, count = config.num_attention_heads, config.num_hidden_layers
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    lists = {k: v for k, v in vars(config).items() if isinstance(v, list) and len(v) == count}
    kinds = list(zip(*lists.values(), strict=True)) or [()] * count
    layers = sorted({kinds.index(kind) for kind in kinds})
    layers = layers if len(layers) > 1 else [0, count - 1]
    experts = max(4, getattr(config, "num_experts_per_tok", None) or 0)
    small = {name: [value[layer] for layer in layers] for name, value in lists.items()} | _SMALL
    small |= {"num_local_experts": experts, "num_experts": experts}
    small |= {"num_hidden_layers": len(layers), "hidden_size": 4 * size}
    for name in ("num_key_value_heads", "num_kv_heads"):
        pairs = getattr(config, name, None)
        small[name] = 4 if pairs == heads else min(pairs or 0, 2)
    small |= dict.fromkeys(_UNSET & vars(config).keys())
    for name, value in small.items():
        if getattr(config, name, None) or value is None:
            setattr(config, name, value)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        twin = type(model)(config).float().eval()
        for parameter in twin.parameters():
            # Wide enough that a wrong mask or scale shows in the logits.
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return twin
