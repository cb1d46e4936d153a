"""What only a GPU can show: the variable-length kernel, bf16 training, memory against the plan."""

from dataclasses import replace

import pytest
import torch

from s1core import sft
from s1core.sft import SFTConfig
from s1core.sft.attention import layout, packed_attention
from tests.helpers import save_tiny, tiny_tokenizer
from tests.test_sft_train import CONFIG, examples, losses, train

missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
pytestmark = [pytest.mark.gpu, missing]


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("kv_heads", [2, 8])
def test_the_variable_length_kernel_attends_like_one_call_per_example(kv_heads, window):
    lengths = (5, 130, 1, 64)
    extra = layout(lengths, torch.device("cuda"))
    del extra["position_ids"]
    extra["sliding_window"] = window
    torch.manual_seed(0)
    shapes = [(1, heads, sum(lengths), 64) for heads in (8, kv_heads, kv_heads)]
    states = [torch.randn(shape, device="cuda", dtype=torch.bfloat16) for shape in shapes]
    exact = [state.float() for state in states]
    fast, _ = packed_attention(torch.nn.Module(), *states, None, 0.125, **extra)
    plain, _ = packed_attention(torch.nn.Module(), *exact, None, 0.125, **extra)
    torch.testing.assert_close(fast.float(), plain, atol=2e-2, rtol=2e-2)


def test_bf16_with_checkpointing_follows_fp32(tmp_path):
    lean = replace(CONFIG, dtype="bfloat16", activation_checkpointing=True)
    given = save_tiny(tmp_path / "model"), tiny_tokenizer(), examples()
    here = train(*given, CONFIG, tmp_path / "cpu")
    there = sft.train(*given, lean, tmp_path / "gpu")
    assert losses(there) == pytest.approx(losses(here), rel=0.05)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_predicted_memory_is_within_ten_percent_of_the_measured_peak(checkpointing):
    from benchmarks.sft_gpu import train_a_while
    from s1core.sft.engine import join
    from s1lab.planning.shapes import ModelShape

    config = SFTConfig(dtype="bfloat16", max_seq_len=8192, micro_batch_tokens=8192)
    config = replace(config, activation_checkpointing=checkpointing)
    shape = ModelShape(12, 1024, 4096, 16, 4, 64_000, True)
    reading = train_a_while(shape, config, join("cuda"), rows=2, steps=3)
    assert reading.planned_bytes == pytest.approx(reading.peak_bytes, rel=0.1)
