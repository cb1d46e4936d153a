"""Execute percent notebooks with a profile's parameters, and check the executed ones."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core import __version__
from s1core.errors import RunError
from s1core.records import write_atomically
from s1lab.book.cleaning import PACKAGES, ROOT, clean
from s1lab.data.mirror import sha256

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Progress bars, warnings and Hub traffic would put machine paths and times into the pages.
# Notebooks compute little and run side by side; and sums in one order give the same tokens.
NOTEBOOK_ENVIRONMENT = {
    **dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"), "1"),
    **dict.fromkeys(("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"), "1"),
    **dict.fromkeys(("TRANSFORMERS_NO_ADVISORY_WARNINGS", "TQDM_DISABLE"), "1"),
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONHASHSEED": "0",
    # transformers imports tqdm.auto, which wants ipywidgets in a notebook; nothing here does.
    "PYTHONWARNINGS": "ignore:IProgress not found",
}


def execute(source: str | Path, output: str | Path, profile: str, seed: int | None = None) -> bool:
    """Execute `source` (jupytext percent format) in the folder of `output`, and write it there,
    cleaned. PROFILE, and SEED where the notebook declares it, are set after the cell tagged
    "parameters". Returns whether the file's bytes changed.

    Raises:
        RunError: no such source, no parameters cell, no PROFILE in it, a failing cell, or an output
            that would differ between machines.
    """
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    source, output = Path(source), Path(output)
    if not source.is_file():
        raise RunError(f"{source}: no such notebook.")
    notebook = jupytext.read(source, fmt="py:percent")
    values = _inject(source, notebook, profile, seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    strict = {"timeout": None, "raise_on_iopub_timeout": True}  # no output is lost in silence
    client = NotebookClient(notebook, kernel_name="python3", **strict)
    with tempfile.TemporaryDirectory(prefix="s1core-book-") as scratch:
        try:
            client.execute(cwd=str(output.parent), env=_environment(scratch))
        except CellExecutionError as error:
            cell = f"the cell numbered [{client.code_cells_executed}]"
            last = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback).splitlines()[-12:]
            said = f"{source}: {cell} raised {error.ename}: {error.evalue}"
            raise RunError("\n    ".join([said, *last])) from error
    stamp = {"source": _inside_project(source), "source_sha256": sha256(source)}
    stamp |= {"parameters": values, "profile": Path(profile).stem, "version": __version__}
    stamp |= {"package_sha256": package_digest()}
    text = nbformat.writes(clean(notebook, stamp)) + "\n"
    if output.is_file() and output.read_text(encoding="utf-8") == text:
        return False
    write_atomically(output, [text])
    return True


def package_digest() -> str:
    """sha256 over the names and bytes of both packages' sources (code, profiles, tables)."""
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*")):
        if path.suffix in {".py", ".yaml", ".json", ".jinja"} and path.is_file():
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def stale_notebooks(sources: str | Path, executed: str | Path) -> list[str]:
    """A sentence for each executed notebook that is missing, orphaned, or older than its source."""
    sources, executed = sorted(Path(sources).glob("*.py")), Path(executed)
    problems = []
    for source in sources:
        built = executed / f"{source.stem}.ipynb"
        if not built.is_file():
            problems.append(f"{built} is missing: run `make notebooks`.")
            continue
        stamp = json.loads(built.read_text(encoding="utf-8"))["metadata"].get("s1core", {})
        if stamp.get("source_sha256") != sha256(source):
            problems.append(f"{built} was made from another {source}: run `make notebooks`.")
    names = {source.stem for source in sources}
    orphans = (built for built in sorted(executed.glob("*.ipynb")) if built.stem not in names)
    return problems + [f"{built} has no source in the notebooks: delete it." for built in orphans]


def check_notebooks(paths: Sequence[str | Path], workers: int = 2) -> int:
    """Run nbval over executed notebooks on the committed results; returns pytest's exit status.
    What `nbval.cfg` in the working folder replaces is not compared."""
    if not paths:
        raise RunError("no executed notebooks to check: run `make notebooks` first.")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
    command += ["-q", "-p", "no:cacheprovider"]
    if workers > 1:
        # Cells of one notebook share a kernel, so they must stay on one worker.
        command += ["-n", str(workers), "--dist", "loadfile"]
    if Path("nbval.cfg").is_file():
        command += ["--nbval-sanitize-with", "nbval.cfg"]
    with tempfile.TemporaryDirectory(prefix="s1core-nbval-") as scratch:
        # The results mode may be chosen by the caller; the committed ones are the default.
        environment = {"S1CORE_STORE": "results", **_environment(scratch)}
        return subprocess.run([*command, *map(str, paths)], env=environment, check=False).returncode


def _inject(source: Path, notebook: NotebookNode, profile: str, seed: int | None) -> dict[str, Any]:
    """Set PROFILE, which must be declared, and SEED where it is; returns their values."""
    import nbformat

    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    place = next((i for i, of in enumerate(tags) if "parameters" in of), None)
    if place is None:
        raise RunError(f'{source} has no cell tagged "parameters": add one with PROFILE in it.')
    asked = {"PROFILE": profile} | ({} if seed is None else {"SEED": seed})
    declared = re.findall(r"^(\w+)\s*(?::[^=\n]+)?=", notebook.cells[place].source, re.MULTILINE)
    if "PROFILE" not in declared:
        raise RunError(f"{source} declares no parameter PROFILE.")
    values = {name: value for name, value in asked.items() if name in declared}
    text = [f"{name} = {json.dumps(value)}\n" for name, value in values.items()]
    injected = nbformat.v4.new_code_cell("".join(["# Parameters\n", *text]))
    injected.metadata["tags"] = ["injected-parameters"]
    notebook.cells.insert(place + 1, injected)
    return values


def _environment(scratch: str) -> dict[str, str]:
    """The environment of notebooks; a user's IPython profile must not run inside the book, ours in
    the folder `scratch` only quietens the kernel."""
    profile = Path(scratch, "ipython", "profile_default")
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
    return {**os.environ, **NOTEBOOK_ENVIRONMENT, "IPYTHONDIR": str(profile.parent)}


def _inside_project(path: Path) -> str:
    """The path relative to the project (the folder with pyproject.toml), or just the name."""
    path = path.resolve()
    roots = (folder for folder in path.parents if (folder / "pyproject.toml").is_file())
    return path.relative_to(next(roots, path.parent)).as_posix()
