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
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        self.content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(/.*)?", path):
            kind, name, rest = found.groups()
            return self._api(f"{kind}/{name}", name, rest or "", body)
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind, name, revision, file = found.groups()
            return self._file("datasets/" + name if kind else "models/" + name, revision, file)
        return self._error(404, "RepoNotFound")

    def _api(self, key: str, name: str, rest: str, body: bool) -> None:
        files = self.hub.repositories.get(key)
        if files is None:
            return self._error(404, "RepoNotFound")
        revision = re.search(r"/(?:revision|tree|paths-info)/([^/]+)", rest)
        if revision and not self.hub.has(revision[1]):
            return self._error(404, "RevisionNotFound")
        if key in self.hub.gated and "/tree/" in rest and not self._allowed():
            return self._error(403, "GatedRepo")
        listed = [_listed(path, content) for path, content in sorted(files.items())]
        if "/tree/" in rest:
            return self._json(listed)
        if "/paths-info/" in rest:
            wanted = self.content.decode()
            return self._json([row for row in listed if row["path"] in unquote(wanted)])
        siblings = [
            {
                "rfilename": row["path"],
                "size": row["size"],
                "blobId": row["oid"],
                "lfs": {"sha256": row["lfs"]["oid"], "size": row["size"], "pointerSize": 130},
            }
            for row in listed
        ]
        commit = revision[1] if revision and revision[1] != "main" else COMMIT
        facts = {"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": []}
        return self._json({**facts, "gated": "auto" if key in self.hub.gated else False})

    def _file(self, key: str, revision: str, file: str) -> None:
        content = self.hub.repositories.get(key, {}).get(file)
        if key in self.hub.gated and not self._allowed():
            return self._error(403, "GatedRepo")
        if content is None or not self.hub.has(revision):
            return self._error(404, "EntryNotFound")
        first = int(re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", "bytes=0-"))[1])
        digest = hashlib.sha256(content).hexdigest()
        rest = content[first:]
        self.send_response(206 if first else 200)
        self.send_header("X-Repo-Commit", COMMIT if revision == "main" else revision)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("Content-Length", str(len(rest)))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if file in self.hub.cut:
            self.hub.cut.discard(file)
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.wfile.write(rest)

    def _allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _error(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _listed(path: str, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    size = len(content)
    return {
        "type": "file",
        "path": path,
        "size": size,
        "oid": hashlib.sha1(content).hexdigest(),
        "lfs": {"oid": digest, "size": size, "pointerSize": 130},
    }
