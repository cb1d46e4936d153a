"""The whole path under the smoke profile, and what happens when it is killed in the middle."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from s1core.records import Generation
from s1lab import experiments, profiles
from s1lab.evaluation.measure import read_samples
from s1lab.lab import wanted
from s1lab.pipeline import Pipeline, compare_results
from s1lab.runs import RunStore
from tests.helpers import command, processes, public, wait_until, write_grades

SMOKE = profiles.load("smoke")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Pipeline:
    """The smoke profile, computed once for this module by the command line."""
    store = tmp_path_factory.mktemp("smoke") / "store"
    done = command("s1lab", "reproduce", "smoke", env={"S1CORE_STORE": str(store)})
    assert done.returncode == 0, done.stderr
    return Pipeline(SMOKE, RunStore(store))


HEADLINE = ("--only", "scaling curve")
"""What the tests that start over and over make: the part that everything else resembles."""


def _headline(finished: Pipeline) -> dict[str, bytes]:
    """What a run of `HEADLINE` must leave, from the store that holds everything."""
    runs = {step.run.id for step in wanted(finished.steps(), [HEADLINE[1]])}
    kept = public(finished.store.root).items()
    return {path: content for path, content in kept if path.split("/")[0] in runs}


def test_every_arrow_leaves_a_finished_run_and_asking_again_computes_nothing(finished):
    def times() -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in finished.store.root.rglob("*") if p.is_file()}

    steps, before = finished.steps(), times()
    assert [step.run.kind for step in steps[:3]] == ["difficulty", "selection", "sft"]
    assert all(step.make().is_finished for step in steps)
    assert len(finished.examples()) == SMOKE.selected
    points = finished.curve()
    assert len(points) == len(SMOKE.evaluation.budgets) + 1 + len(SMOKE.evaluation.waits)
    assert times() == before


def test_no_generation_exceeds_its_budget_and_every_one_is_graded(finished):
    problems = finished.problems("countdown")
    for step in finished.steps():
        if step.condition is None:
            continue
        run, budget = step.run, step.condition.budget
        expected = len(problems) * step.condition.samples
        generations = list(run.records(Generation))
        assert len(generations) == len({(g.problem_key, g.sample) for g in generations}) == expected
        assert max(g.thinking_tokens for g in generations) <= budget.max_thinking
        assert max(g.waits_used for g in generations) <= budget.num_ignore
        table = run.read_table("grades.csv")
        assert len(table) == expected
        assert read_samples(run).correct.shape == (len(problems), step.condition.samples)
        assert not np.isnan(read_samples(run).correct).any()


MOMENTS = {
    "while training": lambda store: any(store.glob("sft-*/sft/log.jsonl")),
    "while generating": lambda store: any(store.glob("generate-*/results.jsonl")),
    "near the end": lambda store: len(list(store.glob("generate-*/finished.json"))) >= 3,
}


def test_killed_at_any_moment_it_resumes_to_the_same_results(finished, tmp_path):
    """kill -9 at each moment of a reproduction by two processes, then let it finish.

    Only the first process is killed; the second one must end by itself.
    """
    store, kills = tmp_path / "store", 0
    asked = [sys.executable, "-m", "s1lab.cli", "reproduce", "smoke", *HEADLINE, "--jobs", "2"]
    options = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL) | {"start_new_session": True}
    seen: dict[str, int] = {}
    for reached in (*MOMENTS.values(), None):
        process = subprocess.Popen(asked, env={**os.environ, "S1CORE_STORE": str(store)}, **options)
        while process.poll() is None and not (reached and reached(store)):
            time.sleep(0.005)
        if process.returncode is None:
            process.kill()
            process.wait()
            kills += 1
            wait_until(lambda group=process.pid: not processes(group))
        markers = {str(p): p.stat().st_mtime_ns for p in store.glob("*/finished.json")}
        assert all(markers[path] == when for path, when in seen.items())  # never computed again
        seen = markers
    assert process.returncode == 0 and kills == len(MOMENTS)
    assert public(store) == _headline(finished)


def test_a_full_disk_is_one_clear_sentence_and_the_run_goes_on_later(finished, tmp_path):
    """A file size limit stands in for the disk: writing past it fails in the same way."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
        "from s1lab.cli import main; main(['reproduce', 'smoke', *sys.argv[1:]])"
    )
    asked, environment = [sys.executable, "-c", script, *HEADLINE], {**os.environ}
    environment["S1CORE_STORE"] = str(tmp_path)
    full = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=300)
    assert full.returncode == 1 and "Traceback" not in full.stderr
    assert full.stderr.strip().splitlines()[-1].startswith("s1lab: ")
    left = next(s for s in Pipeline(SMOKE, RunStore(tmp_path)).steps() if not s.run.is_finished)
    assert left.run.path.exists() and left.make().is_finished
    assert public(tmp_path).items() <= public(finished.store.root).items()


def test_committed_results_are_enough_for_the_figures_and_others_are_compared_with_them(
    finished, tmp_path
):
    steps, committed = finished.steps(), tmp_path / "results"
    finished.store.export([step.run for step in steps], committed)
    reader = Pipeline(SMOKE, RunStore(committed, read_only=True))
    assert reader.curve() == finished.curve() and reader.checkpoint().read_records("log.jsonl")
    assert sum(p.stat().st_size for p in committed.rglob("*") if p.is_file()) < 2_000_000
    same = compare_results(finished, committed)
    assert same == f"{len(steps)} of {len(steps)} runs are identical to the committed ones"
    other = Pipeline(SMOKE.with_seed(1), RunStore(tmp_path / "store"))
    for place, condition in enumerate(experiments.curve(other.profile)):
        write_grades(other.locate_run(condition), [2, place % 3, 0], [40, 50, 60 + place])
    points = list(zip(other.curve(), finished.curve(), strict=True))
    first, _, *rows, last = compare_results(other, committed).splitlines()
    assert first.startswith("0 of ") and last.endswith(f" of {len(points)} conditions moved")
    for row, (here, there) in zip(rows, points, strict=True):
        tokens = f"{here.thinking_tokens:.1f} / {there.thinking_tokens:.1f}"
        assert here.accuracy.percent() in row and there.accuracy.percent() in row and tokens in row
