"""The site: whole or refused, nothing from outside, provenance under every figure."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("jupyter_book", reason="the book extra is not installed")

from s1core.errors import RunError
from s1lab.book.site import build, site_problems
from tests.book_fixtures import RUN, make_site

CHAPTER = "notebooks/00_chapter.html"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its site built in `site/`."""
    return make_site(tmp_path_factory.mktemp("site") / "p")


def build_site(folder: Path, site: Path | None = None, store: Path | None = None) -> None:
    book, html, speed = folder / "book", site or folder / "site", folder / "benchmarks"
    build(book, book / "notebooks", folder / "results", html, store, speed)


def page(project: Path, name: str = CHAPTER) -> str:
    return (project / "site" / name).read_text()


def test_every_source_has_a_page_and_the_notebook_shows_its_outputs(project):
    text = page(project)
    assert 'id="fig-chapter-scaling"' in text and "40.0%" in text
    assert 'class="s1-light"' in text and 'class="s1-dark"' in text
    assert "Two ways to the same pages" in page(project, "index.html")
    assert (project / "site/references.html").is_file()


def test_a_figure_names_its_run_and_links_the_exact_files(project):
    text, link = page(project), f"_{RUN.as_posix()}/public/points.json"
    assert RUN.name in text and "samples 2" in text and "took 41 s" in text
    assert f'href="../{link}"' in text
    points = (project / RUN / "public/points.json").read_bytes()
    assert (project / "site" / link).read_bytes() == points


def stamp_of(text: str) -> str:
    """The line under the figure, as a reader sees it."""
    return re.sub(r"<[^>]+>", "", re.search(r"<summary>(.*?)</summary>", text)[1])


def test_the_line_under_a_figure_says_what_made_it(project):
    digest = hashlib.sha256((project / "notebooks/00_chapter.py").read_bytes()).hexdigest()
    assert stamp_of(page(project)) == (
        "laptop · tiny, fine-tuned · seed 3 · n = 1,280 generations in 1 run · a CPU, 2 cores · "
        f"took 41 s · 2026-01-31 · notebooks/00_chapter.py @ {digest[:12]}"
    )


def test_another_manifest_is_another_line_and_a_missing_one_no_site(project, tmp_path):
    shutil.copytree(project, tmp_path / "p")
    run = tmp_path / "p" / RUN
    (run / "manifest.json").write_text('{"kind": "generate", "settings": {"seed": 4}}')
    build_site(tmp_path / "p")
    assert "laptop · seed 4 · n = 1,280" in stamp_of(page(tmp_path / "p"))
    (run / "provenance.json").unlink()
    with pytest.raises(RunError, match=f"{run.name}/provenance.json is missing"):
        build_site(tmp_path / "p")
    shutil.rmtree(run)
    with pytest.raises(RunError, match=f"{run.name}, but the run is missing"):
        build_site(tmp_path / "p")


def test_after_a_reproduction_the_page_tells_of_the_runs_of_this_machine(project, tmp_path):
    shutil.copytree(project / "results/laptop", tmp_path / "store")
    run = tmp_path / "store" / RUN.name
    (run / "provenance.json").write_text('{"processor": "my own CPU", "wall_seconds": 7.0}')
    (run / "results.jsonl").write_text("bulky")
    build_site(project, tmp_path / "site", tmp_path / "store")
    text = page(tmp_path)
    assert "my own CPU" in text and "took 7 s" in text and "took 41 s" not in text
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
    assert "adding  5/s" in text and "benchmarks/sums.py" in text and "twice_once" not in text
    text = page(project, "claims.html")
    assert "s1-verdict s1-untested" in text
    rows = text[text.index("Under the profile") : text.index("The paper’s own numbers")]
    assert "s1-agrees" not in rows and "s1-differs" not in rows


def test_nothing_is_loaded_from_outside(project):
    remote = re.compile(r'<(script|link|img|iframe)[^>]+(src|href)="https?://')
    texts = {path: path.read_text() for path in (project / "site").rglob("*.html")}
    assert texts and [path for path, text in texts.items() if remote.search(text)] == []
    assert list((project / "site/_static/mathjax").rglob("*.woff"))


def test_a_broken_reference_fails_the_build_and_keeps_the_old_site(project, tmp_path):
    shutil.copytree(project, tmp_path / "p")
    before = page(tmp_path / "p", "index.html")
    with open(tmp_path / "p/book/reading.md", "a") as file:
        file.write("\nSee {doc}`nowhere` and {cite}`nobody2020`.\n")
    with pytest.raises(RunError, match="reading.md.*nowhere"):
        build_site(tmp_path / "p")
    assert page(tmp_path / "p", "index.html") == before
    assert not list((tmp_path / "p").glob(".building-*"))


def test_a_folder_that_is_no_book_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a book"):
        build(tmp_path, tmp_path, tmp_path, tmp_path / "site")


@pytest.mark.parametrize(
    ("damaged", "old", "new", "problem"),
    [
        ("index.html", "", None, "index.html is missing"),
        (CHAPTER, "", None, "has no page"),
        (CHAPTER, 'id="fig-chapter-scaling"', "", "figure chapter-scaling is not on the page"),
        (CHAPTER, "cell_output", "lost", "no cell output"),
        (CHAPTER, "</body>", '<script src="https://x.org/a.js"></script>', "x.org/a.js"),
        (CHAPTER, "</body>", '<img src="gone.png">', "gone.png does not exist"),
        (CHAPTER, "</body>", '<a href="01_next">next</a>', "01_next does not exist"),
        (CHAPTER, "</body>", "<p>:::{admonition} Box</p>", "':::'"),
        (CHAPTER, "</body>", "<p>{doc}`there`</p>", "'{doc}`'"),
        (CHAPTER, "</body>", "<p>so $\\alpha$ rises</p>", "'$\\\\alpha'"),
        ("_static/book.css", "", 'a {src: url("//x.org/f")}', "book.css: loads a remote asset"),
    ],
)
def test_a_site_that_lacks_something_is_not_whole(project, tmp_path, damaged, old, new, problem):
    site = tmp_path / "site"
    shutil.copytree(project / "site", site)
    assert site_problems(site, project / "book") == []
    if new is None:
        (site / damaged).unlink()
    else:
        text = (site / damaged).read_text()
        (site / damaged).write_text(text.replace(old, new) if old else new + text)
    assert any(problem in found for found in site_problems(site, project / "book"))
