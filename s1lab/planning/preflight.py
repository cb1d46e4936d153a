"""Look for what would fail later, before anything is paid for: `s1lab preflight`.

Each check looks at the real thing (the driver, the disk, the files, the Hub) and says in one line
what it found and, where that will not do, what to change. Data are read by the same loaders that
the run uses, and the engine is started and asked, which takes most of the two minutes.
"""

import itertools
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from safetensors import SafetensorError, safe_open

from s1core.checkpoints import in_mirror, split_revision
from s1core.errors import InputError, S1Error
from s1lab.data import benchmarks
from s1lab.data.load import hub_revision
from s1lab.data.mirror import CHECKSUMS, damaged
from s1lab.data.sources import source
from s1lab.kinds.keeper import nodes
from s1lab.planning import contract
from s1lab.planning.fetch import Needs, model_info, needs, rows_of
from s1lab.profiles import Profile
from s1lab.provenance import said

PER_NODE = 8  # GPUs of one node; a profile with more runs on several
ENGINES = {"hf": ("torch", "transformers"), "vllm": ("torch", "transformers", "vllm")}
LARGE = 5_000  # rows beyond which a data set on the Hub is not read for a check, only looked up
MOST_SKEW = 300  # seconds by which the clock may be off before certificates and tokens fail
HASHED = 5e9  # bytes up to which a model's files are compared with their checksums
GATED_FIX = "accept its terms on the Hub and set HF_TOKEN, or go on without it (--go-on)"
MIRROR_FIX = "fetch again: s1lab fetch PROFILE --to $S1CORE_DATA_DIR"
NETWORK_FIX = "check the network, or use a mirror"


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


def preflight(
    profile: Profile, store: Path, disk: float = 0, misfits: Sequence[str] = (), go_on: bool = False
) -> Iterator[Finding]:
    """Check everything; findings come as they are made. `disk` is what the runs and downloads will
    take in the `store` (bytes), `misfits` say what does not fit into a GPU's memory; with `go_on`
    what a run can do without (a benchmark, a baseline, a released model) is a warning."""
    change = "change the profile, or take a larger GPU"
    memory = [Finding("memory", misfit, change) for misfit in misfits]
    checks = itertools.chain(
        gpus(profile),
        slurm(profile),
        versions(profile),
        memory or [Finding("memory", "everything planned fits")],
        check_disk(store, disk),
        check_needs(profile),
    )
    blocked, vital = False, ("GPU", "driver", "nodes", "versions", "Hub", profile.model)
    for finding in checks:
        blocked |= finding.level == "PROBLEM" and finding.about in vital
        yield replace(finding, mild=True) if finding.optional and go_on else finding
    yield from check_engine(profile, store, blocked)


def gpus(profile: Profile) -> Iterator[Finding]:
    """NVIDIA GPUs of this node: how many, how large, and whether torch can use them."""
    if not profile.gpus:
        yield Finding("GPU", "none needed")
        return
    wanted = min(profile.gpus, PER_NODE)
    query = "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"
    found = [line.split(", ") for line in said("nvidia-smi", *query)]
    if not found:
        text = f"none found (nvidia-smi does not answer), {wanted} needed on this node"
        yield Finding("GPU", text, "run on a machine with NVIDIA GPUs and their driver")
        return
    name, memory, driver = min(found, key=lambda row: float(row[1]))
    few = len(found) < wanted
    rest = f"found, {wanted} needed on this node" if few else f"x {name}, driver {driver}"
    yield Finding("GPU", f"{len(found)} {rest}", "take more GPUs" if few else "")
    if (size := float(memory) / 1024) < profile.gpu_memory:
        text = f"{name} has {size:.0f} GiB, {profile.gpu_memory:g} needed"
        fix = "take GPUs with more memory, or a profile with a smaller model"
        yield Finding("GPU memory", text, fix)
    code = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
    cuda, usable = " ".join(said(sys.executable, "-c", code) or ["None False"]).split()[:2]
    if usable != "True":
        text = f"torch (built for CUDA {cuda}) cannot use the GPU with driver {driver}"
        yield Finding("driver", text, "update the driver, or install the CUDA build of torch")


def slurm(profile: Profile) -> Iterator[Finding]:
    """How processes are started on several nodes."""
    wanted = -(-profile.gpus // PER_NODE)
    if wanted > 1 and (nodes() < wanted or shutil.which("srun") is None):
        text = f"{profile.gpus} GPUs are {wanted} nodes, and this is no Slurm job of so many"
        yield Finding("nodes", text, "start with sbatch launch/slurm.sbatch")


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


def check_disk(folder: Path, needed: float) -> Iterator[Finding]:
    """Room for the run store at `folder` (bytes), whether it can be written, and its clock."""
    folder = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
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
    text, fix = f"{off:.0f} s from the file system's", "set it (timedatectl, chrony)"
    yield Finding("clock", text, fix if off > MOST_SKEW else "")


def check_engine(profile: Profile, store: Path, blocked: bool) -> Iterator[Finding]:
    """The processor's interface, and, unless it is `blocked`, the engine over a tiny model."""
    if profile.engine != "vllm":
        return
    with suppress(ImportError):
        second = import_module("vllm.v1.worker.gpu.sample.logits_processor").LogitsProcessor
        ours = import_module("s1core.serving.processor").Processor
        fits, told = issubclass(ours, second), "the logits processor of native forcing"
        text = f"{told} {'has' if fits else 'lacks'} the interface of vLLM's runner on a GPU"
        yield Finding("processor", text, "" if fits else "do not set native", mild=True)
    if blocked:
        text = "not started: caps, Waits and mixed budgets against transformers are unchecked"
        yield Finding("engine", text, "fix what is said above", mild=True)
        return
    try:
        yield Finding("engine", contract.check(profile, store))
    except S1Error as error:
        yield Finding("engine", str(error), f"see the end of {store / 'server.log'}")


def check_needs(profile: Profile) -> Iterator[Finding]:
    """Models and data sets; one line for all where the Hub is needed and does not answer."""
    from huggingface_hub import constants

    wanted = needs(profile)
    here = all(Path(model).exists() for model in wanted.models) and not wanted.datasets
    if here or os.environ.get("S1CORE_DATA_DIR") or _answers(constants):
        for model in wanted.models:
            yield replace(check_model(model), optional=model not in wanted.essential)
        yield from check_datasets(profile, wanted)
        return
    text = f"{constants.ENDPOINT} does not answer, and S1CORE_DATA_DIR names no mirror"
    fix = "connect to a network, or fetch a mirror elsewhere and copy it (s1lab fetch)"
    yield Finding("Hub", text, fix)


def _answers(hub: Any) -> bool:
    """Whether the Hub does; asked once, with little patience."""
    try:
        if not hub.HF_HUB_OFFLINE:
            urllib.request.urlopen(hub.ENDPOINT, timeout=10).close()
        return not hub.HF_HUB_OFFLINE
    except (OSError, ValueError) as error:
        return isinstance(error, urllib.error.HTTPError)


def check_datasets(profile: Profile, wanted: Needs) -> Iterator[Finding]:
    """Read every data set by the loader of the run: revision, columns, rows, checksums."""
    mirrored = bool(os.environ.get("S1CORE_DATA_DIR"))
    if any(source(n).gated for n in wanted.benchmarks) and not mirrored:
        state, fix = ("set", "") if os.environ.get("HF_TOKEN") else ("not set", GATED_FIX)
        yield Finding("token", f"HF_TOKEN is {state}", fix, optional=True)
    for name in wanted.datasets:
        entry, trained = source(name), name in wanted.training
        fix = GATED_FIX if entry.gated else MIRROR_FIX if mirrored else NETWORK_FIX
        expected = profile.selected if profile.rehearsal else entry.rows
        try:
            if not trained:
                text, fix = f"{len(benchmarks.load(name)):,} questions", ""
            elif entry.rows > LARGE and not mirrored:
                text, fix = f"on the Hub at {hub_revision(entry)[:12]}, not read", ""
            elif (found := len(rows_of(name))) == expected:
                text, fix = f"{found:,} examples", ""
            else:
                text = f"{found:,} examples where {expected:,} are expected"
        except InputError as error:
            text = str(error)
        yield Finding(name, text, fix, optional=name not in wanted.essential)


def check_model(model: str) -> Finding:
    """A model: whole where there is a copy, else at its revision on the Hub."""
    folder = Path(model) if Path(model).exists() else in_mirror(model)
    if folder is not None:
        wrong = "; ".join(broken_shards(folder))
        return Finding(model, wrong or f"whole, in {folder}", MIRROR_FIX if wrong else "")
    if os.environ.get("S1CORE_DATA_DIR"):
        return Finding(model, "not in the mirror", MIRROR_FIX)
    try:
        info = model_info(model)
    except InputError as error:
        return Finding(model, str(error), NETWORK_FIX)
    if split_revision(model)[1]:
        return Finding(model, "on the Hub at its revision")
    text = f"no revision is pinned; main is at {info.sha}"
    return Finding(model, text, f"name it {model}@{info.sha}", mild=True)


def broken_shards(folder: Path) -> list[str]:
    """What is wrong with a checkpoint's files: missing, cut, garbled, or another checksum."""
    index, shards = folder / "model.safetensors.index.json", sorted(folder.glob("*.safetensors"))
    if index.is_file():
        try:
            listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            shards = [folder / Path(name).name for name in sorted(set(listed))]
        except (ValueError, KeyError, TypeError, AttributeError):
            return [f"{index.name} is damaged"]
    wrong = [] if shards else [f"{folder} has no safetensors weights"]
    for path in shards:
        try:
            with safe_open(path, "np"):
                pass
        except (OSError, SafetensorError) as error:
            wrong.append(f"{path.name} is not whole: {error}")
    if wrong or not (folder / CHECKSUMS).is_file():
        return wrong
    try:
        large = sum(path.stat().st_size for path in shards) > HASHED
        differ = () if large else damaged(folder)
        return [f"{path.name} has another sha256 than noted" for path in differ]
    except InputError as error:
        return [str(error)]
