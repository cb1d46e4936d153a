"""A small server that speaks as much of the Hub's protocol as its own clients need.

Files are real files, revisions are real commits of 40 digits, gated repositories ask for a token,
and a download can be cut in the middle, once, as a network does it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_secret"


@dataclass
class Hub:
    """Repositories by "models/org/name" or "datasets/org/name": file name -> content."""

    repositories: dict[str, dict[str, bytes]]
    gated: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)  # file names whose next download breaks off
    commits: set[str] = field(default_factory=lambda: {COMMIT})
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range

    def has(self, revision: str) -> bool:
        return revision == "main" or revision in self.commits

    def downloads(self, file: str) -> list[str]:
        """The ranges asked for when a file was downloaded; "" for all of it."""
        return [r for method, path, r in self.asked if method == "GET" and path.endswith(file)]

    def __enter__(self) -> Hub:
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.content = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if found := re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+)(/.*)?", path):
            return self._api(found[1], found[2] or "")
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file((found[1] or "models/") + found[2], found[3], found[4])
        return self._send(404, error="RepoNotFound")

    do_HEAD = do_POST = do_GET

    def _api(self, key: str, rest: str) -> None:
        files = self.hub.repositories.get(key)
        if files is None:
            return self._send(404, error="RepoNotFound")
        revision = re.search(r"/(?:revision|tree|paths-info)/([^/]+)", rest)
        if revision and not self.hub.has(revision[1]):
            return self._send(404, error="RevisionNotFound")
        if "/tree/" in rest and not self._allowed(key):
            return self._send(403, error="GatedRepo")
        rows = []
        for path, content in sorted(files.items()):
            digest, size = hashlib.sha256(content).hexdigest(), len(content)
            oid = hashlib.sha1(content).hexdigest()
            names = {"type": "file", "path": path, "rfilename": path, "oid": oid, "blobId": oid}
            lfs = {"oid": digest, "sha256": digest, "size": size, "pointerSize": 130}
            rows.append({**names, "size": size, "lfs": lfs})
        if "/tree/" in rest:
            return self._json(rows)
        if "/paths-info/" in rest:
            return self._json([row for row in rows if row["path"] in unquote(self.content)])
        commit = revision[1] if revision and revision[1] != "main" else COMMIT
        facts = {"id": key.partition("/")[2], "sha": commit, "siblings": rows, "tags": []}
        gated = "auto" if key in self.hub.gated else False
        return self._json({**facts, "private": False, "gated": gated})

    def _file(self, key: str, revision: str, file: str) -> None:
        content = self.hub.repositories.get(key, {}).get(file)
        if not self._allowed(key):
            return self._send(403, error="GatedRepo")
        if content is None or not self.hub.has(revision):
            return self._send(404, error="EntryNotFound")
        first = int(re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", "bytes=0-"))[1])
        headers = {
            "X-Repo-Commit": COMMIT if revision == "main" else revision,
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
        }
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        cut = file in self.hub.cut and self.command == "GET"
        self._send(206 if first else 200, content[first:], headers, cut=cut)
        if cut:
            self.hub.cut.discard(file)
            self.close_connection = True
            self.connection.shutdown(2)

    def _allowed(self, key: str) -> bool:
        asked = self.headers.get("Authorization")
        return key not in self.hub.gated or asked == f"Bearer {TOKEN}"

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(
        self,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        error: str = "",
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {"X-Error-Code": error}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.wfile.flush()
