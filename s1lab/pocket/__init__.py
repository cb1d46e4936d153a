"""The pocket world: the paper at laptop scale, by the code that a 32B model takes.

`world` has the task, `teacher` the traces, `pool` the dirty 5,900 questions that selection starts
from, `pretrain` the recipe of the two base models that ship with s1core.
"""

import json
from pathlib import Path
from typing import Any

from s1core import checkpoints
from s1core.errors import check_number
from s1core.records import Problem
from s1lab.pocket.teacher import problem
from s1lab.pocket.world import EVAL_SIZE, evaluation_puzzles

SIZES = ("small", "large", "s1")
"""Two base models, and the large one fine-tuned by the laptop profile (what `s1core demo` asks)."""


def load_tokenizer() -> Any:
    """The pocket tokenizer, as shipped with the large model."""
    return checkpoints.load_tokenizer("pocket-large")


def load_model(size: str = "large") -> Any:
    """A shipped model in float32, in evaluation mode."""
    return checkpoints.load_model(f"pocket-{size}", dtype="float32").eval()


def described() -> list[dict[str, Any]]:
    """A row for each shipped model: its shape, and the skills it had when it was made (shares)."""
    rows = []
    for size in SIZES:
        model = load_model(size)
        skills = Path(checkpoints.locate(f"pocket-{size}"), "skills.json")
        measured = json.loads(skills.read_text()) if skills.is_file() else {}
        shape = {"model": f"pocket-{size}", "layers": model.config.num_hidden_layers}
        skilled = {f"{name.replace('_', ' ')} (%)": value for name, value in measured.items()}
        rows.append(shape | {"parameters": model.num_parameters()} | skilled)
    return rows


def evaluation_problems(count: int = EVAL_SIZE) -> list[Problem]:
    """The first `count` held-out puzzles as problems; InputError: there are not so many."""
    check_number("the number of evaluation puzzles", count, 1, EVAL_SIZE)
    return [problem(puzzle) for puzzle in evaluation_puzzles()[:count]]
