"""Damaged files, at random: a reader raises the project's own errors and nothing else.

`FUZZ_SECONDS=120 python -m pytest -m slow tests/test_fuzz.py` is what a release is tried with.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s1core.errors import S1Error
from s1core.grading.grades import read_generations
from s1core.records import Generation, read_jsonl, read_recoverable, to_json
from s1lab import profiles
from s1lab.data.mirror import Mirror
from s1lab.evaluation.logs import read_log
from s1lab.runs import RunStore
from tests.helpers import cases
from tests.test_jsonl import RECORDS

FILES = cases("fuzz")
PIECES = [b"null", b"NaN", b"-1", b"9" * 400, b"[" * 3000, b'"', b"{", b"}", b"\\ud800", b"\x00"]
PIECES += [b"\xff", b"\n", b"..", b"/etc", b"true", b"1e999", b": ", b"*a", b"&a [*a]", b"\\"]


def store(path: Path) -> None:
    """Everything that looks at a store's small files."""
    opened = RunStore(path.parent)
    for run in opened.runs():
        run.verify()
    opened.missing("laptop")


MADE, RUN = RECORDS[Generation], "sft-0123456789ab"
READERS: dict[str, tuple[str, object, Callable[[Path], Any]]] = {
    **{
        kind.__name__: ("r.jsonl", record, lambda p, kind=kind: list(read_jsonl(p, kind)))
        for kind, record in RECORDS.items()
    },
    "generations": ("o.jsonl", MADE, read_generations),
    "journal": ("j.jsonl", MADE, read_recoverable),
    "log": ("s.jsonl", FILES["log"], read_log),
    "profile": ("smoke.yaml", (profiles.FOLDER / "smoke.yaml").read_bytes(), profiles.load),
    "mirror": ("MANIFEST.json", FILES["mirror"], lambda p: list(Mirror.open(p.parent).entries)),
    "missing": ("missing.json", FILES["missing"], store),
    "manifest": (f"{RUN}/manifest.json", FILES["manifest"], lambda p: store(p.parent)),
    "finished": (f"{RUN}/finished.json", FILES["finished"], lambda p: store(p.parent)),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with a few random changes."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) + 1)
        upto = min(len(content), at + rng.choice((0, 1, 1, 2, 8, 64)))
        piece = rng.choice((b"", rng.choice(PIECES), bytes([rng.randrange(256)])))
        content = content[:at] + piece + content[upto:]
    return content


def fuzz(reader: str, folder: Path, seconds: float, seed: int) -> int:
    """Read damaged files for so long; returns how many were tried."""
    name, made, read = READERS[reader]
    whole = made if isinstance(made, bytes) else to_json(made).encode() + b"\n"
    path, rng, tried = folder / name, random.Random(f"{reader}:{seed}"), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    if reader == "finished":
        path.with_name("manifest.json").write_text(to_json(READERS["manifest"][1]))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        content = damaged(whole, rng)
        path.write_bytes(content)
        try:
            read(path)
        except (S1Error, OSError) as error:
            assert str(error) and len(str(error)) < 3_000
        except Exception as error:
            raise AssertionError(f"{reader}: {content[:2000]!r} gave {error!r}") from error
        tried += 1
    return tried


@pytest.mark.parametrize("seconds", [0.25, pytest.param(0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_raises_our_errors_alone(reader, seconds, tmp_path):
    if not seconds:
        share = float(os.environ.get("FUZZ_SECONDS", "120")) / len(READERS)
        assert fuzz(reader, tmp_path, share, seed=time.time_ns()) > 100
    assert fuzz(reader, tmp_path, seconds or 0.1, seed=0) > 5
