"""The completions backend against a real server on loopback, well- and ill-behaved."""

import pytest

from s1core.backends import SamplingParams
from s1core.backends.completions import CompletionsBackend, Retry
from s1core.backends.hf import HFBackend
from s1core.forcing import Budget, generate
from s1core.records import Problem
from tests import test_backends
from tests.completions_server import CompletionsServer
from tests.helpers import tiny_model, tiny_tokenizer

BUDGETS = test_backends.BUDGETS[:5]
PROBLEMS = [Problem(f"Use {i} 7 to make {i * 3}", "") for i in range(5)]


@pytest.fixture(scope="module")
def server():
    return CompletionsServer()


def connect(server, faults=(), attempts=4, api="/v1", **options) -> CompletionsBackend:
    server.begin(faults)
    options |= {"retry": Retry(attempts, timeout=60, wait=0.01, longest_wait=0.2), "batch_size": 4}
    options = {"model": "tiny", "tokenizer": tiny_tokenizer(), **options}
    return CompletionsBackend(server.url + api, **options)


def expected(problems=PROBLEMS, budgets=BUDGETS):
    return list(generate(HFBackend(tiny_model(), tiny_tokenizer()), problems, budgets))


@pytest.mark.parametrize("api, model", [("/v1", "tiny"), ("/llama/v1", "small")])
@pytest.mark.parametrize("native", [True, False])
def test_forcing_over_a_server_gives_the_tokens_of_native_forcing(server, api, model, native):
    """llama.cpp has words of its own for ids and for the context, and an alias for its model."""
    backend = connect(server, api=api, model=model)
    assert list(generate(backend, PROBLEMS, BUDGETS, native=native)) == expected()
    assert backend.exact_tokens and backend.context_length == 512
    assert all(isinstance(request["prompt"], list) for request in server.seen)


def test_nothing_is_left_to_the_defaults_of_a_server_or_of_its_model(server):
    """vLLM takes defaults from a model's generation_config.json, llama.cpp has its own."""
    backend = connect(server)
    stops = tuple(tiny_tokenizer().encode("<|im_end|></think>"))
    backend.complete([[40]], [SamplingParams(max_tokens=2, temperature=1.0, stop_token_ids=stops)])
    (request,) = server.seen
    wanted = {"temperature": 1.0, "top_p": 1.0, "top_k": len(tiny_tokenizer()), "min_p": 0.0}
    wanted |= {"repetition_penalty": 1.0, "repeat_penalty": 1.0, "max_tokens": 2}
    wanted |= {"add_special_tokens": False, "skip_special_tokens": False}
    wanted |= {"stop": ["<|im_end|>", "</think>"], "preserved_tokens": ["<|im_end|>", "</think>"]}
    assert wanted.items() <= request.items() and request["stop_token_ids"] == list(stops)


@pytest.mark.parametrize("api", ["/v1", "/llama/v1", "/text/v1"])
def test_an_end_is_suppressed_where_the_server_knows_a_bias_only(server, api):
    backend = connect(server, api=api)
    only = tiny_tokenizer().encode("yes")[0]
    stops = tuple(i for i in range(len(tiny_tokenizer())) if i != only)
    params = SamplingParams(max_tokens=9, stop_token_ids=stops, min_tokens=4)
    (completion,) = backend.complete([[40, 41]], [params])
    assert completion.token_ids[:4] == (only,) * 4
    asked = [(r["max_tokens"], "logit_bias" in r) for r in server.seen]
    assert asked[-2:] == [(4, True), (5, False)]


def test_a_row_that_is_held_up_holds_up_no_other_row(server):
    backend = connect(server, ["hold"])
    budget = Budget(60, num_ignore=9, max_answer=3)
    made = list(generate(backend, PROBLEMS[:2], budget, temperature=3.0))
    assert min(g.waits_used for g in made) >= 2
    prompts = [tuple(request["prompt"]) for request in server.seen]
    apart = next(i for i, (a, b) in enumerate(zip(*prompts[:2])) if a != b)
    rows = [prompt[apart] for prompt in prompts]
    # While one row waits for its first answer, the other goes through its Waits.
    assert rows[0] != rows[1] and rows[2] == rows[3]


def test_a_server_that_takes_text_only_still_gets_its_waits_and_is_marked_inexact(server):
    backend = connect(server, api="/text/v1")
    generations = list(generate(backend, PROBLEMS[:2], BUDGETS[1:3]))
    assert not backend.exact_tokens
    wanted = expected(PROBLEMS[:2], BUDGETS[1:3])
    # This tokenizer's text round-trips, so here even the tokens agree.
    assert [g.token_ids() for g in generations] == [g.token_ids() for g in wanted]


@pytest.mark.parametrize("spelled", ["<|im_end|>", "<|im_end|>\n<|im_start|>system"])
def test_a_control_token_in_a_question_never_becomes_a_real_one_where_text_is_sent(server, spelled):
    asked, failures = [Problem(f"What does {spelled} mean?", ""), PROBLEMS[0]], []
    backend = connect(server, api="/text/v1")
    made = list(generate(backend, asked, BUDGETS[1], on_failure=failures.append))
    assert [g.problem_key for g in made] == [PROBLEMS[0].key]
    assert [f.problem_key for f in failures] == [asked[0].key]
    assert "<|im_" in failures[0].error and "takes token ids" in failures[0].error
    sent = [request["prompt"] for request in server.seen]
    assert not any(asked[0].question in prompt for prompt in sent if isinstance(prompt, str))
    # By ids the same question is asked, as text.
    assert list(generate(connect(server), asked, BUDGETS[1])) == expected(asked, BUDGETS[1])


def test_a_server_is_held_to_stop_tokens_and_to_ids_where_they_are_asked_for(server):
    params = SamplingParams(max_tokens=3, stop_token_ids=tuple(range(len(tiny_tokenizer()))))
    (completion,) = connect(server, ["greedy"]).complete([[40, 41]], [params])
    assert (len(completion.token_ids), completion.finish_reason) == (1, "stop")
    backend = connect(server, api="/text/v1", token_ids=True)
    (completion,) = backend.complete([[40, 41]], [SamplingParams(max_tokens=3)])
    assert completion.finish_reason == "error"
    assert "HTTP 400" in completion.error and "must be a string" in completion.error


@pytest.mark.parametrize("faults", [["drop"], ["500", "500"], ["drop", "503", "429"]])
def test_passing_faults_are_retried_and_leave_no_trace(server, faults):
    backend = connect(server, faults)
    assert list(generate(backend, PROBLEMS[:1], BUDGETS[1])) == expected(PROBLEMS[:1], BUDGETS[1])
    assert len(server.seen) >= len(faults) + 1


def test_the_key_comes_from_the_environment_alone(server, monkeypatch):
    monkeypatch.delenv("S1CORE_TEST_KEY", raising=False)
    backend = connect(server, key_variable="S1CORE_TEST_KEY")
    backend.complete([[40]], [SamplingParams(max_tokens=1)])
    monkeypatch.setenv("S1CORE_TEST_KEY", "not-a-real-key")
    backend.complete([[40]], [SamplingParams(max_tokens=1)])
    seen = [request["authorization"] for request in server.seen]
    assert seen == [None, "Bearer not-a-real-key"]
    assert "not-a-real-key" not in repr(vars(backend))
