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
from s1lab.planning.shapes import shape_of
from s1lab.pocket.teacher import problem
from s1lab.pocket.world import EVAL_SIZE, evaluation_puzzles


def load_tokenizer() -> Any:
    """The pocket tokenizer, as shipped with the large model."""
    return checkpoints.load_tokenizer("pocket-large")


def described() -> list[dict[str, Any]]:
    """A row for each shipped model, two base models and the large one fine-tuned by the laptop
    profile: its shape, and the skills it had when it was made (shares)."""
    rows = []
    for name in ("pocket-small", "pocket-large", "pocket-s1"):
        shape, skills = shape_of(name), Path(checkpoints.locate(name), "skills.json")
        measured = json.loads(skills.read_text()) if skills.is_file() else {}
        skilled = {f"{name.replace('_', ' ')} (%)": value for name, value in measured.items()}
        about = {"model": name, "layers": shape.layers, "parameters": shape.parameters}
        rows.append(about | skilled)
    return rows


def evaluation_problems(count: int = EVAL_SIZE) -> list[Problem]:
    """The first `count` held-out puzzles as problems; InputError: there are not so many."""
    check_number("the number of evaluation puzzles", count, 1, EVAL_SIZE)
    return [problem(puzzle) for puzzle in evaluation_puzzles()[:count]]
