"""A fine-tuned checkpoint is the same model to transformers and to vLLM.

vLLM has an environment of its own: `VLLM_ENABLE_V1_MULTIPROCESSING=0 python -m pytest -m vllm
tests/test_sft_vllm.py`.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; see the module's docstring")

from s1core import templates
from s1core.backends import SamplingParams
from s1core.backends.hf import HFBackend
from s1core.backends.vllm import VLLMBackend
from tests.helpers import tiny_model, tiny_tokenizer
from tests.test_sft_train import CONFIG, examples, train
from tests.test_vllm import CPU

pytestmark = pytest.mark.vllm


def test_the_final_model_generates_the_same_greedy_tokens_in_both(tmp_path: Path) -> None:
    model, tokenizer = copy.deepcopy(tiny_model(hidden=128)), tiny_tokenizer()
    path = train(model, tokenizer, examples(), CONFIG, tmp_path).path
    prompts = [templates.prompt_ids("s1", tokenizer, f"Use {i} 7") for i in range(4)]
    vllm = VLLMBackend.from_pretrained(path, max_model_len=512, **CPU)
    ours, theirs = (
        backend.complete(prompts, [SamplingParams(40)] * 4)
        for backend in (HFBackend.from_pretrained(path, dtype="float32"), vllm)
    )
    assert ours == theirs
    text = "Use 3 7 make\n<|im_end|>"
    assert vllm.llm.get_tokenizer().encode(text) == tokenizer.encode(text)
