"""What a model argument may be: a model that ships with s1core, a checkpoint folder, a Hub id.

The one place that turns such a name into something transformers loads. Only safetensors are read,
and never code from a repository.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHIPPED = "pocket-"


class CheckpointError(ValueError):
    """A name that is no checkpoint; the message says what is missing."""


def locate(model: str | Path) -> str:
    """The folder of a shipped model (`pocket-large`); any other folder or Hub id as it is.

    Raises:
        CheckpointError: it names a folder, and that is no checkpoint in safetensors.
    """
    from s1core import pocket

    name = str(model)
    if name.startswith(SHIPPED):
        size = name.removeprefix(SHIPPED)
        if size not in pocket.SIZES:
            shipped = ", ".join(SHIPPED + known for known in pocket.SIZES)
            raise CheckpointError(f"no model {name!r} ships with s1core; pick one of {shipped}")
        name = str(pocket.MODELS / size)
    path = Path(name)
    if not path.exists():
        if path.is_absolute() or name.startswith(".") or name.count("/") != 1:
            raise CheckpointError(f"there is no checkpoint at {name}")
        return name
    if not (path / "config.json").exists():
        inner = "; did you mean its final/?" if (path / "final").is_dir() else ""
        raise CheckpointError(f"{path} is not a checkpoint: it has no config.json{inner}")
    if not any(path.glob("*.safetensors")):
        raise CheckpointError(f"{path} has no safetensors weights; other formats are not loaded")
    return name


def identify(model: str) -> str:
    """How settings name a model: as it is called, with its digest when it ships with s1core."""
    if not model.startswith(SHIPPED):
        return model
    weights = Path(locate(model)) / "model.safetensors"
    return f"{model}@{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}"


def load_tokenizer(model: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint; no code of the repository is run."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(locate(model), trust_remote_code=False)
