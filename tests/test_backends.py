"""One contract for every engine: native and multi-call forcing give the same tokens, a batch gives
what its members give alone, and nothing outside the tokenizer is ever sampled."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s1core.backends import Completion, SamplingParams, open_engine
from s1core.backends.base import row_seed, uniforms
from s1core.backends.client import Retry
from s1core.backends.hf import HFBackend
from s1core.backends.sampling import choose
from s1core.errors import BackendError, InputError
from s1core.forcing import Budget, generate
from s1core.records import Problem
from tests.helpers import cases, tiny_model, tiny_tokenizer
from tests.scripted import NativeScriptedBackend, ScriptedBackend
from tests.test_slots import random_budget

PROBLEMS = [Problem(f"Use {i} 7 to make {i * 3}" + " yes" * (i % 4), "") for i in range(7)]
BUDGETS = [Budget(**row) for row in cases("backends")["budgets"]]


def babble(context) -> int:
    """A deterministic model of the context: any of 60 ids, stops among them."""
    return hash((*context[-3:], len(context))) % 60


@pytest.fixture(scope="module", params=["scripted", "hf", "hf-mha", "hf-small-batches"])
def backend(request):
    tokenizer = tiny_tokenizer()
    if request.param == "scripted":
        return NativeScriptedBackend(tokenizer, babble, context_length=512, fallback=30)
    model = tiny_model(kv_heads=4 if request.param == "hf-mha" else 2)
    return HFBackend(model, tokenizer, batch_size=3 if "small" in request.param else 256)


def run(backend, problems=PROBLEMS, budgets=BUDGETS, **options):
    return list(generate(backend, problems, budgets, **options))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_native_forcing_and_multi_call_give_the_same_tokens(backend, temperature):
    options = {"samples": 2, "temperature": temperature, "top_p": 0.9, "seed": 5}
    native = run(backend, native=True, **options)
    assert native == run(backend, native=False, **options)
    assert {g.outcome for g in native} >= {"truncated", "context"}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_mixed_budgets_in_one_batch_give_what_each_gives_alone(backend, temperature):
    options = {"samples": 2, "temperature": temperature}
    alone = [run(backend, [p], b, **options) for p, b in zip(PROBLEMS, BUDGETS, strict=True)]
    assert run(backend, **options) == list(itertools.chain(*alone))


@settings(max_examples=60)
@given(st.randoms(), st.integers(3, 40), st.integers(45, 200), st.sampled_from(["s1", "qwen3"]))
def test_any_model_any_budget_native_and_multi_call_agree(chance, vocabulary, context, template):
    """Small vocabularies end thoughts all the time; small contexts run out."""

    def policy(ids):
        return hash((*ids[-2:], len(ids))) % vocabulary

    backend = NativeScriptedBackend(tiny_tokenizer(), policy, context, fallback=30)
    asked = PROBLEMS[: chance.randint(1, 5)]
    some = [random_budget(chance) for _ in asked]
    native = run(backend, asked, some, template=template)
    assert native == run(backend, asked, some, template=template, native=False)


def test_samples_made_apart_equal_samples_made_together_by_problem_then_by_sample(backend):
    together = run(backend, samples=3, first_sample=4, temperature=1.0)
    apart = [run(backend, first_sample=i, temperature=1.0) for i in (4, 5, 6)]
    assert together == [g for row in zip(*apart, strict=True) for g in row]
    order = [(g.problem_key, g.sample) for g in together]
    assert order == list(itertools.product([p.key for p in PROBLEMS], [4, 5, 6]))


def test_the_stop_token_is_the_last_of_a_completion_and_not_among_the_first_min_tokens(backend):
    assert run(backend, [], []) == run(backend, [], Budget(5)) == backend.complete([], []) == []
    prompts = [tiny_tokenizer().encode(f"Use {i} to make 7") for i in range(20)]
    stops = tuple(range(0, 60))
    params = [SamplingParams(max_tokens=1 + i, stop_token_ids=stops) for i in range(20)]
    for i, completion in enumerate(backend.complete(prompts, params)):
        assert 1 <= len(completion.token_ids) <= i + 1
        assert not set(completion.token_ids[:-1]) & set(stops)
        assert (completion.token_ids[-1] in stops) == (completion.finish_reason == "stop")
    prompt = tiny_tokenizer().encode("Use 3 to make 7")
    stops = tuple(i for i in range(len(tiny_tokenizer())) if i != 30)
    params = SamplingParams(max_tokens=9, stop_token_ids=stops, min_tokens=4)
    (completion,) = backend.complete([prompt], [params])
    assert completion.token_ids[:4] == (30,) * 4
    assert completion.finish_reason == "stop" or len(completion.token_ids) == 9


def test_ids_outside_the_tokenizer_are_never_sampled_and_the_model_is_left_as_it_was():
    backend = HFBackend(model := tiny_model(), tiny_tokenizer())
    before = (model.config._attn_implementation, model.training)
    assert model.config.vocab_size > len(tiny_tokenizer())
    generations = run(backend, budgets=Budget(60, max_answer=60), samples=8, temperature=5.0)
    sampled = {t for g in generations for t in g.token_ids(origin="sampled")}
    assert len(sampled) > 100 and max(sampled) < len(tiny_tokenizer())
    assert (model.config._attn_implementation, model.training) == before


@pytest.mark.parametrize("kind", [Retry, SamplingParams])
def test_settings_have_ranges(kind):
    for name, values in cases("backends")[kind.__name__].items():
        for value in values:
            needed = {"max_tokens": 1} if kind is SamplingParams else {}
            with pytest.raises(InputError, match=name.removesuffix("_token_ids").replace("_", ".")):
                kind(**{**needed, name: tuple(value) if isinstance(value, list) else value})


def test_engines_open_by_name_and_refuse_what_they_do_not_have_in_a_sentence():
    engine = open_engine("hf", "pocket-s1", batch_size=3, dtype="float32", device="cpu")
    assert isinstance(engine, HFBackend) and engine.batch_size == 3
    for said, name, *values in cases("backends")["options"]:
        for value in values:
            with pytest.raises(InputError, match=rf"\A.*{said}.*{value}.*\Z"):
                open_engine("hf", "pocket-s1", **{name: value})
    with pytest.raises(InputError, match="no engine 'abacus'; pick one of hf, vllm"):
        open_engine("abacus", "pocket-s1")
    with pytest.raises(InputError, match="timeout"):
        open_engine("completions", "m", url="http://h/v1", tokenizer="pocket-s1", timeout=-1)


def test_a_failing_engine_is_a_failure_and_never_a_generation():
    class Broken(ScriptedBackend):
        def complete(self, prompts, params):
            good = super().complete(prompts, params)
            return [Completion((), "error", "HTTP 500")] + good[1:]

    backend = Broken(tiny_tokenizer(), babble)
    failures = []
    got = run(backend, PROBLEMS[:3], Budget(5), on_failure=failures.append)
    # Each round fails the first row still in flight, so in the end all of them.
    assert len(got) + len(failures) == 3 and failures[0].error == "HTTP 500"
    with pytest.raises(BackendError, match="generations failed.*HTTP 500"):
        run(backend, PROBLEMS[:3], Budget(5))


@given(seed=st.integers(0, 2**63 - 1), draws=st.lists(st.integers(0, 10**6), max_size=20))
def test_every_random_number_is_a_function_of_its_seed_and_draw(seed, draws):
    together = uniforms([seed] * len(draws), draws)
    assert [uniforms([seed], [d])[0] for d in draws] == list(together)
    assert all(0 <= u < 1 for u in together)


def test_random_numbers_are_uniform_and_rows_are_independent():
    seeds = [row_seed(0, f"{i:016x}", 0) for i in range(200)]
    table = uniforms(np.repeat(seeds, 500), np.tile(np.arange(500), 200)).reshape(200, 500)
    assert abs(table.mean() - 0.5) < 0.005 and abs(table.var() - 1 / 12) < 0.002
    correlation = np.corrcoef(table)[np.triu_indices(200, 1)]
    assert np.abs(correlation).max() < 0.25
    assert len({row_seed(s, k, n) for s in (0, 1) for k in "ab" for n in (0, 1)}) == 8


def test_sampling_follows_the_distribution_and_top_p_cuts_its_tail():
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().repeat(20_000, 1)
    uniform = uniforms(np.arange(20_000), np.zeros(20_000))
    ones = np.ones(20_000)
    for top_p, expected in ((1.0, [0.1, 0.2, 0.3, 0.4]), (0.6, [0, 0, 3 / 7, 4 / 7])):
        counts = torch.bincount(choose(logits, ones, ones * top_p, uniform), minlength=4) / 20_000
        assert torch.allclose(counts, torch.tensor(expected), atol=0.015)


@given(st.floats(0, 1, exclude_max=True), st.floats(0.05, 1), st.floats(0.1, 5))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_forbidden_id_is_never_sampled(uniform, top_p, temperature):
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, -3.0, -torch.inf]])
    one = np.ones(1)
    assert choose(logits, one * temperature, one * top_p, one * uniform).item() in (1, 3)
