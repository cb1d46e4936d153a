"""Counting before running: parameters, FLOPs, memory, money."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s1core.errors import InputError
from s1core.sft import SFTConfig
from s1lab.planning.sft_plan import H100, memory, paper_arithmetic, plan
from s1lab.planning.shapes import SHAPES, ModelShape


def test_parameters_are_those_of_the_model_that_transformers_builds(tiny_model: Any) -> None:
    shape = ModelShape.of(tiny_model.config)
    assert shape.parameters == sum(p.numel() for p in tiny_model.parameters())
    assert shape.matrix_parameters == shape.parameters  # tied: the embedding is multiplied with


@pytest.mark.parametrize(
    "name, billions", [("0.5B", 0.494), ("1.5B", 1.544), ("7B", 7.616), ("32B", 32.764)]
)
def test_shapes_have_the_sizes_on_the_model_cards(name: str, billions: float) -> None:
    assert SHAPES[f"Qwen2.5-{name}"].parameters / 1e9 == pytest.approx(billions, abs=5e-4)
    assert ModelShape.of(f"Qwen/Qwen2.5-{name}-Instruct") is SHAPES[f"Qwen2.5-{name}"]


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="neither a model folder nor one of Qwen2.5-0.5B"):
        ModelShape.of("nowhere/nothing")


@pytest.mark.parametrize(
    "config", ["", "{", "[]", "{}", '{"hidden_size": 8}', '{"hidden_size": []}']
)
def test_a_config_without_a_decoders_sizes_is_refused(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match="does not give a decoder's sizes"):
        ModelShape.of(tmp_path)


def test_flops_are_those_that_torch_counts(tiny_model: Any) -> None:
    """The oracle counts every product; torch's attention counts the masked half as well."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.arange(64)[None]
    counter = FlopCounterMode(display=False)
    with counter:
        tiny_model(input_ids=ids, labels=ids).loss.backward()
    tiny_model.zero_grad()
    shape = ModelShape.of(tiny_model.config)
    matrices = shape.train_flops([64]) - shape.layers * 6 * 32 * 64**2
    vectors = 6 * 64 * (shape.layers * (2 * 32 + 32 + 2 * 16) + 32)  # norms and biases
    counted = counter.get_flop_counts()["Global"]
    products = sum(n for op, n in counted.items() if "attention" not in str(op))
    assert products == pytest.approx(matrices - vectors, rel=0.01)


def test_the_papers_cost_works_out() -> None:
    rows = {row.what: row.value for row in paper_arithmetic()}
    assert rows["s1K on 16 H100 for 26 minutes"] == pytest.approx(7, abs=0.1)
    assert rows["59K pool over s1K"] == pytest.approx(56.3, abs=0.1)
    assert rows["rate per GPU"] == pytest.approx(200, rel=0.1)
    assert rows["share of the bf16 peak"] == pytest.approx(0.2, abs=0.02)
    assert rows["H100-hour price behind $6"] < 1 < rows["H100-hour price behind $20"]


def test_a_plan_takes_its_flops_at_the_expected_share_of_the_peak() -> None:
    shape, lengths = SHAPES["Qwen2.5-32B"], [4700] * 1000
    made = plan(shape, lengths, SFTConfig(dtype="bfloat16"), processes=16)
    assert made.steps == 315
    assert made.balance == pytest.approx(125 / 126)  # the last batch of an epoch has 8 of 16
    rate = 5 * shape.train_flops(lengths) / (made.wall_hours * 3600 * 16)
    assert rate == pytest.approx(H100.peak_flops * H100.share * made.balance)
    assert made.device_hours == pytest.approx(16 * made.wall_hours)


def test_what_cannot_fit_is_refused_with_the_part_that_is_too_large() -> None:
    config = SFTConfig(dtype="bfloat16", activation_checkpointing=True)
    lengths = [4700] * 999 + [26_000]
    one = plan(SHAPES["Qwen2.5-32B"], lengths, config, processes=1)
    with pytest.raises(InputError, match="offers 80: moments take 262 GB; use more processes"):
        one.refuse_unless_it_fits(H100)
    plain = replace(config, activation_checkpointing=False, micro_batch_tokens=26_000)
    assert one.balance == 1
    with pytest.raises(InputError, match="activations take .*set activation_checkpointing"):
        plan(SHAPES["Qwen2.5-32B"], lengths, plain, processes=16).refuse_unless_it_fits(H100)
    more = replace(config, micro_batch_tokens=26_000)
    plan(SHAPES["Qwen2.5-32B"], lengths, more, processes=32).refuse_unless_it_fits(H100)


def test_one_example_per_process_waits_for_the_longest() -> None:
    import numpy as np

    lengths = np.random.default_rng(0).lognormal(8.3, 0.6, 1000).clip(500, 26_000).astype(int)
    shape, config = SHAPES["Qwen2.5-32B"], SFTConfig(dtype="bfloat16", max_seq_len=26_000)
    balances = [plan(shape, lengths.tolist(), config, processes=n).balance for n in (1, 4, 8, 16)]
    assert balances == sorted(balances, reverse=True)
    assert balances[0] == 1
    assert balances[-1] < 0.5
    teams = replace(config, sequence_parallel=8)
    assert plan(shape, lengths.tolist(), teams, processes=16).balance > 0.95


def test_more_processes_never_need_more_memory_each() -> None:
    shape, config = SHAPES["Qwen2.5-7B"], SFTConfig(dtype="bfloat16")
    totals = [memory(shape, config, 8192, processes=n).total for n in (1, 2, 8)]
    assert totals == sorted(totals, reverse=True)
