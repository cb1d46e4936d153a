"""The chunked cross-entropy: torch's value and gradients, without torch's memory."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from s1core.sft.engine import summed_loss  # noqa: E402


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


def test_a_row_without_labels_costs_nothing_and_still_has_a_graph() -> None:
    states, weight, targets = inputs()
    loss = summed_loss(states, weight, torch.full_like(targets, -100), 8)
    loss.backward()
    assert loss.item() == 0
    assert states.grad.abs().sum() == 0
