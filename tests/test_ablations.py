"""Data ablations and sequence lengths: counted by hand, drawn with their intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s1lab import experiments, profiles
from s1lab.analysis import ablations
from s1lab.evaluation import crossed_interval
from s1lab.evaluation.measure import difference
from s1lab.experiments import Training
from s1lab.kinds import curation, sft
from s1lab.pipeline import Pipeline
from s1lab.runs import Run, RunStore
from tests.helpers import write_grades

SMOKE = profiles.load("smoke")


def trained(run: Run, examples: int, tokens: int, steps: int) -> None:
    run.ensure(lambda run: {"examples": examples, "tokens": tokens, "steps": steps})


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A store with finished runs of the smoke profile whose numbers are known."""
    ablations = replace(SMOKE.ablations, subsets=("random", "full"), seeds=2)
    found = Pipeline(replace(SMOKE, ablations=ablations), RunStore(tmp_path / "store"))
    made = {"s1": (32, 5_200, 2), "random": (32, 2_600, 2), "full": (96, 10_400, 6)}
    right = {"s1": [2, 1, 1, 0], "random": [1, 0, 0, 0], "full": [2, 2, 2, 1]}
    for condition in experiments.subsets(found.profile):
        name = condition.label
        summary = {"examples": made[name][0], "domains": 5, "mean_thinking_tokens": 81.5}
        summary["correct_traces"] = made[name][0] // 4
        selected = curation.selection(found, name).run
        selected.ensure(lambda run, summary=summary: run.write_json("summary.json", summary))
        trained(sft.step(found, condition.training).run, *made[name])
        write_grades(found.locate_run(condition), right[name], [10, 20, 30, 100], cut=100)
    seeded = {(96, 0): [0, 0, 1, 0], (96, 1): [1, 0, 1, 0], (1024, 1): [2, 1, 2, 0]}
    for condition in experiments.sequence_lengths(found.profile):
        changes = dict(condition.training.changes)
        place = changes.get("max_seq_len", 1024), changes.get("seed", 0)
        trained(sft.step(found, condition.training).run, 32, 100, 2)
        if place in seeded:
            tokens = [30, 60, 100, 100] if place[0] == 96 else [10, 20, 30, 90]
            write_grades(found.locate_run(condition), seeded[place], tokens, cut=100)
    return found


def test_a_training_set_is_described_by_the_runs_that_made_and_used_it(pipeline: Pipeline) -> None:
    from s1lab.planning.shapes import shape_of

    made = ablations.training_sets(pipeline)["full"]
    assert (made["examples"], made["subjects"]) == (96, 5)
    assert made["a trace (tokens)"] == 81.5 and made["right (%)"] == 0.25
    shape = shape_of("pocket-large")  # one epoch of 96 examples of 108 tokens
    assert 1e12 * made["TFLOP"] == pytest.approx(96 * shape.train_flops([108]))


def test_differences_to_s1_are_paired_over_questions(pipeline: Pipeline) -> None:
    rows = [*ablations.compare(pipeline, "countdown").values()]
    none, random, full = (row["to s1 (points)"] for row in rows)
    assert none is None and rows[0]["accuracy (%)"].estimate == pytest.approx(4 / 8)
    assert random.estimate == pytest.approx(-3 / 8)
    assert full.estimate == pytest.approx(+3 / 8)
    assert random.method == "paired bootstrap, 10000 resamples"
    costs = ablations.cost_rows(rows, ablations.training_sets(pipeline))
    assert [row["name"] for row in costs] == ["random", "s1", "full"]
    assert costs[1]["cost"] == 1 and costs[0]["cost"] < 0.51 and 1.8 < costs[2]["cost"] < 2


def test_lengths_come_shortest_first_and_differences_are_paired(pipeline: Pipeline) -> None:
    short, whole = ablations.lengths(pipeline, "countdown")
    assert (short.tokens, whole.tokens) == (96, 1024)
    assert short.seeds == whole.seeds == (0, 1)
    assert whole.training.id == sft.step(pipeline, Training()).run.id
    cut, uncut = [[0, 0.5], [0, 0], [0.5, 0.5], [0, 0]], [[1, 1], [0.5, 0.5], [0.5, 1], [0, 0]]
    assert whole.by_seed["tokens"].tolist() == [40, 37.5]
    gap, expected = difference(short.runs, whole.runs), crossed_interval(np.subtract(cut, uncut))
    assert gap.estimate == pytest.approx(3 / 16 - 9 / 16)
    assert (gap.low, gap.high) == (expected.low, expected.high)


def test_what_becomes_of_long_thinking_is_counted(pipeline: Pipeline) -> None:
    short, whole = ablations.lengths(pipeline, "countdown")
    row = short.row()
    for heading in ("accuracy (%)", "cut short (%)"):
        assert 0 <= row[heading].low <= row[heading].estimate <= row[heading].high <= 1
    assert len(short.generations) == 16
    goes_on = short.goes_on(30)  # 60, 100, 100; of these 100 and 100 double it
    assert goes_on and goes_on.row("share") == dict.fromkeys(("share", "low", "high"), 4 / 6)
    assert short.goes_on(100) is None
    assert ablations.cut_against_whole(short, whole)["ended_cut"] == 45
    assert ablations.paper_length_effects()["AIME24"][0] > 2.9
    # Questions 2 and 3 think for 100 tokens, two samples and two seeds each; one in four is right.
    assert [*short.outcomes(96).values()][2:] == [1 / 2, 0, 1 / 4, 1, 1 / 8, 16]


def test_a_profile_without_ablations_says_so(tmp_path: Path) -> None:
    bare = replace(SMOKE, ablations=profiles.Ablations())
    found = Pipeline(bare, RunStore(tmp_path))
    with pytest.raises(ValueError, match="trains on s1 alone"):
        ablations.compare(found, "countdown")
    with pytest.raises(ValueError, match="one sequence length"):
        ablations.lengths(found, "countdown")
