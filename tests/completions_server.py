"""A small real completions server over the transformers backend, with faults on demand.

Under /v1 it takes and returns token ids as vLLM does, under /llama/v1 as llama.cpp does, under
/text/v1 text only.
"""

import json
import threading
import time
from collections.abc import Iterable

from s1core.backends.base import SamplingParams
from s1core.backends.hf import HFBackend
from tests import misbehaving_server
from tests.helpers import tiny_model, tiny_tokenizer
from tests.misbehaving_server import reply

BACKEND = HFBackend(tiny_model(), tiny_tokenizer())
LOCK = threading.Lock()


class Handler(misbehaving_server.Handler):
    def parts(self, path: str, body: bytes) -> list[str]:
        """The reply to a request; none where the connection is dropped."""
        server: CompletionsServer = self.server
        if not body:
            told = {"max_model_len": BACKEND.context_length}
            if path.startswith("/llama"):
                told = {"aliases": ["small"], "meta": {"n_ctx": BACKEND.context_length}}
            return reply(json.dumps({"data": [{"id": server.name, **told}]}))
        asked = json.loads(body)
        with LOCK:
            server.seen.append({**asked, "authorization": self.authorization or None})
            fault = server.faults.pop(0) if server.faults else ""
        if fault == "drop":
            return []
        if fault == "hold":  # until others have asked three times
            until = time.monotonic() + 20
            while len(server.seen) < 4 and time.monotonic() < until:
                time.sleep(0.01)
        if fault.isdigit():
            return reply('{"error": "told to fail"}', int(fault), **{"Retry-After": 0.05})
        if path.startswith("/text") and not isinstance(asked["prompt"], str):
            return reply('{"error": "prompt must be a string"}', 400)
        return reply(json.dumps(complete(path, asked, fault == "greedy")))


class CompletionsServer(misbehaving_server.Server):
    """Answers completions; the next requests get `faults` (a status, "drop", "hold", "greedy"), one
    each, and `seen` are those that were made."""

    def __init__(self, port: int = 0, name: str = "tiny") -> None:
        self.name, self.faults, self.seen = name, [], []
        super().__init__(handler=Handler, port=port)

    def begin(self, faults: Iterable[str] = ()) -> None:
        """Forget what was seen; the next requests get these faults."""
        self.faults[:] = faults
        self.seen.clear()


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
