"""The audit says what the numbers say: spot checks by hand; Section 3.2's measures."""

import re

import numpy as np
import pytest

from s1lab.audit import audit as audited
from s1lab.audit.published import accuracies, accuracy_of, printed_accuracy, published, runs
from s1lab.evaluation import class_control, control, scaling_per_doubling, wilson
from s1lab.evaluation.statistics import performance, scaling_per_token
from tests.helpers import cases

FINDINGS = {finding.topic: finding for finding in audited.audit()}


def test_every_finding_says_what_is_printed_what_comes_out_and_how():
    assert len(FINDINGS) == len(audited.audit()) > 60
    for finding in FINDINGS.values():
        assert all(finding), finding
    found = FINDINGS["up to 27% over o1-preview"].recomputed
    assert found == "27% relative, 12.1 points"
    assert "800 times the examples" in FINDINGS["Figure 2: s1 against r1-distill"].recomputed


def test_tables_come_out_but_for_these():
    for part, differing in cases("audit")["differing"].items():
        found = getattr(audited, part)()
        assert [finding.topic for finding in found if finding.verdict == "differs"] == differing
    said = {topic: finding.verdict for topic, finding in FINDINGS.items()}
    assert said["selection: after difficulty"] == "differs"
    assert said["selection: after api errors"] == "agrees"
    assert said["the run logged in the released script"] == "open"
    assert [f.verdict for f in audited.table8()] == ["agrees", "open", "open"]
    implied, least = audited.implied_discordance("1K-random", "AIME24")
    assert (round(implied, 2), least) == (3.74, 4)


def test_every_accuracy_of_tables_1_to_5_has_an_interval_that_holds_it():
    rows = accuracies()
    assert len(rows) == len(published()["accuracies"]) == 135
    assert {row.table for row in rows} == {f"Table {i}" for i in range(1, 6)}
    assert all(row.percent / 100 in row.interval for row in rows)
    assert min(row.interval.high - row.interval.low for row in rows if row.n == 30) > 0.2


def test_what_survives_of_the_papers_comparisons():
    rows = {(row["claim"], row["benchmark"]): row for row in audited.comparisons()}
    outcome = {place: row["outcome"] for place, row in rows.items()}
    wanted = cases("audit")["outcomes"]
    assert {(claim, of) for claim, of, _ in wanted} <= outcome.keys()
    assert [[*one, outcome[tuple(one)]] for *one, _ in wanted] == wanted
    a, b = (accuracy_of("Table 1", row, "AIME24") for row in ("s1-32B", "s1 w/o BF"))
    assert (a.correct - b.correct, audited.best_p(a, b), audited.best_p(b, a)) == (2, 0.5, 1.0)
    assert 881 in [row["needed"] for row in rows.values()]


@pytest.mark.parametrize(("percent", "correct"), [(56.7, 17), (50.0, 15), (26.7, 8), (44.6, 13.38)])
def test_a_printed_accuracy_has_one_interval_wherever_it_is_shown(percent, correct) -> None:
    """Whole questions where they print the number (17 of 30 is 56.7), else the printed average."""
    found = printed_accuracy("AIME24", percent)
    assert found.percent() == wilson(correct, 30).percent()
    same = [one for one in accuracies(benchmark="AIME24") if one.percent == percent]
    assert same and all(one.interval == found for one in same)


def test_negative_numbers_have_a_minus() -> None:
    said = " ".join(" ".join(row.values()) for row in audited.finding_rows(audited.audit()))
    assert "\N{MINUS SIGN}24" in said and not re.search(r"(?<![\w.–-])-\d", said)


PRINTED = published()["table3"]["rows"]
SCALING = {"TCC": -23.77, "TCC+BF": 13.16, "SCC": 2.93, "SCC+BF": 6.41, "CCC": 25.18, "BF": 14.82}


def test_table_3_comes_out_with_scaling_per_doubling():
    """As printed, Eq. 2 divides by tokens; no power of ten makes Table 3 of it."""
    ratios = set()
    for method, expected in SCALING.items():
        points = runs(method)
        value = scaling_per_doubling(points.thinking_tokens, points.exact_accuracy)
        assert value == pytest.approx(expected, abs=0.005)
        assert round(value) == PRINTED[method]["scaling"]
        per_token = scaling_per_token(points.thinking_tokens, points.exact_accuracy)
        ratios.add(round(PRINTED[method]["scaling"] / (1000 * per_token), 1))
        if points.limits:
            assert control(points.thinking_tokens, points.limits) == PRINTED[method]["control"]
    assert len(ratios) > 3
    tokens = {k: v["AIME24"][1] for k, v in published()["class_conditional"]["rows"].items()}
    assert class_control(tokens["default"], tokens["short"], tokens["long"]) == 50.0
    assert all(
        performance(runs(name).accuracy) == row["performance"] for name, row in PRINTED.items()
    )


def test_scaling_is_the_mean_over_all_pairs_that_differ_in_compute():
    tokens, values = [1, 2, 4], [10.0, 20.0, 20.0]
    assert scaling_per_token(tokens, values) == pytest.approx((10 + 10 / 3 + 0) / 3)
    assert scaling_per_doubling(tokens, values) == pytest.approx((10 + 5 + 0) / 3)
    assert scaling_per_token([4, 1, 2], [20, 10, 20]) == scaling_per_token(tokens, values)
    assert scaling_per_token([1, 1, 2], [0, 10, 10]) == pytest.approx((10 + 0) / 2)
    assert np.isnan(scaling_per_token([3, 3], [1, 2]))
    assert control([5, 10, 15], 12) == pytest.approx(200 / 3)


def test_every_published_accuracy_of_s1_is_a_number_of_questions_but_one():
    """Table 2 prints 54.6 for 1K-diverse on GPQA Diamond; 108 of 198 is 54.5."""
    ours = [a for a in accuracies() if a.row.startswith(("s1", "1K", "59K", "2x", "No "))]
    odd = [(a.table, a.row, a.benchmark, a.percent) for a in ours if not a.exact]
    assert odd == [("Table 2", "1K-diverse", "GPQA Diamond", 54.6)]
