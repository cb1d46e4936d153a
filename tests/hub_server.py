"""A small server that speaks as much of the Hub's protocol as its own clients need.

Files are real files, revisions are real commits of 40 digits, gated repositories ask for a token,
and a download can be cut in the middle, once, as a network does it.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from tests import misbehaving_server

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_secret"

Repositories = dict[str, dict[str, bytes]]  # by "models/org/name" or "datasets/org/name", by file


class _Handler(misbehaving_server.Handler):
    def parts(self, path: str, body: bytes) -> list[str]:
        hub, path = self.server, unquote(urlsplit(path).path)
        listed = re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+)(/.*)?", path)
        file = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        key = listed[1] if listed else (file[1] or "models/") + file[2] if file else ""
        held = hub.repositories.get(key)
        rest = (listed[2] or "") if listed else f"/revision/{file[3]}" if file else ""
        found = re.search(r"/(?:revision|tree|paths-info)/([^/]+)", rest)
        commit = found[1] if found and found[1] != "main" else COMMIT
        gated = key in hub.gated
        if held is None:
            return self.refusal(404, "RepoNotFound")
        if commit not in hub.commits:
            return self.refusal(404, "RevisionNotFound")
        if (file or "/tree/" in rest) and gated and self.authorization != f"Bearer {TOKEN}":
            return self.refusal(403, "GatedRepo")
        if file:
            return self.file(held, file[4], commit)
        told: Any = [row(path, content) for path, content in sorted(held.items())]
        if "/paths-info/" in rest:
            told = [one for one in told if one["path"] in unquote(body.decode())]
        elif "/tree/" not in rest:
            facts = {"id": key.partition("/")[2], "sha": commit, "siblings": told, "tags": []}
            told = {**facts, "private": False, "gated": "auto" if gated else False}
        return self.reply(200, json.dumps(told).encode(), **{"Content-Type": "application/json"})

    def file(self, held: dict[str, bytes], name: str, commit: str) -> list[str]:
        if name not in held:
            return self.refusal(404, "EntryNotFound")
        content = held[name]
        first = int(re.fullmatch(r"bytes=(\d+)-.*", self.range or "bytes=0-")[1])
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        (reply,) = self.reply(206 if first else 200, content[first:], **headers)
        if name in self.server.cut and self.method == "GET":
            self.server.cut.discard(name)
            return [reply[: len(reply) - len(content[first:]) // 2]]
        return [reply]

    def refusal(self, status: int, error: str) -> list[str]:
        return self.reply(status, **{"X-Error-Code": error})

    def reply(self, status: int, body: bytes = b"", **headers: object) -> list[str]:
        (whole,) = misbehaving_server.reply(body.decode("l1"), status, **headers)
        return [whole[: len(whole) - len(body)] if self.method == "HEAD" else whole]


class Hub(misbehaving_server.Server):
    """Serves repositories; `cut` are files whose next download breaks off."""

    def __init__(
        self, held: Repositories, gated: Iterable[str] = (), commits: Iterable[str] = (COMMIT,)
    ) -> None:
        self.repositories, self.gated, self.commits = held, set(gated), set(commits)
        self.cut: set[str] = set()
        super().__init__(handler=_Handler)

    def downloads(self, file: str) -> list[str]:
        """The ranges asked for when a file was downloaded; "" for all of it."""
        return [r for method, path, r in self.asked if method == "GET" and path.endswith(file)]


def row(path: str, content: bytes) -> dict[str, Any]:
    """What is listed of a file."""
    digest, oid = hashlib.sha256(content).hexdigest(), hashlib.sha1(content).hexdigest()
    lfs = {"oid": digest, "sha256": digest, "size": len(content), "pointerSize": 130}
    names = {"type": "file", "path": path, "rfilename": path, "oid": oid, "blobId": oid}
    return {**names, "size": len(content), "lfs": lfs}
