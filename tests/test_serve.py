"""`s1core serve`: any OpenAI client asks for a budget, and gets the tokens of the machine.

A job of its own, in an environment that holds vLLM (its CPU build will do; there the server takes
a minute or two to start): `python -m pytest -m vllm tests/test_serve.py`.
"""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; see the module's docstring")

import openai

from s1core.backends import SamplingParams
from s1core.backends.hf import HFBackend
from s1core.forcing import Budget, generate
from s1core.records import Problem
from s1core.templates import prompt_ids
from tests.helpers import cases, save_tiny, tiny_model, tiny_tokenizer

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

ON_CPU = "--dtype float32 --enforce-eager --block-size 32 --host 127.0.0.1 --served-model-name tiny"
ON_CPU += " --reasoning-parser deepseek_r1 --max-model-len 512 --generation-config vllm"
ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", **os.environ}
ENVIRONMENT.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
TEXTS = ["Use 3 7 to make 9", "yes no yes", "Use 5 7 to make 2 short"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A tiny random model that marks thinking by <think>, and what transformers makes of it."""
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    asked = [sys.executable, "-m", "s1core.cli", "serve", save_tiny(folder / "tiny", hidden=128)]
    asked += [*ON_CPU.split(), "--port", port]
    with open(folder / "server.log", "a") as log:
        process = subprocess.Popen(
            asked, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
        )
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "server.log").read_text()[-3000:]
            with suppress(openai.OpenAIError):
                client.models.list()
                break
            time.sleep(1)
        yield client, HFBackend(tiny_model(hidden=128), tiny_tokenizer())
    finally:
        process.terminate()
        process.wait(60)


def chat(client, text, extras=None, **options):
    body = {"return_token_ids": True, "skip_special_tokens": False}
    body |= {"vllm_xargs": extras} if extras else {}
    options = {"temperature": 0, "max_tokens": 400, "extra_body": body, **options}
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(model="tiny", messages=messages, **options)


EXTRAS, BAD = cases("serve")["extras"], cases("serve")["bad"]


def expected(reference, text, extras):
    settings = {name.replace("waits", "num_ignore"): value for name, value in extras.items()}
    budget = Budget(**{"max_answer": 400, **settings})
    return next(generate(reference, [Problem(text, "")], budget, template="qwen3"))


@pytest.mark.parametrize("extras", EXTRAS)
def test_a_chat_thinks_within_the_budget_that_its_client_sets(served, extras):
    client, reference = served
    for text in TEXTS:
        made = expected(reference, text, extras)
        choice = chat(client, text, extras).choices[0]
        opening = tiny_tokenizer().encode("<think>\n")
        told = opening + made.token_ids()
        assert choice.token_ids[: len(told)] == told[: len(choice.token_ids)]
        assert len(choice.token_ids) <= 400
        if extras.get("max_answer"):
            # What ends the request, an end of turn, is all that follows.
            assert set(choice.token_ids[len(told) :]) <= {0, 2}
        if made.thinking:
            assert (choice.message.reasoning or "").strip() == made.thinking.strip()


def test_streams_and_completions_say_the_same(served):
    client, reference = served
    extras = EXTRAS[0]
    whole = chat(client, TEXTS[0], extras).choices[0]
    parts = [c.choices[0].delta for c in chat(client, TEXTS[0], extras, stream=True) if c.choices]
    assert "".join(part.content or "" for part in parts) == (whole.message.content or "")
    reasoning = "".join(getattr(part, "reasoning", None) or "" for part in parts)
    assert reasoning == whole.message.reasoning
    prompt = prompt_ids("qwen3", tiny_tokenizer(), TEXTS[0])  # thinking is open already
    done = client.completions.create(
        model="tiny", prompt=prompt, temperature=0, max_tokens=400,
        extra_body={"vllm_xargs": extras, "return_token_ids": True},
    )  # fmt: skip
    made = expected(reference, TEXTS[0], extras).token_ids()
    assert done.choices[0].token_ids[: len(made)] == made


def test_beside_requests_with_extras_plain_ones_are_as_without_us(served):
    client, reference = served
    prompts = [tiny_tokenizer().encode(text) for text in TEXTS]
    bare = HFBackend(reference.model, reference.tokenizer)
    bare._unknown = None  # vLLM samples ids that the tokenizer lacks; so do plain requests here
    ends = (tiny_tokenizer().eos_token_id,)
    plain = bare.complete(prompts, [SamplingParams(60, stop_token_ids=ends)] * 3)

    def ask(number):
        body = {"return_token_ids": True}
        if number % 2:
            body["vllm_xargs"] = EXTRAS[number % 5]
        return client.completions.create(
            model="tiny", prompt=prompts[number % 3], temperature=0, max_tokens=60,
            extra_body=body,
        ).choices[0]  # fmt: skip

    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(ask, range(24)))
    for number in range(0, 24, 2):
        assert tuple(made[number].token_ids) == plain[number % 3].token_ids


@pytest.mark.parametrize(("said", "extras"), BAD.items())
def test_a_bad_value_is_a_400_with_a_sentence(served, said, extras):
    with pytest.raises(openai.BadRequestError, match=said):
        chat(served[0], TEXTS[0], extras)
    assert chat(served[0], TEXTS[0], {"effort": "low"}, max_tokens=40).choices


def test_a_cap_leaves_room_for_an_answer_within_max_tokens(served):
    choice = chat(served[0], TEXTS[0], {"min_thinking": 90, "max_thinking": 90}, max_tokens=40)
    ids = choice.choices[0].token_ids
    (close,) = tiny_tokenizer().encode("</think>")
    assert close in ids and 10 <= ids.index(close) <= 40 - 10
