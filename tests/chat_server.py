"""A chat endpoint on loopback, in a process of its own, that misbehaves on request.

`python tests/chat_server.py LOG` prints its port and logs every request as a line of JSON. What it
does is written in the question, e.g. `2 + 2 [500 500]`: the directives are used up one request at a
time, and when none is left the question is answered. `BEHAVIOURS` lists them, with what a client
should make of each; a status is a directive too.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def completion(message: object, finish: str = "stop") -> bytes:
    """A chat completion that holds this message."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


AGAIN, FAILS, REFUSES = "asked again", "this question fails", "nothing more is asked"

_CASES = Path(__file__).parent / "data" / "chat_bodies.jsonl"
_LISTED = [json.loads(line) for line in _CASES.read_text().splitlines()]
BODIES = {case["name"]: case["body"].encode("latin-1") for case in _LISTED}
BODIES |= {"nested": b"[" * 100_000, "long-number": b'{"choices": ' + b"9" * 5000 + b"}"}
BODIES |= {"huge": completion({"content": "x" * (9 << 20)})}
_FAILS = ["huge", *(case["name"] for case in _LISTED if case["then"] == "fails")]

BEHAVIOURS: dict[str, str] = {
    **dict.fromkeys([*BODIES, "hangup", "short", "chunk", "drip", "hang", "retry-odd"], AGAIN),
    **dict.fromkeys("408 409 425 429 500 502 503 504 529".split(), AGAIN),
    **dict.fromkeys([*_FAILS, "400", "413", "418", "422", "501"], FAILS),
    **dict.fromkeys("301 302 307 308 401 402 403 404 405".split(), REFUSES),
}
"""Directive -> what becomes of the question."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def reply(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Transfer_Encoding" not in headers:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # the name that http.server calls; nobody should be led here
        self.server.record({"path": self.path, "key": self.headers.get("Authorization", "")})
        self.reply(404, b"")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        entry = {"q": question, "path": self.path, "key": self.headers.get("Authorization", "")}
        entry |= {"at": time.time(), "seed": body["seed"]}
        number = self.server.record(entry)
        found = re.search(r"\[(.*?)\]", question)
        directives = found[1].split() if found else []
        act = directives[number - 1] if number <= len(directives) else ""
        try:
            self.act(act, body["messages"])
        except OSError:  # the client had enough
            self.close_connection = True

    def act(self, act: str, messages: list[dict[str, str]]) -> None:
        if act in ("hang", "drip"):
            self.reply(200, b"{", length=10**6) if act == "drip" else None
            for _ in range(150):
                time.sleep(0.1)
                self.wfile.write(b" ") if act == "drip" else None
            self.close_connection = True
        elif act in ("hangup", "short", "chunk"):
            if act == "short":
                self.reply(200, b'{"choices": [', length=500)
            elif act == "chunk":
                self.reply(200, b"50\r\n{", Transfer_Encoding="chunked")
            self.close_connection = True
        elif act == "retry-odd":
            self.reply(429, b"busy", Retry_After="\u00b2")
        elif act == "error-with-key":
            self.reply(400, BODIES[act])
        elif act.isdigit():
            elsewhere = f"http://localhost:{self.server.server_port}/stolen"
            headers = {"Location": elsewhere} if act[0] == "3" else {}
            self.reply(int(act), b"busy", **headers)
        elif act in BODIES:
            self.reply(200, BODIES[act])
        else:
            self.reply(200, self.answer(act, messages))

    def answer(self, act: str, messages: list[dict[str, str]]) -> bytes:
        """What a good model says: a code, a verdict or an attempt, as the prompt asks for."""
        text = messages[-1]["content"]
        if act == "slow":
            time.sleep(0.3)
        said = {"content": f"The answer is {len(text)}", "reasoning": f"thinking about {text}"}
        if act == "unparsable":
            said = {"content": "I would rather not say."}
        elif "## Subjects" in text:
            code = "05" if "dice" in text else "11"
            said = {"content": f"It is about counting.\n{code}"}
        elif "## Attempt" in text:
            parts = re.split(r"\n?## .*\n", text)
            same = parts[2].strip() == parts[3].strip()
            said = {"content": f"Compare.\n{'Yes' if same else 'No'}"}
        return completion(said, "length" if act == "long" else "stop")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, log: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.log, self.lock, self.asked = open(log, "a", encoding="utf-8"), threading.Lock(), {}

    def record(self, entry: dict) -> int:
        """Log a request; how often its question was asked, this time included."""
        with self.lock:
            number = self.asked[entry.get("q")] = self.asked.get(entry.get("q"), 0) + 1
            self.log.write(json.dumps(entry) + "\n")
            self.log.flush()
            return number


if __name__ == "__main__":
    server = Server(sys.argv[1])
    print(server.server_port, flush=True)
    server.serve_forever()
