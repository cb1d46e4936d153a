"""What a model argument may be: a model that ships with s1core, a checkpoint folder, a Hub id.

The one place that turns such a name into something transformers loads. Only safetensors are read,
and never code from a repository. A Hub id may end in `@` and a full commit; a mirror made by
`s1lab fetch` is preferred to the Hub.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from s1core.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHIPPED = "pocket-"
MODELS = Path(__file__).parent / "models"
"""Models that ship with the package: two that know Countdown, and one fine-tuned by the recipe."""

MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt")
"""What is read of a model's repository: weights, settings, tokenizer."""


def locate(model: str | Path) -> str:
    """The folder of a model, or its Hub id where nothing pins or mirrors it.

    `pocket-large` is a folder of the package, `org/name@commit` a folder of the mirror that
    `S1CORE_DATA_DIR` names or else of the Hub's cache, downloaded when it is not there.

    Raises:
        InputError: it names a folder, and that is no checkpoint in safetensors; or it cannot
            be downloaded.
    """
    name = str(model)
    if name.startswith(SHIPPED):
        sizes = sorted(folder.name for folder in MODELS.iterdir() if folder.is_dir())
        if name.removeprefix(SHIPPED) not in sizes:
            shipped = ", ".join(SHIPPED + size for size in sizes)
            raise InputError(f"no model {name!r} ships with s1core; pick one of {shipped}")
        name = str(MODELS / name.removeprefix(SHIPPED))
    path = Path(name)
    if not path.exists():
        if path.is_absolute() or name.startswith(".") or name.count("/") != 1:
            raise InputError(f"there is no checkpoint at {name}")
        mirrored = in_mirror(name)
        if mirrored is not None:
            return locate(mirrored)
        return download(name) if "@" in name else name
    if not (path / "config.json").exists():
        inner = "; did you mean its final/?" if (path / "final").is_dir() else ""
        raise InputError(f"{path} is not a checkpoint: it has no config.json{inner}")
    if not any(path.glob("*.safetensors")):
        raise InputError(f"{path} has no safetensors weights; other formats are not loaded")
    return name


def in_mirror(model: str, root: str | Path | None = None) -> Path | None:
    """The folder that a mirror (default: `S1CORE_DATA_DIR`) has for a Hub id; None without one."""
    root = root or os.environ.get("S1CORE_DATA_DIR")
    if not root:
        return None
    folder = Path(root) / "models" / model
    return folder if (folder / "config.json").exists() else None


def split_revision(model: str) -> tuple[str, str]:
    """`"org/name@commit" -> ("org/name", "commit")`; the commit is "" where none is given."""
    repository, _, revision = model.partition("@")
    return repository, revision


def download(model: str, folder: str | Path | None = None) -> str:
    """Bring a model from the Hub, to its cache or to `folder`; goes on where it was stopped.

    Raises:
        InputError: it cannot be had; the message says why and what else to do.
    """
    from huggingface_hub import snapshot_download

    repository, revision = split_revision(model)
    try:
        return snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=list(MODEL_FILES),
            local_dir=folder,
            token=os.environ.get("HF_TOKEN") or None,
        )
    except Exception as error:  # the Hub's clients raise a dozen unrelated types
        summary = (str(error).splitlines() or [""])[0][:200]
        raise InputError(
            f"{model} cannot be read from the Hub: {type(error).__name__}: {summary}; without a "
            "network, name a mirror made by `s1lab fetch` in S1CORE_DATA_DIR"
        ) from error


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
