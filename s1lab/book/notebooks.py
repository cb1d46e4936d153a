"""Execute percent notebooks with a profile's parameters, and check the executed ones.

The same source, package, profile and results give the same bytes: cell ids come from the source,
timestamps are dropped, and what differs between machines (stderr, addresses, paths) is an error.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from s1core import __version__
from s1core.errors import RunError
from s1core.records import write_atomically
from s1lab import packaged
from s1lab.data.mirror import sha256

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("s1core", "s1lab")
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}\b")
NOTEBOOK_ENVIRONMENT = packaged("book/environment.yaml")


def execute(source: str | Path, output: str | Path, profile: str, seed: int | None = None) -> bool:
    """Execute `source` (jupytext percent format) in the folder of `output`, and write it there,
    cleaned. PROFILE, and SEED where the notebook declares it, are set after the cell tagged
    "parameters". Returns whether the file's bytes changed.

    Raises:
        RunError: no such source, no PROFILE in it, a failing cell, or an output of this machine.
    """
    import jupytext
    import nbformat
    import papermill

    source, output = Path(source), Path(output)
    if not source.is_file():
        raise RunError(f"{source}: no such notebook.")
    notebook = jupytext.read(source, fmt="py:percent")
    values = _values(source, notebook, profile, seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    # Where the kernel cuts a stream depends on timing, so its pieces are joined.
    how: dict[str, Any] = {"coalesce_streams": True, "language": "python"}
    how |= {"kernel_name": "python3", "cwd": str(output.parent), "progress_bar": False}
    with tempfile.TemporaryDirectory(prefix="s1core-book-") as scratch, _environment(scratch):
        try:
            notebook = papermill.execute_notebook(notebook, None, parameters=values, **how)
        except papermill.PapermillExecutionError as error:
            told = f"{source}: the cell numbered [{error.exec_count}] raised {error.ename}"
            traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)).splitlines()
            raise RunError("\n    ".join([told, *traceback[-12:]])) from error
    where = "/".join(source.resolve().parts[-2:])  # notebooks/00_introduction.py
    stamp = {"source": where, "source_sha256": sha256(source)}
    stamp |= {"parameters": values, "profile": Path(profile).stem, "version": __version__}
    stamp |= {"package_sha256": package_digest()}
    text = nbformat.writes(clean(notebook, stamp)) + "\n"
    if output.is_file() and output.read_text(encoding="utf-8") == text:
        return False
    write_atomically(output, [text])
    return True


def clean(notebook: Any, stamp: Mapping[str, Any]) -> Any:
    """The notebook with what is kept of it: of cells' metadata the tags, with parameters hidden;
    `stamp` says where it came from, without a date. RunError: a cell wrote to stderr, raised, or
    shows an address or a path of this machine."""
    import nbformat

    for position, cell in enumerate(notebook.cells):
        cell.id = hashlib.sha256(f"{position}\n{cell.source}".encode()).hexdigest()[:12]
        tags = dict.fromkeys(cell.metadata.get("tags", []))
        if {"parameters", "injected-parameters"} & tags.keys():
            tags["remove-cell"] = None  # the stamp under the page shows the values that were used
        cell.metadata = {"tags": [*tags]} if tags else {}
        _refuse(cell.get("outputs", []), f"{stamp['source']}, cell {position + 1}")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "s1core": dict(stamp)}
    return nbformat.v4.new_notebook(cells=notebook.cells, metadata=nbformat.from_dict(metadata))


def _refuse(outputs: Sequence[Any], where: str) -> None:
    """RunError: an output is an error, or differs from run to run."""
    home = str(Path.home())
    paths = {str(ROOT), sys.prefix, home if len(home) > 5 else f"{home}/"}
    for output in outputs:
        if output.output_type == "error":
            raise RunError(f"{where} raised {output.ename}: {output.evalue}")
        if output.output_type == "stream" and output.name == "stderr":
            first = output.text.strip().splitlines()[:1]
            raise RunError(f"{where} wrote to stderr: {''.join(first) or '(blank)'}")
        # Embedded images are not read by anyone, and long.
        text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", json.dumps(output, ensure_ascii=False))
        if address := _ADDRESS.search(text):
            raise RunError(f"{where} shows an object's address ({address.group()}).")
        if path := next((path for path in paths - {"/", "//"} if path in text), ""):
            raise RunError(f"{where} shows a path of this machine ({path}).")


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
    wanted = {source.stem: sha256(source) for source in Path(sources).glob("*.py")}
    made: dict[str, str] = {}
    for path in Path(executed).glob("*.ipynb"):
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        made[path.stem] = metadata.get("s1core", {}).get("source_sha256", "")
    other = {name for name in wanted.keys() & made if wanted[name] != made[name]}
    told = dict.fromkeys(wanted.keys() - made, "is missing: run `make notebooks`.")
    told |= dict.fromkeys(other, "was made from another source: run `make notebooks`.")
    told |= dict.fromkeys(made.keys() - wanted, "has no source in the notebooks: delete it.")
    return [f"{Path(executed, name)}.ipynb {what}" for name, what in sorted(told.items())]


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
    with tempfile.TemporaryDirectory(prefix="s1core-nbval-") as scratch, _environment(scratch):
        # The results mode may be chosen by the caller; the committed ones are the default.
        environment = {"S1CORE_STORE": "results", **os.environ}
        return subprocess.run([*command, *map(str, paths)], env=environment, check=False).returncode


def _values(source: Path, notebook: Any, profile: str, seed: int | None) -> dict[str, Any]:
    """PROFILE, which must be declared, and SEED where it is."""
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not tagged:
        raise RunError(f'{source} has no cell tagged "parameters": add one with PROFILE in it.')
    declared = re.findall(r"^([A-Za-z_]\w*) *=", tagged[0].source, re.MULTILINE)
    if "PROFILE" not in declared:
        raise RunError(f"{source} declares no parameter PROFILE.")
    seeded = {"SEED": seed} if seed is not None and "SEED" in declared else {}
    return {"PROFILE": profile, **seeded}


def _environment(scratch: str) -> Any:
    """The environment of kernels, for a `with` block. A user's IPython profile must not run inside
    the book: there is one in the folder `scratch`, which only quietens the kernel."""
    profile = Path(scratch, "ipython", "profile_default")
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 50\n")
    return patch.dict(os.environ, NOTEBOOK_ENVIRONMENT, IPYTHONDIR=str(profile.parent))
