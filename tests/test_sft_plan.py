"""Counting before running: parameters, FLOPs, memory, money."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s1core.errors import InputError
from s1core.sft import SFTConfig
from s1lab.planning.sft_plan import H100, memory, paper_arithmetic, plan
from s1lab.planning.shapes import SHAPES, ModelShape

LARGE, BF16 = SHAPES["Qwen2.5-32B"], SFTConfig(dtype="bfloat16")


@pytest.mark.parametrize("name, billions", [("0.5B", 0.494), ("7B", 7.616), ("32B", 32.764)])
def test_shapes_have_the_sizes_on_the_model_cards(name: str, billions: float) -> None:
    assert SHAPES[f"Qwen2.5-{name}"].parameters / 1e9 == pytest.approx(billions, abs=5e-4)
    assert ModelShape.of(f"Qwen/Qwen2.5-{name}-Instruct") is SHAPES[f"Qwen2.5-{name}"]


@pytest.mark.parametrize("config", [None, "", "{", "[]", "{}", '{"hidden_size": []}'])
def test_what_has_no_decoders_sizes_is_refused(config: str | None, tmp_path: Path) -> None:
    message = "neither a model folder nor one of Qwen2.5-0.5B"
    if config is not None:
        (tmp_path / "config.json").write_text(config)
        message = "does not give a decoder's sizes"
    with pytest.raises(InputError, match=message):
        ModelShape.of(tmp_path)


def test_parameters_and_flops_are_those_that_torch_counts(tiny_model: Any) -> None:
    """The oracle counts every product; torch's attention counts the masked half as well."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.arange(64)[None]
    with FlopCounterMode(display=False) as counter:
        tiny_model(input_ids=ids, labels=ids).loss.backward()
    tiny_model.zero_grad()
    shape = ModelShape.of(tiny_model.config)
    assert shape.parameters == sum(p.numel() for p in tiny_model.parameters())
    assert shape.matrix_parameters == shape.parameters  # tied: the embedding is multiplied with
    matrices = shape.train_flops([64]) - shape.layers * 6 * 32 * 64**2
    vectors = 6 * 64 * (shape.layers * (2 * 32 + 32 + 2 * 16) + 32)  # norms and biases
    counted = counter.get_flop_counts()["Global"]
    products = sum(n for op, n in counted.items() if "attention" not in str(op))
    assert products == pytest.approx(matrices - vectors, rel=0.01)


def test_the_papers_cost_works_out() -> None:
    hours, _, times, _, rate, share, six, twenty, _ = (row.value for row in paper_arithmetic())
    assert (hours, times) == pytest.approx((7, 56.3), abs=0.1)
    assert (rate, share) == pytest.approx((200, 0.2), rel=0.1)
    assert six < 1 < twenty  # dollars for an H100-hour


def test_a_plan_takes_its_flops_at_the_expected_share_of_the_peak() -> None:
    lengths = [4700] * 1000
    made = plan(LARGE, lengths, BF16, processes=16)
    assert made.steps == 315
    assert made.balance == pytest.approx(125 / 126)  # the last batch of an epoch has 8 of 16
    rate = 5 * LARGE.train_flops(lengths) / (made.wall_hours * 3600 * 16)
    assert rate == pytest.approx(H100.peak_flops * H100.share * made.balance)
    assert made.device_hours == pytest.approx(16 * made.wall_hours)


def test_what_cannot_fit_is_refused_with_the_part_that_is_too_large() -> None:
    lean = replace(BF16, activation_checkpointing=True, micro_batch_tokens=26_000)
    plain, lengths = replace(lean, activation_checkpointing=False), [4700] * 999 + [26_000]
    for config, processes, message in (
        (lean, 1, "offers 80: moments take 262 GB; use more processes"),
        (plain, 16, "activations take .*set activation_checkpointing"),
    ):
        with pytest.raises(InputError, match=message):
            plan(LARGE, lengths, config, processes=processes).refuse_unless_it_fits(H100)
    plan(LARGE, lengths, lean, processes=32).refuse_unless_it_fits(H100)
    totals = [memory(LARGE, BF16, 8192, processes=n).total for n in (1, 2, 8)]
    assert totals == sorted(totals, reverse=True)  # more processes, less memory each


def test_one_example_per_process_waits_for_the_longest_and_teams_hardly() -> None:
    drawn = np.random.default_rng(0).lognormal(8.3, 0.6, 1000).clip(500, 26_000)
    lengths, config = drawn.astype(int).tolist(), replace(BF16, max_seq_len=26_000)
    balances = [plan(LARGE, lengths, config, processes=n).balance for n in (1, 4, 8, 16)]
    assert balances == sorted(balances, reverse=True)
    assert balances[0] == 1 and balances[-1] < 0.5
    teams = replace(config, sequence_parallel=8)
    assert plan(LARGE, lengths, teams, processes=16).balance > 0.95
