"""Both of vLLM's interfaces for logits processors, with its own classes around them, on a CPU.

In an environment that holds vLLM: `python -m pytest -m vllm tests/test_processor.py`.
"""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("vllm", reason="vLLM is not installed here; see the module's docstring")

from vllm import EngineArgs, SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.utils.import_utils import resolve_obj_by_qualname
from vllm.v1.sample.logits_processor import validate_logits_processors_parameters as first_checks
from vllm.v1.worker.gpu.sample.logits_processor import (
    LogitsContext,
    LogitsProcRequestState,
    build_custom_logits_processors_params_validator,
)
from vllm.v1.worker.gpu.sample.logits_processor.loader import _load_v2_logitsprocs_by_fqcns

from s1core.backends.vllm import INSIDE, VLLMBackend
from s1core.errors import BackendError, InputError
from s1core.serving.processor import KEY, Extension, Processor, asked
from s1core.templates import resolve
from tests import test_slots
from tests.helpers import save_tiny
from tests.test_slots import TOKENIZER, Engine, Model, V, plain, random_budget, request

pytestmark = pytest.mark.vllm

LONGEST = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"), hidden=128)


def config(folder, slots):
    model = SimpleNamespace(
        max_model_len=LONGEST, tokenizer=folder, seed=0, get_vocab_size=lambda: V
    )
    return SimpleNamespace(
        speculative_config=None, model_config=model, additional_config={},
        scheduler_config=SimpleNamespace(max_num_seqs=slots),
    )  # fmt: skip


class Backed:
    """A tensor with a host and a device side, as `UvaBackedTensor` and `StagedWriteTensor`."""

    def __init__(self, *shape):
        self.gpu = torch.zeros(shape, dtype=torch.int32)
        self.np = self.gpu.numpy()


def parameters(row):
    extra = {KEY: row.told} if row.told else None
    return SamplingParams(temperature=0.0, max_tokens=200, extra_args=extra)


class SecondRunner(Engine):
    """Model Runner V2 around the processor: its request states and its context, on a CPU."""

    def __init__(self, folder, slots, chance):
        super().__init__(slots, chance)
        self.states = LogitsProcRequestState(
            device=torch.device("cpu"), max_num_reqs=slots, vocab_size=V,
            all_token_ids=Backed(slots, LONGEST), prompt_len=Backed(slots),
            prefill_len=Backed(slots), total_len=Backed(slots),
        )  # fmt: skip
        self.processor = Processor(config(folder, slots), self.states)
        self.slots = self.processor.slots

    def put(self, slot, row, total):
        self.states.all_token_ids.gpu[slot, :total] = torch.tensor([*row.prompt, *row.out])
        self.states.prompt_len.np[slot] = len(row.prompt)
        self.states.prefill_len.np[slot] = self.states.total_len.np[slot] = total
        assert self.processor.add_request(slot, parameters(row)) is bool(row.told)

    def flush(self, running):
        self.processor.apply_staged_writes()

    def apply(self, logits, rows, lengths, last):
        at, lengths = torch.tensor(rows, dtype=torch.int32), lengths.astype(np.int32)
        context = LogitsContext(
            expanded_idx_mapping=at, idx_mapping=at, idx_mapping_np=at.numpy(),
            expanded_local_pos=torch.zeros_like(at), input_ids=last.to(torch.int32),
            pos=torch.from_numpy(lengths) - 1, seq_lens_upper_bound_np=lengths,
        )  # fmt: skip
        return self.processor.apply(logits, context)


@pytest.mark.parametrize("seed", range(12))
def test_the_second_runner_gives_the_rows_of_the_machine(folder, seed):
    """The first one is that of the CPU build: the engine itself runs it, in `test_vllm.py`."""
    chance = random.Random(f"runner {seed}")
    ends = resolve("s1", TOKENIZER).end_of_thinking_ids
    rows = []
    for key in range(1, 8):
        model = Model(f"{seed}:{key}", chance.choice([0.0, 2.0, 4.0]), [*ends])
        prompt = TOKENIZER.encode("Use 3 7 yes")
        budget, context = random_budget(chance), chance.randrange(30, 120)
        rows.append(request(model, budget, prompt, context, 1000 * seed + key))
    others = [plain(Model(f"p{seed}:{i}", 0.5, [2]), [9, 11], 40, 0) for i in range(3)]
    every = [*rows, *others]
    chance.shuffle(every)
    engine = SecondRunner(folder, 3, chance)
    engine.run(every)
    test_slots.check_plain(others)
    test_slots.check_forced(rows, engine.slots)


@pytest.mark.parametrize("native", [True, False])
def test_no_runner_refuses_what_the_engine_is_started_with(folder, monkeypatch, native):
    """As on an NVIDIA machine, where Triton is there and the second runner is the default."""
    import vllm.config.vllm as settings
    from vllm.v1.sample.logits_processor import _load_logitsprocs_by_fqcns

    monkeypatch.delenv("VLLM_USE_V2_MODEL_RUNNER", raising=False)
    monkeypatch.setattr(settings, "HAS_TRITON", True)
    asked = {}

    def start(**options):
        asked.update(options)
        raise RuntimeError("looked at only")

    monkeypatch.setattr("s1core.backends.vllm.LLM", start)
    with pytest.raises(BackendError, match="looked at only"):
        VLLMBackend.from_pretrained(folder, native=native, max_model_len=96)
    assert "async_scheduling" not in asked
    made = EngineArgs(**asked).create_engine_config()
    assert made.use_v2_model_runner
    names = made.model_config.logits_processors or []
    for load in (_load_logitsprocs_by_fqcns, _load_v2_logitsprocs_by_fqcns):
        assert load(names) == [Processor] * native
    worker = made.parallel_config.worker_extension_cls
    assert not native or resolve_obj_by_qualname(worker) is Extension


def test_either_frontend_refuses_a_bad_request(folder):
    names = [f"{INSIDE}:Processor"]
    second = build_custom_logits_processors_params_validator(names)
    for check in (lambda params: first_checks(names, params), second):
        check(SamplingParams(extra_args={"waits": 2, "effort": "high"}))
        check(SamplingParams(extra_args={"kv_transfer_params": {}}))
        with pytest.raises(VLLMValidationError, match="waits must be a whole number"):
            check(SamplingParams(extra_args={"waits": -2}))


def test_speculation_is_refused_when_the_engine_starts(folder):
    some = config(folder, 2)
    some.speculative_config = object()
    with pytest.raises(ValueError, match="speculative decoding"):
        Processor(some, torch.device("cpu"), False)


def test_extras_are_budgets():
    assert asked(None) is None and asked({"session_id": "x"}) is None
    assert asked({"waits": 2}).num_ignore == 2 and asked({"waits": 2}).max_thinking == 2**31 - 1
    assert asked({"effort": "low", "waits": 1}).max_thinking == 1000
    assert asked({"ignore_str": ["Wait", "Hmm"]}).ignore_strings == ("Wait", "Hmm")
    for bad in ({"effort": 3}, {"effort": ["low"]}, {"ignore_str": 5}, {"answer_cu": "x"}):
        with pytest.raises(InputError):
            asked(bad)
