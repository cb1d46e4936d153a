"""Batched rows equal what transformers computes for each row alone, or the model is refused: over
every family that people fine-tune, with both kinds of attention."""

from typing import Any

import pytest
import torch
import transformers

from s1core import architectures
from s1core.architectures import check_twin
from s1core.backends import SamplingParams, hf
from s1core.backends.hf import HFBackend, check_attention
from s1core.errors import InputError
from tests.helpers import rows, tiny_tokenizer

SETTINGS = {line["name"]: line["settings"] for line in rows("architectures.jsonl")}
REFUSED = ["Bloom", "Mamba", "Jamba"]
SUPPORTED = [name for name in SETTINGS if name not in REFUSED]


def build(name: str, attention: str = "eager", **other: Any) -> Any:
    kind = "Gemma3Text" if name == "Gemma3" else name
    config = getattr(transformers, kind + "Config")(**{**SETTINGS[name], **other})
    make = getattr(transformers, name + "ForCausalLM")._from_config
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = make(config, attn_implementation=attention)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.float().eval()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", SUPPORTED)
def test_a_batch_of_rows_gives_the_tokens_of_each_row_alone(name, attention):
    model = build(name, attention)
    backend = HFBackend(model, tiny_tokenizer())
    prompts = [list(range(5, 5 + n)) for n in (2, 9, 14)]
    made = backend.complete(prompts, [SamplingParams(max_tokens=8)] * 3)
    for prompt, completion in zip(prompts, made, strict=True):
        ids = torch.tensor([[*prompt, *completion.token_ids]])
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
        if backend._unknown is not None:
            logits = logits.masked_fill(backend._unknown, -torch.inf)
        assert logits.argmax(-1).tolist() == list(completion.token_ids)


@pytest.mark.parametrize("name", REFUSED)
def test_what_batches_would_change_is_refused_in_a_sentence(name):
    model = build(name)
    with pytest.raises(InputError, match="use the vllm or completions backend") as error:
        HFBackend(model, tiny_tokenizer())
    assert name.lower() in str(error.value) and "\n" not in str(error.value)


BROKEN = [(name, "windows") for name in ("Mistral", "Mixtral", "Phi3", "Starcoder2", "Gemma2")]
BROKEN += [(name, "attention_mask") for name in ("Llama", "Qwen2", "Granite", "GPTNeoX")]


@pytest.mark.parametrize(("name", "broken"), BROKEN)
def test_the_comparison_sees_a_lost_window_and_a_mask_of_truth_values(monkeypatch, name, broken):
    """As it was: the mask without a window, and true and false added to the attention's logits."""
    whole = {"windows": lambda config: {"": None}, "attention_mask": lambda real, *_: real}
    monkeypatch.setattr(hf, broken, whole[broken])
    monkeypatch.setattr(architectures, "_checked", set())
    with pytest.raises(InputError, match="would not be as in transformers"):
        check_attention(build(name))


def test_rope_that_changes_with_length_ends_the_context_and_other_masks_are_refused():
    model = build("Llama")
    model.config._attn_implementation = "flex_attention"
    with pytest.raises(InputError, match="sdpa or eager attention"):
        check_attention(model)
    scaling = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 40}
    scaling |= {"short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
    model = build("Phi3", rope_parameters=scaling, original_max_position_embeddings=40)
    assert HFBackend(model, tiny_tokenizer()).context_length == 40


def test_a_comparison_is_made_once_for_the_same_settings_on_a_small_twin_of_the_model():
    made: list[Any] = []
    for eps in (1e-6, 1e-6, 0.1, 1e-6):
        model, state = build("Gemma2", rms_norm_eps=eps), torch.random.get_rng_state()
        check_twin(model, "counting {}", lambda twin: not made.append(twin), "")
        assert torch.equal(state, torch.random.get_rng_state())
    assert [twin.config.rms_norm_eps for twin in made] == [1e-6, 0.1]
    assert type(made[0]) is type(model) and sum(p.numel() for p in made[0].parameters()) < 2e6
    assert set(made[0].config.layer_types) == set(model.config.layer_types)
