"""A profile, a mirror and a model of a few kilobytes, as the large profiles have theirs."""

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from s1lab.data.mirror import sha256
from s1lab.profiles import FOLDER
from tests.helpers import cases

Rows = list[dict[str, Any]]


def aime(count: int = 30) -> Rows:
    return [{"problem": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(count)]


def math500(count: int = 500) -> Rows:
    rest = {"solution": "", "subject": "Algebra"}
    return [{"problem": f"What is {i} - 1?", "answer": str(i - 1), **rest} for i in range(count)]


def released(count: int = 1000) -> Rows:
    trace = {"thinking_trajectories": ["no no yes Wait yes"], "attempt": "yes"}
    return [
        {"question": f"Use {i % 90} 3 to make {i}", "solution": str(i), "source_type": "AIME"}
        | trace
        for i in range(count)
    ]


def jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_mirror(root: Path, **files: Rows) -> Path:
    """A mirror with the rows of each data set: `write_mirror(root, AIME24=aime())`."""
    entries = []
    (root / "datasets").mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        path = root / "datasets" / f"{name}.jsonl"
        path.write_bytes(jsonl(rows))
        entry = {"dir": "datasets", "file": path.name, "rows": len(rows), "source": name}
        entries.append(entry | {"sha256": sha256(path)})
    (root / "MANIFEST.json").write_text(json.dumps(entries))
    return root


def whole_mirror(root: Path, **changed: Rows) -> Path:
    """A mirror with all that `SMALL` reads, some data sets replaced."""
    return write_mirror(
        root, **{"AIME24": aime(), "MATH500": math500(), "s1K": released(), **changed}
    )


def save_model(folder: Path, *, stops: bool = True) -> Path:
    """The tiny model of the tests, with room for a prompt.

    With `stops=False` greedy decoding never ends by itself, as the stand-in of a rehearsal hardly
    does: the rows of the special tokens are zero, and some other logit is always larger.
    """
    import torch

    from tests.helpers import tiny_model, tiny_tokenizer

    tokenizer, model = tiny_tokenizer(), copy.deepcopy(tiny_model())
    if not stops:
        with torch.no_grad():
            model.get_input_embeddings().weight[tokenizer.all_special_ids] = 0
    model.config.max_position_embeddings = 4096
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_profile(path: Path, base: str = "h100", **changes: Any) -> Path:
    """A large profile with some of its settings replaced; sections are merged."""
    row = yaml.safe_load((FOLDER / f"{base}.yaml").read_text())
    for name, value in changes.items():
        merge = isinstance(value, dict) and isinstance(row.get(name), dict) and value
        row[name] = {**row[name], **value} if merge else value
    path.write_text(yaml.safe_dump(json.loads(json.dumps(row))))  # without aliases
    return path


SMALL: dict[str, Any] = cases("planning")["small"]
"""Settings that leave a few runs of each kind."""
