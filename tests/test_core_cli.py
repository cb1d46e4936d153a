"""The command `s1core`, one sentence for what is wrong; the README's lines run as they stand."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s1core.checkpoints import load_model, load_tokenizer, locate
from s1core.cli import app
from s1core.errors import InputError
from s1core.records import Generation, Problem, read_jsonl, write_jsonl
from s1lab import pocket
from s1lab.cli import app as lab
from s1lab.pocket.pool import build_pool
from tests.helpers import CHECKOUT, cases, command, refused, tiny_model, tiny_tokenizer, told


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def s1core(line: str) -> str:
    """What a command shows that must succeed, in this process (which has torch loaded)."""
    code, shown = told("s1core", *line.split())
    assert code == 0, shown
    return shown


def test_what_is_no_checkpoint_is_named_before_anything_is_loaded(here):
    write_jsonl("p.jsonl", [Problem("q", "a")])
    generate = "generate --input p.jsonl --output out.jsonl --model ./empty".split()
    Path("empty").mkdir()
    assert "empty is not a checkpoint" in refused("s1core", *generate)
    Path("empty", "config.json").write_text("{}")
    Path("empty", "pytorch_model.bin").write_bytes(b"pickle")
    assert "no safetensors weights" in refused("s1core", *generate)


def test_generate_and_grade_on_any_model_and_problems(here):
    """The commands of the README, on the base model and held-out puzzles."""
    write_jsonl("p.jsonl", pocket.evaluation_problems(6))
    line = "generate --model pocket-large --input p.jsonl --output o.jsonl --budget 24 --waits 1"
    assert "6 generations (6 new)" in s1core(f"{line} --max-answer 16 --batch-size 4")
    assert all(g.thinking_tokens <= 24 for g in read_jsonl("o.jsonl", Generation))
    graded = s1core("grade o.jsonl --input p.jsonl --kind countdown --output grades.jsonl")
    assert "o.jsonl: accuracy" in graded and "n = 6" in graded
    assert len(Path("grades.jsonl").read_text().splitlines()) == 6


def test_sft_writes_a_checkpoint_that_the_demo_takes_and_marks_what_was_forced(here):
    write_jsonl("e.jsonl", [r.example for r in build_pool(0, 200) if not r.error][:16])
    line = "sft --model pocket-small --data e.jsonl --output run --epochs 1 --max-seq-len 1024"
    done = command("s1core", *line.split(), "--lr", "1e-3")
    assert done.returncode == 0 and "1 steps" in done.stdout, done.stderr
    assert "thinking tokens" in s1core("demo --model run/final --budget 20")
    shown = s1core("demo --waits 1")
    assert "[forced: 'Wait']" in shown and "1 Waits" in shown
    cut = s1core("demo --budget 9")
    assert "Final Answer" in cut and "9 thinking tokens" in cut


def answered(count: int) -> list[Problem]:
    """Problems in p.jsonl, each with its generation in o.jsonl."""
    problems = [Problem(f"1 + {i}", str(i + 1)) for i in range(count)]
    made = [Generation(p.key, 0, (), "ended", 0, "stop", "", p.answer) for p in problems]
    write_jsonl("p.jsonl", problems)
    write_jsonl("o.jsonl", made)
    return problems


def test_grades_replace_nothing_longer_and_a_question_has_one_answer(here):
    problems, grade = answered(3), ["grade", "o.jsonl", "--input", "p.jsonl"]
    write_jsonl("more.jsonl", [{"row": i} for i in range(9)])
    said = refused("s1core", *grade, "--output", "more.jsonl")
    assert "holds 9 rows and would be replaced by 3" in said and "accuracy" not in said
    write_jsonl("p.jsonl", [*problems, Problem(problems[0].question, "other")])
    assert "two answers for the question '1 + 0'" in refused("s1core", *grade)


@pytest.mark.parametrize("close", [">&- 2>&-", "| true"])
def test_a_closed_output_does_not_lose_the_file(here, close):
    answered(30)
    line = f"{sys.executable} -m s1core.cli grade o.jsonl --input p.jsonl --output g.jsonl {close}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert len(Path("g.jsonl").read_text().splitlines()) == 30


BROKEN = [(file, text) for file, texts in cases("core_cli")["broken"].items() for text in texts]


@pytest.mark.parametrize("file, content", BROKEN)
def test_a_damaged_model_is_one_sentence(tmp_path, file, content):
    shutil.copytree(locate("pocket-small"), tmp_path / "m")
    (tmp_path / "m" / file).unlink()
    if content is not None:
        (tmp_path / "m" / file).write_bytes(content.encode("l1"))
    with pytest.raises(InputError) as error:
        load_tokenizer(tmp_path / "m")
        load_model(tmp_path / "m")
    assert str(tmp_path / "m") in str(error.value) and len(str(error.value).splitlines()) == 1


README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_readmes_lines_force_a_budget_on_a_think_model(tmp_path, monkeypatch, capsys):
    """The model that the README names, stood in for by a tiny one whose tokenizer has <think>."""
    (code,) = (block for block in blocks("python") if "HFBackend" in block)
    model = re.search(r'from_pretrained\("(.+?)"\)', code).group(1)
    tiny_model().save_pretrained(tmp_path / model)
    tiny_tokenizer().save_pretrained(tmp_path / model)
    monkeypatch.chdir(tmp_path)
    Path("five_lines.py").write_text(code)
    names = runpy.run_path("five_lines.py")
    done, budget = names["done"], names["Budget"](max_thinking=2048, num_ignore=1)
    (end,) = tiny_tokenizer().encode("</think>")
    assert done.token_ids().count(end) == 1
    assert done.thinking_tokens <= budget.max_thinking and done.waits_used <= budget.num_ignore
    printed = capsys.readouterr().out.split()
    assert printed[:3] == [str(done.thinking_tokens), str(done.waits_used), done.outcome]


APPS = {"s1core": app, "s1lab": lab}


def commands() -> list[list[str]]:
    """The lines of the README that start with `s1core` or `s1lab`, continuations joined."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    parts = (re.split(r"\s#|\s&&", line)[0].split() for line in lines)
    return [part for part in parts if part and part[0] in APPS]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_and_option_in_the_readme_exists(command):
    program, *words = command
    groups = {group.name for group in APPS[program].registered_groups}
    asked = words[: 2 if words[0] in groups else 1]
    shown = CliRunner().invoke(APPS[program], [*asked, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        assert option in shown.output, f"{program} {' '.join(asked)} has no {option}"
