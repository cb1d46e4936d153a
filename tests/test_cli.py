"""The command line `s1lab`: help with examples, and one clear sentence for whatever is wrong."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s1core.records import Generation, write_jsonl
from s1lab import pocket
from s1lab.cli import app
from s1lab.runs import RunStore

ROOT = Path(__file__).resolve().parents[1]


def s1lab(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "s1lab.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        cwd=cwd,
    )


def refused(done: subprocess.CompletedProcess) -> str:
    """The one sentence that a refused command prints; no trace, non-zero exit."""
    assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_the_plan_says_what_is_left_and_computes_nothing(tmp_path: Path) -> None:
    done = s1lab("plan", "smoke", cwd=tmp_path)
    assert done.returncode == 0 and "to do" in done.stdout and "tokens" in done.stdout
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------ the store


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A store with a finished run, and `other` beside it, which the tests damage."""
    made = RunStore(tmp_path / "store")
    for name in ("good", "other"):
        made.ensure("demo", {"name": name}, lambda run: run.write_json("facts.json", [1]))
    return made


TORN = [b"", b"{", b"[]", b"null", b"3", b'"x"', b"\xff", b"\0" * 100, b'{"files": 3}', b"{}"]
TORN += [b'{"settings": []}', b'{"files": {"../../x": "0"}}', b"[" * 100_000, b"9" * 5000]


@pytest.mark.parametrize("content", TORN, ids=lambda content: repr(content[:20]))
@pytest.mark.parametrize("name", ["manifest.json", "finished.json"])
def test_one_damaged_run_is_named_and_can_be_removed(
    store: RunStore, name: str, content: bytes
) -> None:
    good, other = (store.locate("demo", {"name": n}) for n in ("good", "other"))
    (other.path / name).write_bytes(content)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["runs", *arguments, "--store", str(store.root)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.output

    listed = {line.split()[0]: line for line in run("list").splitlines()}
    assert "finished" in listed[good.id] and "damaged" in listed[other.id]
    assert other.id in run("show", other.id) and good.id in run("show", good.id)
    assert other.id in run("verify") and good.id not in run("verify")
    assert "1 runs removed" in run("gc", "--run", other.id, "--yes")
    assert list(listed) == [*sorted([good.id, other.id]), "2"]
    assert [one.id for one in store.runs()] == [good.id] and "0 problems" in run("verify")


@pytest.mark.parametrize("seconds", ["x", float("nan"), -1, None, [], 10**400, True])
def test_how_long_a_run_took_is_a_number_or_not_known(store: RunStore, seconds: object) -> None:
    run = store.runs()[0]
    (run.path / "provenance.json").write_text(json.dumps({"wall_seconds": seconds}))
    assert run.provenance()["wall_seconds"] in (0, 1)


def test_a_run_that_is_being_made_is_not_removed(store: RunStore) -> None:
    run = store.runs()[0]
    script = (
        "import sys, time; from s1lab.runs import RunStore; "
        "from s1lab.runs import lock; held = lock(RunStore(sys.argv[1]).root).acquire(); "
        "print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout and other.stdout.readline() == "held\n"
        command = ["runs", "gc", "--run", run.id, "--yes", "--store", str(store.root)]
        done = CliRunner().invoke(app, command)
        assert "is being made" in str(done.exception) and run.is_finished
    finally:
        other.kill()
        other.wait()


def test_what_a_file_says_cannot_steer_the_terminal(store: RunStore) -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\0"
    run = store.ensure("demo", {hostile: hostile}, lambda run: run.write_json("a.json", 1))
    facts = {"finished": hostile, "wall_seconds": hostile}
    (run.path / "provenance.json").write_text(json.dumps(facts, ensure_ascii=False))
    (run.path / "finished.json").write_text(json.dumps({"files": {hostile: "0"}}))
    for arguments in (["list"], ["show", run.id], ["verify"], ["gc", "--run", run.id, "--yes"]):
        shown = CliRunner().invoke(app, ["runs", *arguments, "--store", str(store.root)])
        assert run.id in shown.output
        assert all(c.isprintable() or c == "\n" for c in shown.output), shown.output


@pytest.mark.parametrize("content", TORN[:8], ids=repr)
def test_a_damaged_note_of_what_is_missing_says_how_to_go_on(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "missing.json").write_bytes(content)
    done = CliRunner().invoke(app, ["plan", "smoke"], env={"S1CORE_STORE": str(tmp_path / "store")})
    assert "missing.json is damaged" in str(done.exception) and "delete it" in str(done.exception)


# -------------------------------------------------------------------------- reproduce, accept


def test_one_press_of_ctrl_c_ends_it_with_what_was_kept(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "s1lab.cli", "reproduce", "smoke", "--jobs", "2"],
        env={**os.environ, "S1CORE_STORE": str(tmp_path / "store")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not list(tmp_path.glob("store/*/manifest.json")) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert said.strip().splitlines()[-1].startswith("s1lab: interrupted; what was finished is kept")


@pytest.mark.parametrize("content", ["a file", None])
def test_accept_replaces_nothing_but_results(tmp_path: Path, content: str | None) -> None:
    victim = tmp_path / "results" / "mine"
    victim.mkdir(parents=True)
    (victim / "thesis.txt").write_text("years of work")
    run = RunStore(tmp_path / "store").ensure("demo", {}, lambda run: None)
    with pytest.raises(RuntimeError, match=r"holds 'thesis\.txt', no run; it is not replaced"):
        RunStore(tmp_path / "store").export([run], victim)
    assert (victim / "thesis.txt").read_text() == "years of work"
    assert RunStore(tmp_path / "store").export([run], tmp_path / "results" / "new") == 1
    assert RunStore(tmp_path / "store").export([run], tmp_path / "results" / "new") == 1


def test_runs_are_reported_side_by_side_and_exported_as_tables(tmp_path: Path) -> None:
    problems = pocket.evaluation_problems(2)
    write_jsonl(tmp_path / "p.jsonl", problems)
    for name, answer in (("right", problems[0].answer), ("wrong", "1 + 1")):
        made = [Generation(p.key, 0, (), "ended", 0, "stop", "", answer) for p in problems]
        write_jsonl(tmp_path / f"{name}.jsonl", made)
    done = s1lab(
        *("report", "right.jsonl", "wrong.jsonl", "--input", "p.jsonl", "--kind", "countdown"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "| right.jsonl | 2 | 1 | 50.0" in done.stdout
    assert "| wrong.jsonl | 2 | 1 | 0.0" in done.stdout
    bad = s1lab("export", "pool.xlsx", "--source", "GSM8K", "--data-dir", ".", cwd=tmp_path)
    assert refused(bad).startswith("s1lab: ")
    table = tmp_path / "pool.sqlite"
    done = s1lab("export", str(table), cwd=ROOT, S1CORE_STORE="results")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(table) as base:
        assert base.execute("select count(*) from pool").fetchone() == (5900,)


def test_logs_of_others_are_regraded_beside_their_own_verdicts(tmp_path: Path) -> None:
    rows = [
        {"question": "1+1?", "answer": "2", "response": "so \\boxed{2}", "correct": True},
        {"question": "1+2?", "answer": "3", "response": "so \\boxed{4}", "correct": True},
    ]
    write_jsonl(tmp_path / "log.jsonl", rows)
    done = s1lab("regrade", "log.jsonl", "--disagreements", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 responses, agreement 50.0%" in done.stdout
