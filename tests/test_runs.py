"""The run store: nothing finished is lost or computed twice, and damage is always reported."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from s1core.errors import RunError
from s1lab.runs import RunStore, run_name

SETTINGS = {"model": "m", "budget": 8}


def _compute(run):
    run.append([{"a": 1}, {"a": 2}])
    run.write_table("table.csv", [{"x": 1, "y": "two"}])
    run.write_json("facts.json", {"n": 2})
    return {"records": 2}


def test_the_name_depends_on_the_settings_and_not_on_their_order():
    assert run_name("k", {"a": 1, "b": 2}) == run_name("k", {"b": 2, "a": 1})
    assert run_name("k", {"a": 1}) != run_name("k", {"a": 2})
    assert run_name("k", {"a": 1}).removeprefix("k") != run_name("l", {"a": 1}).removeprefix("l")


def test_a_finished_run_is_returned_and_not_computed_again(tmp_path):
    store, calls = RunStore(tmp_path), []

    def compute(run):
        calls.append(run.id)
        return _compute(run)

    first = store.ensure("demo", SETTINGS, compute)
    again = store.ensure("demo", SETTINGS, compute)
    assert calls == [first.id] and again == first and again.is_finished
    assert again.read_table("table.csv") == [{"x": "1", "y": "two"}]
    assert again.summary()["records"] == 2
    assert list(again.records()) == [{"a": 1}, {"a": 2}]
    assert again.provenance()["wall_seconds"] >= 0


def test_a_run_that_failed_goes_on_with_what_it_had(tmp_path):
    store = RunStore(tmp_path)

    def fails(run):
        run.append([{"a": 1}])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.ensure("demo", SETTINGS, fails)
    assert not store.locate("demo", SETTINGS).is_finished
    seen = []
    run = store.ensure("demo", SETTINGS, lambda run: seen.extend(run.records()))
    assert seen == [{"a": 1}] and run.is_finished


def test_a_public_file_that_was_changed_is_refused_and_verify_names_it(tmp_path):
    run = RunStore(tmp_path).ensure("demo", SETTINGS, _compute)
    (run.path / "public" / "table.csv").write_text("x,y\n1,three\n")
    with pytest.raises(RunError, match="its sha256 is not"):
        run.read_table("table.csv")
    assert run.verify() == [f"{run.id}: public/table.csv was changed after it was written"]


def test_committed_results_are_read_but_never_started(tmp_path):
    store = RunStore(tmp_path / "store")
    run = store.ensure("demo", SETTINGS, _compute)
    assert store.export([run], tmp_path / "results") == 1
    committed = RunStore(tmp_path / "results", read_only=True)
    copy = committed.ensure("demo", SETTINGS, _compute)
    assert copy.read_json("facts.json") == {"n": 2} and not (copy.path / "results.jsonl").exists()
    with pytest.raises(RunError, match="holds no finished run"):
        committed.ensure("demo", {"other": 1}, _compute)
    assert not committed.locate("demo", {"other": 1}).path.exists()


def test_export_is_the_same_bytes_for_the_same_runs(tmp_path):
    def tables(root: Path) -> dict[str, bytes]:
        store = RunStore(root / "store")
        store.export([store.ensure("demo", SETTINGS, _compute)], root / "results")
        files = sorted((root / "results").rglob("*"))
        return {
            str(f.relative_to(root)): f.read_bytes()
            for f in files
            if f.is_file() and f.name != "provenance.json"
        }

    assert tables(tmp_path / "a") == tables(tmp_path / "b")


def test_a_store_that_cannot_be_made_is_one_clear_sentence(tmp_path):
    (tmp_path / "store").write_text("a file is in the way")
    with pytest.raises(RunError, match="cannot write to the run store"):
        RunStore(tmp_path / "store").ensure("demo", SETTINGS, _compute)


def _racer(root: str, results) -> None:
    def compute(run):
        run.append([{"pid": os.getpid()}])

    run = RunStore(root).ensure("demo", SETTINGS, compute)
    results.put([row["pid"] for row in run.records()])


def test_two_processes_that_ask_at_once_compute_once(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=_racer, args=(str(tmp_path), results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    seen = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert len({tuple(pids) for pids in seen}) == 1 and len(seen[0]) == 1


def test_a_run_is_found_by_the_beginning_of_its_name(tmp_path):
    store = RunStore(tmp_path)
    run = store.ensure("demo", SETTINGS, _compute)
    assert store.get(run.id[:8]) == run
    with pytest.raises(RunError, match="expected one run"):
        store.get("nothing")
    store.remove(run)
    assert store.runs() == []


def test_the_manifest_says_what_was_asked_for(tmp_path):
    run = RunStore(tmp_path).ensure("demo", SETTINGS, _compute)
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert (manifest["kind"], manifest["settings"]) == ("demo", SETTINGS)
