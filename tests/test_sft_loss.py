"""The chunked cross-entropy: torch's value and gradients, without torch's memory."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from s1core.errors import InputError  # noqa: E402
from s1core.sft import SFTConfig  # noqa: E402
from s1core.sft.loss import summed_loss  # noqa: E402
from s1core.sft.optimizer import LeanAdamW, round_stochastically  # noqa: E402


def inputs(tokens: int = 37, hidden: int = 16, vocab: int = 50) -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(tokens, hidden, generator=generator, requires_grad=True)
    weight = torch.randn(vocab, hidden, generator=generator, requires_grad=True)
    targets = torch.randint(0, vocab, (tokens,), generator=generator)
    targets[::3] = -100
    return states, weight, targets


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_value_and_gradients_are_those_of_torch(chunk: int) -> None:
    states, weight, targets = inputs()
    expected = torch.nn.functional.cross_entropy(states @ weight.T, targets, reduction="sum")
    slopes = torch.autograd.grad(expected / 3, (states, weight))
    got = summed_loss(states, weight, targets, chunk)
    torch.testing.assert_close(got, expected)
    for ours, theirs in zip(torch.autograd.grad(got / 3, (states, weight)), slopes):
        torch.testing.assert_close(ours, theirs)


def test_no_more_than_a_chunk_of_logits_ever_exists() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            out = func(*args, **(kwargs or {}))
            for value in out if isinstance(out, tuple | list) else (out,):
                if isinstance(value, torch.Tensor):
                    Largest.seen = max(Largest.seen, value.numel())
            return out

    states, weight, targets = inputs(tokens=600, hidden=4, vocab=500)
    with Largest():
        summed_loss(states, weight, targets, chunk=10).backward()
    assert Largest.seen < 600 * 500 / 10


def test_large_logits_neither_overflow_nor_vanish() -> None:
    states, weight, targets = inputs()
    loss = summed_loss(states * 1e4, weight, targets, 8)
    assert torch.isfinite(loss)
    torch.testing.assert_close(
        loss, torch.nn.functional.cross_entropy(states * 1e4 @ weight.T, targets, reduction="sum")
    )


def test_a_frozen_output_matrix_gets_no_gradient() -> None:
    states, weight, targets = inputs()
    summed_loss(states, weight.detach(), targets, 8).backward()
    assert states.grad is not None


def test_a_row_without_labels_costs_nothing_and_still_has_a_graph() -> None:
    states, weight, targets = inputs()
    loss = summed_loss(states, weight, torch.full_like(targets, -100), 8)
    loss.backward()
    assert loss.item() == 0
    assert states.grad.abs().sum() == 0


def test_liger_without_its_package_is_refused_by_name(monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", None)
    with pytest.raises(InputError, match="needs the package liger-kernel"):
        summed_loss(*inputs(), 8, "liger")


# --------------------------------------------------------------------------------- optimizer


def descend(build: Any, dtype: Any, steps: int = 30) -> Any:
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 64, dtype=dtype).reshape(8, 8))
    optimizer = build([{"params": [weight], "weight_decay": 0.1}])
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        weight.grad = torch.randn(8, 8, generator=generator).to(dtype)
        optimizer.step()
    return weight.detach()


def test_lean_adamw_in_fp32_is_torchs_adamw() -> None:
    options = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8}
    ours = descend(lambda g: LeanAdamW(g, torch.float32, **options), torch.float32)
    theirs = descend(lambda g: torch.optim.AdamW(g, **options), torch.float32)
    torch.testing.assert_close(ours, theirs)


def test_bf16_moments_stay_close_to_fp32_ones_with_the_papers_betas() -> None:
    options = {"lr": 1e-2, "betas": SFTConfig().betas, "eps": 1e-8}
    ours = descend(lambda g: LeanAdamW(g, torch.bfloat16, **options), torch.float32)
    theirs = descend(lambda g: torch.optim.AdamW(g, **options), torch.float32)
    assert (ours - theirs).abs().max() < 0.02 * (30 * 1e-2)


def test_stochastic_rounding_keeps_updates_below_the_resolution_on_average() -> None:
    torch.manual_seed(0)
    values = torch.full((200_000,), 1.0 + 2**-10)  # an eighth of the way to the next bf16 number
    rounded = round_stochastically(values).float()
    assert set(rounded.unique().tolist()) == {1.0, 1.0 + 2**-7}
    assert rounded.mean().item() == pytest.approx(1.0 + 2**-10, abs=1e-4)
    exact = torch.tensor([0.0, -1.5, 3.0e38, float("inf")])
    assert torch.equal(round_stochastically(exact).float(), exact.to(torch.bfloat16).float())
