"""vLLM's own OpenAI server gives the tokens of transformers: ids in, ids out, Waits and all.

A job of its own, in an environment that holds vLLM (its CPU build will do; there the server takes
a minute or two to start): `python -m pytest -m vllm tests/test_vllm_server.py`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; see the module's docstring")

from s1core.backends.completions import CompletionsBackend, Retry
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
    Budget(400, num_ignore=1, max_answer=24),
]


def test_forcing_over_vllms_own_server_gives_the_tokens_of_transformers(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder, url = locate("pocket-s1"), f"http://127.0.0.1:{port}/v1"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder]
    command += ["--served-model-name", "pocket-s1", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--block-size", "32"]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ}
    problems, budgets = pocket.evaluation_problems(20), BUDGETS * 4
    reference = HFBackend.from_pretrained("pocket-s1")
    patient = Retry(attempts=600, wait=1, longest_wait=1)  # until the server has started
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        try:
            server = CompletionsBackend(url, "pocket-s1", folder, retry=patient)
            ours, theirs = (list(generate(b, problems, budgets)) for b in (server, reference))
        finally:
            process.terminate()
    assert server.context_length == reference.context_length and ours == theirs
    assert server.exact_tokens and any(g.waits_used for g in ours)
