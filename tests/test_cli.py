"""The command line: help with examples, and one clear sentence for whatever is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s1core.cli import app
from s1core.records import Generation, write_jsonl
from s1lab import pocket, profiles

COMMANDS = [
    ["plan"],
    ["reproduce"],
    ["compare"],
    ["accept"],
    ["report"],
    ["annotate"],
    ["export"],
    ["regrade"],
    ["runs", "list"],
    ["runs", "show"],
    ["runs", "verify"],
    ["runs", "gc"],
    ["pocket", "pretrain"],
    ["pocket", "skills"],
    ["pocket", "ship"],
    ["pocket", "pool"],
    ["pocket", "problems"],
]


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


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command):
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0 and "Example" in shown.output and "s1core" in shown.output


def test_the_plan_says_what_is_left_and_computes_nothing(tmp_path):
    done = _s1core("plan", "smoke", cwd=tmp_path)
    assert done.returncode == 0 and "to do" in done.stdout and "tokens" in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_unknown_profile_names_those_that_exist(tmp_path):
    said = _refused(_s1core("reproduce", "mainframe", cwd=tmp_path))
    assert "mainframe" in said and "laptop" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "is not a profile"),
        ("name: x\nevaluation: {}", "missing settings"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_bad_profile_file_says_what_is_wrong_with_it(tmp_path, text, said):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(profiles.InputError, match=said):
        profiles.load(tmp_path / "p.yaml")


def test_every_shipped_profile_loads():
    for name in profiles.names():
        assert profiles.load(name).name == name


def test_a_corrupted_results_file_is_refused_and_named(tmp_path):
    from s1lab.runs import RunStore

    run = RunStore(tmp_path / "store").ensure("demo", {}, lambda run: run.write_json("f.json", 1))
    (run.path / "public" / "f.json").write_text("2\n")
    done = _s1core("runs", "verify", cwd=tmp_path)
    assert done.returncode == 1 and "f.json was changed" in done.stderr


def test_runs_are_reported_side_by_side_and_exported_as_tables(tmp_path):
    import sqlite3

    problems = pocket.evaluation_problems(2)
    write_jsonl(tmp_path / "p.jsonl", problems)
    for name, answer in (("right", problems[0].answer), ("wrong", "1 + 1")):
        made = [Generation(p.key, 0, (), "ended", 0, "stop", "", answer) for p in problems]
        write_jsonl(tmp_path / f"{name}.jsonl", made)
    done = _s1core(
        *("report", "right.jsonl", "wrong.jsonl", "--input", "p.jsonl", "--kind", "countdown"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "| right.jsonl | 2 | 1 | 50.0" in done.stdout
    assert "| wrong.jsonl | 2 | 1 | 0.0" in done.stdout
    bad = _s1core("export", "pool.xlsx", "--source", "GSM8K", "--data-dir", ".", cwd=tmp_path)
    assert _refused(bad).startswith("s1core: ")
    root = Path(__file__).resolve().parents[1]
    table = tmp_path / "pool.sqlite"
    done = subprocess.run(
        [sys.executable, "-m", "s1lab.cli", "export", str(table)],
        env={**os.environ, "S1CORE_STORE": "results"},
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(table) as base:
        assert base.execute("select count(*) from pool").fetchone() == (5900,)


def test_logs_of_others_are_regraded_beside_their_own_verdicts(tmp_path):
    rows = [
        {"question": "1+1?", "answer": "2", "response": "so \\boxed{2}", "correct": True},
        {"question": "1+2?", "answer": "3", "response": "so \\boxed{4}", "correct": True},
    ]
    write_jsonl(tmp_path / "log.jsonl", rows)
    done = _s1core("regrade", "log.jsonl", "--disagreements", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 responses, agreement 50.0%" in done.stdout


def test_a_job_at_an_endpoint_is_priced_before_anything_is_asked(tmp_path):
    write_jsonl(tmp_path / "p.jsonl", pocket.evaluation_problems(3))
    done = _s1core(
        *("annotate", "distill", "p.jsonl", "--base-url", "http://127.0.0.1:9/v1"),
        *("--model", "m", "--output", "t.jsonl", "--completion-price", "10"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "3 requests" in done.stdout and "nothing was asked" in done.stdout
    assert not (tmp_path / "t.jsonl").exists()
