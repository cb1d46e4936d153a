"""A chat endpoint on loopback that misbehaves on request.

What it does is written in the question, e.g. `2 + 2 [500 500]`: the directives are used up one
request at a time, and when none is left the question is answered. `BEHAVIOURS` lists them, with
what a client should make of each; a status is a directive too.
"""

import json
import re
import threading
import time
from collections import Counter
from typing import Any

from tests import misbehaving_server
from tests.helpers import rows
from tests.misbehaving_server import reply as http


def completion(message: object, finish: str = "stop") -> str:
    """A chat completion that holds this message."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": usage})


AGAIN, FAILS, REFUSES = "asked again", "this question fails", "nothing more is asked"

_LISTED = rows("chat_bodies.jsonl")
PARTS: dict[str, list[Any]] = {case["name"]: http(case["body"]) for case in _LISTED}
PARTS |= {"nested": http("[" * 100_000), "long-number": http('{"choices": ' + "9" * 5000 + "}")}
PARTS |= {"huge": http(completion({"content": "x" * (9 << 20)})), "hang": [15], "hangup": []}
PARTS["short"] = ["HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{"]
PARTS["drip"] = [*PARTS["short"], {"ever": [" "], "pause": 0.1}]
PARTS["chunk"] = ["HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"]
PARTS["retry-odd"] = http("busy", 429, **{"Retry-After": "\u00b2"})
PARTS["error-with-key"] = http(_LISTED[-1]["body"], 400)

BEHAVIOURS: dict[str, str] = {
    **dict.fromkeys([*PARTS, *"408 409 425 429 500 502 503 504 529".split()], AGAIN),
    **dict.fromkeys(
        ["huge", *(case["name"] for case in _LISTED if case["then"] == "fails")], FAILS
    ),
    **dict.fromkeys("400 413 418 422 501".split(), FAILS),
    **dict.fromkeys("301 302 307 308 401 402 403 404 405".split(), REFUSES),
}
"""Directive -> what becomes of the question."""


class _Chat(misbehaving_server.Handler):
    def parts(self, path: str, body: bytes) -> list[Any]:
        asked = json.loads(body or b"{}")  # nothing is sent where nobody should be led
        text = asked["messages"][-1]["content"] if asked else ""
        entry = {"q": text, "path": path, "key": self.authorization, "at": time.time()}
        number = self.server.record(entry | {"seed": asked.get("seed")})
        found = re.search(r"\[(.*?)\]", text)
        act = dict(enumerate(found[1].split() if found else [], start=1)).get(number, "")
        if act.isdigit():
            elsewhere = {"Location": f"{self.server.url}/stolen".replace("127.0.0.1", "localhost")}
            return http("busy", int(act), **(elsewhere if act[0] == "3" else {}))
        return PARTS[act] if act in PARTS else http(self.answer(act, text))

    def answer(self, act: str, text: str) -> str:
        """What a good model says: a code, a verdict or an attempt, as the prompt asks for."""
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
