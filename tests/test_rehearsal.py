"""A rehearsal: the path of a large profile, run small; here with a model of a few kilobytes.

The command line, the launch script, preflight, the processes that train, the store and the token
counts are the real ones. `make rehearse PROFILE=box` does the same with a real model, vLLM and
all notebooks.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from launch.rehearsal.rehearse import cut
from s1lab import profiles
from s1lab.cli.profile import accept
from s1lab.pipeline import Pipeline
from s1lab.planning.tokens import lines, rate, seconds_left, status
from s1lab.runs import RunStore
from tests import planning_fixtures as make
from tests.helpers import CHECKOUT, command

GPQA = "GPQA Diamond"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A profile, a mirror without GPQA, and a model that does not stop by itself."""
    root = tmp_path_factory.mktemp("rehearsal")
    make.save_model(root / "model", stops=False)
    make.whole_mirror(root / "mirror")
    small = {**make.SMALL, "methods": {**make.SMALL["methods"], "token_limits": []}}
    small["evaluation"] = {**small["evaluation"], "benchmarks": ["AIME24", GPQA]}
    make.write_profile(root / "small.yaml", **small, name="small")
    return root


@pytest.fixture(scope="module")
def done(place) -> subprocess.CompletedProcess:
    results = CHECKOUT / "results"
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    asked = [place / "small.yaml", "--folder", place / "out", "--runs-only"]
    asked += ["--model", place / "model", "--data-dir", place / "mirror"]
    finished = command("launch.rehearsal", *asked)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before
    return finished


@pytest.fixture
def pipeline(place, done, monkeypatch) -> Pipeline:
    monkeypatch.setenv("S1CORE_DATA_DIR", str(place / "out" / "mirror"))
    monkeypatch.setenv("S1CORE_STAMP", "rehearsal")  # the pipeline sets it; undone afterwards
    monkeypatch.chdir(place / "out" / "notebooks")
    store = RunStore(place / "out" / "store")
    return Pipeline(profiles.load("../profile.yaml"), store)


def test_every_run_is_made_and_what_cannot_be_had_is_named(done, pipeline):
    assert all(step.run.is_finished for step in pipeline.steps())
    assert list(pipeline.missing) == [GPQA]
    assert {s.condition.benchmark for s in pipeline.steps() if s.condition} == {"AIME24"}
    assert f"goes without {GPQA}" in done.stdout  # as the log in the store has it
    assert pipeline.checkpoint().summary()["steps"] == 2


def test_the_plan_has_the_tokens_that_were_used(done):
    counts = re.findall(r"tokens .*: +([\d,]+) planned, ([\d,]+) used", done.stdout)
    assert len(counts) == 2  # trained on, generated
    for planned, used in counts:
        planned, used = (int(n.replace(",", "")) for n in (planned, used))
        assert used > 0 and abs(planned - used) <= 0.01 * used


def test_a_rehearsal_is_never_accepted_as_a_result(place, pipeline, monkeypatch):
    monkeypatch.setenv("S1CORE_STORE", str(place / "out" / "store"))
    with pytest.raises(Exception, match="a rehearsal has no results"):
        accept(str(place / "out" / "profile.yaml"))


@pytest.mark.parametrize(("name", "processes"), [("h100", 1), ("box", 2), ("paper", 2)])
def test_it_keeps_the_shape_of_the_profile(name, processes):
    full = profiles.load(name)
    small = cut(full, "model")
    for part in ("budgets", "waits", "benchmarks"):
        assert len(getattr(small.evaluation, part)) == len(getattr(full.evaluation, part))
    assert small.ablations.subsets == full.ablations.subsets[:1]
    assert len(small.methods.token_limits) == len(full.methods.token_limits)
    assert small.released.keys() == full.released.keys() and small.processes == processes
    assert small.gpus == 0 and small.rehearsal and not full.rehearsal


def test_status_says_what_is_done_how_fast_and_what_is_left(pipeline, tmp_path):
    whole = status(pipeline)
    assert set(whole.state) == {"done"} and seconds_left(whole) == 0
    assert rate(whole, trains=True) > 0 and rate(whole, trains=False) > 0
    # One run is half done, as after a kill, and one has not begun.
    store = tmp_path / "store"
    shutil.copytree(pipeline.store.root, store)
    half, none = [s.run.id for s in pipeline.steps() if s.condition][:2]
    (store / half / "finished.json").unlink()
    journal = store / half / "results.jsonl"
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0] + b'{"torn')
    shutil.rmtree(store / none)
    found = status(Pipeline(pipeline.profile, RunStore(store)))
    states = found.set_index("run")
    assert states.state[none] == "to do" and states.state[half] == "stopped"
    assert 0 < states.done[half] == states.total[half] / 2
    assert seconds_left(found) > 0
    text = "\n".join(lines(found, gpus=1, price=3.0))
    assert "tokens/s so far" in text and "at 3 per hour" in text and "stopped" in text
