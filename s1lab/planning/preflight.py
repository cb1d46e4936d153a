"""Look for what would fail later, before anything is paid for: `s1lab preflight`.

Each check looks at the real thing (the driver, the disk, the files, the Hub) and says in one line
what it found and, where that will not do, what to change. All of them together take under a
minute; data are read by the same loaders that the run uses.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from s1lab.planning.artifacts import check_datasets, check_models, hub_out_of_reach
from s1lab.planning.environment import gpus, launcher, versions
from s1lab.planning.report import Finding
from s1lab.profiles import Profile

MOST_SKEW = 300
"""Seconds by which the clock may be off: beyond, certificates and tokens begin to fail."""

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a profile is about to run.

    Attributes:
        store: folder of the run store.
        disk: bytes that the runs and downloads will take there.
        misfits: what will not fit into a GPU's memory, one sentence each.
        port: on which torchrun's processes meet.
    """

    store: Path
    disk: float = 0.0
    misfits: tuple[str, ...] = ()
    port: int = 29500


def preflight(profile: Profile, site: Site, *, go_on: bool = False) -> Iterator[Finding]:
    """Check everything; findings come as they are made.

    Args:
        go_on: what a run can do without (a benchmark, a baseline, a released model) is a warning.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: gpus(profile),
        lambda: versions(profile),
        lambda: _fits(site),
        lambda: _disk(site),
        lambda: launcher(profile),
        lambda: _port(profile, site),
        lambda: _clock(site),
    ]
    unreachable = hub_out_of_reach(profile)
    if unreachable is not None:
        checks.append(lambda: iter([unreachable]))
    else:
        checks += [lambda: check_models(profile), lambda: check_datasets(profile)]
    for check in checks:
        for finding in check():
            yield finding.softened() if finding.optional and go_on else finding


def _fits(site: Site) -> Iterator[Finding]:
    for misfit in site.misfits:
        yield Finding.problem("memory", misfit, "change the profile, or take a larger GPU")
    if not site.misfits:
        yield Finding.fine("memory", "everything planned fits")


def _disk(site: Site) -> Iterator[Finding]:
    folder = site.store
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.0f} GB free at {folder}, {site.disk / 1e9:.0f} needed"
    if free < site.disk:
        yield Finding.problem("disk", text, "make room, or name another folder in S1CORE_STORE")
        return
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 20))
            file.flush()
    except OSError as error:
        yield Finding.problem(
            "disk", f"{folder} cannot be written: {error.strerror}", "make it writable"
        )
        return
    yield Finding.fine("disk", text)


def _port(profile: Profile, site: Site) -> Iterator[Finding]:
    if profile.processes == 1:
        return
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", site.port))
    except OSError:
        yield Finding.problem(
            "port", f"{site.port} is taken, and torchrun meets there", "set PORT to a free one"
        )
        return
    yield Finding.fine("port", f"{site.port} is free")


def _clock(site: Site) -> Iterator[Finding]:
    """The clock against the file system's, which may be another machine's, and the package's."""
    folder = site.store
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            skew = time.time() - Path(file.name).stat().st_mtime
    except OSError:
        return  # said by the check of the disk
    behind = Path(__file__).stat().st_mtime - time.time()
    if abs(skew) > MOST_SKEW or behind > MOST_SKEW:
        yield Finding.problem(
            "clock", f"off by {max(abs(skew), behind):.0f} s", "set it (timedatectl, chrony)"
        )
    else:
        yield Finding.fine("clock", "agrees with the file system's")
