"""The run store: nothing finished is lost or computed twice, and damage is always reported."""

import json
import multiprocessing
import os
import time

import pytest

from s1core.errors import RunError
from s1lab.runs import RunStore, run_name
from tests.helpers import public

SETTINGS = {"model": "m", "budget": 8}


def compute(run):
    run.append([{"a": 1}, {"a": 2}])
    run.write_table("table.csv", [{"x": 1, "y": "two"}])
    run.write_json("facts.json", {"n": 2})
    return {"records": 2}


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(tmp_path / "store")


def test_the_name_depends_on_the_settings_and_not_on_their_order(store):
    assert run_name("k", {"a": 1, "b": 2}) == run_name("k", {"b": 2, "a": 1})
    assert run_name("k", {"a": 1}) != run_name("k", {"a": 2})
    assert run_name("k", {"a": 1}).removeprefix("k") != run_name("l", {"a": 1}).removeprefix("l")
    run = store.locate("demo", SETTINGS).ensure(compute)
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert (manifest["kind"], manifest["settings"]) == ("demo", SETTINGS)
    assert store.get(run.id[:8]) == run
    with pytest.raises(RunError, match="expected one run"):
        store.get("nothing")
    store.remove(run)
    assert store.runs() == []


def test_a_finished_run_is_returned_and_a_failed_one_goes_on_with_what_it_had(store):
    def fails(run):
        run.append([{"a": 1}])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.locate("demo", SETTINGS).ensure(fails)
    assert not store.locate("demo", SETTINGS).is_finished
    seen = []
    run = store.locate("demo", SETTINGS).ensure(lambda run: seen.extend(run.records()))
    assert seen == [{"a": 1}] and run.is_finished
    first = store.locate("demo", {}).ensure(compute)
    again = store.locate("demo", {}).ensure(lambda run: pytest.fail("computed again"))
    assert again == first and again.is_finished
    assert again.read_table("table.csv") == [{"x": "1", "y": "two"}]
    assert again.summary()["records"] == 2
    assert list(again.records()) == [{"a": 1}, {"a": 2}]
    assert again.provenance()["wall_seconds"] >= 0


def test_a_public_file_that_was_changed_is_refused_and_verify_names_it(store):
    run = store.locate("demo", SETTINGS).ensure(compute)
    (run.path / "public" / "table.csv").write_text("x,y\n1,three\n")
    with pytest.raises(RunError, match="its sha256 is not"):
        run.read_table("table.csv")
    assert run.verify() == [f"{run.id}: public/table.csv was changed after it was written"]


def test_committed_results_are_the_same_bytes_read_but_never_started(store, tmp_path):
    run, results = store.locate("demo", SETTINGS).ensure(compute), tmp_path / "results"
    assert store.export([run], results) == 1 and public(results) == public(store.root)
    committed = RunStore(results, read_only=True)
    copy = committed.locate("demo", SETTINGS).ensure(compute)
    assert copy.read_json("facts.json") == {"n": 2} and not (copy.path / "results.jsonl").exists()
    with pytest.raises(RunError, match="holds no finished run"):
        committed.locate("demo", {"other": 1}).ensure(compute)
    with committed.free() as ours:
        assert ours and [path.name for path in results.iterdir()] == [run.id]
    (results / ".lock").touch()  # as one that looked left it, before
    assert store.export([run], results) == 1


def test_a_store_that_cannot_be_made_is_one_clear_sentence(store):
    store.root.write_text("a file is in the way")
    with pytest.raises(RunError, match="cannot write to the run store"):
        RunStore(store.root).locate("demo", SETTINGS).ensure(compute)


def _ask(root: str) -> list[int]:
    def compute(run):
        time.sleep(0.2)  # so that the others ask meanwhile
        run.append([{"pid": os.getpid()}])

    return [row["pid"] for row in RunStore(root).locate("demo", SETTINGS).ensure(compute).records()]


def test_processes_that_ask_at_once_compute_once(store):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        seen = pool.map(_ask, [str(store.root)] * 4, chunksize=1)
    assert seen == [seen[0]] * 4 and len(seen[0]) == 1
