"""The machine against what a profile asks of it: GPUs, versions, disk, port, clock, launcher."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import socket
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

from s1lab.kinds.spawn import LAUNCH_VARIABLE
from s1lab.profiles import Profile

PER_HOST = 8  # GPUs of one host; a profile with more runs on several
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
    """NVIDIA GPUs of this host: how many, how large, and whether torch can use them."""
    if not profile.gpus:
        yield Finding("GPU", "none needed")
        return
    wanted = min(profile.gpus, PER_HOST)
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version"]
    asked = _run([*query, "--format=csv,noheader,nounits"])
    found = [line.split(", ") for line in asked.strip().splitlines()]
    if not found:
        text = f"none found (nvidia-smi does not answer), {wanted} needed on this host"
        yield Finding("GPU", text, "run on a machine with NVIDIA GPUs and their driver")
        return
    name, memory, driver = min(found, key=lambda row: float(row[1]))
    if len(found) < wanted:
        yield Finding("GPU", f"{len(found)} found, {wanted} needed on this host", "take more GPUs")
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
    builds = ("",) if profile.gpus else ("", "-cpu")  # without a GPU vLLM's CPU build does
    there = []
    for name in ENGINES[profile.engine]:
        needed = pins[name].specifier
        found = itertools.chain(*(metadata.distributions(name=name + b) for b in builds))
        version = next((one.version for one in found), None)
        have = f"{name} {version}" if version else f"no {name}"
        there += [have] if version else []
        if version is None or not needed.contains(version, prereleases=True):
            text = f"{have} is installed, {needed} is needed"
            yield Finding("versions", text, f"pip install '{name}{needed}'")
    yield Finding("versions", ", ".join(there))


def launcher(profile: Profile) -> Iterator[Finding]:
    """How fine-tuning is started on several hosts."""
    if profile.processes <= PER_HOST:
        return
    named = os.environ.get(LAUNCH_VARIABLE, "")
    text, fix = named, ""
    if not named:
        text = f"{profile.processes} processes need several hosts, and {LAUNCH_VARIABLE} is not set"
        fix = "start with launch/slurm_two_nodes.sbatch or launch/two_hosts.sh"
    elif shutil.which(shlex.split(named)[0]) is None:
        text, fix = f"{LAUNCH_VARIABLE}={named}: no such command", "name one that exists"
    yield Finding("launcher", text, fix)


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


def port(profile: Profile, number: int) -> Iterator[Finding]:
    """Whether torchrun's processes can meet."""
    if profile.processes == 1:
        return
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", number))
        yield Finding("port", f"{number} is free")
    except (OSError, OverflowError):
        yield Finding("port", f"{number} is taken, and torchrun meets there", "set PORT to another")
