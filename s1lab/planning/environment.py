"""The machine against what a profile asks of it: GPUs, driver, versions, how training starts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from s1lab.planning.report import Finding
from s1lab.profiles import Profile
from s1lab.spawn import LAUNCH_VARIABLE

PER_HOST = 8
"""GPUs of one host; a profile with more runs on several."""

ENGINES = {"hf": ("torch", "transformers"), "vllm": ("torch", "transformers", "vllm")}


def gpus(profile: Profile) -> Iterator[Finding]:
    """NVIDIA GPUs of this host: how many, how large, and whether torch can use them."""
    if not profile.gpus:
        yield Finding.fine("GPU", "none needed")
        return
    wanted = min(profile.gpus, PER_HOST)
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version"]
    try:
        asked = subprocess.run(
            [*query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        yield Finding.problem(
            "GPU",
            f"none found (nvidia-smi does not answer), {wanted} needed on this host",
            "run on a machine with NVIDIA GPUs and their driver",
        )
        return
    found = [line.split(", ") for line in asked.stdout.strip().splitlines()]
    if len(found) < wanted:
        yield Finding.problem(
            "GPU", f"{len(found)} found, {wanted} needed on this host", "take a larger machine"
        )
    small = [row for row in found if float(row[1]) / 1024 < profile.gpu_memory]
    if small:
        name, memory, _ = small[0]
        yield Finding.problem(
            "GPU memory",
            f"{name} has {float(memory) / 1024:.0f} GiB, {profile.gpu_memory:g} needed",
            "take GPUs with more memory, or a profile with a smaller model",
        )
    if len(found) >= wanted and not small:
        yield Finding.fine("GPU", f"{len(found)} x {found[0][0]}, driver {found[0][2]}")
    code = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
    asked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    cuda, usable = (asked.stdout.split() or ["None", "False"])[:2]
    if usable != "True":
        yield Finding.problem(
            "driver",
            f"torch (built for CUDA {cuda}) cannot use the GPU with driver {found[0][2]}",
            "update the driver, or install the CUDA build of torch",
        )


def versions(profile: Profile) -> Iterator[Finding]:
    """Installed packages against the project's own requirements."""
    pins = {pin.name: pin for pin in _requirements()}
    wrong = False
    for name in ENGINES[profile.engine]:
        installed = _installed(name, profile)
        if installed is None:
            wrong = True
            extra = "'.[gpu]'" if name == "vllm" else "."
            yield Finding.problem(
                "versions", f"{name} is not installed", f"pip install -c constraints.txt {extra}"
            )
        elif not pins[name].specifier.contains(installed, prereleases=True):
            wrong = True
            yield Finding.problem(
                "versions",
                f"{name} {installed} is installed, {pins[name].specifier} is needed",
                f"pip install '{name}{pins[name].specifier}'",
            )
    if not wrong:
        listed = (f"{name} {_installed(name, profile)}" for name in ENGINES[profile.engine])
        yield Finding.fine("versions", ", ".join(listed))


def launcher(profile: Profile) -> Iterator[Finding]:
    """How fine-tuning is started on several hosts."""
    if profile.processes <= PER_HOST:
        return
    named = os.environ.get(LAUNCH_VARIABLE)
    if not named:
        yield Finding.problem(
            "launcher",
            f"{profile.processes} processes need several hosts, and {LAUNCH_VARIABLE} names no "
            "command that starts them",
            "start with runs/slurm_two_nodes.sbatch or runs/two_hosts.sh",
        )
    elif shutil.which(shlex.split(named)[0]) is None:
        yield Finding.problem(
            "launcher", f"{LAUNCH_VARIABLE}={named}: no such command", "name one that exists"
        )
    else:
        yield Finding.fine("launcher", named)


def _installed(name: str, profile: Profile) -> str | None:
    # Without a GPU vLLM's CPU build does, which has a name of its own.
    for known in (name, f"{name}-cpu") if not profile.gpus else (name,):
        try:
            return metadata.version(known)
        except metadata.PackageNotFoundError:
            continue
    return None


def _requirements() -> list[Requirement]:
    """The project's requirements, those of its GPU extra included."""
    checkout = Path(__file__).parents[2] / "pyproject.toml"
    if checkout.is_file():
        project = tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]
        lines = [*project["dependencies"], *project["optional-dependencies"]["gpu"]]
    else:
        lines = metadata.requires("s1core") or []
    return [Requirement(line) for line in lines]
