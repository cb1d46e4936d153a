"""Where and how a run was computed: what differs between machines, kept out of every hash."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from s1core.errors import InputError, RunError
from s1core.records import parse_json, write_atomically

VERSIONS = ("s1core", "torch", "transformers", "numpy", "vllm")


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """A JSON object that was written beside results; RunError with `advice` if it is none."""
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError as error:
        message = f"{path.parent.name} has no {path.name} (looked in {path.parent})"
        raise RunError(message) from error
    except (OSError, InputError) as error:
        raise RunError(f"{path} is damaged ({error}); {advice}") from error


def recorded(path: Path) -> dict[str, Any]:
    """The same where nothing depends on it: empty when there is none, or none that can be read."""
    with suppress(RunError):
        return read_object(path, "")
    return {}


def json_text(value: Any, **options: Any) -> str:
    """How such a file is written: the same for equal values."""
    return json.dumps(value, indent=1, sort_keys=True, **options) + "\n"


def seconds_of(provenance: Mapping[str, Any]) -> float:
    """How long a run took, over all its attempts; 0 where that is not known."""
    seconds = provenance.get("wall_seconds")
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e12 else 0.0


def note(file: Path, seconds: float) -> None:
    """Write where and for how long a run computed; the seconds of resumed runs add up."""
    git = ("git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD")
    facts: dict[str, Any] = {
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "wall_seconds": round(seconds_of(recorded(file)) + seconds, 1),
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {
            name: next((found.version for found in metadata.distributions(name=name)), None)
            for name in VERSIONS
        },
        "commit": next(iter(said(*git)), None),
    }
    if gpus := said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"):
        facts["gpus"] = gpus
    write_atomically(file, [json_text(facts)])


def _processor() -> str:
    with suppress(OSError):
        if named := re.search(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text()):
            return named[1].strip()
    return platform.processor() or platform.machine()


def said(*command: str) -> list[str]:
    """The lines that a program prints; none where it is missing, fails or hangs."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=50)
        return done.stdout.strip().splitlines() if done.returncode == 0 else []
    return []
