"""The run store: every result has a folder, named by the hash of the settings that made it.

::

    store/generate-3f9c1a2b7d10/
        manifest.json      kind and settings: what was asked for (the same on every machine)
        results.jsonl      append-only records (`Journal`)
        public/            the small files that figures and tables are made from
        finished.json      written last: counts, and a sha256 for each public file
        provenance.json    when, where, how long, with which versions (differs between machines)

The committed `results/<profile>/` has the same layout without `results.jsonl`, read-only.
"""

import csv
import hashlib
import io
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from s1core.errors import RunError
from s1core.records import Journal, to_json, write_atomically
from s1lab.data.mirror import sha256
from s1lab.provenance import json_text, note, read_object, recorded, seconds_of

LAYOUT = 1
"""Version of the folder layout and of the meaning of the settings; part of every hash."""

STORE_VARIABLE = "S1CORE_STORE"
DEFAULT_STORE, COMMITTED = "store", "results"

COPIED = {"manifest.json", "finished.json", "provenance.json", "public"}
MISSING, HEADLINE, LOCK = "missing.json", "scaling.svg", ".lock"
"""What is committed of a run; beside runs, what could not be had, the headline figure, a lock."""

Compute = Callable[["Run"], Mapping[str, Any] | None]
"""Makes or continues a run in its folder; returns facts for its summary, if there are any."""


def project_root(start: str | Path = ".") -> Path:
    """The checkout that `start` lies in; `start` itself where there is none."""
    start = Path(start).resolve()
    folders = (f for f in (start, *start.parents) if (f / "pyproject.toml").exists())
    return next((folder for folder in folders if (folder / "s1core").is_dir()), start)


def lock(root: Path) -> BaseFileLock:
    """What one process holds while it makes runs in a store; it may hold it several times."""
    root.mkdir(parents=True, exist_ok=True)
    return FileLock(root / LOCK, is_singleton=True, thread_local=False)


def run_name(kind: str, settings: Mapping[str, Any]) -> str:
    """The folder name of a run, `generate-3f9c1a2b7d10`: the same for equal settings."""
    canonical = json.dumps([LAYOUT, kind, settings], sort_keys=True, separators=(",", ":"))
    return f"{kind}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Run:
    """One folder of a store. Made by `RunStore`."""

    path: Path
    kind: str
    settings: Mapping[str, Any]
    read_only: bool = False

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def is_finished(self) -> bool:
        """Whether its marker is there and can be read; one that is torn marks nothing."""
        with suppress(RunError):
            return bool(self.summary())
        return False

    @property
    def state(self) -> str:
        """ "finished", "unfinished", or "damaged": files that say what it is cannot be read."""
        if self.is_finished and run_name(self.kind, self.settings) == self.id:
            return "finished"
        return "damaged" if self.verify() else "unfinished"

    def append(self, records: Iterable[Any]) -> int:
        """Add records; they are on disk when this returns. Returns how many."""
        return Journal(self.path / "results.jsonl").append(records)

    def records(self, kind: type | None = None) -> Iterator[Any]:
        """The records so far (see `Journal.records`)."""
        return Journal(self.path / "results.jsonl").records(kind)

    def write_json(self, name: str, value: Any) -> None:
        """Write a public JSON file."""
        self._write(name, [json_text(value, ensure_ascii=False)])

    def write_table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a public CSV table; the columns are those of the first row."""
        rows, out = list(rows), io.StringIO()
        writer = csv.DictWriter(out, [*rows[0]] if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self._write(name, [out.getvalue()])

    def write_records(self, name: str, records: Iterable[Any]) -> None:
        """Write a public JSONL file."""
        self._write(name, (to_json(record) + "\n" for record in records))

    def _write(self, name: str, lines: Iterable[str]) -> None:
        write_atomically(self.path / "public" / name, lines)

    def read_json(self, name: str) -> Any:
        """A public JSON file of a finished run, checked against its digest."""
        return json.loads(self._read(name))

    def read_table(self, name: str) -> list[dict[str, str]]:
        """A public CSV table, values as text, checked against its digest."""
        return list(csv.DictReader(io.StringIO(self._read(name))))

    def read_records(self, name: str) -> list[dict[str, Any]]:
        """A public JSONL file, checked against its digest; only "\\n" ends a record."""
        return [json.loads(line) for line in self._read(name).split("\n") if line]

    def _read(self, name: str) -> str:
        path, digest = self.path / "public" / name, self.summary()["files"].get(name)
        if digest is None or not path.is_file():
            raise RunError(f"run {self.id} has no public file {name} (looked in {path.parent})")
        if sha256(path) != digest:
            raise RunError(f"{path}: its sha256 is not that of what was written; {self._advice}")
        return path.read_bytes().decode("utf-8")

    @property
    def _advice(self) -> str:
        return f"restore it, or remove the run with `s1lab runs gc --run {self.id}` and run again"

    def summary(self) -> dict[str, Any]:
        """What its end recorded: {"files": {name: sha256}, …}; RunError where it is damaged."""
        found = read_object(path := self.path / "finished.json", self._advice)
        if not isinstance(files := found.get("files"), dict) or "/" in "".join(files):
            raise RunError(f"{path} lists no files; {self._advice}")
        return found

    def provenance(self) -> dict[str, Any]:
        """When, where and for how long it ran; empty when that was not recorded."""
        found = recorded(self.path / "provenance.json")
        return {**found, "wall_seconds": seconds_of(found)} if found else {}

    @property
    def minutes(self) -> float:
        """How long it took on the machine that made it, in minutes; NaN where nobody knows."""
        return self.provenance().get("wall_seconds", math.nan) / 60

    def verify(self) -> list[str]:
        """What is wrong with the files of a run; empty when nothing is."""
        problems, files = [], {}
        if run_name(self.kind, self.settings) != self.id:
            problems.append(f"{self.id}: manifest.json is damaged or another run's; {self._advice}")
        if (self.path / "finished.json").exists():
            try:
                files = self.summary()["files"]
            except RunError as error:
                problems.append(str(error))
        for name, digest in files.items():
            if not (path := self.path / "public" / name).is_file():
                problems.append(f"{self.id}: public/{name} is missing")
            elif sha256(path) != digest:
                problems.append(f"{self.id}: public/{name} was changed after it was written")
        return problems

    def ensure(self, compute: Compute, held: bool = False) -> "Run":
        """The finished run; `compute` makes it, or continues what an earlier attempt left in it.
        One process at a time makes runs in a store: others wait here, unless they hold it already.
        RunError where the store does not hold the run and is read-only, or cannot be written."""
        if self.is_finished:
            return self
        if self.read_only:
            if (self.path / "finished.json").exists():
                self.summary()  # says what is wrong with it
            told = f"compute it with `make reproduce`, or unset {STORE_VARIABLE}"
            where = f"{self.path.parent} holds no finished run {self.id}"
            raise RunError(f"{where}. It has committed results only: {told}.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with nullcontext() if held else lock(self.path.parent):
                if not self.is_finished:
                    self._make(compute)
        except OSError as error:
            if error.errno is None:  # not the disk's: a network's, a library's
                raise
            where = f"the run store at {error.filename or self.path}: {error.strerror}"
            told = f"make room or name another folder in {STORE_VARIABLE}, then run again."
            raise RunError(f"cannot write to {where}. What was finished is kept; {told}") from error
        return self

    def _make(self, compute: Compute) -> None:
        manifest = json_text({"layout": LAYOUT, "kind": self.kind, "settings": self.settings})
        path = self.path / "manifest.json"
        if not path.exists() or path.read_bytes() != manifest.encode():
            write_atomically(path, [manifest])  # also what a full disk left behind
        began = time.perf_counter()
        facts = compute(self) or {}
        note(self.path / "provenance.json", time.perf_counter() - began)
        public = self.path / "public"
        for torn in public.glob(".*.partial"):  # an earlier attempt was killed while writing it
            torn.unlink()
        files = {path.name: sha256(path) for path in sorted(public.glob("[!.]*"))}
        write_atomically(self.path / "finished.json", [json_text({"files": files, **facts})])


class RunStore:
    """A folder of runs; one that is read-only (the committed results) never starts one."""

    def __init__(self, root: str | Path = DEFAULT_STORE, read_only: bool = False) -> None:
        self.root, self.read_only = Path(root), read_only

    @classmethod
    def default(cls, profile: str) -> "RunStore":
        """The local store, or the committed results of `profile` when `S1CORE_STORE=results`, both
        in the checkout that the working directory belongs to; without one, in that."""
        chosen = os.environ.get(STORE_VARIABLE) or DEFAULT_STORE
        if chosen == COMMITTED:
            return cls(project_root() / COMMITTED / profile, read_only=True)
        return cls(project_root() / chosen)

    @contextmanager
    def free(self) -> Iterator[bool]:
        """Hold the store while the block lasts, if nobody else does; says whether it is ours. One
        that is read-only is nobody's."""
        try:
            ours = nullcontext() if self.read_only else lock(self.root).acquire(timeout=0)
        except (Timeout, OSError) as error:  # where nothing can be written, making runs says so
            yield not isinstance(error, Timeout)
        else:
            with ours:
                yield True

    def locate(self, kind: str, settings: Mapping[str, Any]) -> Run:
        """The run with these settings, finished or not, started or not."""
        return Run(self.root / run_name(kind, settings), kind, settings, self.read_only)

    def runs(self) -> list[Run]:
        """Every run of the store, finished or not, sorted by name; damaged ones are among them."""
        found = []
        for path in sorted(self.root.glob("*-*")):
            if path.is_dir() and (named := re.fullmatch(r"([a-z]\w*)-[0-9a-f]{12}", path.name)):
                settings = recorded(path / "manifest.json").get("settings")
                settings = settings if isinstance(settings, dict) else {}
                found.append(Run(path, named[1], settings, self.read_only))
        return found

    def missing(self, profile: str) -> dict[str, str]:
        """What the runs of a profile go without, by name, and why (see `note_missing`)."""
        path, advice = self.root / MISSING, "delete it: `s1lab reproduce` writes it again"
        noted = read_object(path, advice).get(profile, {}) if path.exists() else {}
        if not isinstance(noted, dict) or not all(isinstance(why, str) for why in noted.values()):
            raise RunError(f"{path} does not say what is missing and why; {advice}")
        return noted

    def note_missing(self, profile: str, missing: Mapping[str, str]) -> None:
        """Remember which data sets and models could not be had, so that pages can say so."""
        noted = recorded(path := self.root / MISSING)
        if noted.get(profile, {}) != dict(missing):
            noted[profile] = dict(missing)
            write_atomically(path, [json_text(noted, ensure_ascii=False)])

    def get(self, run_id: str) -> Run:
        """The one run whose name starts with `run_id`; RunError if there is none, or several."""
        found = [run for run in self.runs() if run.id.startswith(run_id)]
        if len(found) != 1:
            names = ", ".join(run.id for run in found) or "none"
            raise RunError(f"expected one run named {run_id!r} in {self.root}, found {names}")
        return found[0]

    def remove(self, run: Run) -> None:
        """Delete a run's folder, marker first; RunError if it is being made, or not ours."""
        if self.read_only:
            raise RunError(f"{self.root} holds committed results; nothing is removed from it")
        with self.free() as ours:
            if not ours:
                raise RunError(f"a run of {self.root} is being made; stop that first")
            (run.path / "finished.json").unlink(missing_ok=True)
            shutil.rmtree(run.path)

    def export(self, runs: Sequence[Run], folder: str | Path) -> int:
        """Copy finished runs, without their bulky parts, to `folder`; returns how many. It is
        replaced as a whole; RunError if it holds something else than runs."""
        folder = Path(folder)
        for path in sorted(folder.iterdir() if folder.exists() else ()):
            known = path.name in (MISSING, HEADLINE, LOCK)
            if not (known or (path / "manifest.json").exists()):
                raise RunError(f"{folder} holds {path.name!r}, no run; it is not replaced")
        fresh = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)

        def bulky(_: str, names: list[str]) -> set[str]:  # nothing of what is inside `COPIED`
            return set(names) - COPIED if "manifest.json" in names else set()

        for run in runs:
            shutil.copytree(run.path, fresh / run.id, ignore=bulky)
        if (self.root / MISSING).exists():
            shutil.copy(self.root / MISSING, fresh / MISSING)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        return len(runs)
