"""vLLM gives the tokens of transformers, natively and over several calls.

A job of its own, in an environment that holds vLLM (its CPU build will do):
`VLLM_ENABLE_V1_MULTIPROCESSING=0 python -m pytest -m vllm tests/test_vllm.py`.
`S1CORE_REAL` may name checkpoints (SmolLM2-135M, a Qwen2.5) to repeat the contract on real models.
"""

import os

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed here; see the module's docstring")

from s1core.backends import SamplingParams
from s1core.backends.hf import HFBackend
from s1core.backends.vllm import VLLMBackend
from s1core.errors import BackendError
from s1core.forcing import Budget, controls, generate
from s1core.records import Problem
from s1core.templates import prompt_ids
from s1lab import pocket
from tests.helpers import cases, save_tiny, tiny_model, tiny_tokenizer
from tests.test_sft_train import CONFIG, examples, train

pytestmark = pytest.mark.vllm

PROBLEMS = [Problem(f"Use {i} 7 to make {i * 3}" + " yes" * (i % 4), "") for i in range(6)]
BUDGETS = [Budget(**row) for row in cases("backends")["small budgets"]]

CPU = {"dtype": "float32", "enforce_eager": True, "block_size": 32}
CPU |= {"kv_cache_memory_bytes": 256 << 20}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """vLLM and transformers on one tiny checkpoint (vLLM's CPU kernels want a head size of 32)."""
    model, tokenizer = tiny_model(hidden=128), tiny_tokenizer()
    folder = save_tiny(tmp_path_factory.mktemp("tiny"), hidden=128)
    # So few tokens a step that prompts are prefilled in chunks: positions are asked for twice.
    vllm = VLLMBackend.from_pretrained(
        folder, native=True, max_model_len=96, max_num_batched_tokens=16, max_num_seqs=16, **CPU
    )
    reference = HFBackend(model, tokenizer)
    reference.context_length = vllm.context_length
    return vllm, reference


@pytest.mark.parametrize("native", [True, False])
def test_vllm_gives_the_tokens_of_transformers(both, native):
    direct = {"budgets": Budget(0, max_answer=9), "thinking": False}
    for options in ({"budgets": BUDGETS, "samples": 2, "top_p": 0.95}, direct):
        vllm, reference = (
            list(generate(backend, PROBLEMS, native=way, **options))
            for backend, way in zip(both, (native, True), strict=True)
        )
        assert vllm == reference
    assert not any(g.thinking_tokens for g in vllm)


def test_completions_agree_and_ids_outside_the_tokenizer_are_never_sampled(both):
    prompts = [tiny_tokenizer().encode(f"Use {i} to make 7") for i in range(8)]
    stops = tuple(range(20))
    params = [SamplingParams(5 + i, i % 2 * 2.0, 1.0, i, stops, min_tokens=i) for i in range(8)]
    ours, theirs = (backend.complete(prompts, params) for backend in both)
    assert ours[::2] == theirs[::2]  # greedy
    assert max(t for c in ours for t in c.token_ids) < len(tiny_tokenizer())


def test_steps_are_forced_over_several_calls_only(both):
    machine = controls.step_machine(tiny_tokenizer(), 2)
    with pytest.raises(BackendError, match="use native=False"):
        list(generate(both[0], PROBLEMS, Budget(15), machine=machine))
    ours, theirs = (
        list(generate(backend, PROBLEMS, Budget(15, max_answer=4), machine=machine, native=False))
        for backend in both
    )
    assert ours == theirs


SLOW = pytest.mark.slow
REAL = [folder for folder in os.environ.get("S1CORE_REAL", "").split(os.pathsep) if folder]


@pytest.mark.parametrize("model", ["pocket-s1", *(pytest.param(m, marks=SLOW) for m in REAL)])
@pytest.mark.parametrize("native", [True, False])
def test_a_trained_model_gives_the_same_tokens(model, native):
    engine = {**CPU, "kv_cache_memory_bytes": 512 << 20, "max_model_len": 1024}
    vllm = VLLMBackend.from_pretrained(model, native=native, **engine)
    many, most = (12, 150) if model == "pocket-s1" else (6, 64)
    problems = pocket.evaluation_problems(many)
    budgets = [Budget(most, num_ignore=i % 3, max_answer=24) for i in range(many)]
    reference = HFBackend.from_pretrained(model, dtype="float32")
    expected = list(generate(reference, problems, budgets))
    assert list(generate(vllm, problems, budgets)) == expected
    assert any(g.waits_used for g in expected)


def test_a_fine_tuned_checkpoint_is_the_same_model_in_both(tmp_path):
    model, tokenizer = save_tiny(tmp_path / "model", hidden=128), tiny_tokenizer()
    path = train(model, tokenizer, examples(), CONFIG, tmp_path / "run").path
    prompts = [prompt_ids("s1", tokenizer, f"Use {i} 7") for i in range(4)]
    vllm = VLLMBackend.from_pretrained(path, max_model_len=512, **CPU)
    reference = HFBackend.from_pretrained(path, dtype="float32")
    params = [SamplingParams(40)] * 4
    assert vllm.complete(prompts, params) == reference.complete(prompts, params)
    text = "Use 3 7 make\n<|im_end|>"
    assert vllm.llm.get_tokenizer().encode(text) == tokenizer.encode(text)


def test_an_engine_that_cannot_start_says_why(tmp_path):
    folder, most = save_tiny(tmp_path, hidden=128), {"max_model_len": 1 << 30}
    with pytest.raises(BackendError, match="^vLLM does not start: .*max_model_len"):
        VLLMBackend.from_pretrained(folder, **{**CPU, **most})
