"""Headless Chromium over a folder of pages, for tests: no network, every complaint kept."""

import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yields the address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
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
