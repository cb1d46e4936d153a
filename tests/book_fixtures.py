"""A small book for tests: one real notebook, one run, the project's own book sources."""

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")
# No sandbox inside a container run by root; nothing looks for the network on its own.
SWITCHES = [
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
VIEWS = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOCAL = ("http://127.0.0.1:", "data:", "blob:")


def chromium() -> Iterator[Any]:
    """The browser of this machine; skips the test where there is none."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without a log."""

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yields the address."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Visit(contextlib.AbstractContextManager):
    """An open page, with everything that went wrong while it loaded."""

    def __init__(self, browser: Any, address: str, view: str, *, scripts: bool = True) -> None:
        self.complaints: list[str] = []
        options = {"reduced_motion": "reduce", "java_script_enabled": scripts}
        self.context = browser.new_context(**VIEWS[view], **options)
        self.page = self.context.new_page()
        tell = self._tell
        self.page.on("console", lambda m: tell(m.type in {"error", "warning"}, m.type, m.text))
        self.page.on("pageerror", lambda error: tell(True, "error", error))
        self.page.on("dialog", lambda dialog: (tell(True, "dialog", ""), dialog.dismiss()))
        self.page.on("requestfailed", lambda r: tell(True, "failed", r.url))
        self.page.on("request", lambda r: tell(not r.url.startswith(LOCAL), "remote", r.url))
        self.page.on("response", lambda r: tell(r.status >= 400, r.status, r.url))
        self.page.goto(address, wait_until="load")
        self.page.evaluate("document.fonts.ready.then(() => true)")

    def _tell(self, wrong: bool, what: object, about: object) -> None:
        self.complaints += [f"{what}: {about}"] if wrong else []

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def keep(self, name: str) -> None:
        """A picture of the whole page, where S1CORE_SCREENSHOTS names a folder."""
        if folder := os.environ.get("S1CORE_SCREENSHOTS"):
            self.page.screenshot(path=str(Path(folder, f"{name}.png")), full_page=True)


def serious(page: Any, view: str = "light") -> list[str]:
    """What axe finds that stands in the way of assistive software; in the dark, what colours do."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    only = {"runOnly": ["color-contrast", "link-in-text-block"]} if view == "dark" else {}
    rules = axe.run(page, options=only).response["violations"]
    found = [rule for rule in rules if rule["impact"] in {"serious", "critical"}]
    return [f"{r['id']} at {[node['target'][0] for node in r['nodes']][:3]}" for r in found]


SCRIPT = "<script>document.title='owned';alert(1)</script>"
HANDLER = "<img src=x onerror=\"document.title='owned';alert(2)\"><svg/onload=alert(3)>"
CLOSING = "</pre></details></script></figure><h1 id=owned>owned</h1>"
BIDI = "abc\u202egnp.exe\u2066\u200f"
CONTROLS = "\x1b[31mred\x07\x00\ud800\u2028end"
LONG = "x" * 100_000
HOSTILE = (SCRIPT, HANDLER, CLOSING, BIDI, CONTROLS, LONG, "&lt;b&gt;", "\\u003c/script")


def row(number: int, text: str) -> dict[str, Any]:
    """A row of the trace viewer in which everything that a model writes is `text`."""
    shape = (Path(__file__).parent / "data/hostile_row.json").read_text(encoding="utf-8")
    said = shape.replace("<TEXT>", json.dumps(text)[1:-1])
    return {"problem_key": f"{number:016x}", **json.loads(said)}


ROWS = [row(number, text) for number, text in enumerate(HOSTILE)]


def paths(value: object, here: tuple = ()) -> list[tuple]:
    """Where every single value of a row is."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        place
        for key, one in inside
        for place in (paths(one, (*here, key)) if isinstance(one, (dict, list)) else [(*here, key)])
    ]
