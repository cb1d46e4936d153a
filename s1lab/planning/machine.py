"""The machine against what a profile asks of it: GPUs, versions, disk, port, clock, launcher."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from s1lab.profiles import Profile
from s1lab.spawn import LAUNCH_VARIABLE

PER_HOST = 8
"""GPUs of one host; a profile with more runs on several."""

MOST_SKEW = 300
"""Seconds by which the clock may be off: beyond, certificates and tokens begin to fail."""

ENGINES = {"hf": ("torch", "transformers"), "vllm": ("torch", "transformers", "vllm")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a preflight.

    Attributes:
        about: what was looked at.
        text: what was found.
        fix: what to change; "" where nothing needs to be.
        optional: a run can go on without it.
        level: "problem" stops a run sooner or later, "warning" does not.
    """

    about: str
    text: str
    fix: str = ""
    optional: bool = False
    level: Literal["ok", "warning", "problem"] = "problem"

    @classmethod
    def fine(cls, about: str, text: str) -> Finding:
        return cls(about, text, level="ok")

    def softened(self) -> Finding:
        """A problem that a run can go on with, as a warning."""
        return replace(self, level="warning") if self.level == "problem" else self

    def __str__(self) -> str:
        mark = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}[self.level]
        return f"{mark}  {self.about}: {self.text}"


def gpus(profile: Profile) -> Iterator[Finding]:
    """NVIDIA GPUs of this host: how many, how large, and whether torch can use them."""
    if not profile.gpus:
        yield Finding.fine("GPU", "none needed")
        return
    wanted = min(profile.gpus, PER_HOST)
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version"]
    asked = _run([*query, "--format=csv,noheader,nounits"])
    found = [line.split(", ") for line in asked.strip().splitlines()]
    if not found:
        text = f"none found (nvidia-smi does not answer), {wanted} needed on this host"
        yield Finding("GPU", text, "run on a machine with NVIDIA GPUs and their driver")
        return
    small = [row for row in found if float(row[1]) / 1024 < profile.gpu_memory]
    if len(found) < wanted:
        yield Finding("GPU", f"{len(found)} found, {wanted} needed on this host", "take more GPUs")
    if small:
        have = f"{small[0][0]} has {float(small[0][1]) / 1024:.0f} GiB"
        yield Finding(
            "GPU memory",
            f"{have}, {profile.gpu_memory:g} needed",
            "take GPUs with more memory, or a profile with a smaller model",
        )
    if len(found) >= wanted and not small:
        yield Finding.fine("GPU", f"{len(found)} x {found[0][0]}, driver {found[0][2]}")
    code = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
    cuda, usable = (_run([sys.executable, "-c", code]).split() or ["None", "False"])[:2]
    if usable != "True":
        yield Finding(
            "driver",
            f"torch (built for CUDA {cuda}) cannot use the GPU with driver {found[0][2]}",
            "update the driver, or install the CUDA build of torch",
        )


def _run(command: list[str]) -> str:
    """What a command prints; "" where it cannot be run or fails."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=50, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def versions(profile: Profile) -> Iterator[Finding]:
    """Installed packages against the project's own requirements, its GPU extra's included."""
    pins = {
        pin.name: pin for line in metadata.requires("s1core") or () for pin in [Requirement(line)]
    }
    installed = {name: _installed(name, profile) for name in ENGINES[profile.engine]}
    for name, version in installed.items():
        needed = pins[name].specifier
        if version is None or not needed.contains(version, prereleases=True):
            have = f"{name} {version}" if version else f"no {name}"
            fix = f"pip install '{name}{needed}'"
            yield Finding("versions", f"{have} is installed, {needed} is needed", fix)
    yield Finding.fine("versions", ", ".join(f"{name} {v}" for name, v in installed.items() if v))


def _installed(name: str, profile: Profile) -> str | None:
    # Without a GPU vLLM's CPU build does, which has a name of its own.
    for known in (name, f"{name}-cpu") if not profile.gpus else (name,):
        try:
            return metadata.version(known)
        except metadata.PackageNotFoundError:
            continue
    return None


def launcher(profile: Profile) -> Iterator[Finding]:
    """How fine-tuning is started on several hosts."""
    if profile.processes <= PER_HOST:
        return
    named = os.environ.get(LAUNCH_VARIABLE)
    if not named:
        yield Finding(
            "launcher",
            f"{profile.processes} processes need several hosts, and {LAUNCH_VARIABLE} names no "
            "command that starts them",
            "start with launch/slurm_two_nodes.sbatch or launch/two_hosts.sh",
        )
    elif shutil.which(shlex.split(named)[0]) is None:
        text = f"{LAUNCH_VARIABLE}={named}: no such command"
        yield Finding("launcher", text, "name one that exists")
    else:
        yield Finding.fine("launcher", named)


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
    yield Finding.fine("disk", text)
    # The file system's clock may be another machine's; the package cannot be of tomorrow.
    off = max(abs(skew), Path(__file__).stat().st_mtime - time.time())
    if off > MOST_SKEW:
        yield Finding("clock", f"off by {off:.0f} s", "set it (timedatectl, chrony)")
    else:
        yield Finding.fine("clock", "agrees with the file system's")


def port(profile: Profile, number: int) -> Iterator[Finding]:
    """Whether torchrun's processes can meet."""
    if profile.processes == 1:
        return
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", number))
    except (OSError, OverflowError):
        text = f"{number} is taken, and torchrun meets there"
        yield Finding("port", text, "set PORT to a free one")
        return
    yield Finding.fine("port", f"{number} is free")
