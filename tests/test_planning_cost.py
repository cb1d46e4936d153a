"""Counting before running: parts add up, larger means more, and what cannot fit is said."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from s1core.errors import InputError, RunError
from s1core.sft import SFTConfig
from s1lab import experiments, profiles
from s1lab.pipeline import Pipeline
from s1lab.planning import cost as costs
from s1lab.planning.cost import begin_with, cost, lines, note_speeds, read_speeds
from s1lab.planning.fetch import needs
from s1lab.planning.sft_plan import BANDWIDTH, MEMORY, memory, paper_flops, paper_share, plan
from s1lab.planning.shapes import SHAPES, shape_of
from s1lab.planning.tokens import Counter
from s1lab.runs import RunStore
from tests.helpers import CHECKOUT, tiny_model
from tests.planning_fixtures import SMALL, save_model, write_profile


def pipeline(name: str, tmp_path, **changes) -> Pipeline:
    return Pipeline(replace(profiles.load(name), **changes), RunStore(tmp_path / "store"))


@pytest.fixture(autouse=True)
def _no_data(monkeypatch):
    monkeypatch.delenv("S1CORE_DATA_DIR", raising=False)


@pytest.mark.parametrize("name", ["h100", "box", "paper"])
def test_a_large_profile_is_complete_fits_its_hardware_and_its_parts_add_up(name, tmp_path):
    profile = profiles.load(name)
    wanted = {experiment for experiment, _ in experiments.conditions(profile)}
    # A base model is asked in its own words where a profile says how: `desk` does.
    assert wanted == {*experiments.EXPERIMENTS} - {"base model"}
    assert {"AIME24", "AIME25", "MATH500", "GPQA Diamond"} == set(needs(profile).benchmarks)
    assert re.search("@[0-9a-f]{40}$", profile.model)
    assert profile.sft["max_seq_len"] == 32_768
    found = cost(pipeline(name, tmp_path))
    steps = found.steps
    assert found.misfits == () and 0 < steps.best.sum() < steps.worst.sum()
    assert (steps.worst <= 3 * steps.best).all()
    assert steps.memory.max() < MEMORY
    shown = [re.findall(r"0/(\d+) ", line) for line in lines(found, price=2.0)[1:]]
    *parts, total = [int(counts[0]) for counts in shown if counts]
    assert sum(parts) == total == len(steps)


def test_training_tokens_are_those_of_the_recipe(tmp_path):
    made = pipeline("h100", tmp_path)
    tokens = Counter(made).tokens(made.steps()[2])  # after the pool's difficulty and selection
    lengths = Counter(made).lengths(experiments.Training())
    assert len(lengths) == 1000 and max(lengths) == 32_768
    assert tokens.trained == 5 * sum(lengths)
    short = experiments.Training(changes=(("max_seq_len", 4096),))
    assert max(Counter(made).lengths(short)) == 4096


def test_a_budget_bounds_its_tokens_and_waits_only_add(tmp_path):
    made = pipeline("h100", tmp_path)
    counter = Counter(made)
    found = [counter.planned(c) for c in experiments.curve(made.profile, "AIME24")]
    for condition, tokens in zip(experiments.curve(made.profile, "AIME24"), found, strict=True):
        most = condition.budget.max_thinking + condition.budget.max_answer
        assert 0 < tokens <= 30 * most
    natural_then_waits = found[len(made.profile.evaluation.budgets) :]
    assert natural_then_waits == sorted(natural_then_waits)


def test_sampling_is_never_faster_than_memory_allows(tmp_path):
    """Every token of a condition's mean sequence reads all weights once for a full batch."""
    made = pipeline("h100", tmp_path)
    weights = 2 * shape_of(made.profile.model).parameters
    asked = [row for row in cost(made).steps.itertuples() if row.step.condition]
    training = [row.step.condition.training for row in asked]
    ours = [row for row, how in zip(asked, training) if how is None or not how.released]
    assert len(ours) > 50
    for row in ours:
        assert row.best > row.generated / made.profile.batch_size * weights / BANDWIDTH


def test_more_replicas_are_faster_and_what_was_measured_replaces_what_was_assumed(tmp_path):
    whole = cost(pipeline("box", tmp_path)).steps
    half = cost(pipeline("box", tmp_path, gpus=4, batch_size=512)).steps
    sampled = whole.generated > 0
    ratio = half.best[sampled].sum() / whole.best[sampled].sum()
    assert 1.5 < ratio <= 2
    note_speeds(tmp_path / "store", training=0.3, sampling=0.4, start=100.0)
    found = cost(pipeline("box", tmp_path))
    assert (found.steps.worst <= costs.MARGIN**2 * found.steps.best * 1.001).all()
    assert whole.best.sum() < found.steps.best.sum() < whole.worst.sum()
    assert "training, sampling, start measured on" in found.speeds and "40%" not in found.speeds


def test_a_minute_of_training_is_measured_and_noted(tmp_path, monkeypatch):
    sft = {"max_seq_len": 256, "sequence_parallel": 1}
    changes = {"model": str(save_model(tmp_path / "model")), "gpus": 0, "processes": 1, "sft": sft}
    path = write_profile(tmp_path / "small.yaml", "box", **SMALL, **changes)
    script = CHECKOUT / "benchmarks" / "calibrate.py"
    monkeypatch.setenv("S1CORE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PYTHONPATH", str(script.parents[1]))
    ask = [sys.executable, str(script), str(path)]
    assert "training measured on" in subprocess.check_output(ask, text=True)
    known = read_speeds(tmp_path / "store")
    assert 0 < known.training[1] < known.training[0] < 1e-3
    assert known.sampling == costs.ASSUMED.sampling


def test_32b_fits_one_gpu_in_fp8_only(tmp_path):
    made = pipeline("h100", tmp_path)
    bf16 = {name: {**arm, "engine_options": {}} for name, arm in made.profile.released.items()}
    found = cost(pipeline("h100", tmp_path, released=bf16))
    assert all("32B" in misfit and "quantization: fp8" in misfit for misfit in found.misfits)
    assert len(found.misfits) == 2
    assert cost(made).misfits == ()


def test_more_than_an_hour_is_started_only_when_agreed_to_and_without_gpus_nobody_is_asked(
    tmp_path, monkeypatch
):
    made = pipeline("h100", tmp_path)
    assert cost(made).steps.worst.sum() > costs.ASK_BEYOND
    monkeypatch.setenv("S1CORE_DATA_DIR", str(tmp_path))  # an empty folder: what follows fails
    asked = []
    for agreed in (lambda question: bool(asked.append(question)) or True, None):
        with pytest.raises(InputError, match="is not a data mirror"):
            begin_with(made, agreed)
    assert len(asked) == 1 and "Start?" in asked[0]
    with pytest.raises(RunError, match="nothing was started.*--yes"):
        begin_with(made, lambda question: False)
    made = pipeline("laptop", tmp_path)
    assert begin_with(made, lambda question: pytest.fail(question)) is made
    assert cost(made, encodes=False).steps.worst.sum() == 0


def test_what_is_missing_is_left_out_of_every_list(tmp_path):
    store = RunStore(tmp_path / "store")
    profile = profiles.load("h100")
    gone = {"GPQA Diamond": "gated", "1K-longest": "gone", "simplescaling/s1-32B": "gone"}
    store.note_missing("h100", gone)
    made = Pipeline(profile, store)
    assert made.missing == gone and made.whole is profile
    named = {c.benchmark for _, c in experiments.conditions(made.profile)}
    assert named == {"AIME24", "AIME25", "MATH500"}
    assert made.profile.ablations.subsets == ("random", "diverse")
    assert list(made.profile.released) == ["s1.1-32B"]
    assert RunStore(tmp_path / "store").missing("paper") == {}


LARGE, BF16 = SHAPES["Qwen2.5-32B"], SFTConfig(dtype="bfloat16")


def test_shapes_have_the_sizes_on_the_model_cards_and_other_files_give_none(tmp_path) -> None:
    for name, billions in (("0.5B", 0.494), ("7B", 7.616), ("32B", 32.764)):
        assert SHAPES[f"Qwen2.5-{name}"].parameters / 1e9 == pytest.approx(billions, abs=5e-4)
        assert shape_of(f"Qwen/Qwen2.5-{name}-Instruct") is SHAPES[f"Qwen2.5-{name}"]
    with pytest.raises(InputError, match="has no config.json"):
        shape_of(tmp_path)
    with pytest.raises(InputError, match="neither a model folder nor one of Qwen2.5-0.5B"):
        shape_of("org/unknown")
    (tmp_path / "model.safetensors").touch()
    for config in ("", "{", "[]", "{}", '{"hidden_size": []}'):
        (tmp_path / "config.json").write_text(config)
        with pytest.raises(InputError, match="does not give a decoder's sizes"):
            shape_of(tmp_path)


def test_parameters_and_flops_are_those_that_torch_counts(tmp_path) -> None:
    """The oracle counts every product; torch's attention counts the masked half as well."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model, ids = tiny_model(), torch.arange(64)[None]
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    shape = shape_of(save_model(tmp_path / "m"))
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.matrix_parameters == shape.parameters  # tied: the embedding is multiplied with
    matrices = shape.train_flops([64]) - shape.layers * 6 * 32 * 64**2
    vectors = 6 * 64 * (shape.layers * (2 * 32 + 32 + 2 * 16) + 32)  # norms and biases
    counted = counter.get_flop_counts()["Global"]
    products = sum(n for op, n in counted.items() if "attention" not in str(op))
    assert products == pytest.approx(matrices - vectors, rel=0.01)


def test_the_papers_cost_works_out() -> None:
    assert (paper_flops(), paper_share()) == pytest.approx((4.7e18, 0.2), rel=0.1)


def test_what_cannot_fit_is_said_with_the_part_that_is_too_large() -> None:
    lean = replace(BF16, activation_checkpointing=True, micro_batch_tokens=26_000)
    plain, lengths = replace(lean, activation_checkpointing=False), [4700] * 999 + [26_000]
    for config, processes, message in (
        (lean, 1, "offers 80: moments take 262 GB; use more processes"),
        (plain, 16, "activations take .*set activation_checkpointing"),
    ):
        assert re.search(message, plan(LARGE, lengths, config, processes=processes).misfit)
    assert not plan(LARGE, lengths, lean, processes=32).misfit
    totals = [memory(LARGE, BF16, 8192, processes=n)[0] for n in (1, 2, 8)]
    assert totals == sorted(totals, reverse=True)  # more processes, less memory each


def test_one_example_per_process_waits_for_the_longest_and_teams_hardly() -> None:
    drawn = np.random.default_rng(0).lognormal(8.3, 0.6, 1000).clip(500, 26_000)
    lengths, config = drawn.astype(int).tolist(), replace(BF16, max_seq_len=26_000)
    balances = [plan(LARGE, lengths, config, processes=n).balance for n in (1, 4, 8, 16)]
    assert balances == sorted(balances, reverse=True)
    assert balances[0] == 1 and balances[-1] < 0.5
    teams = replace(config, sequence_parallel=8)
    assert plan(LARGE, lengths, teams, processes=16).balance > 0.95
