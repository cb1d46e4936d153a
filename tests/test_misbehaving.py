"""Servers that answer as none should: nothing is scored that was not answered, nothing outlives its
limit, and the key goes to one host and into no message."""

import json
import signal
import threading
import time

import pytest

from s1core.backends import SamplingParams
from s1core.backends.client import Client, RequestFailed, Retry
from s1core.backends.completions import CompletionsBackend
from s1core.errors import BackendError
from tests.helpers import cases, tiny_tokenizer
from tests.misbehaving_server import BEHAVIOURS, MODELS, REPLIES, Server

KEY = "sk-not+a/real=key-0123456789"
STOPS = tuple(tiny_tokenizer().encode("<|im_end|></think>"))
PARAMS = SamplingParams(max_tokens=3, stop_token_ids=STOPS)
RETRY = Retry(attempts=2, timeout=0.3, wait=0.01, longest_wait=0.02)


CASES = cases("misbehaving")
TRIES = {name: requests for requests, names in CASES["tries"].items() for name in names}


@pytest.fixture(scope="module")
def other():
    return Server("127.0.0.2")


@pytest.fixture(scope="module")
def server(other):
    return Server(other=other.url)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def connect(server: Server, name: str, **options) -> CompletionsBackend:
    options = {"context_length": 512, "token_ids": True, "retry": RETRY, **options}
    return CompletionsBackend(f"{server.url}/{name}/v1", "tiny", tiny_tokenizer(), **options)


def test_there_are_many_behaviours_and_a_good_answer_is_one(server, monkeypatch):
    assert len(REPLIES) >= 120 and len(MODELS) >= 10
    answer = json.dumps({"text": "yes", "finish_reason": "length", "token_ids": [45, 46]})
    parts = ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", f'{{"choices": [{answer}]}}']
    monkeypatch.setitem(BEHAVIOURS, "good", {"parts": parts})
    (completion,) = connect(server, "good").complete([[40]], [PARAMS])
    assert completion.token_ids == (45, 46) and completion.exact_tokens


@pytest.mark.parametrize("name", REPLIES)
def test_what_is_no_answer_is_a_failure_in_bounded_time_without_the_key(server, other, name):
    backend = connect(server, name)
    started = time.monotonic()
    (completion,) = backend.complete([[40, 41]], [PARAMS])
    assert time.monotonic() - started < RETRY.attempts * RETRY.timeout + 3
    assert (completion.finish_reason, completion.token_ids) == ("error", ())
    assert completion.error and completion.error.isprintable() and len(completion.error) < 900
    for part in (KEY, KEY[5:], json.dumps(KEY)[1:-1]):
        assert part.lower() not in completion.error.lower()
    assert other.asked == [], "a redirect was followed"
    assert backend.exact_tokens is None


@pytest.mark.parametrize(("name", "requests"), TRIES.items())
def test_passing_trouble_is_tried_again_and_what_is_final_is_not(server, name, requests):
    before, patient = len(server.asked), Retry(attempts=2, timeout=30, wait=0.01)
    connect(server, name, token_ids=None, retry=patient).complete([[40]], [PARAMS])
    assert len(server.asked) == before + requests


@pytest.mark.parametrize("name", MODELS)
def test_a_context_length_that_is_none_is_asked_of_the_user(server, name):
    with pytest.raises(BackendError, match="give context_length"):
        connect(server, name, context_length=None)


def test_a_wrong_address_is_not_asked_again(server):
    started, retry = time.monotonic(), Retry(attempts=9, timeout=20, wait=5)
    secure = f"https://127.0.0.1:{server.server_address[1]}/is-0/v1"
    for address in ("http://no-such-host.invalid/v1", secure):
        with pytest.raises(RequestFailed) as failure:
            Client(address, retry=retry).call("/models", read=dict)
        assert "gave up" not in str(failure.value) and time.monotonic() - started < 20
        with pytest.raises(BackendError, match="give context_length"):
            CompletionsBackend(address, "tiny", tiny_tokenizer(), retry=retry)


@pytest.mark.parametrize("key", CASES["keys"])
def test_a_key_that_no_header_carries_is_refused_without_quoting_it(server, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(BackendError, match="OPENAI_API_KEY") as error:
        connect(server, "is-0")
    assert key not in str(error.value) and key.split()[0] not in str(error.value)


@pytest.mark.parametrize("address", CASES["addresses"])
def test_what_is_no_address_or_no_variable_is_refused_without_repeating_it(address):
    with pytest.raises(BackendError, match="the server's address") as error:
        Client(address)
    assert "secret" not in str(error.value)
    for name in CASES["variables"]:
        with pytest.raises(BackendError, match="name of an environment") as error:
            Client("http://h/v1", key_variable=name)
        assert "secret" not in str(error.value)


@pytest.mark.parametrize("asked", CASES["waits"])
def test_a_wait_doubles_is_bounded_and_honours_what_a_server_asks_for(asked):
    retry = Retry(wait=0.5, longest_wait=3)
    assert all(0.5 <= retry.pause(attempt, asked) <= 3 for attempt in (0, 5, 10**6))
    assert [retry.pause(attempt, None) for attempt in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert [retry.pause(0, told) for told in ("2", "900")] == [2.0, 3.0]


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_ctrl_c_waits_for_no_server_and_spoils_nothing_after_it(server, rows):
    backend = connect(server, "silence", retry=Retry(timeout=20), batch_size=4)
    main = threading.main_thread().ident
    interrupt = threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGINT])
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt.start()
        backend.complete([[40]] * rows, [PARAMS] * rows)
    assert time.monotonic() - started < 10
    backend._client.retry = RETRY
    (after,) = backend.complete([[40]], [PARAMS])
    assert "no answer" in after.error
