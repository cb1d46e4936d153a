"""Where and how a run was computed: what differs between machines, kept out of every hash."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from s1core.records import write_atomically


def note(file: Path, seconds: float) -> None:
    """Write where and for how long a run computed; the seconds of resumed runs add up."""
    from importlib.metadata import PackageNotFoundError, version

    earlier = json.loads(file.read_text()).get("wall_seconds", 0.0) if file.exists() else 0.0

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    facts = {
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "wall_seconds": round(earlier + seconds, 1),
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {
            name: installed(name) for name in ("s1core", "torch", "transformers", "numpy", "vllm")
        },
        "commit": _commit(),
    }
    if gpus := _gpus():
        facts["gpus"] = gpus
    write_atomically(file, [json.dumps(facts, indent=1, sort_keys=True) + "\n"])


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Name and driver of each NVIDIA GPU; empty where there is none."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _commit() -> str | None:
    """The commit of the checkout that the package runs from, if it runs from one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
