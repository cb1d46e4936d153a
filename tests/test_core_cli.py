"""The command `s1core`: help with examples, work that resumes, one sentence for what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s1core.cli import app
from s1core.records import Generation, read_jsonl, write_jsonl
from s1lab import pocket


def _s1core(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "s1core.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        cwd=cwd,
    )


def _inside(*arguments: str) -> str:
    """Run a command that must succeed, in this process (which has torch loaded); its output."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def _refused(done: subprocess.CompletedProcess) -> str:
    """The one sentence that a refused command prints; no trace, non-zero exit."""
    assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("command", ["demo", "generate", "sft", "grade"])
def test_every_command_has_help_with_an_example(command):
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0 and f"s1core {command}" in shown.output


def test_importing_the_package_loads_no_engine_and_no_plotting_library():
    heavy = ["torch", "transformers", "vllm", "matplotlib", "pandas", "datasets"]
    script = f"import s1core, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    common = ["--benchmark", "countdown", "--output", "out.jsonl"]
    said = _refused(_s1core("generate", "--model", "./empty", *common, cwd=tmp_path))
    assert "empty is not a checkpoint" in said
    (tmp_path / "empty" / "config.json").write_text("{}")
    (tmp_path / "empty" / "pytorch_model.bin").write_bytes(b"pickle")
    said = _refused(_s1core("generate", "--model", "./empty", *common, cwd=tmp_path))
    assert "no safetensors weights" in said
    assert not (tmp_path / "out.jsonl").exists()


def test_a_malformed_line_of_problems_is_named_before_anything_is_loaded(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"question": "q", "answer": "a"}\n{"question": \n')
    done = _s1core(
        *("generate", "--model", "pocket-large", "--input", "p.jsonl", "--output", "o.jsonl"),
        cwd=tmp_path,
    )
    assert "p.jsonl:2: not JSON" in _refused(done)
    (tmp_path / "p.jsonl").write_text("")
    done = _s1core(
        *("generate", "--model", "pocket-large", "--input", "p.jsonl", "--output", "o.jsonl"),
        cwd=tmp_path,
    )
    assert "holds no problems" in _refused(done)


def test_generate_and_grade_on_any_model_and_problems(tmp_path, monkeypatch):
    """The commands of the README, on the base model and held-out puzzles."""
    monkeypatch.chdir(tmp_path)
    write_jsonl("p.jsonl", pocket.evaluation_problems(6))
    command = [
        *("generate", "--model", "pocket-large", "--input", "p.jsonl", "--output", "o.jsonl"),
        *("--budget", "24", "--waits", "1", "--max-answer", "16", "--batch-size", "4"),
    ]
    assert "6 generations (6 new)" in _inside(*command)
    whole = Path("o.jsonl").read_bytes()
    # Cut in the middle of a line, as a kill would leave it.
    Path("o.jsonl").write_bytes(whole[: int(len(whole) * 0.6)])
    _inside(*command)
    assert Path("o.jsonl").read_bytes() == whole
    assert all(g.thinking_tokens <= 24 for g in read_jsonl("o.jsonl", Generation))
    other = _s1core(*command, "--seed", "5", cwd=tmp_path)
    assert "begun with other settings" in _refused(other)
    graded = _inside(
        *("grade", "o.jsonl", "--input", "p.jsonl", "--kind", "countdown"),
        *("--output", "grades.jsonl"),
    )
    assert "o.jsonl: accuracy" in graded and "n = 6" in graded
    assert len(Path("grades.jsonl").read_text().splitlines()) == 6


def test_sft_writes_a_checkpoint_that_generate_takes(tmp_path):
    from s1lab.pocket.pool import build_pool

    rows = [r.example for r in build_pool(0, 200) if not r.error][:16]
    write_jsonl(tmp_path / "e.jsonl", rows)
    done = _s1core(
        *("sft", "--model", "pocket-small", "--data", "e.jsonl", "--output", "run"),
        *("--epochs", "1", "--lr", "1e-3", "--max-seq-len", "1024"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "1 steps" in done.stdout
    shown = _inside("demo", "--model", str(tmp_path / "run" / "final"), "--budget", "20")
    assert "thinking tokens" in shown
    assert json.loads((tmp_path / "run" / "final" / "config.json").read_text())


def test_the_demo_marks_what_was_forced():
    shown = _inside("demo", "--waits", "1")
    assert "[forced: 'Wait']" in shown and "1 Waits" in shown
    cut = _inside("demo", "--budget", "9")
    assert "Final Answer" in cut and "9 thinking tokens" in cut
