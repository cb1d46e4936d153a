"""Run a large profile at rehearsal sizes, the way it will be run: `s1lab rehearse h100`.

The same scripts, command line, store, notebooks and book, in a folder of its own::

    rehearsal/h100/
        profile.yaml   the profile with its sizes cut (`cut`)
        mirror/        data (`rehearsal_data`)
        model/         what is fine-tuned (`standin`)
        released/      what stands for the released checkpoints
        store/         runs
        notebooks/     executed, every figure stamped
        html/          the book

Nothing is written anywhere else, and nothing of it is ever accepted as a result.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from s1core.errors import RunError
from s1core.records import write_atomically
from s1lab import profiles
from s1lab.planning.needs import needs
from s1lab.planning.tokens import Tokens
from s1lab.profiles import Profile
from s1lab.rehearsal.cut import EXAMPLES, cut
from s1lab.rehearsal.data import rehearsal_mirror
from s1lab.rehearsal.standin import stand_in, tireless
from s1lab.runs import project_root

Say = Callable[[str], None]

STAMP = "rehearsal"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal whose folder is prepared.

    Attributes:
        folder: where all of it is.
        profile: at rehearsal sizes.
        environment: variables under which every stage runs.
        python: interpreter that computes the runs (another one may hold vLLM).
    """

    folder: Path
    profile: Profile
    environment: dict[str, str]
    python: str

    @property
    def work(self) -> Path:
        """The folder in which every stage runs; paths in the profile are relative to it."""
        return self.folder / "notebooks"


def prepare(
    name: str,
    folder: str | Path | None = None,
    *,
    model: str | Path | None = None,
    data_dir: str | Path | None = None,
    python: str | None = None,
    say: Say = lambda line: None,
) -> Rehearsal:
    """Make the folder of a rehearsal: profile, mirror and model.

    Args:
        name: the profile to rehearse.
        folder: where; default: `rehearsal/NAME` in the checkout.
        model: a small checkpoint; default: SmolLM2 (`standin`).
        data_dir: a mirror with the real files; default: `S1CORE_DATA_DIR`, or else the Hub.
        python: interpreter that computes the runs; default: this one.

    Raises:
        RunError, InputError: the model or the data are not at hand.
    """
    full = profiles.load(name)
    if full.pool == "pocket":
        raise RunError(f"{full.name} needs no rehearsal: `s1lab reproduce {full.name}`")
    folder = Path(folder or project_root() / "rehearsal" / full.name).resolve()
    python = python or sys.executable
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    released = Path(model) if model else stand_in(folder / "stand-in")
    trained = released if model else tireless(released, folder / "tireless")
    for link, target in ((folder / "model", trained), (folder / "released", released)):
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())
    engine = "vllm" if full.engine == "vllm" and _imports(python, "vllm") else "hf"
    if engine != full.engine:
        say(
            f"vLLM is not installed for {python}: the transformers engine takes its place, so "
            "vLLM itself is not rehearsed"
        )
    profile = cut(full, "../model", "../released", engine=engine)
    write_atomically(
        folder / "profile.yaml",
        [yaml.safe_dump(json.loads(json.dumps(asdict(profile))), sort_keys=False)],
    )
    data_dir = data_dir or os.environ.get("S1CORE_DATA_DIR") or None
    rehearsal_mirror(folder / "mirror", data_dir, needs(full), EXAMPLES)
    environment = {
        "S1CORE_STORE": str(folder / "store"),
        "S1CORE_DATA_DIR": str(folder / "mirror"),
        "S1CORE_STAMP": STAMP,
        "PROFILE": "../profile.yaml",
        "PYTHON": python,
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(Path(profiles.__file__).parents[1]), os.environ.get("PYTHONPATH")])
        ),
        "HF_HUB_OFFLINE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": "1",
        # Two torchruns on this machine stand for two hosts.
        "HOSTS": " ".join(["localhost"] * profile.processes),
        "PER_HOST": "1",
        "PORT": str(_free_port()),
    }
    return Rehearsal(folder, profile, environment, python)


def compute(rehearsal: Rehearsal) -> None:
    """Check and make every run, by the launch script that the full profile is started with.

    Raises:
        RunError: the script failed; what it said is on the terminal.
    """
    name = "two_hosts.sh" if rehearsal.profile.processes > 1 else "one_gpu.sh"
    script = project_root(Path(__file__)) / "launch" / name
    done = subprocess.run(
        ["bash", str(script)],
        cwd=rehearsal.work,
        env={**os.environ, **rehearsal.environment},
        check=False,
    )
    if done.returncode:
        raise RunError(
            f"launch/{name} ended with status {done.returncode}; run the rehearsal again to go on"
        )


def compare(rehearsal: Rehearsal) -> tuple[Tokens, Tokens]:
    """Tokens that the plan said before, and that the finished runs really took.

    Without the released checkpoints' stand-in: it stops when it likes, below every budget.
    """
    from s1lab.pipeline import Pipeline
    from s1lab.planning.tokens import Counter, generated
    from s1lab.runs import RunStore

    with _inside(rehearsal):
        pipeline = Pipeline(rehearsal.profile, RunStore(rehearsal.folder / "store"))
        counter, planned, used = Counter(pipeline), Tokens(), Tokens()
        for step in pipeline.steps():
            if step.training is not None and step.training.released:
                continue
            if step.condition is not None:
                planned += counter.planned(step.condition)
                used += Tokens(expected=generated(step))
            elif step.training is not None:
                planned += counter.tokens(step)
                used += Tokens(trained=int(step.run.summary()["tokens"]))
        return planned, used


@contextmanager
def _inside(rehearsal: Rehearsal) -> Iterator[None]:
    """The folder and the variables of a rehearsal, while the block lasts."""
    before = dict(os.environ)
    os.environ.update(rehearsal.environment)
    try:
        with chdir(rehearsal.work):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def show(rehearsal: Rehearsal, notebooks: str | Path, book: str | Path, say: Say) -> int:
    """Execute every notebook on the rehearsal's store and build the book; returns its pages.

    Raises:
        RunError: a notebook failed; each one is tried, and all failures are named.
    """
    from s1lab.book.notebooks import execute
    from s1lab.book.site import build

    sources = sorted(Path(notebooks).resolve().glob("*.py"))
    book, failed = Path(book).resolve(), []
    with _inside(rehearsal):
        for source in sources:
            began = time.monotonic()
            output = rehearsal.work / f"{source.stem}.ipynb"
            try:
                execute(source, output, rehearsal.environment["PROFILE"])
                say(f"{source.name}: {time.monotonic() - began:.0f} s")
            except RunError as error:
                output.unlink(missing_ok=True)
                failed.append(str(error))
                say(f"{source.name}: FAILED")
        if failed:
            raise RunError(f"{len(failed)} notebooks failed:\n" + "\n".join(failed))
        nothing, html = rehearsal.folder / "no-results", rehearsal.folder / "html"
        count = build(book, rehearsal.work, nothing, html, rehearsal.folder / "store")
    if bare := unstamped(html):
        raise RunError(f"figures without the stamp on {', '.join(bare)}")
    return count


def unstamped(html: Path) -> list[str]:
    """Pages of a built book with a figure that does not say that it is a rehearsal's."""
    bare = []
    for page in sorted((html / "notebooks").glob("*.html")):
        text = page.read_text(encoding="utf-8")
        if text.count('class="s1-figure"') != text.count(f"<strong>{STAMP}, not a result"):
            bare.append(page.name)
    return bare


def _imports(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
