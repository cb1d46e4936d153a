"""vLLM's own OpenAI server gives the tokens of transformers: ids in, ids out, Waits and all.

A job of its own, in an environment that holds vLLM (its CPU build will do; there the server takes
a minute or two to start): `python -m pytest -m vllm tests/test_vllm_server.py`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; see the module's docstring")

from s1core.backends.completions import CompletionsBackend
from s1core.backends.hf import HFBackend
from s1core.checkpoints import locate
from s1core.forcing import Budget, generate
from s1lab import pocket

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

BUDGETS = [
    Budget(0, max_answer=5),
    Budget(60, max_answer=24),
    Budget(300, num_ignore=3, ignore_str=("Wait", "Hmm"), max_answer=24),
    Budget(250, num_ignore=1, ignore_str="", max_answer=24),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", locate("pocket-s1"), "--served-model-name", "pocket-s1"]
    command += ["--dtype", "float32", "--enforce-eager", "--block-size", "32"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ}
    with open(log, "w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent, env=environment)
    try:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            time.sleep(1)
        else:
            pytest.fail("vLLM's server did not start:\n" + log.read_text()[-3000:])
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_forcing_over_vllms_own_server_gives_the_tokens_of_transformers(url):
    server = CompletionsBackend(url, "pocket-s1", locate("pocket-s1"))
    reference = HFBackend.from_pretrained("pocket-s1")
    assert server.context_length == reference.context_length
    problems, budgets = pocket.evaluation_problems(20), BUDGETS * 5
    ours, theirs = (list(generate(b, problems, budgets)) for b in (server, reference))
    assert ours == theirs
    assert server.exact_tokens and any(g.waits_used for g in ours)
