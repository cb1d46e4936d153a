"""A chat endpoint on loopback that misbehaves on request.

What it does is written in the question, e.g. `2 + 2 [500 500]`: the directives are used up one
request at a time, and when none is left the question is answered. `BEHAVIOURS` lists them, with
what a client should make of each; a status is a directive too.
"""

import json
import re
import threading
from collections import Counter
from typing import Any

from tests import misbehaving_server
from tests.helpers import cases, rows
from tests.misbehaving_server import reply as http

AGAIN, FAILS, REFUSES = "again", "fails", "refuses"  # what becomes of the question
STATUSES = cases("annotation")["statuses"]
LISTED = {case["name"]: case for case in rows("chat_bodies.jsonl")}
BEHAVIOURS: dict[str, str] = {name: case["then"] for name, case in LISTED.items()}
BEHAVIOURS |= {status: then for then in STATUSES for status in STATUSES[then].split()}


class _Chat(misbehaving_server.Handler):
    def parts(self, path: str, body: bytes) -> list[Any]:
        asked = json.loads(body or b"{}")  # nothing is sent where nobody should be led
        text = asked["messages"][-1]["content"] if asked else ""
        entry = {"q": text, "path": path, "key": self.authorization}
        number = self.server.record(entry | {"seed": asked.get("seed")})
        found = re.search(r"\[(.*?)\]", text)
        act = dict(enumerate(found[1].split() if found else [], start=1)).get(number, "")
        if act.isdigit():
            elsewhere = {"Location": f"{self.server.url}/stolen".replace("127.0.0.1", "localhost")}
            return http("busy", int(act), **(elsewhere if act[0] == "3" else {}))
        if case := LISTED.get(act):
            whole = case.get("body", ""), case.get("status", 200)
            return case.get("parts", http(*whole, **case.get("headers", {})))
        return http(self.answer(act, text))

    def answer(self, act: str, text: str) -> str:
        """What a good model says: a code, a verdict or an attempt, as the prompt asks for."""
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
        finish = "length" if act == "long" else "stop"
        choice = {"index": 0, "message": said, "finish_reason": finish}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        return json.dumps({"choices": [choice], "usage": usage})


class ChatServer(misbehaving_server.Server):
    """Answers chats; `log` has every request."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.counts, self.lock = Counter(), threading.Lock()
        super().__init__(handler=_Chat)

    def record(self, entry: dict[str, Any]) -> int:
        """Log a request; how often its question was asked, this time included."""
        with self.lock:
            self.log.append(entry)
            self.counts[entry["q"]] += 1
            return self.counts[entry["q"]]
