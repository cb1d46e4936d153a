"""A small book for tests: one real notebook, one run, the project's own book sources."""

import re
import shutil
from pathlib import Path

from tests import helpers
from tests.helpers import CHECKOUT

DATA = helpers.DATA / "book"
"""Notebooks as text, scripts for the browser, and the results and benchmarks of the small book."""

RUN = Path("results/laptop/generate-abc123def456")
API_PAGES = "      - file: api/index\n"


def make_project(folder: Path, notebook: str = "chapter") -> Path:
    """A project folder with one notebook, one committed run and the book's own sources."""
    for name in ("results", "benchmarks"):
        shutil.copytree(DATA / name, folder / name)
    (folder / "pyproject.toml").touch()
    (folder / "notebooks").mkdir()
    shutil.copy(DATA / f"{notebook}.txt", folder / "notebooks" / "00_chapter.py")
    ignore = shutil.ignore_patterns("_build", "notebooks", "__pycache__")
    shutil.copytree(CHECKOUT / "book", folder / "book", ignore=ignore)
    # The API reference imports every engine; what it says is asked of the whole book.
    contents = folder / "book" / "_toc.yml"
    text = contents.read_text()
    assert API_PAGES in text, "the API pages are no longer where this fixture looks for them"
    contents.write_text(text.replace(API_PAGES, ""))
    for page in (folder / "book").glob("*.md"):  # this book has one chapter
        text = re.sub(r"\{doc\}`([^`]*notebooks/[^`]+)`", r"`\1`", page.read_text(encoding="utf-8"))
        text = re.sub(r"(?ms)^```\{button-link\} notebooks/.*?^```\n", "", text)
        page.write_text(text, encoding="utf-8")
    return folder


def make_site(folder: Path) -> Path:
    """A project whose one notebook is executed, and its site built in `site/`."""
    from s1lab.book.notebooks import execute
    from s1lab.book.site import build

    if not folder.exists():
        make_project(folder)
    built = folder / "book" / "notebooks"
    execute(folder / "notebooks/00_chapter.py", built / "00_chapter.ipynb", "laptop")
    places = (folder / "book", built, folder / "results", folder / "site")
    build(*places, benchmarks=folder / "benchmarks")
    return folder
