"""The README's code runs as it stands."""

import re
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s1core.cli import app
from s1lab.cli import app as lab
from tests.helpers import tiny_model, tiny_tokenizer

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


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
