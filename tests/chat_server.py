"""A chat endpoint on loopback, in a process of its own, that misbehaves on request.

`python tests/chat_server.py LOG` prints its port and logs every request as a line of JSON. What it
does is written in the question, e.g. `2 + 2 [500 500]`: the directives are used up one request at a
time, and when none is left the question is answered. Directives: a status, `garbage`, `nochoices`,
`hangup`, `unparsable`, `long`, `slow`.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

log = open(sys.argv[1], "a", encoding="utf-8")
lock = threading.Lock()
asked: dict[str, int] = {}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):  # the name that http.server calls
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        with lock:
            number = asked[question] = asked.get(question, 0) + 1
            key = self.headers.get("Authorization", "")
            entry = {"q": question, "n": number, "seed": body["seed"], "key": key}
            entry |= {"path": self.path, "at": time.time(), "model": body["model"]}
            log.write(json.dumps(entry) + "\n")
            log.flush()
        if body["model"].isdigit():  # a model called 401 is refused with that status
            headers = {"Location": "http://127.0.0.1:9/"} if body["model"][0] == "3" else {}
            return self.reply(int(body["model"]), b'{"error": "no"}', **headers)
        found = re.search(r"\[(.*?)\]", question)
        directives = found.group(1).split() if found else []
        act = directives[number - 1] if number <= len(directives) else ""
        if act.isdigit():
            retry = {"Retry_After": "0.3"} if act == "429" else {}
            return self.reply(int(act), b"busy", **retry)
        if act == "garbage":
            return self.reply(200, b"<html>502 Bad Gateway</html>")
        if act == "nochoices":
            return self.reply(200, b'{"choices": []}')
        if act == "hangup":
            self.connection.close()
            return None
        if act == "slow":
            time.sleep(0.4)
        message = {"content": answer(body["messages"])}
        if act == "unparsable":
            message = {"content": "I would rather not say."}
        elif "## " not in question:
            message["reasoning_content"] = f"thinking about {question}"
        choice = {"message": message, "finish_reason": "length" if act == "long" else "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        return self.reply(200, json.dumps({"choices": [choice], "usage": usage}).encode())


def answer(messages: list[dict[str, str]]) -> str:
    """What a good model says: a code, a verdict or an attempt, as the prompt asks for."""
    text = messages[-1]["content"]
    if "## Subjects" in text:
        return "It is about counting.\n05" if "dice" in text else "It has integers.\n11"
    if "## Attempt" in text:
        parts = re.split(r"\n?## .*\n", text)
        return f"Compare.\n{'Yes' if parts[2].strip() == parts[3].strip() else 'No'}"
    return f"The answer is {len(text)}"


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
