"""Load a data set of the paper: from a local mirror when one is given, from the Hub otherwise.

From the Hub the pinned revision is read; where none is pinned, `main`, with a warning.
"""

import functools
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s1core.errors import InputError, explained
from s1core.records import Example, Problem
from s1lab.data.mirror import Mirror, read_rows
from s1lab.data.sources import Row, Source, source


def problems(name: str, data_dir: str | Path | None = None) -> list[Problem]:
    """The problems of a pool source, a benchmark or a release (a key of `sources.SOURCES`), from a
    local mirror: `data_dir`, or what `S1CORE_DATA_DIR` names; else from the Hub. InputError where
    it is unknown, out of reach, gated, or has a row unlike its own."""
    return [i.problem if isinstance(i, Example) else i for i in _converted(source(name), data_dir)]


def examples(name: str, data_dir: str | Path | None = None) -> list[Example]:
    """The examples of a release such as "s1K"; raises as `problems`, and where it has no traces."""
    entry = source(name)
    if entry.kind != "release":
        raise InputError(f"{name} has questions but no traces: choose s1K, s1K-1.1 or 59K-full")
    return [item for item in _converted(entry, data_dir) if isinstance(item, Example)]


def _converted(entry: Source, data_dir: str | Path | None) -> Iterator[Problem | Example]:
    for number, row in enumerate(raw_rows(entry, data_dir), start=1):
        try:
            item = entry.convert(row)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            what = "" if isinstance(error, InputError) else "not a row of this data set: "
            raise InputError(f"{entry.name}, row {number}: {what}{error}") from error
        if item is not None:
            yield item


def raw_rows(entry: Source, data_dir: str | Path | None) -> Iterator[Row]:
    """The rows of a data set as its maker has them; from where, and raises, as `problems`."""
    data_dir = data_dir or os.environ.get("S1CORE_DATA_DIR") or None
    if data_dir is None:
        yield from hub_rows(entry)
        return
    mirror = Mirror.open(data_dir)
    if fetched := mirror.files_of(entry.name):
        for name in fetched:
            yield from mirror.rows(name)
        return
    if not entry.mirror:
        told = f"leave out the data folder to read {entry.hub_id} from the Hub"
        raise InputError(f"{entry.name} is not part of the mirror's layout: {told}")
    parts = entry.configs if len(entry.configs) == len(entry.mirror) else [""] * len(entry.mirror)
    for name, part in zip(entry.mirror, parts, strict=True):
        for row in mirror.rows(name):
            yield {**row, "part": part}


def hub_revision(entry: Source) -> str:
    """The commit that is read from the Hub: the pinned one, or where none is, that of `main`."""
    if not entry.hub_id:
        raise InputError(f"{entry.name} is not on the Hub: give a local mirror with --data-dir")
    if entry.revision:
        return entry.revision
    import huggingface_hub

    with _from_hub(entry):
        hub: Any = huggingface_hub.HfApi(token=os.environ.get("HF_TOKEN") or None)
        info = hub.dataset_info(entry.hub_id)
    told = f"no verified revision is pinned; reading main of {entry.hub_id}, now {info.sha}"
    warnings.warn(f"{entry.name}: {told}", stacklevel=2)
    return str(info.sha)


def hub_rows(entry: Source, revision: str | None = None) -> Iterator[Row]:
    """The rows of a data set as the Hub has them, with its configuration as "part"."""
    revision = revision or hub_revision(entry)
    with _from_hub(entry):
        import datasets
        import huggingface_hub

        where = {"revision": revision, "token": os.environ.get("HF_TOKEN") or None}
        fetch = functools.partial(huggingface_hub.hf_hub_download, repo_type="dataset", **where)
        for name in entry.files:
            yield from read_rows(fetch(entry.hub_id, name))
        for config in () if entry.files else entry.configs or (None,):
            for split in entry.splits:
                for row in datasets.load_dataset(entry.hub_id, config, split=split, **where):
                    yield {**row, "part": config or ""}


@contextmanager
def _from_hub(entry: Source) -> Iterator[None]:
    """One sentence for what the Hub's clients report as a dozen unrelated types."""
    advice = "without a network, give a local mirror with --data-dir"
    try:
        with explained(f"{entry.name} cannot be read from the Hub ({entry.hub_id}); {advice}"):
            yield
    except InputError as error:
        kind = type(error.__cause__).__name__
        if entry.gated and kind in ("GatedRepoError", "DatasetNotFoundError", "HfHubHTTPError"):
            terms = f"accept its terms at huggingface.co/datasets/{entry.hub_id}"
            told = f"is gated: {terms} and set HF_TOKEN to a token of that account"
            raise InputError(f"{entry.name} {told}") from error.__cause__
        raise
