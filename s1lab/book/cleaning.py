"""Reduce an executed notebook to what its source and its results determine.

The same source, package, profile and results give the same bytes: cell ids come from the source,
timestamps are dropped, and what differs between machines (stderr, addresses, paths) is an error.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from s1core.errors import RunError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("s1core", "s1lab")

_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}\b")


def clean(notebook: Any, stamp: Mapping[str, Any]) -> Any:
    """The notebook with what is kept of it; `stamp` says where it came from, without a date.
    RunError: a cell wrote to stderr, raised, or shows an address or a path of this machine."""
    import nbformat

    cells = []
    for position, cell in enumerate(notebook.cells):
        content = f"{position}\n{cell.source}".encode()
        kept = {"cell_type": cell.cell_type, "id": hashlib.sha256(content).hexdigest()[:12]}
        kept |= {"metadata": _clean_metadata(cell.metadata), "source": cell.source}
        if cell.cell_type == "code":
            where = f"{stamp['source']}, cell {position + 1}"
            outputs = _clean_outputs(cell.outputs, where)
            kept |= {"execution_count": cell.execution_count, "outputs": outputs}
        cells.append(nbformat.from_dict(kept))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "s1core": dict(stamp)}
    return nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(metadata))


def _clean_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the source wrote; drop papermill's timings; hide the parameter cells."""
    dropped = {"papermill", "execution", "lines_to_next_cell", "tags"}
    kept = {key: value for key, value in metadata.items() if key not in dropped}
    tags = list(metadata.get("tags", []))
    if {"parameters", "injected-parameters"} & set(tags) and "remove-cell" not in tags:
        tags.append("remove-cell")  # the stamp under the page shows the values that were used
    return dict(sorted({**kept, **({"tags": tags} if tags else {})}.items()))


def _clean_outputs(outputs: Sequence[Any], where: str) -> list[Any]:
    """Merge split stdout chunks, and refuse what differs from run to run."""
    kept: list[Any] = []
    for output in outputs:
        if output.output_type == "error":
            raise RunError(f"{where} raised {output.ename}: {output.evalue}")
        if output.output_type == "stream":
            if output.name == "stderr":
                first = output.text.strip().splitlines()[:1]
                raise RunError(f"{where} wrote to stderr: {''.join(first) or '(blank)'}")
            if kept and kept[-1].output_type == "stream":
                # Where the kernel cuts a stream depends on timing.
                kept[-1]["text"] += output.text
                continue
        kept.append(output)
    for text in (text for output in kept for text in _texts(output)):
        if address := _ADDRESS.search(text):
            raise RunError(f"{where} shows an object's address ({address.group()}).")
        if path := next((path for path in _machine_paths() if path in text), ""):
            raise RunError(f"{where} shows a path of this machine ({path}).")
    return kept


def _texts(output: Any) -> Iterator[str]:
    if output.output_type == "stream":
        yield output.text
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/") and isinstance(value, str):
            # Embedded images are not read by anyone, and long.
            yield re.sub(r"base64,[A-Za-z0-9+/=]+", "", value)


def _machine_paths() -> list[str]:
    home = str(Path.home())
    paths = {str(ROOT), sys.prefix, home if len(home) > 5 else f"{home}/"}
    return sorted(path for path in paths if path not in {"/", "//"})
