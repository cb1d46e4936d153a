"""The audit says what the numbers say: spot checks by hand, and every part runs."""

from __future__ import annotations

import pytest

from s1lab.audit import audit as audited
from s1lab.audit.comparisons import Comparison, comparisons, implied_discordance
from s1lab.audit.published import accuracies, accuracy_of, published



def by_topic(findings: list) -> dict:
    return {finding.topic: finding for finding in findings}


def test_every_finding_says_what_is_printed_what_comes_out_and_how() -> None:
    findings = audit()
    assert len(findings) > 60
    assert len({finding.topic for finding in findings}) == len(findings)
    for finding in findings:
        assert all((finding.printed, finding.recomputed, finding.how, finding.source)), finding


def test_the_headlines_27_percent_is_relative() -> None:
    assert by_topic(headline())["up to 27% over o1-preview"].recomputed == (
        "27% relative, 12.1 points"
    )


def test_table_3_comes_out_but_for_rejection_sampling() -> None:
    findings = table3()
    differing = {finding.topic for finding in findings if finding.verdict == "differs"}
    assert differing == {
        "Table 3: Scaling of RS",
        "Table 3: rejection sampling without its shortest limit",
    }
    assert sum("Scaling" in f.topic and f.verdict == "agrees" for f in findings) == 6


def test_a_printed_interval_of_table_2_is_narrower_than_any_exact_test_allows() -> None:
    """1K-random on AIME24: four questions apart cannot exclude zero, the interval does."""
    differing = [finding.topic for finding in table2() if finding.verdict == "differs"]
    assert differing == ["Table 2: 1K-random on AIME24"]
    implied, least = implied_discordance("1K-random", "AIME24")
    assert least == 4
    assert implied == pytest.approx(3.74, abs=0.01)


def test_sums_and_costs_come_out_but_for_the_number_of_domains() -> None:
    verdicts = {f.topic: f.verdict for f in totals() + cost()}
    assert verdicts.pop("Table 6: domains") == "differs"
    assert verdicts.pop("the run logged in the released script") == "open"
    assert set(verdicts.values()) == {"agrees"}


def test_selection_counts_differ_where_the_notebook_differs() -> None:
    verdicts = {f.topic: f.verdict for f in selection()}
    assert verdicts["selection: after difficulty"] == "differs"
    assert verdicts["selection: after api errors"] == "agrees"


def test_figures() -> None:
    assert "800 times the examples" in figure2()[0].recomputed
    assert {f.verdict for f in figure4()} == {"open", "differs"}
    assert [f.verdict for f in table8()] == ["agrees", "open", "open"]


def test_every_accuracy_of_tables_1_to_5_has_an_interval_that_holds_it() -> None:
    rows = accuracies()
    assert len(rows) == len(published()["accuracies"]) == 135
    assert {row.table for row in rows} == {f"Table {i}" for i in range(1, 6)}
    assert all(row.percent / 100 in row.interval for row in rows)
    aime = [row.interval.high - row.interval.low for row in rows if row.n == 30]
    assert min(aime) > 0.2


def test_what_survives_of_the_papers_comparisons() -> None:
    outcome = {(c.claim, c.benchmark): c.outcome for c in comparisons()}
    wait = "budget forcing extrapolates from 50% to 57% on AIME24"
    tuned = "fine-tuning on s1K improves Qwen2.5-32B-Instruct"
    assert outcome[wait, "AIME24"] == "cannot survive"
    assert outcome[tuned, "MATH500"] == "survives"
    assert outcome[tuned, "AIME24"] == "undecided"
    assert outcome["s1K beats 1K diverse examples", "AIME24"] == "survives"
    assert outcome["s1K beats 1K random examples", "AIME24"] == "cannot survive"
    same = "training on all 59K brings no substantial gain over s1K"
    assert outcome[same, "MATH500"] == "survives"
    assert outcome[same, "AIME24"] == "undecided"


def test_a_comparison_is_bounded_by_its_best_pairing() -> None:
    a, b = accuracy_of("Table 1", "s1-32B", "AIME24"), accuracy_of("Table 1", "s1 w/o BF", "AIME24")
    forward, backward = (Comparison("", "AIME24", *pair) for pair in ((a, b), (b, a)))
    assert (forward.questions, forward.best_p, forward.needed) == (2, 0.5, 881)
    assert backward.best_p == 1.0
    assert forward.difference.low == pytest.approx(-backward.difference.high)
