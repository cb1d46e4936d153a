"""A fine-tuned checkpoint is the same model to transformers and to vLLM.

vLLM has an environment of its own: `VLLM_ENABLE_V1_MULTIPROCESSING=0 python -m pytest -m vllm
tests/test_sft_vllm.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; see the module's docstring")

from tests.test_sft_train import CONFIG, examples, train  # noqa: E402

pytestmark = pytest.mark.vllm


def test_the_final_model_generates_the_same_greedy_tokens_in_both(
    tiny_tokenizer: Any, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM
    from vllm import LLM, SamplingParams, TokensPrompt

    from s1core import templates

    torch.manual_seed(0)
    shape = Qwen2Config(
        vocab_size=len(tiny_tokenizer) + 24,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tiny_tokenizer.eos_token_id,
    )
    result = train(Qwen2ForCausalLM(shape), tiny_tokenizer, examples(), CONFIG, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(result.path)
    prompts = [templates.prompt_ids("s1", tokenizer, f"Use {i} 7") for i in range(4)]
    model = AutoModelForCausalLM.from_pretrained(result.path, dtype=torch.float32)
    expected = [
        model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0, len(ids) :]
        for ids in prompts
    ]
    engine = LLM(
        str(result.path),
        dtype="float32",
        enforce_eager=True,
        max_model_len=512,
        block_size=32,
        kv_cache_memory_bytes=64 << 20,
    )
    outputs = engine.generate(
        [TokensPrompt(prompt_token_ids=ids) for ids in prompts],
        SamplingParams(temperature=0, max_tokens=40),
        use_tqdm=False,
    )
    for ids, output in zip(expected, outputs, strict=True):
        assert list(output.outputs[0].token_ids) == ids.tolist()
    text = "Use 3 7 make\n<|im_end|>"
    assert engine.get_tokenizer().encode(text) == tokenizer.encode(text)
