"""The pocket world: the paper at laptop scale, by the code that a 32B model takes.

`world` has the task, `teacher` the traces, `pool` the dirty 5,900 questions that selection starts
from, `pretrain` the recipe of the two base models that ship with s1core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from s1core.errors import InputError
from s1core.records import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

Size = Literal["small", "large", "s1"]
SIZES: tuple[Size, ...] = ("small", "large", "s1")
"""Two base models, and the large one fine-tuned by the laptop profile (what `s1core demo` asks)."""


def load_tokenizer() -> PreTrainedTokenizerFast:
    """The pocket tokenizer, as shipped with the large model."""
    from s1core.checkpoints import load_tokenizer as load

    return load("pocket-large")  # type: ignore[return-value] - the generic fast class


def load_model(size: Size = "large") -> Qwen2ForCausalLM:
    """A shipped model in float32, in evaluation mode."""
    import torch
    from transformers import Qwen2ForCausalLM

    from s1core.checkpoints import locate

    return Qwen2ForCausalLM.from_pretrained(locate(f"pocket-{size}"), dtype=torch.float32).eval()


def evaluation_problems(count: int | None = None) -> list[Problem]:
    """The first `count` held-out puzzles as problems (all 500 by default), in no training text.

    Raises:
        InputError: more are asked for than there are.
    """
    from s1lab.pocket.teacher import problem
    from s1lab.pocket.world import EVAL_SIZE, evaluation_puzzles

    count = EVAL_SIZE if count is None else count
    if not 0 < count <= EVAL_SIZE:
        raise InputError(f"asked for {count} evaluation puzzles; there are {EVAL_SIZE}")
    return [problem(puzzle) for puzzle in evaluation_puzzles()[:count]]
