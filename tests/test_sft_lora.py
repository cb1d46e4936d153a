"""LoRA, an option that is not the paper's recipe: adapters train, the base does not."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s1core.errors import InputError
from s1core.sft import LoRA, SFTConfig, encode
from tests.test_sft_train import CONFIG, examples, losses, stopped, train

LOW_RANK = replace(CONFIG, lora=LoRA(rank=4, alpha=8))


def test_it_is_labelled_as_not_the_papers_recipe() -> None:
    assert not SFTConfig(lora=LoRA()).paper_recipe
    assert "Not the paper's recipe" in (LoRA.__doc__ or "")


def test_without_peft_it_is_refused_by_name(
    tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match="needs the package peft"):
        train(copy.deepcopy(tiny_model), tiny_tokenizer, examples(), LOW_RANK, tmp_path)


def test_the_merged_model_is_plain_and_computes_what_base_and_adapters_do(
    tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="LoRA needs peft")
    import torch
    from transformers import AutoModelForCausalLM

    trained = copy.deepcopy(tiny_model)
    result = train(trained, tiny_tokenizer, examples(), LOW_RANK, tmp_path)
    assert losses(result)[-1] < losses(result)[0]
    loaded = AutoModelForCausalLM.from_pretrained(result.path)
    assert [name for name, _ in loaded.named_parameters()] == [
        name for name, _ in tiny_model.named_parameters()
    ]
    ids = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, trained(ids).logits, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(loaded(ids).logits, tiny_model(ids).logits, atol=1e-2)
    embedding = loaded.get_input_embeddings().weight
    assert torch.equal(embedding, tiny_model.get_input_embeddings().weight)


def test_a_stopped_run_resumes_to_the_same_losses(
    tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="LoRA needs peft")
    rows = encode(examples(), tiny_tokenizer, max_seq_len=128)
    whole = train(copy.deepcopy(tiny_model), tiny_tokenizer, rows, LOW_RANK, tmp_path / "whole")
    stopped(copy.deepcopy(tiny_model), tiny_tokenizer, rows, tmp_path / "cut", 3, LOW_RANK)
    resumed = train(copy.deepcopy(tiny_model), tiny_tokenizer, rows, LOW_RANK, tmp_path / "cut")
    assert resumed.resumed_from == 2
    assert losses(resumed) == losses(whole)
