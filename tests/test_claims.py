"""Claims: a verdict follows from finished runs by the stated rule, and from nothing else."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from s1lab import experiments, profiles
from s1lab.analysis.claims import CLAIMS, ONE_QUESTION, Claim, measured, verdict
from s1lab.book.generated import COVERAGE, answers, claims_page, links
from s1lab.evaluation import Interval
from s1lab.experiments import Condition
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from tests.helpers import CHECKOUT, cases, write_grades

NOTEBOOKS = CHECKOUT / "notebooks"
CHAPTERS = {path.stem.partition("_")[2] for path in NOTEBOOKS.glob("*.py")}
QUESTIONS, TABLES = 100, cases("claims")


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """The laptop profile over an empty store that can only be read."""
    return Pipeline(profiles.load("laptop"), RunStore(tmp_path, read_only=True))


def give(pipeline: Pipeline, condition: Condition, right: int, thinking: int = 10) -> None:
    """Write a finished run: the first `right` questions are answered, each sample alike."""
    samples = condition.samples
    solved = [samples * (question < right) for question in range(QUESTIONS)]
    write_grades(pipeline.locate_run(condition), solved, [thinking] * QUESTIONS, samples)


def claim(words: str) -> Claim:
    (found,) = [claim for claim in CLAIMS if words in claim.text]
    return found


def curve(pipeline: Pipeline, kind: str) -> list[Condition]:
    return [c for c in experiments.curve(pipeline.profile) if c.kind == kind]


def test_a_verdict_says_on_which_side_of_the_border_the_interval_is() -> None:
    for expected, sides in TABLES["sides"].items():
        for low, high, sign, border in sides:
            interval = Interval((low + high) / 2, low, high, 30)
            assert verdict(interval, sign, border and ONE_QUESTION) == expected


def test_without_runs_nothing_is_tested_and_nothing_is_started(pipeline: Pipeline) -> None:
    for name in profiles.names():
        found = answers(Pipeline(profiles.load(name), pipeline.store))
        assert {ours.verdict for _, ours in found} == {"not tested"}
    assert list(pipeline.store.root.iterdir()) == []
    with pytest.raises(ValueError, match="read_only"):
        measured(CLAIMS[0], Pipeline(pipeline.profile, RunStore(pipeline.store.root)))


VERDICTS = [(60, "agrees"), (20, "does not agree"), (41, "inside uncertainty")]


@pytest.mark.parametrize(("with_waits", "expected"), VERDICTS)
def test_waits_are_compared_with_none_on_the_same_questions(pipeline, with_waits, expected):
    (two,) = [c for c in curve(pipeline, "wait") if c.budget.num_ignore == 2]
    give(pipeline, curve(pipeline, "natural")[0], 40)
    give(pipeline, two, with_waits)
    ours = measured(claim('"Wait" twice'), pipeline)
    assert ours.verdict == expected and ours.n == f"{QUESTIONS} questions"
    assert ours.ours.startswith(f"{with_waits - 40:+.1f} points [".replace("-", "−"))


@pytest.mark.parametrize(("whole", "expected"), [(40, "agrees"), (60, "does not agree")])
def test_no_gain_means_less_than_a_question_of_aime(pipeline, whole, expected):
    by_kind = {c.kind: c for c in experiments.subsets(pipeline.profile)}
    give(pipeline, by_kind["s1"], 40)
    give(pipeline, by_kind["full"], whole)
    assert measured(claim("no substantial gain"), pipeline).verdict == expected


@pytest.mark.parametrize("over", [0, 1])
def test_one_generation_over_its_budget_is_no_perfect_control(pipeline, over):
    capped = curve(pipeline, "budget")
    for condition in capped:
        give(pipeline, condition, 50, condition.budget.max_thinking)
    give(pipeline, capped[-1], 50, capped[-1].budget.max_thinking + over)
    ours = measured(claim("(Control)"), pipeline)
    assert ours.verdict == ("does not agree" if over else "agrees")
    assert ours.n == f"{len(capped) * QUESTIONS * capped[0].samples:,} generations"


def test_a_slope_is_in_points_per_doubling(pipeline: Pipeline) -> None:
    for condition in [*curve(pipeline, "budget"), *curve(pipeline, "natural")]:
        tokens = condition.budget.max_thinking
        give(pipeline, condition, round(10 * np.log2(tokens)), tokens)
    ours = measured(claim("(Scaling)"), pipeline)
    assert ours.verdict == "agrees"
    assert float(ours.ours.split()[0]) == pytest.approx(10, abs=0.2)


def test_all_seeds_of_a_training_enter(pipeline: Pipeline) -> None:
    for condition in experiments.sequence_lengths(pipeline.profile):
        cut = "112" in condition.kind
        give(pipeline, condition, 30 if cut else 50, thinking=90 if cut else 40)
    longer, worse = (measured(claim(of), pipeline) for of in ("think longer.", "make it worse"))
    assert longer.ours.startswith("+50.0 tokens [") and longer.verdict == "agrees"
    assert worse.ours.startswith("+20.0 points [") and worse.verdict == "agrees"
    asked = experiments.sequence_lengths(pipeline.profile)
    pipeline.locate_run(asked[-1]).path.rename(pipeline.store.root / "gone")
    assert measured(claim("make it worse"), pipeline).verdict == "not tested"


def test_every_claim_has_a_source_the_papers_number_and_a_chapter_of_the_book() -> None:
    assert {words: claim(words).paper() for words in TABLES["printed"]} == TABLES["printed"]
    assert {c.chapter for c in CLAIMS} <= CHAPTERS
    assert all(c.where and c.paper() for c in CLAIMS)
    assert len({c.text for c in CLAIMS}) == len(CLAIMS)


def test_every_figure_table_algorithm_and_equation_of_the_paper_is_accounted_for() -> None:
    expected = [f"Figure {n}" for n in range(1, 11)] + [f"Table {n}" for n in range(1, 16)]
    expected += ["Algorithm 1", *(f"Equation {n}" for n in range(1, 4))]
    assert [item["name"] for item in COVERAGE] == expected
    for item in COVERAGE:
        assert set(item["chapters"]) <= CHAPTERS, item["name"]
        assert len(item["note"].split()) >= (2 if item["chapters"] else 6), item["name"]


def test_the_page_has_a_row_per_claim_with_its_verdict(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_introduction.ipynb").touch()
    store = RunStore(tmp_path / "_results" / "laptop", read_only=True)
    store.root.mkdir(parents=True)
    pipeline = Pipeline(profiles.load("laptop"), store)
    give(pipeline, curve(pipeline, "natural")[0], 80)
    give(pipeline, curve(pipeline, "budget")[0], 10)
    found = links(tmp_path / "notebooks", ["introduction", "methods"])
    assert found == "[Introduction](notebooks/00_introduction.ipynb)"
    page = claims_page(tmp_path)
    rows = [line for line in page.splitlines() if ".s1-verdict" in line and line.startswith("|")]
    row = next(row for row in rows if CLAIMS[0].text in row)
    assert "+70.0 points \\[" in row and "{.s1-verdict .s1-agrees}" in row and row.endswith("| – |")
    assert "[Introduction](notebooks/00_introduction.ipynb)" in row
    shutil.copytree(NOTEBOOKS.parent / "results/generations", tmp_path / "_results/generations")
    assert "MATH500 92.8% with one Wait" in claims_page(tmp_path)
    assert f"Of {len(CLAIMS)} claims: **1** agrees, **{len(CLAIMS) - 1}** not tested" in page
