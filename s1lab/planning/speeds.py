"""How fast the GPUs are: assumed once, here, until `make calibrate` measures it on the machine.

What a minute of training and one of sampling reach of an H100's data sheet is in `measured.json` in
the run store, from which the plan is then made (`benchmarks/calibrate.py` writes it).
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from s1core.records import write_atomically
from s1lab.provenance import json_text, recorded

FILE = "measured.json"
MARGIN = 1.25  # by how much a longer run may go faster or slower than what was measured


@dataclass(frozen=True, slots=True)
class Speeds:
    """At best and at worst: shares of an H100's data sheet, and seconds."""

    training: tuple[float, float] = (0.45, 0.2)  # of its bf16 FLOPs: our goal, the paper's own run
    sampling: tuple[float, float] = (0.6, 0.25)  # of the bandwidth of its memory
    start: tuple[float, float] = (60.0, 180.0)  # s until a checkpoint is loaded, a training begun
    source: str = ""


ASSUMED = Speeds()


def read(store: Path) -> Speeds:
    """The speeds that a plan is made with: of what `store` has no measurement, those assumed."""
    found, speeds = recorded(store / FILE), ASSUMED
    known = [name for name in ("training", "sampling", "start") if name in found]
    for name in known:
        low, high = found[name] / MARGIN, found[name] * MARGIN
        speeds = replace(speeds, **{name: (low, high) if name == "start" else (high, low)})
    (fast, slow), (quick, late) = speeds.training, speeds.sampling
    text = (
        f"training at {slow:.0%} to {fast:.0%} of the peak FLOPs, sampling at {late:.0%} to "
        f"{quick:.0%} of the memory's bandwidth, {speeds.start[0]:.0f} to {speeds.start[1]:.0f} s "
        "to start an engine"
    )
    where = f"{', '.join(known)} measured on {found.get('device')}, {found.get('date')}"
    rest = "assumed until `make calibrate` measures them"
    return replace(speeds, source=f"{text}; {where if known else rest}")


def note(store: Path, **values: float) -> None:
    """Add what was measured (`training`, `sampling`, `start`) to what the plan is made from."""
    import torch

    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if on_gpu else platform.machine()
    about = {"device": device, "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    write_atomically(store / FILE, [json_text({**recorded(store / FILE), **about, **values})])
