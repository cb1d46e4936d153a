"""Section 3.2's measures against the paper's own tables; pass@k and maj@k against brute force."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from s1core.grading import maj_at_k
from s1core.records import Grade
from s1lab.audit.published import accuracies, accuracy_of, published, runs
from s1lab.evaluation import (
    accuracy,
    class_control,
    control,
    pass_at_k,
    performance,
    scaling_per_doubling,
    scaling_per_token,
)

PRINTED = published()["table3"]["rows"]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("TCC", -23.77),
        ("TCC+BF", 13.16),
        ("SCC", 2.93),
        ("SCC+BF", 6.41),
        ("CCC", 25.18),
        ("BF", 14.82),
    ],
)
def test_table_3_scaling_comes_out_per_doubling(method: str, expected: float) -> None:
    points = runs(method)
    value = scaling_per_doubling(points.thinking_tokens, points.exact_accuracy)
    assert value == pytest.approx(expected, abs=0.005)
    assert round(value) == PRINTED[method]["scaling"]


def test_table_3_scaling_does_not_come_out_per_token() -> None:
    """As printed, Eq. 2 divides by tokens; no power of ten makes Table 3 of it."""
    ratios = set()
    for method in ("TCC", "TCC+BF", "SCC", "SCC+BF", "CCC", "BF"):
        points = runs(method)
        per_token = scaling_per_token(points.thinking_tokens, points.exact_accuracy)
        ratios.add(round(PRINTED[method]["scaling"] / (1000 * per_token), 1))
    assert len(ratios) > 3


def test_rejection_samplings_scaling_does_not_come_out() -> None:
    """Six points give -28.6; -35 needs the first one dropped, and then Performance is 36.7."""
    points = runs("RS")
    tokens, values = points.thinking_tokens, points.exact_accuracy
    assert scaling_per_doubling(tokens, values) == pytest.approx(-28.6, abs=0.05)
    without_first = scaling_per_doubling(tokens[1:], values[1:])
    assert round(without_first) == PRINTED["RS"]["scaling"] == -35
    assert performance(values[1:]) < PRINTED["RS"]["performance"] == 40.0


@pytest.mark.parametrize("method", ["TCC", "TCC+BF", "SCC", "SCC+BF"])
def test_table_3_control_comes_out(method: str) -> None:
    points = runs(method)
    assert control(points.thinking_tokens, points.limits) == PRINTED[method]["control"]


def test_table_3_class_control_and_performance_come_out() -> None:
    rows = published()["class_conditional"]["rows"]
    tokens = {name: row["AIME24"][1] for name, row in rows.items()}
    assert class_control(tokens["default"], tokens["short"], tokens["long"]) == 50.0
    for method, row in PRINTED.items():
        assert performance(runs(method).accuracy) == row["performance"]


def test_control_counts_both_limits() -> None:
    assert control([5, 10, 15], at_most=12, at_least=6) == pytest.approx(100 / 3)
    with pytest.raises(ValueError, match="no runs"):
        control([], 10)


def test_scaling_is_the_mean_over_all_pairs_by_hand() -> None:
    tokens, values = [1, 2, 4], [10.0, 20.0, 20.0]
    assert scaling_per_token(tokens, values) == pytest.approx((10 + 10 / 3 + 0) / 3)
    assert scaling_per_doubling(tokens, values) == pytest.approx((10 + 5 + 0) / 3)


def test_scaling_ignores_the_order_of_runs_and_pairs_of_equal_compute() -> None:
    assert scaling_per_token([4, 1, 2], [20, 10, 20]) == scaling_per_token([1, 2, 4], [10, 20, 20])
    assert scaling_per_token([1, 1, 2], [0, 10, 10]) == pytest.approx((10 + 0) / 2)
    assert np.isnan(scaling_per_token([3, 3], [1, 2]))


def test_scaling_refuses_what_it_cannot_measure() -> None:
    with pytest.raises(ValueError, match="no doubling"):
        scaling_per_doubling([0, 4], [1, 2])
    with pytest.raises(ValueError, match="at least two runs"):
        scaling_per_token([4], [1])


@pytest.mark.parametrize("n", [1, 4, 7])
def test_pass_at_k_equals_brute_force(n: int) -> None:
    for correct in range(n + 1):
        samples = [True] * correct + [False] * (n - correct)
        for k in range(1, n + 1):
            subsets = [any(subset) for subset in combinations(samples, k)]
            assert pass_at_k(n, correct, k) == pytest.approx(np.mean(subsets))


def _votes(answers: list[str | None], right: str, k: int) -> float:
    shares = []
    for subset in combinations(answers, k):
        counts = Counter(answer for answer in subset if answer is not None)
        best = [a for a, c in counts.items() if c == max(counts.values())]
        shares.append((right in best) / len(best) if best else 0.0)
    return float(np.mean(shares))


@pytest.mark.parametrize("seed", range(12))
def test_maj_at_k_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers = [None if x == 4 else "abcd"[x] for x in rng.integers(0, 5, 8)]
    correct = [answer == "a" for answer in answers]
    for k in range(1, 9):
        assert maj_at_k(answers, correct, k) == pytest.approx(_votes(answers, "a", k))


def test_maj_at_1_is_the_mean_and_silence_never_wins() -> None:
    assert maj_at_k(["a", "b", "a", None], [True, False, True, False], 1) == 0.5
    assert maj_at_k([None, None], [False, False], 2) == 0.0
    with pytest.raises(ValueError, match="correct and wrong"):
        maj_at_k(["a", "a"], [True, False], 1)


def test_accuracy_travels_with_its_interval_and_truncation() -> None:
    statuses = ["correct"] * 17 + ["wrong"] * 9 + ["truncated"] * 3 + ["no_answer"]
    result = accuracy(Grade(f"{i:016x}", 0, s, "", "") for i, s in enumerate(statuses))
    assert str(result) == "56.7 [39.2, 72.6], n=30, 3 truncated"
    assert (result.truncation_rate, result.no_answer) == (0.1, 1)


def test_accuracy_refuses_several_samples_of_a_question() -> None:
    grade = Grade("0" * 16, 0, "correct", "", "")
    with pytest.raises(ValueError, match="one grade per question"):
        accuracy([grade, grade])


def test_published_accuracies_hold_the_headline() -> None:
    assert accuracy_of("Table 1", "s1-32B", "AIME24").correct == 17
    assert len(accuracies("Table 4")) == 15
    with pytest.raises(KeyError, match="its rows are: o1-preview"):
        accuracy_of("Table 1", "s2", "AIME24")


def test_every_published_accuracy_of_s1_is_a_number_of_questions_but_one() -> None:
    """Table 2 prints 54.6 for 1K-diverse on GPQA Diamond; 108 of 198 is 54.5."""
    odd = [
        (a.table, a.row, a.benchmark, a.percent)
        for a in accuracies()
        if a.row.startswith(("s1", "1K", "59K", "2x", "No ")) and not a.exact
    ]
    assert odd == [("Table 2", "1K-diverse", "GPQA Diamond", 54.6)]
