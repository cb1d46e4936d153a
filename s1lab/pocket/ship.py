"""Put a trained pocket model into the package, with its card: recipe, data seen, loss, skills.

For maintainers: `s1lab pocket ship small|large|s1`. The card is generated from what the training
left behind and from measurements, so it cannot drift from the weights beside it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from s1core import checkpoints
from s1core.errors import InputError
from s1lab import pocket
from s1lab.pocket.pretrain import CONTEXT, SHARES, Recipe
from s1lab.pocket.skills import measure


def ship_base(size: pocket.Size, run: str | Path) -> Path:
    """Copy a finished pretraining run (`pretrain`'s folder) into the package and write its card.

    Raises:
        InputError: the run is not finished.
    """
    run = Path(run)
    if not (run / "model" / "model.safetensors").exists():
        raise InputError(f"{run} holds no finished model; run `s1lab pocket pretrain` on it")
    folder = _replace(size, run / "model")
    recipe = Recipe(**json.loads((run / "recipe.json").read_text()))
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    shutil.copy(run / "log.jsonl", folder / "log.jsonl")
    skills = measure(size)
    (folder / "skills.json").write_text(json.dumps(skills, indent=1) + "\n")
    rows = [row for i, row in enumerate(log) if i % max(1, len(log) // 8) == 0] + [log[-1]]
    curve = [f"| {row['step']:,} | {row['tokens']:,} | {row['loss']:.3f} |" for row in rows]
    card = Path(__file__).with_name("card_base.md").read_text()
    card = card.format(
        size=size,
        recipe=recipe,
        context=CONTEXT,
        tokens=recipe.steps * recipe.batch_size * CONTEXT,
        mix=", ".join(f"{kind} {share:.0%}" for kind, share in SHARES.items()),
        curve="\n".join(curve),
        measured="\n".join(f"| {name} | {value:.1%} |" for name, value in skills.items()),
    )
    (folder / "README.md").write_text(card)
    return folder


def ship_tuned(checkpoint: str | Path, summary: dict[str, Any], scores: dict[str, str]) -> Path:
    """Copy a fine-tuned checkpoint into the package as `s1`, with a card of its accuracies."""
    folder = _replace("s1", Path(checkpoint))
    rows = "\n".join(f"| {name} | {value} |" for name, value in scores.items())
    card = Path(__file__).with_name("card_tuned.md").read_text()
    (folder / "README.md").write_text(card.format(rows=rows, **summary))
    return folder


def _replace(size: pocket.Size, source: Path) -> Path:
    folder = checkpoints.MODELS / size
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    for path in folder.iterdir():  # safetensors writes its files for the owner alone
        path.chmod(0o644)
    return folder
