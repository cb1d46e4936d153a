"""The chunked cross-entropy: torch's value and gradients, without torch's memory."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from s1core.sft.engine import summed_loss  # noqa: E402


def inputs(tokens: int, hidden: int, vocab: int, ignored: int) -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(tokens, hidden, generator=generator, requires_grad=True)
    weight = torch.randn(vocab, hidden, generator=generator, requires_grad=True)
    targets = torch.randint(0, vocab, (tokens,), generator=generator)
    targets[::ignored] = -100
    return states, weight, targets


@pytest.mark.parametrize(("chunk", "scale"), [(1, 1), (7, 1), (1000, 1), (8, 1e4)])
@pytest.mark.parametrize("ignored", [3, 1])  # every third, or all: a row that teaches nothing
def test_value_and_gradients_are_those_of_torch(chunk: int, scale: float, ignored: int) -> None:
    states, weight, targets = inputs(37, 16, 50, ignored)
    logits = scale * states @ weight.T  # large ones neither overflow nor vanish
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    got = summed_loss(scale * states, weight, targets, chunk)
    torch.testing.assert_close(got, expected)
    slopes = (torch.autograd.grad(loss / 3, (states, weight)) for loss in (got, expected))
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * scale)


def test_no_more_than_a_chunk_of_logits_ever_exists() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            out = func(*args, **(kwargs or {}))
            values = out if isinstance(out, tuple | list) else (out,)
            sizes.extend(value.numel() for value in values if isinstance(value, torch.Tensor))
            return out

    states, weight, targets = inputs(600, 4, 500, 3)
    with Sizes():
        summed_loss(states, weight, targets, chunk=10).backward()
    assert max(sizes) < 600 * 500 / 10
