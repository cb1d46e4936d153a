"""What a profile measures: every table and figure has its conditions, each condition one run."""

from dataclasses import replace

import pytest

from s1core.errors import InputError
from s1lab import experiments, profiles
from s1lab.experiments import Training
from s1lab.lab import wanted
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

LAPTOP = profiles.load("laptop")


def steps(name: str, folder):
    return Pipeline(profiles.load(name), RunStore(folder)).steps()


@pytest.mark.parametrize("name", profiles.names())
def test_every_condition_has_its_step_once_and_after_those_it_needs(name, tmp_path):
    pipeline = Pipeline(profiles.load(name), RunStore(tmp_path))
    listed: dict[str, tuple] = {}
    for step in pipeline.steps():
        assert step.run.id not in listed and {need.run.id for need in step.needs} <= listed.keys()
        listed[step.run.id] = step.experiments
    for experiment, condition in experiments.conditions(pipeline.profile):
        assert experiment in listed[pipeline.locate_run(condition).id]
    assert list(tmp_path.iterdir()) == []  # listing makes nothing


def test_the_headline_figure_comes_before_anything_else_and_one_experiment_can_be_run_alone(
    tmp_path,
):
    everything = steps("laptop", tmp_path)
    alone = wanted(everything, ["sequence length"])
    assert len(alone) < len(everything)
    names = {step.run.id for step in alone}
    assert all(need.run.id in names for step in alone for need in step.needs)
    with pytest.raises(InputError, match=r"no experiment 'table 8'.*'sequence length'"):
        wanted(everything, ["table 8"])
    order = ["scaling curve" in step.experiments for step in everything]
    assert order == sorted(order, reverse=True)


def test_equal_conditions_under_other_labels_are_one_run(tmp_path):
    pipeline = Pipeline(LAPTOP, RunStore(tmp_path))
    (table2,) = (c for c in experiments.subsets(LAPTOP) if c.kind == "s1")
    table4 = experiments.extrapolation(LAPTOP)[0]
    assert table2.label != table4.label
    assert pipeline.locate_run(table2).id == pipeline.locate_run(table4).id
    longest = experiments.sequence_lengths(LAPTOP)[LAPTOP.ablations.seeds]  # first of the longest
    assert pipeline.locate_run(longest).id == pipeline.locate_run(table2).id


def test_whatever_changes_the_result_changes_the_run(tmp_path):
    pipeline = Pipeline(LAPTOP, RunStore(tmp_path))
    plain = experiments.natural(LAPTOP)
    others = [{"samples": plain.samples + 1}, {"temperature": 0.5}, {"training": None}]
    others += [{"training": Training("random")}, {"training": Training(control="tokens")}]
    others += [{"training": Training(changes=(("seed", 7),))}, {"instruct": ("tokens", 64)}]
    others += [{"budget": replace(plain.budget, num_ignore=1)}, {"steps": 4}, {"thinking": False}]
    names = {pipeline.locate_run(replace(plain, **other)).id for other in ({}, *others)}
    assert len(names) == len(others) + 1
    assert pipeline.locate_run(replace(plain, label="x", kind="y")).id in names


def test_a_forced_condition_enforces_what_the_prompt_names():
    for condition in experiments.token_conditional(LAPTOP):
        how, limit = condition.instruct
        assert how == "tokens" and condition.training.control == "tokens"
        forced = condition.kind.endswith("BF")
        assert (condition.budget.max_thinking == limit) == forced
    for condition in experiments.step_conditional(LAPTOP):
        how, limit = condition.instruct
        assert how == "steps" and condition.training.control == "steps"
        assert condition.steps == (limit if condition.kind.endswith("BF") else None)
