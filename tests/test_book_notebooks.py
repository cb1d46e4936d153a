"""Executing notebooks: what is kept, what is refused, and that reruns give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("papermill", reason="the book extra is not installed")

import nbformat

from s1core.errors import RunError
from s1lab.book.cleaning import Stamp, clean
from s1lab.book.notebooks import check_notebooks, execute, stale_notebooks
from tests.book_fixtures import make_small_project

STAMP = Stamp("notebooks/00_x.py", "0" * 64, "laptop", {"PROFILE": "laptop"}, "0.1", "1" * 64)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose one notebook has been executed."""
    folder = make_small_project(tmp_path_factory.mktemp("project") / "book-project")
    run(folder)
    return folder


def run(folder: Path, seed: int | None = None) -> bool:
    source, built = folder / "notebooks/00_small.py", folder / "book/notebooks/00_small.ipynb"
    return execute(source, built, "laptop", seed=seed)


def code(source: str, outputs: list | None = None, **metadata: object) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, outputs=outputs or [], metadata=metadata)


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", text=text, name=name)


def cleaned(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return clean(nbformat.v4.new_notebook(cells=list(cells)), STAMP)


# ------------------------------------------------------------------------------- cleaning


def test_cell_ids_depend_on_position_and_source_alone() -> None:
    first, second = cleaned(code("a = 1"), code("a = 1")), cleaned(code("a = 1"), code("a = 1"))
    ids = [cell.id for cell in first.cells]
    assert ids == [cell.id for cell in second.cells]
    assert len(set(ids)) == 2
    assert ids[0] == hashlib.sha256(b"0\na = 1").hexdigest()[:12]


def test_timings_are_dropped_and_what_the_author_wrote_is_kept() -> None:
    cell = code("1", papermill={"duration": 3}, execution={"start": "now"}, tags=["hide-input"])
    assert cleaned(cell).cells[0].metadata == {"tags": ["hide-input"]}


@pytest.mark.parametrize("tag", ["parameters", "injected-parameters"])
def test_parameter_cells_are_hidden_but_stay_in_the_notebook(tag: str) -> None:
    cell = cleaned(code("PROFILE = 'laptop'", tags=[tag])).cells[0]
    assert cell.metadata["tags"] == [tag, "remove-cell"]
    assert cell.source == "PROFILE = 'laptop'"


def test_streams_that_the_kernel_split_are_joined() -> None:
    outputs = cleaned(code("print()", [stream("one\n"), stream("two\n")])).cells[0].outputs
    assert [output.text for output in outputs] == ["one\ntwo\n"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (stream("UserWarning: careful\n", "stderr"), "wrote to stderr: UserWarning: careful"),
        (stream("<Model object at 0x7f0012345678>"), "object's address"),
        (stream(f"{Path.home()}/.cache/model"), "path"),
        (nbformat.v4.new_output("error", ename="KeyError", evalue="'x'"), "raised KeyError: 'x'"),
    ],
)
def test_what_differs_between_machines_is_refused(
    output: nbformat.NotebookNode, message: str
) -> None:
    with pytest.raises(RunError, match="cell 2") as refusal:
        cleaned(code("1"), code("2", [output]))
    assert message in str(refusal.value)


# ------------------------------------------------------------------------------ executing


def test_the_stamp_says_where_a_notebook_came_from(project: Path) -> None:
    source = project / "notebooks/00_small.py"
    metadata = nbformat.read(project / "book/notebooks/00_small.ipynb", as_version=4).metadata
    stamp = metadata["s1core"]
    assert stamp["source"] == "notebooks/00_small.py"
    assert stamp["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert stamp["profile"] == stamp["parameters"]["PROFILE"] == "laptop"
    assert set(metadata) == {"kernelspec", "language_info", "s1core"}


def test_a_second_execution_changes_nothing_on_disk_or_in_the_environment(project: Path) -> None:
    built = project / "book/notebooks/00_small.ipynb"
    before, when, environment = built.read_bytes(), built.stat().st_mtime_ns, dict(os.environ)
    assert run(project) is False
    assert built.read_bytes() == before and built.stat().st_mtime_ns == when
    assert dict(os.environ) == environment


def test_a_seed_reaches_the_notebooks_that_declare_one(tmp_path: Path) -> None:
    project = make_small_project(tmp_path / "p")
    run(project, seed=7)
    text = (project / "book/notebooks/00_small.ipynb").read_text()
    assert "seed 7 0.40" in text
    assert json.loads(text)["metadata"]["s1core"]["parameters"] == {"PROFILE": "laptop", "SEED": 7}


def test_a_failing_cell_leaves_the_committed_notebook_as_it_was(tmp_path: Path) -> None:
    source, built = tmp_path / "00_x.py", tmp_path / "out/00_x.ipynb"
    built.parent.mkdir()
    built.write_text("committed")
    source.write_text('# %% tags=["parameters"]\nPROFILE = ""\n\n# %%\n{}["missing"]\n')
    with pytest.raises(RunError, match="00_x.py: the cell numbered .* raised KeyError"):
        execute(source, built, "laptop")
    assert built.read_text() == "committed"
    assert [path.name for path in built.parent.iterdir()] == ["00_x.ipynb"]


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        (None, {}, "no such notebook"),
        ("# %%\n1\n", {}, 'no cell tagged "parameters"'),
        ('# %% tags=["parameters"]\nPROFILE = ""\n', {"N": 3}, "declares no parameter N"),
    ],
)
def test_a_bad_source_is_refused_before_anything_runs(
    tmp_path: Path, text: str | None, parameters: dict, message: str
) -> None:
    source = tmp_path / "00_x.py"
    if text is not None:
        source.write_text(text)
    with pytest.raises(RunError, match=message):
        execute(source, tmp_path / "x.ipynb", "laptop", parameters)


# ------------------------------------------------------------------------------- checking


def test_a_notebook_made_from_another_source_is_stale(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "p")
    sources, built = tmp_path / "p/notebooks", tmp_path / "p/book/notebooks"
    assert stale_notebooks(sources, built) == []
    (sources / "00_small.py").write_text("# changed\n")
    (sources / "01_new.py").write_text("")
    shutil.copy(built / "00_small.ipynb", built / "99_gone.ipynb")
    problems = "\n".join(stale_notebooks(sources, built))
    assert "00_small.ipynb was made from another" in problems
    assert "01_new.ipynb is missing" in problems
    assert "99_gone.ipynb has no source" in problems


def test_one_changed_number_in_a_result_file_fails_the_check(
    project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("same", "changed"):
        shutil.copytree(project, tmp_path / name)
    (tmp_path / "changed/results/value.txt").write_text("0.41")
    notebooks = [tmp_path / f"{name}/book/notebooks/00_small.ipynb" for name in ("same", "changed")]
    assert check_notebooks(notebooks, workers=1) == 1
    output = capfd.readouterr().out
    assert "1 failed, 5 passed" in output
    assert "'seed 0 0.40\\n' == 'seed 0 0.41\\n'" in output


def test_checking_nothing_is_an_error_not_a_success() -> None:
    with pytest.raises(RunError, match="no executed notebooks"):
        check_notebooks([])


def test_committed_notebooks_are_made_from_the_committed_sources() -> None:
    checkout = Path(__file__).resolve().parents[1]
    assert stale_notebooks(checkout / "notebooks", checkout / "book" / "notebooks") == []
