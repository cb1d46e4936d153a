"""Budget forcing inside lm-evaluation-harness; runs where the harness is installed."""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra: harness)")

from s1core.errors import InputError  # noqa: E402
from tests.helpers import DATA, save_tiny, tiny_model, tiny_tokenizer  # noqa: E402

TASK = (DATA / "harness_task.txt").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path, monkeypatch):
    import lm_eval
    from lm_eval.tasks import TaskManager

    import s1lab.harness  # noqa: F401  registers the model

    monkeypatch.setitem(os.environ, "HF_DATASETS_OFFLINE", "1")
    checkpoint = save_tiny(tmp_path / "model")
    data = tmp_path / "sums.jsonl"
    rows = [{"question": f"Use {n} 7 8 to make 29", "answer": "x"} for n in range(3, 7)]
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")

    def evaluate(sample: bool = False, repeats: int = 1, **arguments: object) -> list[list[str]]:
        temperature = 1.0 if sample else 0.0
        task = TASK.format(
            data=data, sample=str(sample).lower(), temperature=temperature, repeats=repeats
        )
        (tmp_path / "sums.yaml").write_text(task, encoding="utf-8")
        listed = ",".join(f"{key}={value}" for key, value in arguments.items())
        results = lm_eval.simple_evaluate(
            model="s1core",
            model_args=f"pretrained={checkpoint},device=cpu,{listed}",
            tasks=["sums"],
            task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
            batch_size=4,
            bootstrap_iters=0,
        )
        rows = sorted(results["samples"]["sums"], key=lambda row: row["doc_id"])
        return [row["resps"][0] for row in rows]

    return evaluate


def test_a_task_of_the_harness_runs_under_a_budget(run, tmp_path):
    """The harness gets what `forcing.generate` gives for the same budget."""
    from s1core.backends.hf import HFBackend
    from s1core.forcing import Budget, generate
    from s1core.records import Problem

    texts = run(max_thinking=12, num_ignore=1, max_answer=8)
    problems = [Problem(f"Use {n} 7 8 to make 29", "") for n in range(3, 7)]
    backend = HFBackend.from_pretrained(tmp_path / "model", batch_size=4)
    expected = list(generate(backend, problems, Budget(12, num_ignore=1, max_answer=8)))
    cues = ["Final Answer:" if g.outcome != "ended" else "" for g in expected]
    wanted = [(cue + g.answer).split("stop")[0] for cue, g in zip(cues, expected)]
    assert [text[0] for text in texts] == wanted  # and no thinking


def test_repeats_are_different_samples_and_the_seed_fixes_them(run):
    first = run(sample=True, repeats=2, max_thinking=8, max_answer=8, seed=3)
    again = run(sample=True, repeats=2, max_thinking=8, max_answer=8, seed=3)
    assert first == again
    assert any(pair[0] != pair[1] for pair in first)


def test_scoring_continuations_is_refused_with_a_reason():
    from s1core.backends.hf import HFBackend
    from s1lab.harness import S1Core

    model = S1Core("", backend=HFBackend(tiny_model(), tiny_tokenizer()))
    for score in (model.loglikelihood, model.loglikelihood_rolling):
        with pytest.raises(InputError, match="generate_until"):
            score([])
