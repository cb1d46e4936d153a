"""The site: whole or refused, nothing from outside, provenance under every figure."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("jupyter_book", reason="the book extra is not installed")

from s1core.errors import RunError
from s1lab.book.notebooks import execute
from s1lab.book.site import build, site_problems
from tests.book_fixtures import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its site built in `site/`."""
    folder = make_project(tmp_path_factory.mktemp("site") / "p")
    execute(
        folder / "notebooks/00_chapter.py", folder / "book/notebooks/00_chapter.ipynb", "laptop"
    )
    build_site(folder)
    return folder


def build_site(folder: Path) -> int:
    book = folder / "book"
    return build(
        book,
        book / "notebooks",
        folder / "results",
        folder / "site",
        benchmarks=folder / "benchmarks",
    )


def page(project: Path, name: str = "notebooks/00_chapter") -> str:
    return (project / "site" / f"{name}.html").read_text()


def test_every_source_has_a_page_and_the_notebook_shows_its_outputs(project: Path) -> None:
    text = page(project)
    assert 'id="fig-chapter-scaling"' in text and "40.0%" in text
    assert 'class="s1-light"' in text and 'class="s1-dark"' in text
    assert "Two ways to the same pages" in page(project, "index")
    assert (project / "site/references.html").is_file()


def test_parameter_cells_are_not_on_the_page_but_in_the_download(project: Path) -> None:
    assert "injected-parameters" not in page(project)
    assert (
        "injected-parameters" in (project / "site/_sources/notebooks/00_chapter.ipynb").read_text()
    )


def test_a_figure_names_its_run_and_links_the_exact_files(project: Path) -> None:
    text = page(project)
    assert "generate-abc123def456" in text and "samples 2" in text and "took 41 s" in text
    link = "_results/laptop/generate-abc123def456/public/points.json"
    assert f'href="../{link}"' in text
    assert (project / "site" / link).read_bytes() == (
        project / "results" / link.removeprefix("_results/")
    ).read_bytes()


def stamp_of(text: str) -> str:
    """The line under the figure, as a reader sees it."""
    return re.sub(r"<[^>]+>", "", re.search(r"<summary>(.*?)</summary>", text)[1])


def test_the_line_under_a_figure_says_what_made_it(project: Path) -> None:
    digest = hashlib.sha256((project / "notebooks/00_chapter.py").read_bytes()).hexdigest()
    assert stamp_of(page(project)) == (
        "laptop · tiny, fine-tuned · seed 3 · n = 1,280 generations in 1 run · a CPU, 2 cores · "
        f"took 41 s · 2026-01-31 · notebooks/00_chapter.py @ {digest[:12]}"
    )


def test_another_manifest_is_another_line_and_a_missing_one_no_site(
    project: Path, tmp_path: Path
) -> None:
    shutil.copytree(project, tmp_path / "p")
    run = tmp_path / "p/results/laptop/generate-abc123def456"
    (run / "manifest.json").write_text('{"kind": "generate", "settings": {"seed": 4}}')
    build_site(tmp_path / "p")
    assert "laptop · seed 4 · n = 1,280" in stamp_of(page(tmp_path / "p"))
    (run / "provenance.json").unlink()
    with pytest.raises(RunError, match="generate-abc123def456/provenance.json is missing"):
        build_site(tmp_path / "p")
    shutil.rmtree(run)
    with pytest.raises(RunError, match="generate-abc123def456, but the run is missing"):
        build_site(tmp_path / "p")


def test_after_a_reproduction_the_page_tells_of_the_runs_of_this_machine(
    project: Path, tmp_path: Path
) -> None:
    shutil.copytree(project / "results/laptop", tmp_path / "store")
    run = tmp_path / "store/generate-abc123def456"
    (run / "provenance.json").write_text('{"processor": "my own CPU", "wall_seconds": 7.0}')
    (run / "results.jsonl").write_text("bulky")
    site, book = tmp_path / "site", project / "book"
    build(book, book / "notebooks", project / "results", site, tmp_path / "store")
    text = (site / "notebooks/00_chapter.html").read_text()
    assert "my own CPU" in text and "took 7 s" in text and "took 41 s" not in text
    assert not list(site.rglob("results.jsonl"))


def test_the_page_ends_with_its_stamp(project: Path) -> None:
    text = page(project)
    stamp = text[text.index('class="s1-stamp"') :]
    assert "s1lab.book execute notebooks/00_chapter.py" in stamp
    assert "make reproduce PROFILE=laptop" in stamp
    link = re.search(r'href="\.\./([^"]+)" download', stamp)[1]
    assert (project / "site" / link).read_bytes() == (
        project / "book/notebooks/00_chapter.ipynb"
    ).read_bytes()


def test_the_page_of_speed_shows_the_results_as_they_were_printed(project: Path) -> None:
    text = page(project, "performance")
    assert "adding  5/s" in text and "benchmarks/sums.py" in text and "twice_once" not in text


def test_the_page_of_claims_tests_nothing_that_was_not_run(project: Path) -> None:
    text = page(project, "claims")
    assert "s1-verdict s1-untested" in text
    rows = text[text.index("Under the profile") : text.index("The paper’s own numbers")]
    assert "s1-agrees" not in rows and "s1-differs" not in rows


def test_nothing_is_loaded_from_outside(project: Path) -> None:
    pattern = r'<(script|link|img|iframe)[^>]+(src|href)="https?://'
    found = subprocess.run(
        ["grep", "-rhoE", pattern, str(project / "site"), "--include=*.html"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
    assert list((project / "site/_static/mathjax").rglob("*.woff"))


def test_a_broken_reference_fails_the_build_and_keeps_the_old_site(
    project: Path, tmp_path: Path
) -> None:
    shutil.copytree(project, tmp_path / "p")
    before = (tmp_path / "p/site/index.html").read_bytes()
    with open(tmp_path / "p/book/reading.md", "a") as file:
        file.write("\nSee {doc}`nowhere` and {cite}`nobody2020`.\n")
    with pytest.raises(RunError, match="reading.md.*nowhere"):
        build_site(tmp_path / "p")
    assert (tmp_path / "p/site/index.html").read_bytes() == before
    assert not list((tmp_path / "p").glob(".building-*"))


def test_a_folder_that_is_no_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a book"):
        build(tmp_path, tmp_path, tmp_path, tmp_path / "site")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda site: (site / "index.html").unlink(), "index.html is missing"),
        (lambda site: (site / "notebooks/00_chapter.html").unlink(), "has no page"),
        (
            lambda site: rewrite(site, 'id="fig-chapter-scaling"', ""),
            "figure chapter-scaling is not on the page",
        ),
        (lambda site: rewrite(site, "cell_output", "lost"), "no cell output"),
        (
            lambda site: rewrite(site, "</body>", '<script src="https://x.org/a.js"></script>'),
            "remote asset, https://x.org/a.js",
        ),
        (lambda site: rewrite(site, "</body>", '<img src="gone.png">'), "gone.png does not exist"),
        (
            lambda site: rewrite(site, "</body>", '<a href="01_next">next</a>'),
            "01_next does not exist",
        ),
        (lambda site: rewrite(site, "</body>", "<p>:::{admonition} Box</p>"), "':::'"),
        (lambda site: rewrite(site, "</body>", "<p>{doc}`there`</p>"), "'{doc}`'"),
        (lambda site: rewrite(site, "</body>", "<p>so $\\alpha$ rises</p>"), "'$\\\\alpha'"),
        (
            lambda site: (site / "_static/book.css").write_text('a {src: url("//x.org/f")}'),
            "book.css: loads a remote asset",
        ),
    ],
)
def test_a_site_that_lacks_something_is_not_whole(
    project: Path, tmp_path: Path, damage: object, problem: str
) -> None:
    site = tmp_path / "site"
    shutil.copytree(project / "site", site)
    assert site_problems(site, project / "book") == []
    damage(site)
    assert any(problem in found for found in site_problems(site, project / "book"))


def rewrite(site: Path, old: str, new: str) -> None:
    path = site / "notebooks/00_chapter.html"
    path.write_text(path.read_text().replace(old, new))
