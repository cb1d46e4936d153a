"""Section 3.2's measures against the paper's own tables."""

import numpy as np
import pytest

from s1lab.audit.published import accuracies, published, runs
from s1lab.evaluation import class_control, control, scaling_per_doubling
from s1lab.evaluation.metrics import performance, scaling_per_token

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
    assert control([5, 10, 15], at_most=12, at_least=6) == pytest.approx(100 / 3)


def test_every_published_accuracy_of_s1_is_a_number_of_questions_but_one():
    """Table 2 prints 54.6 for 1K-diverse on GPQA Diamond; 108 of 198 is 54.5."""
    ours = [a for a in accuracies() if a.row.startswith(("s1", "1K", "59K", "2x", "No "))]
    odd = [(a.table, a.row, a.benchmark, a.percent) for a in ours if not a.exact]
    assert odd == [("Table 2", "1K-diverse", "GPQA Diamond", 54.6)]
