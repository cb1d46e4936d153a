"""What a model argument may be: a model that ships with s1core, a folder, a Hub id (with `@` and a
commit, or not; a mirror goes first). Only safetensors are read, and never a repository's code."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.errors import InputError, explained
from s1core.jsonl import parse_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SHIPPED = "pocket-"
MODELS = Path(__file__).parent / "models"
"""Models that ship with the package: two that know Countdown, and one fine-tuned by the recipe."""


def locate(model: str | Path) -> str:
    """The folder of a model, or its Hub id where nothing pins or mirrors it. `org/name@commit` is a
    folder of the mirror that `S1CORE_DATA_DIR` names or else of the Hub's cache. InputError where
    it is no checkpoint in safetensors, or cannot be downloaded."""
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
        if mirrored := in_mirror(name):
            return locate(mirrored)
        return download(name) if "@" in name else name
    if not (path / "config.json").exists():
        inner = "; did you mean its final/?" if (path / "final").is_dir() else ""
        raise InputError(f"{path} is not a checkpoint: it has no config.json{inner}")
    if not any(path.glob("*.safetensors")):
        raise InputError(f"{path} has no safetensors weights; other formats are not loaded")
    return name


def in_mirror(model: str) -> Path | None:
    """The folder that the mirror `S1CORE_DATA_DIR` has for a Hub id; None without one."""
    folder = Path(os.environ.get("S1CORE_DATA_DIR") or "/nowhere", "models", model)
    return folder if (folder / "config.json").exists() else None


def split_revision(model: str) -> tuple[str, str]:
    """`"org/name@commit" -> ("org/name", "commit")`; the commit is "" where none is given."""
    repository, _, revision = model.partition("@")
    return repository, revision


def download(model: str, folder: str | Path | None = None) -> str:
    """Bring a model from the Hub, to its cache or to `folder`; InputError says what else to do."""
    from huggingface_hub import snapshot_download

    repository, revision = split_revision(model)
    advice = "without a network, name a mirror made by `s1lab fetch` in S1CORE_DATA_DIR"
    with explained(f"{model} cannot be read from the Hub ({advice})"):
        wanted = ["*.safetensors", "*.json", "*.jinja", "*.txt"]
        told = {"revision": revision or None, "token": os.environ.get("HF_TOKEN") or None}
        return snapshot_download(repository, allow_patterns=wanted, local_dir=folder, **told)


def identify(model: str) -> str:
    """How settings name a model: as it is called, with its digest when it ships with s1core."""
    if not model.startswith(SHIPPED):
        return model
    weights = Path(locate(model)) / "model.safetensors"
    return f"{model}@{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}"


def load_tokenizer(model: str | Path) -> "PreTrainedTokenizerBase":
    """A checkpoint's tokenizer, told the ends of turn that its settings declare; or InputError."""
    from transformers import AutoTokenizer

    folder = locate(model)
    with explained(f"the tokenizer of {model} cannot be read"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        tokenizer.declared_ends = declared_ends(folder)
    return tokenizer


def load_model(model: str | Path, **options: Any) -> "PreTrainedModel":
    """The causal language model of a checkpoint; `options`, such as `dtype`, are transformers'.
    InputError where it cannot be read or lacks weights; no code of the repository is run."""
    from transformers import AutoModelForCausalLM

    options = {"dtype": "auto", **options, "use_safetensors": True, "trust_remote_code": False}
    folder = locate(model)
    with explained(f"{model} cannot be loaded"):
        load = AutoModelForCausalLM.from_pretrained
        loaded, found = load(folder, output_loading_info=True, **options)
    if missing := sorted(found["missing_keys"]):
        raise InputError(f"{model} lacks {len(missing)} weights of its model, such as {missing[0]}")
    return loaded


def declared_ends(folder: str) -> tuple[int, ...]:
    """Ids at which a model's generation settings, unless they are damaged, say its turn ends."""
    from transformers import GenerationConfig

    try:
        if not Path(folder).is_dir():
            declared = GenerationConfig.from_pretrained(folder).eos_token_id
        else:
            file = Path(folder, "generation_config.json")
            file = file if file.exists() else Path(folder, "config.json")
            declared = parse_json(file.read_bytes()).get("eos_token_id")
    except InputError as error:
        raise InputError(f"{file} is damaged: {error}") from error
    except OSError:  # many repositories have none
        return ()
    ids = declared if isinstance(declared, list) else [declared]
    return tuple(token for token in ids if type(token) is int and token >= 0)
