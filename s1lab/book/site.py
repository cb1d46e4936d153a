"""Render the executed notebooks into a static site, and refuse one that is not whole.

The site is built in a scratch folder and takes its place only when it is complete and has been
checked: every page is there, every figure loads from the site itself, nothing comes from outside.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from s1core.errors import RunError
from s1lab.book.decoder import write_weights
from s1lab.book.generated import write_pages
from s1lab.book.notebooks import NOTEBOOK_ENVIRONMENT
from s1lab.runs import RunStore

# Elements whose address the browser fetches by itself (a link is only followed when clicked).
_FETCHED = dict.fromkeys(("script", "img", "iframe", "source", "video", "audio", "embed"), "src")
_FETCHED["object"] = "data"
_FETCHED_LINKS = ["stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect"]
# Text of another kind: code, figures, menus; an answer in a table may be TeX.
_OWN_TEXT = ["pre", "code", "script", "style", "figure", "nav", "td", "bdi"]
# A directive, a role, TeX or a row torn from its table, that nothing has rendered.
_UNRENDERED = re.compile(
    r"(?m)^\|.+\|$|:::+|`{3}\{?|\{[a-z-]+\}`|\$[^$\s]*\\[a-z]+|\\\(|\\\[|\\[a-z]+\{"
)
# What a data frame, a tuple or a hyphen leaves in a cell; what is quoted as code may be anything.
_CELL = re.compile(r"^(<NA>|nan|NaN|NaT|None)$|^\(.*,.*\)$|^[\[({]'|(?<![\w.\-–)\]])-\d|\de-\d")
_FIGURE = re.compile(r'<figure class="s1-figure" id="fig-([^"]+)"')
_CSS_URL = re.compile(r"url\(\s*['\"]?(https?:)?//|@import\s+['\"](https?:)?//")


def build(
    book: str | Path = "book",
    notebooks: str | Path = "book/notebooks",
    results: str | Path = "results",
    html: str | Path = "book/_build/html",
    store: str | Path | None = None,
    benchmarks: str | Path = "benchmarks/results",
) -> int:
    """Build the site from `book`, `notebooks` (executed) and `results`; returns its pages' number.

    Warnings are errors. Result files are copied to `_results/` in the site, so that the link
    under a figure opens the exact file. With a run `store`, its finished runs are the results of
    the notebooks' profile: after a reproduction the pages tell of this machine.

    Raises:
        RunError: Sphinx warned or failed, or the finished site has a problem.
    """
    book, notebooks, results, html = Path(book), Path(notebooks), Path(results), Path(html)
    if not (book / "_config.yml").is_file():
        raise RunError(f"{book} is not a book: it has no _config.yml.")
    html.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=html.parent) as scratch:
        source, out = Path(scratch, "source"), Path(scratch, "out")
        ignore = shutil.ignore_patterns("_build", "notebooks", "__pycache__")
        shutil.copytree(book, source, ignore=ignore)
        (source / "notebooks").mkdir()
        for notebook in sorted(notebooks.glob("*.ipynb")):
            shutil.copy2(notebook, source / "notebooks")
        shown = source / "_results"
        if results.is_dir():
            shutil.copytree(results, shown)
        if store is not None:
            runs = [r for r in RunStore(store).runs() if (r.path / "finished.json").is_file()]
            executed = map(_load, (source / "notebooks").glob("*.ipynb"))
            for profile in {of["metadata"]["s1core"]["profile"] for of in executed}:
                RunStore(store).export(runs, shown / profile)
        write_pages(source, Path(benchmarks))
        _run_jupyter_book(source, out)
        site = out / "_build" / "html"
        write_weights(site / "_static")
        if shown.is_dir():
            shutil.copytree(shown, site / "_results", dirs_exist_ok=True)
        if problems := site_problems(site, source):
            raise RunError("the site is not whole:\n  " + "\n  ".join(problems))
        # An interrupted build leaves the old site or none.
        if html.exists():
            os.replace(html, Path(scratch, "old"))
        os.replace(site, html)
    return len(pages(html))


def pages(site: str | Path) -> list[Path]:
    """The pages of a built site, in order (the theme also leaves templates in `_static/`)."""
    found = sorted(Path(site).rglob("*.html"))
    return [page for page in found if not page.relative_to(site).parts[0].startswith("_")]


def site_problems(site: str | Path, source: str | Path) -> list[str]:
    """Everything that a reader would find missing or unrendered in a built site: a green build can
    publish nothing, so this looks at the pages themselves, at their outputs, figures and links."""
    site, source = Path(site), Path(source)
    problems = [] if (site / "index.html").is_file() else ["index.html is missing"]
    for notebook in sorted((source / "notebooks").glob("*.ipynb")):
        page = site / "notebooks" / f"{notebook.stem}.html"
        if not page.is_file():
            problems.append(f"{notebook.name} has no page: add it to book/_toc.yml")
            continue
        text, shown = page.read_text(encoding="utf-8"), False
        for cell in _load(notebook)["cells"]:
            tags, outputs = cell["metadata"].get("tags", []), cell.get("outputs", [])
            if "remove-cell" not in tags:
                shown |= bool(outputs) and "remove-output" not in tags
                made = "".join("".join(one.get("data", {}).get("text/html", "")) for one in outputs)
                lost = [name for name in _FIGURE.findall(made) if f'id="fig-{name}"' not in text]
                problems += [f"{page.name}: figure {name} is not on the page" for name in lost]
        if shown and "cell_output" not in text:
            problems.append(f"{page.name}: no cell output is on the page")
    for page in pages(site):
        problems += [f"{page.relative_to(site)}: {what}" for what in _page_problems(page, site)]
    for sheet in sorted(site.rglob("*.css")):
        if _CSS_URL.search(sheet.read_text(encoding="utf-8", errors="replace")):
            problems.append(f"{sheet.relative_to(site)}: loads a remote asset")
    return problems


def _load(notebook: Path) -> Any:
    return json.loads(notebook.read_text(encoding="utf-8"))


def _run_jupyter_book(source: Path, out: Path) -> None:
    # Jupyter Book 1 has no __main__, and its script may not be on the PATH.
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(source), "--path-output", str(out), "-W", "--keep-going", "--all"]
    environment = {**os.environ, **NOTEBOOK_ENVIRONMENT, "PYTHONWARNINGS": "ignore"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, env=environment, text=True, check=False, **pipes)
    if done.returncode != 0:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        lines = [line.replace(f"{source}/", "") for line in plain.splitlines()]
        shown = [line for line in lines if re.search(r"WARNING|ERROR|CRITICAL|Error:", line)]
        raise RunError("Sphinx refused the book:\n  " + "\n  ".join(shown or lines[-20:]))


def _page_problems(page: Path, site: Path) -> Iterator[str]:
    markup = page.read_text(encoding="utf-8")
    soup = BeautifulSoup(markup, "html.parser")
    fetched = [e[named] for tag, named in _FETCHED.items() for e in soup(tag) if e.get(named)]
    fetched += [e["href"] for e in soup("link", rel=_FETCHED_LINKS)]
    for address in fetched + [e.get("href", "") for e in soup("a")]:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            if address in fetched and parts.scheme != "data":
                yield f"loads a remote asset, {address}"
            continue
        base = site if parts.path.startswith("/") else page.parent
        if parts.path and not (base / unquote(parts.path).lstrip("/")).is_file():
            yield f"{address} does not exist"
    if "Type<span" in markup:
        yield "splits a docstring at a colon into a type"
    for cell in soup("td") if page.parent.name != "api" else []:  # signatures have tuples
        for quoted in cell(["code", "bdi"]):
            quoted.clear()
        if _CELL.search(text := cell.get_text().strip()):
            yield f"has a cell as programs write it, {text[:60]!r}"
    for element in soup(_OWN_TEXT) + soup(class_=["math", "sig"]):
        element.clear()
    if found := _UNRENDERED.search(soup.get_text()):
        yield f"shows markup instead of what it means, {found.group()!r}"
