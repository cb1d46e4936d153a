"""The command `s1core`: help with examples, work that resumes, one sentence for what is wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s1core.checkpoints import load_model, load_tokenizer, locate
from s1core.cli import app, main
from s1core.errors import InputError
from s1core.records import Generation, Problem, read_jsonl, write_jsonl
from s1lab import pocket
from s1lab.pocket.pool import build_pool


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _inside(*arguments: str) -> str:
    """Run a command that must succeed, in this process (which has torch loaded); its output."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def _refused(*arguments: str) -> str:
    """The one sentence that a refused command ends with; nothing is written."""
    before = {p.name: p.read_bytes() for p in Path().iterdir() if p.is_file()}
    with pytest.raises(SystemExit) as error:
        main(list(arguments))
    assert error.value.code and before == {
        p.name: p.read_bytes() for p in Path().iterdir() if p.is_file()
    }
    return str(error.value.code)


def test_what_is_no_checkpoint_is_named_before_anything_is_loaded(here):
    write_jsonl("p.jsonl", [Problem("q", "a")])
    common = ["--input", "p.jsonl", "--output", "out.jsonl", "--model"]
    Path("empty").mkdir()
    assert "empty is not a checkpoint" in _refused("generate", *common, "./empty")
    Path("empty", "config.json").write_text("{}")
    Path("empty", "pytorch_model.bin").write_bytes(b"pickle")
    assert "no safetensors weights" in _refused("generate", *common, "./empty")


def test_generate_and_grade_on_any_model_and_problems(here):
    """The commands of the README, on the base model and held-out puzzles."""
    write_jsonl("p.jsonl", pocket.evaluation_problems(6))
    line = "generate --model pocket-large --input p.jsonl --output o.jsonl --budget 24 --waits 1"
    command = [*line.split(), "--max-answer", "16", "--batch-size", "4"]
    assert "6 generations (6 new)" in _inside(*command)
    whole = Path("o.jsonl").read_bytes()
    # Cut in the middle of a line, as a kill would leave it.
    Path("o.jsonl").write_bytes(whole[: int(len(whole) * 0.6)])
    _inside(*command)
    assert Path("o.jsonl").read_bytes() == whole
    assert all(g.thinking_tokens <= 24 for g in read_jsonl("o.jsonl", Generation))
    line = "grade o.jsonl --input p.jsonl --kind countdown --output grades.jsonl"
    graded = _inside(*line.split())
    assert "o.jsonl: accuracy" in graded and "n = 6" in graded
    assert len(Path("grades.jsonl").read_text().splitlines()) == 6


def test_sft_writes_a_checkpoint_that_the_demo_takes_and_marks_what_was_forced(here):
    write_jsonl("e.jsonl", [r.example for r in build_pool(0, 200) if not r.error][:16])
    line = "sft --model pocket-small --data e.jsonl --output run --epochs 1 --max-seq-len 1024"
    command = [sys.executable, "-m", "s1core.cli", *line.split(), "--lr", "1e-3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0 and "1 steps" in done.stdout, done.stderr
    assert "thinking tokens" in _inside("demo", "--model", "run/final", "--budget", "20")
    shown = _inside("demo", "--waits", "1")
    assert "[forced: 'Wait']" in shown and "1 Waits" in shown
    cut = _inside("demo", "--budget", "9")
    assert "Final Answer" in cut and "9 thinking tokens" in cut


def _graded(count: int = 3) -> list[Problem]:
    problems = [Problem(f"1 + {i}", str(i + 1)) for i in range(count)]
    made = [Generation(p.key, 0, (), "ended", 0, "stop", "", p.answer) for p in problems]
    write_jsonl("p.jsonl", problems)
    write_jsonl("o.jsonl", made)
    return problems


def test_grades_replace_nothing_longer(here, capsys):
    _graded()
    write_jsonl("more.jsonl", [{"row": i} for i in range(9)])
    said = _refused("grade", "o.jsonl", "--input", "p.jsonl", "--output", "more.jsonl")
    assert "holds 9 rows and would be replaced by 3" in said and capsys.readouterr().out == ""


def test_a_question_with_two_answers_is_refused(here):
    problems = _graded()
    write_jsonl("p.jsonl", [*problems, Problem(problems[0].question, "other")])
    said = _refused("grade", "o.jsonl", "--input", "p.jsonl")
    assert "two answers for the question '1 + 0'" in said


@pytest.mark.parametrize("close", [">&-", "2>&-", ">&- 2>&-", "| true"])
def test_a_closed_output_does_not_lose_the_file(here, close):
    _graded(30)
    command = f"{sys.executable} -m s1core.cli grade o.jsonl --input p.jsonl --output g.jsonl"
    done = subprocess.run(["bash", "-c", f"{command} {close}"], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert len(Path("g.jsonl").read_text().splitlines()) == 30


BROKEN = [
    (file, content)
    for file in ("config.json", "tokenizer.json", "model.safetensors", "generation_config.json")
    for content in (b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 9999, b'{"model_type": 3}')
    if file != "generation_config.json" or content == b"{"
] + [("config.json", b'{"model_type": "nonsense"}'), ("tokenizer.json", None)]


@pytest.mark.parametrize("file, content", BROKEN)
def test_a_damaged_model_is_one_sentence(tmp_path, file, content):
    shutil.copytree(locate("pocket-small"), tmp_path / "m")
    if content is None:
        (tmp_path / "m" / file).unlink()
    else:
        (tmp_path / "m" / file).write_bytes(content)
    with pytest.raises(InputError) as error:
        load_tokenizer(tmp_path / "m")
        load_model(tmp_path / "m")
    assert str(tmp_path / "m") in str(error.value) and len(str(error.value).splitlines()) == 1
