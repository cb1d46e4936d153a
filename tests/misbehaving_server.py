"""A server that answers as no server should: `data/misbehaving.jsonl`, one behaviour a line.

A behaviour is named by the first part of a path. Its parts go over the wire after a request: text
is sent byte by character ("@authorization@" stands for what the request sent as such, "@other@" for
another server), `of` so many `times`, `ever` again and again with a pause; a number waits so many
seconds; RESET breaks the connection off. `to` says whether it answers POST (a completion is asked
for) or GET (a context length).
"""

import contextlib
import socket
import socketserver
import struct
import threading
import time
from typing import Any

from tests.helpers import rows

BEHAVIOURS: dict[str, Any] = {line["name"]: line for line in rows("misbehaving.jsonl")}
REPLIES = [name for name, line in BEHAVIOURS.items() if line["to"] == "POST"]
MODELS = [name for name in BEHAVIOURS if name not in REPLIES]


def reply(body: str = "", status: int = 200, **headers: object) -> list[str]:
    """The parts of a whole reply."""
    headers = {"Connection": "close", "Content-Length": len(body), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return [f"HTTP/1.1 {status} X\r\n{head}\r\n{body}"]


class Handler(socketserver.StreamRequestHandler):
    """One request, answered by playing parts."""

    def handle(self) -> None:
        with contextlib.suppress(OSError, IndexError):
            request = self.rfile.readline().decode().split()
            self.method, path = request[0], request[1]
            lines = iter(lambda: self.rfile.readline().decode().strip(), "")
            headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            self.authorization = headers.get("authorization", "")
            self.range = headers.get("range", "")
            self.server.asked.append((self.method, path, self.range))
            self.play(self.parts(path, body))

    def parts(self, path: str, body: bytes) -> list[Any]:
        return BEHAVIOURS[path.split("/")[1]]["parts"]

    def play(self, parts: list[Any]) -> None:
        for part in parts:
            if part == "RESET":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
            elif isinstance(part, str):
                part = part.replace("@other@", self.server.other)
                self.wfile.write(part.replace("@authorization@", self.authorization).encode("l1"))
            elif isinstance(part, (int, float)):
                time.sleep(part)
            elif "of" in part:
                self.wfile.write(part["of"].encode("l1") * part["times"])
            else:
                while True:
                    self.play(part["ever"])
                    time.sleep(part["pause"])


class Server(socketserver.ThreadingTCPServer):
    """Serves behaviours; `asked` has method, path and range of every request."""

    daemon_threads = allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, host: str = "127.0.0.1", other: str = "", handler: type = Handler, port: int = 0
    ) -> None:
        super().__init__((host, port), handler)
        self.other, self.asked = other, []
        self.url = f"http://{host}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        super().__exit__(*error)
