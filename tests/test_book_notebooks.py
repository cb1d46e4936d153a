"""Executing notebooks: what is kept, what is refused, and that reruns give the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("papermill", reason="the book extra is not installed")

import nbformat

from s1core.errors import RunError
from s1lab.book.cleaning import Stamp, clean
from s1lab.book.notebooks import check_notebooks, execute, stale_notebooks
from tests.book_fixtures import CHECKOUT, make_small_project

STAMP = Stamp("notebooks/00_x.py", "0" * 64, "laptop", {"PROFILE": "laptop"}, "0.1", "1" * 64)
BUILT = Path("book/notebooks/00_small.ipynb")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose one notebook has been executed."""
    folder = make_small_project(tmp_path_factory.mktemp("project") / "book-project")
    run(folder)
    return folder


def run(folder: Path, seed: int | None = 7) -> bool:
    return execute(folder / "notebooks/00_small.py", folder / BUILT, "laptop", seed=seed)


def cleaned(*cells: tuple[str, list, dict]) -> nbformat.NotebookNode:
    """Code cells of (source, outputs, metadata), cleaned."""
    make = nbformat.v4.new_code_cell
    made = [make(source, outputs=shown, metadata=meta) for source, shown, meta in cells]
    return clean(nbformat.v4.new_notebook(cells=made), STAMP)


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", text=text, name=name)


def test_cell_ids_depend_on_position_and_source_alone():
    ids = [[cell.id for cell in cleaned(*[("a = 1", [], {})] * 2).cells] for _ in range(2)]
    assert ids[0] == ids[1] == [hashlib.sha256(b"%d\na = 1" % n).hexdigest()[:12] for n in (0, 1)]


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"papermill": {"duration": 3}, "tags": ["hide-input"]}, ["hide-input"]),
        ({"execution": {"start": "now"}, "tags": ["parameters"]}, ["parameters", "remove-cell"]),
        ({"tags": ["injected-parameters"]}, ["injected-parameters", "remove-cell"]),
    ],
)
def test_timings_are_dropped_parameters_hidden_and_what_the_author_wrote_is_kept(metadata, kept):
    cell = cleaned(("PROFILE = 'laptop'", [], metadata)).cells[0]
    assert cell.metadata == {"tags": kept} and cell.source == "PROFILE = 'laptop'"


def test_streams_that_the_kernel_split_are_joined():
    outputs = cleaned(("print()", [stream("one\n"), stream("two\n")], {})).cells[0].outputs
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
def test_what_differs_between_machines_is_refused(output, message):
    with pytest.raises(RunError, match="cell 2") as refusal:
        cleaned(("1", [], {}), ("2", [output], {}))
    assert message in str(refusal.value)


def test_the_stamp_says_where_a_notebook_came_from_and_the_seed_reaches_it(project):
    notebook = nbformat.read(project / BUILT, as_version=4)
    stamp, source = notebook.metadata["s1core"], project / "notebooks/00_small.py"
    assert stamp["source"] == "notebooks/00_small.py"
    assert stamp["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert stamp["profile"] == "laptop"
    assert stamp["parameters"] == {"PROFILE": "laptop", "SEED": 7}
    assert set(notebook.metadata) == {"kernelspec", "language_info", "s1core"}
    assert "seed 7 0.40" in (project / BUILT).read_text()


def test_a_second_execution_changes_nothing_on_disk_or_in_the_environment(project):
    built = project / BUILT
    before, when, environment = built.read_bytes(), built.stat().st_mtime_ns, dict(os.environ)
    assert run(project) is False
    assert built.read_bytes() == before and built.stat().st_mtime_ns == when
    assert dict(os.environ) == environment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such notebook"),
        ("# %%\n1\n", 'no cell tagged "parameters"'),
        ('# %% tags=["parameters"]\nN = ""\n', "declares no parameter PROFILE"),
        (
            '# %% tags=["parameters"]\nPROFILE = ""\n\n# %%\n{}["missing"]\n',
            "00_x.py: the cell numbered .* raised KeyError",
        ),
    ],
)
def test_a_bad_source_or_a_failing_cell_leaves_the_committed_notebook_as_it_was(
    tmp_path, text, message
):
    source, built = tmp_path / "00_x.py", tmp_path / "out/00_x.ipynb"
    built.parent.mkdir()
    built.write_text("committed")
    if text is not None:
        source.write_text(text)
    with pytest.raises(RunError, match=message):
        execute(source, built, "laptop")
    assert built.read_text() == "committed"
    assert [path.name for path in built.parent.iterdir()] == ["00_x.ipynb"]


def test_a_notebook_made_from_another_source_is_stale(project, tmp_path):
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


def test_one_changed_number_in_a_result_file_fails_the_check(project, tmp_path, capfd):
    for name in ("same", "changed"):
        shutil.copytree(project, tmp_path / name)
    (tmp_path / "changed/results/value.txt").write_text("0.41")
    assert check_notebooks([tmp_path / name / BUILT for name in ("same", "changed")], 1) == 1
    output = capfd.readouterr().out
    assert "1 failed, 5 passed" in output
    assert "'seed 7 0.40\\n' == 'seed 7 0.41\\n'" in output


def test_checking_nothing_is_an_error_not_a_success():
    with pytest.raises(RunError, match="no executed notebooks"):
        check_notebooks([])


def test_committed_notebooks_are_made_from_the_committed_sources():
    assert stale_notebooks(CHECKOUT / "notebooks", CHECKOUT / "book" / "notebooks") == []
