"""A small real completions server over the transformers backend, with faults on demand.

Run as a process: `python -m tests.completions_server`; it prints its port. Under /v1 it takes and
returns token ids as vLLM does, under /llama/v1 as llama.cpp does, under /text/v1 text only. POST a
list of faults to /faults (a status, "drop", "hold", "greedy"): the next completion requests get one
each.
"""

import json
import threading
import time

from s1core.backends.base import SamplingParams
from s1core.backends.hf import HFBackend
from tests import misbehaving_server
from tests.helpers import tiny_model, tiny_tokenizer

BACKEND = HFBackend(tiny_model(), tiny_tokenizer())
LOCK, NAME = threading.Lock(), "tiny"
FAULTS: list[str] = []
SEEN: list[dict] = []


class Handler(misbehaving_server.Handler):
    def parts(self, path: str, body: bytes) -> list[str]:
        """The reply to a request; none where the connection is dropped."""
        if path == "/seen":
            return reply(SEEN)
        if not body:
            told = {"max_model_len": BACKEND.context_length}
            if path.startswith("/llama"):
                told = {"aliases": ["small"], "meta": {"n_ctx": BACKEND.context_length}}
            return reply({"data": [{"id": NAME, **told}]})
        asked = json.loads(body)
        with LOCK:
            if path == "/faults":
                FAULTS[:] = asked
                SEEN.clear()
                return reply({})
            SEEN.append({**asked, "authorization": self.authorization or None})
            fault = FAULTS.pop(0) if FAULTS else ""
        if fault == "drop":
            return []
        if fault == "hold":  # until others have asked three times
            until = time.monotonic() + 20
            while len(SEEN) < 4 and time.monotonic() < until:
                time.sleep(0.01)
        if fault.isdigit():
            return reply({"error": "told to fail"}, int(fault))
        if path.startswith("/text") and not isinstance(asked["prompt"], str):
            return reply({"error": "prompt must be a string"}, 400)
        return reply(complete(path, asked, fault == "greedy"))


def reply(body: object, status: int = 200) -> list[str]:
    text = json.dumps(body)
    head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nRetry-After: 0.05\r\n"
    return [f"{head}Content-Length: {len(text)}\r\n\r\n{text}"]


def complete(path: str, body: dict, greedy: bool) -> dict:
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
    stopped, made = done.finish_reason == "stop", list(done.token_ids)
    text = tiny_tokenizer().decode(made[:-1] if stopped else made)
    choice = {"text": text, "finish_reason": done.finish_reason}
    if path.startswith("/llama"):
        verbose = body.get("verbose") and body.get("return_tokens")
        return {"choices": [choice], **({"__verbose": {"tokens": made}} if verbose else {})}
    choice["stop_reason"] = made[-1] if stopped else None
    if body.get("return_token_ids") and not path.startswith("/text"):
        choice["token_ids"] = made
    return {"choices": [choice]}


def serve(port: int = 0, name: str = NAME) -> None:
    """Answer until the process ends; prints the port."""
    global NAME
    NAME = name
    server = misbehaving_server.Server(handler=Handler, port=port)
    print(server.server_address[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve()
