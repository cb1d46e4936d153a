"""A small server that speaks as much of the Hub's protocol as its own clients need.

Files are real files, revisions are real commits of 40 digits, gated repositories ask for a token,
and a download can be cut in the middle, once, as a network does it.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
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

    def downloads(self, file: str) -> list[str]:
        """The ranges asked for when a file was downloaded; "" for all of it."""
        return [r for method, path, r in self.asked if method == "GET" and path.endswith(file)]

    def __enter__(self) -> "Hub":
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
        listed = re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+)(/.*)?", path)
        file = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        key = listed[1] if listed else (file[1] or "models/") + file[2] if file else ""
        held = self.hub.repositories.get(key)
        rest = (listed[2] or "") if listed else f"/revision/{file[3]}" if file else ""
        found = re.search(r"/(?:revision|tree|paths-info)/([^/]+)", rest)
        commit = found[1] if found and found[1] != "main" else COMMIT
        gated = key in self.hub.gated
        allowed = not gated or self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if held is None:
            self._send(404, error="RepoNotFound")
        elif commit not in self.hub.commits:
            self._send(404, error="RevisionNotFound")
        elif (file or "/tree/" in rest) and not allowed:
            self._send(403, error="GatedRepo")
        elif file:
            self._file(held, file[4], commit)
        else:
            rows = [row(path, content) for path, content in sorted(held.items())]
            facts = {"id": key.partition("/")[2], "sha": commit, "siblings": rows, "tags": []}
            told: Any = {**facts, "private": False, "gated": "auto" if gated else False}
            if "/tree/" in rest:
                told = rows
            elif "/paths-info/" in rest:
                told = [one for one in rows if one["path"] in unquote(self.content)]
            self._send(200, json.dumps(told).encode(), **{"Content-Type": "application/json"})

    do_HEAD = do_POST = do_GET

    def _file(self, held: dict[str, bytes], name: str, commit: str) -> None:
        if name not in held:
            return self._send(404, error="EntryNotFound")
        content = held[name]
        first = int(re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", "bytes=0-"))[1])
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        cut = name in self.hub.cut and self.command == "GET"
        self._send(206 if first else 200, content[first:], cut=cut, **headers)
        if cut:
            self.hub.cut.discard(name)
            self.close_connection = True
            self.connection.shutdown(2)

    def _send(
        self, status: int, body: bytes = b"", error: str = "", cut: bool = False, **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {"X-Error-Code": error}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.wfile.flush()


def row(path: str, content: bytes) -> dict[str, Any]:
    """What is listed of a file."""
    digest, oid = hashlib.sha256(content).hexdigest(), hashlib.sha1(content).hexdigest()
    lfs = {"oid": digest, "sha256": digest, "size": len(content), "pointerSize": 130}
    names = {"type": "file", "path": path, "rfilename": path, "oid": oid, "blobId": oid}
    return {**names, "size": len(content), "lfs": lfs}
