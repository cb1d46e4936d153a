"""What a profile reads from outside, and how to bring it into one folder with checksums.

::

    mirror/
        MANIFEST.json       every data file: source, revision, rows, bytes, sha256
        missing.json        what could not be had, and why
        datasets/AIME24.jsonl
        models/org/name@commit/   as on the Hub, with SHA256SUMS

The folder is what `S1CORE_DATA_DIR` names on a machine without a network. Fetching again goes on
where it was stopped: a file that agrees with its checksum is kept, a partial download continued.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.checkpoints import SHIPPED, download, explained, in_mirror, locate, split_revision
from s1core.errors import InputError
from s1core.records import write_atomically
from s1lab.data import benchmarks
from s1lab.data.load import examples, hub_revision, hub_rows, problems
from s1lab.data.mirror import CHECKSUMS, Mirror, damaged, inside, note_checksums, sha256
from s1lab.data.sources import SUBSETS, source
from s1lab.desk import weights
from s1lab.profiles import Profile


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be at hand before a profile can run: data sets by name, models by id or folder."""

    training: tuple[str, ...]
    benchmarks: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Those that are trained on, then those that are evaluated on."""
        return (*self.training, *self.benchmarks)

    @property
    def essential(self) -> tuple[str, ...]:
        """The training set and the model that is fine-tuned: without these nothing can run."""
        return (*self.training[:1], *self.models[:1])


def needs(profile: Profile) -> Needs:
    """What a profile needs from the Hub or a mirror, without what ships with the package (the
    pocket pool, its models and its questions); nothing is loaded."""
    subsets = [SUBSETS[name] for name in profile.ablations.subsets]
    pool = [] if profile.pool == "pocket" else [source(profile.pool).name]
    asked = [*profile.evaluation.benchmarks, *profile.ablations.benchmarks]
    found = [benchmarks.benchmark(name) for name in asked]
    models = [str(m) for m in (profile.model, *(arm["model"] for arm in profile.released.values()))]
    lists = (
        pool if profile.curates else [*pool, *subsets],
        [one.name for one in found if one.kind != "countdown"],
        [model for model in models if not model.startswith(SHIPPED)],
    )
    return Needs(*(tuple(dict.fromkeys(names)) for names in lists))


def find_missing(profile: Profile) -> dict[str, str]:
    """What a run of the profile will go without, and why: benchmarks, subsets, released models.
    Data sets are read as the run will read them; of a model only its being there is checked.
    InputError: the training set itself cannot be had: nothing can run."""
    wanted, missing = needs(profile), {}
    readers: dict[str, Callable[[str], Any]] = dict.fromkeys(wanted.training, rows_of)
    readers |= dict.fromkeys(wanted.benchmarks, benchmarks.load)
    readers |= dict.fromkeys(wanted.models[1:], reach)
    for name, read in readers.items():
        try:
            read(name)
        except InputError as error:
            if name in wanted.essential:
                raise
            missing[name] = str(error)
    return missing


def rows_of(name: str) -> Sequence[Any]:
    """The rows of what is trained on: examples, or the questions of a raw pool."""
    return examples(name) if source(name).kind == "release" else problems(name)


def reach(model: str) -> None:
    """Raise InputError unless a model can be had, from a folder, the mirror or the Hub."""
    if Path(model).exists() or in_mirror(model):
        locate(model)
    elif os.environ.get("S1CORE_DATA_DIR"):
        raise InputError(f"{model} is not in the mirror")
    else:
        model_info(model)


def model_info(model: str, **options: Any) -> Any:
    """What the Hub says of a model at its revision; InputError, with its reason, if nothing."""
    from huggingface_hub import HfApi

    repository, revision = split_revision(model)
    options |= {"timeout": 20, "token": os.environ.get("HF_TOKEN") or None}
    with explained(f"{model} is out of reach on the Hub"):
        return HfApi().model_info(repository, revision=revision or None, **options)


def fetch(
    profile: Profile, root: str | Path, say: Callable[[str], None], given: str | Path = ""
) -> tuple[list[str], dict[str, str]]:
    """Fetch every data set and model of a profile that the Hub gives out; `given` is a folder with
    the weights of the `desk` profile (see `s1lab.desk.weights`). Returns what is there, checked,
    and what could not be had (gated, gone), with the reason, as `missing.json` has it."""
    root, wanted = Path(root), needs(profile)
    readers: dict[str, Callable[[str, Path], str]] = dict.fromkeys(wanted.datasets, _dataset)
    readers |= {name: _model for name in wanted.models if not Path(name).exists()}
    if weights.MODEL in readers:
        models = root / "models"
        readers[weights.MODEL] = lambda name, _: weights.make(inside(models, name), given, say)
    there: list[str] = []
    missing: dict[str, str] = {}
    for name, bring in readers.items():
        try:
            say(f"{name}: {bring(name, root)}")
            there.append(name)
        except InputError as error:
            missing[name] = str(error)
    text = json.dumps(missing, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(root / "missing.json", [text])
    return there, missing


def _dataset(name: str, root: Path) -> str:
    """Write one data set as JSONL and list it in the manifest; returns what was done."""
    entry, mirror = source(name), Mirror.open(root, new=True)
    with suppress(InputError):  # what is damaged is brought again
        if [mirror.path(file) for file in mirror.files_of(name)]:
            return "there already"
    revision = hub_revision(entry)
    about = {"hub_id": entry.hub_id, "revision": revision, "licence": entry.licence}
    about["note"] = "gated: do not pass on" if entry.gated else ""
    return f"{mirror.add(name, hub_rows(entry, revision), **about):,} rows at {revision[:12]}"


def _model(name: str, root: Path) -> str:
    """Download one model, and check or write its checksums; returns what was done."""
    folder = inside(root / "models", name)
    known = (folder / CHECKSUMS).is_file()
    wrong = damaged(folder) if known else []
    if known and not wrong:
        return "there already"
    for path in wrong:
        path.unlink(missing_ok=True)  # the Hub's client keeps files that are there
    download(name, folder)
    for file in model_info(name, files_metadata=True).siblings or ():
        path = folder / file.rfilename  # the Hub has digests of the files that it stores apart
        if file.lfs is not None and path.is_file() and sha256(path) != file.lfs.sha256:
            raise InputError(f"{name}: {path.name} has another sha256 than on the Hub; fetch again")
    note_checksums(folder)
    return f"{sum(p.stat().st_size for p in folder.iterdir() if p.is_file()) / 1e9:.1f} GB"
