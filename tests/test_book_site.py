"""From notebook to page: what is kept, what is refused, and a site that is whole."""

import hashlib
import os
import re
import runpy
import shutil
from pathlib import Path

import pytest

pytest.importorskip("jupyter_book", reason="the book extra is not installed")

import nbformat

from s1core.errors import RunError
from s1lab.book.notebooks import check_notebooks, clean, execute, stale_notebooks
from s1lab.book.site import build, site_problems
from s1lab.runs import RunStore
from tests.book_fixtures import CHECKOUT, RUN, make_project, make_site
from tests.helpers import cases

TABLES = cases("book_site")
CHAPTER = "notebooks/00_chapter.html"
BUILT = "book/notebooks/00_chapter.ipynb"
STAMP = {"source": "notebooks/00_x.py", "profile": "laptop", "parameters": {"PROFILE": "laptop"}}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose one notebook imports nothing, executed."""
    folder = make_project(tmp_path_factory.mktemp("project") / "p", "small")
    run(folder)
    return folder


def run(folder: Path, seed: int | None = 7) -> bool:
    return execute(folder / "notebooks/00_chapter.py", folder / BUILT, "laptop", seed=seed)


def cleaned(*cells: tuple[str, list, dict]) -> nbformat.NotebookNode:
    """Code cells of (source, outputs, metadata), cleaned."""
    make = nbformat.v4.new_code_cell
    made = [make(source, outputs=shown, metadata=meta) for source, shown, meta in cells]
    return clean(nbformat.v4.new_notebook(cells=made), STAMP)


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", text=text, name=name)


def test_timings_are_dropped_parameters_hidden_and_ids_made_of_the_source():
    ids = [[cell.id for cell in cleaned(*[("a = 1", [], {})] * 2).cells] for _ in range(2)]
    assert ids[0] == ids[1] == [hashlib.sha256(b"%d\na = 1" % n).hexdigest()[:12] for n in (0, 1)]
    for metadata, kept in (
        ({"lines_to_next_cell": 2, "tags": ["hide-input"]}, ["hide-input"]),
        ({"execution": {"start": "now"}, "tags": ["parameters"]}, ["parameters", "remove-cell"]),
        ({"tags": ["injected-parameters"]}, ["injected-parameters", "remove-cell"]),
    ):
        (cell,) = cleaned(("N = 1", [stream("one\ntwo\n")], metadata)).cells
        assert cell.metadata == {"tags": kept} and cell.source == "N = 1"
        assert [output.text for output in cell.outputs] == ["one\ntwo\n"]


DIFFER = {
    "wrote to stderr: UserWarning: careful": stream("UserWarning: careful\n", "stderr"),
    "object's address": stream("<Model object at 0x7f0012345678>"),
    "path": stream(f"{Path.home()}/.cache/model"),
    "raised KeyError: 'x'": nbformat.v4.new_output("error", ename="KeyError", evalue="'x'"),
}


@pytest.mark.parametrize("message", DIFFER)
def test_what_differs_between_machines_is_refused(message):
    with pytest.raises(RunError, match="cell 2") as refusal:
        cleaned(("1", [], {}), ("2", [DIFFER[message]], {}))
    assert message in str(refusal.value)


def test_the_stamp_says_where_a_notebook_came_from_and_the_seed_reaches_it(small):
    notebook = nbformat.read(small / BUILT, as_version=4)
    stamp, source = notebook.metadata["s1core"], small / "notebooks/00_chapter.py"
    assert stamp["source"] == "notebooks/00_chapter.py"
    assert stamp["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert stamp["profile"] == "laptop"
    assert stamp["parameters"] == {"PROFILE": "laptop", "SEED": 7}
    assert set(notebook.metadata) == {"kernelspec", "language_info", "s1core"}
    assert "seed 7 0.40" in (small / BUILT).read_text()
    built = small / BUILT  # a second execution changes nothing on disk or in the environment
    before, when, environment = built.read_bytes(), built.stat().st_mtime_ns, dict(os.environ)
    assert run(small) is False
    assert built.read_bytes() == before and built.stat().st_mtime_ns == when
    assert dict(os.environ) == environment


@pytest.mark.parametrize("message, text", TABLES["sources"].items())
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


def test_a_notebook_made_from_another_source_is_stale(small, tmp_path):
    assert stale_notebooks(CHECKOUT / "notebooks", CHECKOUT / "book" / "notebooks") == []
    shutil.copytree(small, tmp_path / "p")
    sources, built = tmp_path / "p/notebooks", tmp_path / "p/book/notebooks"
    assert stale_notebooks(sources, built) == []
    (sources / "00_chapter.py").write_text("# changed\n")
    (sources / "01_new.py").write_text("")
    shutil.copy(built / "00_chapter.ipynb", built / "99_gone.ipynb")
    problems = "\n".join(stale_notebooks(sources, built))
    assert "00_chapter.ipynb was made from another" in problems
    assert "01_new.ipynb is missing" in problems
    assert "99_gone.ipynb has no source" in problems


def test_one_changed_number_in_a_result_file_fails_the_check(small, tmp_path, capfd):
    for name in ("same", "changed"):
        shutil.copytree(small, tmp_path / name)
    (tmp_path / "changed/results/value.txt").write_text("0.41")
    assert check_notebooks([tmp_path / name / BUILT for name in ("same", "changed")], 1) == 1
    output = capfd.readouterr().out
    assert "1 failed, 5 passed" in output
    assert "'seed 7 0.40\\n' == 'seed 7 0.41\\n'" in output


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its site built in `site/`."""
    return make_site(tmp_path_factory.mktemp("site") / "p")


def build_site(folder: Path, site: Path | None = None, store: Path | None = None) -> None:
    book, html, speed = folder / "book", site or folder / "site", folder / "benchmarks"
    build(book, book / "notebooks", folder / "results", html, store, speed)


def page(project: Path, name: str = CHAPTER) -> str:
    return (project / "site" / name).read_text()


def test_every_source_has_a_page_and_a_figure_names_its_run_and_links_the_exact_files(project):
    text = page(project)
    assert 'id="fig-chapter-scaling"' in text and "40.0%" in text
    assert 'class="s1-light"' in text and 'class="s1-dark"' in text
    assert "Two ways to the same pages" in page(project, "index.html")
    assert (project / "site/references.html").is_file()
    assert list((project / "site/_static/mathjax").rglob("*.woff"))
    text, link = page(project), f"_{RUN.as_posix()}/public/points.json"
    assert RUN.name in text and "samples 2" in text
    assert f'href="../{link}"' in text
    points = (project / RUN / "public/points.json").read_bytes()
    assert (project / "site" / link).read_bytes() == points
    digest = hashlib.sha256((project / "notebooks/00_chapter.py").read_bytes()).hexdigest()
    assert stamp_of(text) == (
        "laptop · tiny, fine-tuned · seed 3 · n = 1,280 generations in 1 run · a CPU, 2 cores · "
        f"took 41 s · 2026-01-31 · notebooks/00_chapter.py @ {digest[:12]}"
    )


def stamp_of(text: str) -> str:
    """The line under the figure, as a reader sees it."""
    return re.sub(r"<[^>]+>", "", re.search(r"<summary>(.*?)</summary>", text)[1])


def test_the_stamp_of_several_runs_names_the_setting_that_differs(tmp_path):
    apart, runs = runpy.run_path(str(CHECKOUT / "book/_ext/provenance.py"))["_apart"], []
    for kind, cap in (("generate", 64), ("generate", 128), ("reading", 2)):
        settings = {"seed": 0, "budget": {"max_thinking": cap, "num_ignore": 0}}
        runs.append(RunStore(tmp_path).locate(kind, settings))
    assert apart(runs[:2]) == [{"max_thinking": 64}, {"max_thinking": 128}]
    assert apart(runs[:1]) == [{}] and apart(runs) == [{}] * 3  # of other kinds, all differs


def test_after_a_reproduction_the_page_tells_of_the_runs_of_this_machine(project, tmp_path):
    shutil.copytree(project / "results/laptop", tmp_path / "store")
    run = tmp_path / "store" / RUN.name
    (run / "manifest.json").write_text('{"kind": "generate", "settings": {"seed": 4}}')
    (run / "provenance.json").write_text('{"processor": "my own CPU", "wall_seconds": 7.0}')
    (run / "results.jsonl").write_text("bulky")
    build_site(project, tmp_path / "site", tmp_path / "store")
    said = stamp_of(page(tmp_path))
    assert "laptop · seed 4 · n = 1,280" in said and "my own CPU" in said
    assert "took 7 s" in said and "took 41 s" not in said
    assert not list((tmp_path / "site").rglob("results.jsonl"))


def test_the_page_ends_with_its_stamp_and_the_notebook_to_download(project):
    text = page(project)
    stamp = text[text.index('class="s1-stamp"') :]
    assert "s1lab.book execute notebooks/00_chapter.py" in stamp
    assert "make reproduce PROFILE=laptop" in stamp
    link = re.search(r'href="\.\./([^"]+)" download', stamp)[1]
    downloaded = (project / "site" / link).read_text()
    assert downloaded == (project / "book/notebooks/00_chapter.ipynb").read_text()
    # Parameter cells are in the download alone.
    assert "injected-parameters" in downloaded and "injected-parameters" not in text


def test_pages_that_no_one_writes_show_results_as_printed_and_test_only_what_was_run(project):
    text = page(project, "performance.html")
    assert re.search(r"<td><p>adding</p></td>\s*<td><p>5/s</p></td>", text)
    assert "benchmarks/sums.py" in text and "twice_once" not in text
    text = page(project, "claims.html")
    assert "s1-verdict s1-untested" in text
    rows = text[text.index("Under the profile") : text.index("The paper’s own numbers")]
    assert "s1-agrees" not in rows and "s1-differs" not in rows


def test_a_broken_reference_or_a_lost_history_fails_the_build_and_keeps_the_old_site(
    project, tmp_path
):
    shutil.copytree(project, tmp_path / "p")
    before = page(tmp_path / "p", "index.html")
    with open(tmp_path / "p/book/reading.md", "a") as file:
        file.write("\nSee {doc}`nowhere` and {cite}`nobody2020`.\n")
    (tmp_path / "p" / RUN / "provenance.json").unlink()
    with pytest.raises(RunError, match="reading.md.*nowhere") as refused:
        build_site(tmp_path / "p")
    assert f"{RUN.name}, but {RUN.name}/provenance.json is missing" in str(refused.value)
    assert page(tmp_path / "p", "index.html") == before
    assert not list((tmp_path / "p").glob(".building-*"))
    with pytest.raises(RunError, match="not a book"):
        build(tmp_path, tmp_path, tmp_path, tmp_path / "site")
    with pytest.raises(RunError, match="no executed notebooks"):
        check_notebooks([])


def test_a_site_that_lacks_something_is_not_whole(project, tmp_path):
    site = tmp_path / "site"
    shutil.copytree(project / "site", site)
    with open(site / "notebooks/00_chapter.html", "a") as chapter:
        chapter.write(r"<p><bdi>What is $x+\frac12$?</bdi></p>")  # a question may be TeX
    assert site_problems(site, project / "book") == []
    for problem, damaged, old, *new in TABLES["lacks"]:
        whole = (site / damaged).read_text()
        (site / damaged).write_text(whole.replace(old, new[0]) if new else old + whole)
        if not old:
            (site / damaged).unlink()
        assert any(problem in found for found in site_problems(site, project / "book")), problem
        (site / damaged).write_text(whole)
