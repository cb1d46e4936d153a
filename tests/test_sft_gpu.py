"""What only a GPU can show: the variable-length kernel, bf16 training, memory against the plan."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s1core import sft
from s1core.sft import SFTConfig
from tests.test_sft_train import CONFIG, examples, losses, train

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def a_gpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("kv_heads", [2, 8])
def test_the_variable_length_kernel_attends_like_one_call_per_example(
    kv_heads: int, window: int | None
) -> None:
    import torch

    from s1core.sft.attention import layout, packed_attention

    lengths = (5, 130, 1, 64)
    extra = layout(lengths, torch.device("cuda"))
    del extra["position_ids"]
    extra["sliding_window"] = window
    torch.manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, sum(lengths), 64, device="cuda", dtype=torch.bfloat16)
        for heads in (8, kv_heads, kv_heads)
    )
    fast, _ = packed_attention(torch.nn.Module(), query, key, value, None, 0.125, **extra)
    plain, _ = packed_attention(
        torch.nn.Module(), query.float(), key.float(), value.float(), None, 0.125, **extra
    )
    assert fast.shape == plain.shape
    torch.testing.assert_close(fast.float(), plain, atol=2e-2, rtol=2e-2)


def test_bf16_with_checkpointing_follows_fp32(
    tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    lean = replace(CONFIG, dtype="bfloat16", activation_checkpointing=True)
    here = train(copy.deepcopy(tiny_model), tiny_tokenizer, examples(), CONFIG, tmp_path / "cpu")
    there = sft.train(copy.deepcopy(tiny_model), tiny_tokenizer, examples(), lean, tmp_path / "gpu")
    assert losses(there) == pytest.approx(losses(here), rel=0.05)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_predicted_memory_is_within_ten_percent_of_the_measured_peak(checkpointing: bool) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from benchmarks.sft_gpu import random_batch
    from s1core.sft.engine import Engine
    from s1core.sft.processes import join
    from s1lab.planning.sft_plan import memory
    from s1lab.planning.shapes import ModelShape

    config = SFTConfig(
        dtype="bfloat16",
        activation_checkpointing=checkpointing,
        micro_batch_tokens=8192,
        max_seq_len=8192,
    )
    with torch.device("cuda"):
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=64_000,
                hidden_size=1024,
                intermediate_size=4096,
                num_hidden_layers=12,
                num_attention_heads=16,
                num_key_value_heads=4,
                tie_word_embeddings=True,
            )
        )
    shape = ModelShape.of(model.config)
    engine = Engine(model, config, join("cuda"))
    batch = random_batch([4096] * 4, shape.vocab)
    engine.step(batch, 1e-5, seed=0)
    torch.cuda.reset_peak_memory_stats()
    engine.step(batch, 1e-5, seed=1)
    planned = memory(shape, config, 8192).total
    assert planned == pytest.approx(torch.cuda.max_memory_allocated(), rel=0.1)
