"""A profile with its sizes cut down, for a rehearsal: everything runs, nothing takes long.

The list of runs keeps its shape: as many budgets, Waits, subsets and sequence lengths as the
profile has, each much smaller (`cut.yaml`). What a CPU cannot do (fp8, tensor parallelism) is left
out.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from s1core.records import from_dict
from s1lab.profiles import Profile

CUT = yaml.safe_load(Path(__file__).with_name("cut.yaml").read_text(encoding="utf-8"))
VLLM_ON_CPU = CUT.pop("vllm")
EXAMPLES = CUT["selected"]


def cut(profile: Profile, model: str, released: str = "", *, engine: str = "hf") -> Profile:
    """The profile at rehearsal sizes, with `model` in the place of the one it fine-tunes, and
    `released` (default: `model`) in that of the released ones; `engine` is "vllm" (its CPU build)
    or "hf"."""
    row, caps = _merged(asdict(profile), CUT), CUT["evaluation"]["budgets"]
    row |= {"name": f"{profile.name}-rehearsal", "title": f"Rehearsal of {profile.name}"}
    row |= {"model": model, "engine": engine, "curation": "smoke" if profile.curation else ""}
    row["engine_options"] = VLLM_ON_CPU if engine == "vllm" else {}
    for effort, cap in zip(row["efforts"].values(), caps):
        effort["max_thinking"] = cap
    for arm in row["released"].values():
        arm |= {"model": released or model, "engine_options": {}}
        arm["budgets"] = caps[: len(arm.get("budgets", ()))]
    return from_dict(Profile, row)


def _merged(value: Any, smaller: Any) -> Any:
    """A value of the profile beside that of `cut.yaml`."""
    if isinstance(smaller, dict):
        return {**value, **{name: _merged(value.get(name), new) for name, new in smaller.items()}}
    if isinstance(smaller, list):
        return smaller[: len(value)]
    return min(value, smaller) if type(value) is type(smaller) is int else smaller
