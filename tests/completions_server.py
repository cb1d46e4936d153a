"""A small real completions server over the transformers backend, with faults on demand.

Run as a process: `python -m tests.completions_server`; it prints its port. Under /v1 it takes and
returns token ids as vLLM does, under /llama/v1 as llama.cpp does, under /text/v1 text only. POST a
list of faults to /faults (a status, "drop", "hold", "greedy"): the next completion requests get one
each.
"""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from s1core.backends.base import SamplingParams
from s1core.backends.hf import HFBackend
from tests.helpers import tiny_model, tiny_tokenizer

BACKEND = HFBackend(tiny_model(), tiny_tokenizer())
LOCK, NAME = threading.Lock(), "tiny"
FAULTS: list[str] = []
SEEN: list[dict] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path in ("/seen", "/health"):
            return self.reply(200, SEEN if self.path == "/seen" else {})
        told = {"max_model_len": BACKEND.context_length}
        if self.path.startswith("/llama"):
            told = {"aliases": ["small"], "meta": {"n_ctx": BACKEND.context_length}}
        self.reply(200, {"data": [{"id": NAME, **told}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/faults":
            with LOCK:
                FAULTS[:] = body
                SEEN.clear()
            return self.reply(200, {})
        with LOCK:
            SEEN.append({**body, "authorization": self.headers.get("Authorization")})
            fault = FAULTS.pop(0) if FAULTS else ""
        if fault == "drop":
            self.close_connection = True
            return self.connection.close()
        if fault == "hold":  # until others have asked three times
            until = time.monotonic() + 20
            while len(SEEN) < 4 and time.monotonic() < until:
                time.sleep(0.01)
        if fault.isdigit():
            return self.reply(int(fault), {"error": "told to fail"}, {"Retry-After": "0.05"})
        if self.path.startswith("/text") and not isinstance(body["prompt"], str):
            return self.reply(400, {"error": "prompt must be a string"})
        self.reply(200, self.complete(body, fault == "greedy"))

    def complete(self, body: dict, greedy: bool) -> dict:
        prompt = body["prompt"]
        ids = tiny_tokenizer().encode(prompt) if isinstance(prompt, str) else prompt
        stops = tuple(body.get("stop_token_ids", ()))
        biased = {*map(str, stops)} & {*body.get("logit_bias", ())}
        params = SamplingParams(
            max_tokens=body["max_tokens"] + (7 if greedy else 0),
            temperature=body["temperature"],
            seed=body["seed"],
            stop_token_ids=() if greedy else stops,
            # llama.cpp knows no min_tokens, but biases; a biased request has no stop at all here.
            min_tokens=body["max_tokens"] if biased else body.get("min_tokens", 0),
        )
        with LOCK:
            (done,) = BACKEND.complete([ids], [params])
        stopped = done.finish_reason == "stop"
        shown = done.token_ids[:-1] if stopped else done.token_ids
        choice = {"text": tiny_tokenizer().decode(shown), "finish_reason": done.finish_reason}
        if self.path.startswith("/llama"):
            verbose = body.get("verbose") and body.get("return_tokens")
            told = {"__verbose": {"tokens": list(done.token_ids)}} if verbose else {}
            return {"choices": [choice], **told}
        choice["stop_reason"] = done.token_ids[-1] if stopped else None
        if body.get("return_token_ids") and not self.path.startswith("/text"):
            choice["token_ids"] = list(done.token_ids)
        return {"choices": [choice]}

    def reply(self, status: int, body: object, headers: dict | None = None):
        data = json.dumps(body).encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)


def serve(port: int = 0, name: str = NAME) -> None:
    """Answer until the process ends; prints the port."""
    global NAME
    NAME = name
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
