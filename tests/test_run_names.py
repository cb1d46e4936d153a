"""Runs are named by their settings: code may move, names may not, or committed results are lost."""

from s1lab import profiles
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from tests.helpers import CHECKOUT

COMMITTED = CHECKOUT / "results" / "laptop"


def test_the_laptop_profile_asks_for_exactly_the_committed_runs():
    pipeline = Pipeline(profiles.load("laptop"), RunStore(COMMITTED, read_only=True))
    asked = {step.run.id for step in pipeline.steps()}
    assert asked == {path.parent.name for path in COMMITTED.glob("*/manifest.json")}
