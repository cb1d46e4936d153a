"""The command line `s1lab`: help with examples, and one clear sentence for whatever is wrong."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from s1core.records import Generation, write_jsonl
from s1lab import pocket
from s1lab.runs import RunStore
from tests.helpers import CHECKOUT, cases, refused, told, wait_until


def test_the_plan_says_what_is_left_and_computes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("S1CORE_STORE", str(tmp_path / "store"))
    code, shown = told("s1lab", "plan", "smoke")
    assert code == 0 and "to do" in shown and "tokens" in shown
    assert not list(tmp_path.iterdir())


@pytest.fixture
def store(tmp_path) -> RunStore:
    """A store with a finished run, and `other` beside it, which the tests damage."""
    made = RunStore(tmp_path / "store")
    for name in ("good", "other"):
        made.locate("demo", {"name": name}).ensure(lambda run: run.write_json("facts.json", [1]))
    return made


def runs(store: RunStore, *words: str) -> str:
    code, shown = told("s1lab", "runs", *words, "--store", store.root)
    assert isinstance(code, int), code
    return shown


TORN = [text.encode("l1") for text in cases("cli")["torn"]] + [b"[" * 100_000, b"9" * 5000]


@pytest.mark.parametrize("content", TORN, ids=lambda content: repr(content[:20]))
@pytest.mark.parametrize("name", ["manifest.json", "finished.json"])
def test_one_damaged_run_is_named_and_can_be_removed(store, name, content):
    good, other = (store.locate("demo", {"name": n}) for n in ("good", "other"))
    (other.path / name).write_bytes(content)
    listed = {line.split()[0]: line for line in runs(store, "list").splitlines()}
    assert "finished" in listed[good.id] and "damaged" in listed[other.id]
    assert other.id in runs(store, "show", other.id) and good.id in runs(store, "show", good.id)
    assert other.id in runs(store, "verify") and good.id not in runs(store, "verify")
    assert "1 runs removed" in runs(store, "gc", "--run", other.id, "--yes")
    assert [one.id for one in store.runs()] == [good.id]
    assert "0 problems" in runs(store, "verify")


@pytest.mark.parametrize("seconds", ["x", float("nan"), -1, None, [], 10**400, True])
def test_how_long_a_run_took_is_a_number_or_not_known(store, seconds):
    run = store.runs()[0]
    (run.path / "provenance.json").write_text(json.dumps({"wall_seconds": seconds}))
    assert run.provenance()["wall_seconds"] in (0, 1)


def test_a_run_that_is_being_made_is_not_removed(store):
    script = (
        "import sys, time; from s1lab.runs import RunStore, lock; "
        "held = lock(RunStore(sys.argv[1]).root).acquire(); "
        "print('held', flush=True); time.sleep(60)"
    )
    asked, run = [sys.executable, "-c", script, str(store.root)], store.runs()[0]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        gc = ["runs", "gc", "--run", run.id, "--yes", "--store", store.root]
        assert "is being made" in refused("s1lab", *gc) and run.is_finished
        other.kill()


def test_what_a_file_says_cannot_steer_the_terminal(store):
    hostile = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\0"
    run = store.locate("demo", {hostile: hostile}).ensure(lambda run: run.write_json("a.json", 1))
    facts = {"finished": hostile, "wall_seconds": hostile}
    (run.path / "provenance.json").write_text(json.dumps(facts, ensure_ascii=False))
    (run.path / "finished.json").write_text(json.dumps({"files": {hostile: "0"}}))
    for words in (["list"], ["show", run.id], ["verify"], ["gc", "--run", run.id, "--yes"]):
        shown = runs(store, *words)
        assert run.id in shown and all(c.isprintable() or c == "\n" for c in shown), shown


@pytest.mark.parametrize("content", TORN[:8], ids=repr)
def test_a_damaged_note_of_what_is_missing_says_how_to_go_on(content, store, monkeypatch):
    monkeypatch.setenv("S1CORE_STORE", str(store.root))
    (store.root / "missing.json").write_bytes(content)
    said = refused("s1lab", "plan", "smoke", place=store.root)
    assert "missing.json is damaged" in said and "delete it" in said


def test_one_press_of_ctrl_c_ends_it_with_what_was_kept(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "s1lab.cli", "reproduce", "smoke", "--jobs", "2"],
        env={**os.environ, "S1CORE_STORE": str(tmp_path / "store")},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: list(tmp_path.glob("store/*/manifest.json")))
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert said.strip().splitlines()[-1].startswith("s1lab: interrupted; what was finished is kept")


def test_accept_replaces_nothing_but_results(store, tmp_path):
    victim = tmp_path / "results" / "mine"
    victim.mkdir(parents=True)
    (victim / "thesis.txt").write_text("years of work")
    with pytest.raises(RuntimeError, match=r"holds 'thesis\.txt', no run; it is not replaced"):
        store.export(store.runs(), victim)
    assert (victim / "thesis.txt").read_text() == "years of work"
    for _ in range(2):
        assert store.export(store.runs(), tmp_path / "results" / "new") == 2


def test_runs_are_reported_side_by_side_and_exported_as_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problems = pocket.evaluation_problems(2)
    write_jsonl("p.jsonl", problems)
    for name, answer in (("right", problems[0].answer), ("wrong", "1 + 1")):
        made = [Generation(p.key, 0, (), "ended", 0, "stop", "", answer) for p in problems]
        write_jsonl(f"{name}.jsonl", made)
    line = "report right.jsonl wrong.jsonl --input p.jsonl --kind countdown"
    code, shown = told("s1lab", *line.split())
    assert code == 0 and "| right.jsonl | 2 | 1 | 50.0" in shown
    assert "| wrong.jsonl | 2 | 1 | 0.0" in shown
    bad = refused("s1lab", *"export pool.xlsx --source GSM8K --data-dir .".split())
    assert bad.startswith("s1lab: ")
    monkeypatch.setenv("S1CORE_STORE", str(CHECKOUT / "results"))
    assert told("s1lab", "export", "pool.sqlite")[0] == 0
    with sqlite3.connect("pool.sqlite") as base:
        assert base.execute("select count(*) from pool").fetchone() == (5900,)


def test_logs_of_others_are_regraded_beside_their_own_verdicts(tmp_path):
    rows = [
        {"question": "1+1?", "answer": "2", "response": "so \\boxed{2}", "correct": True},
        {"question": "1+2?", "answer": "3", "response": "so \\boxed{4}", "correct": True},
    ]
    write_jsonl(tmp_path / "log.jsonl", rows)
    code, shown = told("s1lab", "regrade", tmp_path / "log.jsonl", "--disagreements")
    assert code == 0 and "2 responses, agreement 50.0%" in shown
