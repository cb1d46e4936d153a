"""The machine against what a profile asks of it: GPUs, nodes, versions, disk, clock."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from s1lab.kinds.keeper import nodes
from s1lab.profiles import Profile

PER_NODE = 8  # GPUs of one node; a profile with more runs on several
MOST_SKEW = 300  # seconds by which the clock may be off before certificates and tokens fail
ENGINES = {"hf": ("torch", "transformers"), "vllm": ("torch", "transformers", "vllm")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a preflight: what was looked at, and what was found."""

    about: str
    text: str
    fix: str = ""  # what to change; "" where nothing needs to be
    optional: bool = False  # a run can go on without it
    mild: bool = False  # it stops no run, and is a warning

    @property
    def level(self) -> Literal["ok", "warning", "PROBLEM"]:
        """A problem stops a run sooner or later, a warning does not."""
        return "ok" if not self.fix else "warning" if self.mild else "PROBLEM"

    def __str__(self) -> str:
        return f"{self.level:7}  {self.about}: {self.text}"


def gpus(profile: Profile) -> Iterator[Finding]:
    """NVIDIA GPUs of this node: how many, how large, and whether torch can use them."""
    if not profile.gpus:
        yield Finding("GPU", "none needed")
        return
    wanted = min(profile.gpus, PER_NODE)
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version"]
    asked = _run([*query, "--format=csv,noheader,nounits"])
    found = [line.split(", ") for line in asked.strip().splitlines()]
    if not found:
        text = f"none found (nvidia-smi does not answer), {wanted} needed on this node"
        yield Finding("GPU", text, "run on a machine with NVIDIA GPUs and their driver")
        return
    name, memory, driver = min(found, key=lambda row: float(row[1]))
    if len(found) < wanted:
        yield Finding("GPU", f"{len(found)} found, {wanted} needed on this node", "take more GPUs")
    else:
        yield Finding("GPU", f"{len(found)} x {name}, driver {driver}")
    if (size := float(memory) / 1024) < profile.gpu_memory:
        fix = "take GPUs with more memory, or a profile with a smaller model"
        yield Finding(
            "GPU memory", f"{name} has {size:.0f} GiB, {profile.gpu_memory:g} needed", fix
        )
    code = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
    cuda, usable = (_run([sys.executable, "-c", code]).split() or ["None", "False"])[:2]
    if usable != "True":
        text = f"torch (built for CUDA {cuda}) cannot use the GPU with driver {driver}"
        yield Finding("driver", text, "update the driver, or install the CUDA build of torch")


def _run(command: list[str]) -> str:
    """What a command prints; "" where it cannot be run or fails."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True, timeout=50)
    except (OSError, subprocess.SubprocessError):
        return ""


def versions(profile: Profile) -> Iterator[Finding]:
    """Installed packages against the project's own requirements, its GPU extra's included."""
    pins = {pin.name: pin for pin in map(Requirement, metadata.requires("s1core") or ())}
    there = []
    for name in ENGINES[profile.engine]:
        needed = pins[name].specifier
        version = next((one.version for one in metadata.distributions(name=name)), None)
        have = f"{name} {version}" if version else f"no {name}"
        there += [have] if version else []
        if version is None or not needed.contains(version, prereleases=True):
            text = f"{have} is installed, {needed} is needed"
            yield Finding("versions", text, f"pip install '{name}{needed}'")
    yield Finding("versions", ", ".join(there))


def slurm(profile: Profile) -> Iterator[Finding]:
    """How processes are started on several nodes."""
    wanted = -(-profile.gpus // PER_NODE)
    if wanted > 1 and (nodes() < wanted or shutil.which("srun") is None):
        text = f"{profile.gpus} GPUs are {wanted} nodes, and this is no Slurm job of so many"
        yield Finding("nodes", text, "start with sbatch launch/slurm.sbatch")


def disk(folder: Path, needed: float) -> Iterator[Finding]:
    """Room for the run store at `folder` (bytes), whether it can be written, and its clock."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.0f} GB free at {folder}, {needed / 1e9:.0f} needed"
    if free < needed:
        yield Finding("disk", text, "make room, or name another folder in S1CORE_STORE")
        return
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 20))
            file.flush()
            skew = time.time() - Path(file.name).stat().st_mtime
    except OSError as error:
        yield Finding("disk", f"{folder} cannot be written: {error.strerror}", "make it writable")
        return
    yield Finding("disk", text)
    # The file system's clock may be another machine's; the package cannot be of tomorrow.
    off = max(abs(skew), Path(__file__).stat().st_mtime - time.time())
    if off > MOST_SKEW:
        yield Finding("clock", f"off by {off:.0f} s", "set it (timedatectl, chrony)")
    else:
        yield Finding("clock", "agrees with the file system's")
