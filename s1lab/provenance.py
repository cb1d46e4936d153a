"""Where and how a run was computed: what differs between machines, kept out of every hash."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s1core.errors import RunError
from s1core.records import write_atomically


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """A JSON object that was written beside results.

    Raises:
        RunError: there is none, or it is torn or of another shape; `advice` says what to do.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        reason: object = f"a {type(found).__name__}"
    except FileNotFoundError as error:
        raise RunError(f"{path.parent.name} has no {path.name} (looked in {path.parent})") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = error
    raise RunError(f"{path} is damaged ({reason}); {advice}")


def recorded(path: Path) -> dict[str, Any]:
    """The same where nothing depends on it: empty when there is none, or none that can be read."""
    try:
        return read_object(path, "")
    except RunError:
        return {}


def note(file: Path, seconds: float) -> None:
    """Write where and for how long a run computed; the seconds of resumed runs add up."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    earlier = seconds_of(recorded(file))
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


def seconds_of(provenance: dict[str, Any]) -> float:
    """How long a run took, over all its attempts; 0 where that is not known."""
    seconds = provenance.get("wall_seconds")
    return float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else 0.0


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
    return _said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")


def _commit() -> str | None:
    """The commit of the checkout that the package runs from, if it runs from one."""
    here = str(Path(__file__).parent)
    return next(iter(_said("git", "-C", here, "rev-parse", "--short=12", "HEAD")), None)


def _said(*command: str) -> list[str]:
    """The lines that a program prints; none where it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []
