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

_LOAD = """## Load

```python
from s1lab import pocket

model, tokenizer = pocket.load_model("{size}"), pocket.load_tokenizer()
```
"""

_BASE = """# Pocket base model, {size}

A Qwen2-architecture language model that knows small-number arithmetic and what a search for a \
Countdown solution looks like, and answers chat questions at once. It has never seen a think \
delimiter or a "Wait".

## Recipe

{recipe.layers} layers, hidden size {recipe.hidden_size}, head size 32, context {context}, tied \
embeddings. {tokens:,} tokens in {recipe.steps:,} steps of {recipe.batch_size} x {context}, seed \
{recipe.seed}; Muon on hidden matrices and AdamW elsewhere, learning rate {recipe.lr:g}, \
{recipe.warmup} steps of warm-up, cosine to zero, bf16 autocast. `s1lab pocket pretrain {size} \
--output RUN` repeats it on one CPU core.

Data: documents drawn on the fly, by tokens {mix}. None contains one of the evaluation puzzles (a \
test asserts it).

## Loss

| step | tokens seen | loss |
|---|---|---|
{curve}

(`log.jsonl` has every twentieth step.)

## Skills, on the held-out puzzles

| skill | share |
|---|---|
{measured}

*arithmetic*: steps that it writes and that are right; *numbers*: lines that use each number once; \
*verdict_no/yes*: right judgements of given lines; *direct*: puzzles answered at once.

"""

_TUNED = """# Pocket s1

The large pocket base model, fine-tuned by the laptop profile on {examples:,} selected traces \
({steps} steps, {supervised_tokens:,} supervised tokens). It is what `s1core demo` asks. It plays \
Countdown and nothing else.

| condition | accuracy in %, 95% interval |
|---|---|
{rows}

"""


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
    card = _BASE.format(
        size=size,
        recipe=recipe,
        context=CONTEXT,
        tokens=recipe.steps * recipe.batch_size * CONTEXT,
        mix=", ".join(f"{kind} {share:.0%}" for kind, share in SHARES.items()),
        curve="\n".join(curve),
        measured="\n".join(f"| {name} | {value:.1%} |" for name, value in skills.items()),
    )
    (folder / "README.md").write_text(card + _LOAD.format(size=size))
    return folder


def ship_tuned(checkpoint: str | Path, summary: dict[str, Any], scores: dict[str, str]) -> Path:
    """Copy a fine-tuned checkpoint into the package as `s1`, with a card of its accuracies."""
    folder = _replace("s1", Path(checkpoint))
    rows = "\n".join(f"| {name} | {value} |" for name, value in scores.items())
    (folder / "README.md").write_text(_TUNED.format(rows=rows, **summary) + _LOAD.format(size="s1"))
    return folder


def _replace(size: pocket.Size, source: Path) -> Path:
    folder = checkpoints.MODELS / size
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    for path in folder.iterdir():  # safetensors writes its files for the owner alone
        path.chmod(0o644)
    return folder
