"""Intervals that cover what they say, differences, and power: against scipy and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from s1lab.evaluation import (
    clustered_bootstrap,
    detectable_difference,
    mcnemar,
    paired_bootstrap,
    questions_needed,
    seeds_needed,
    wilson,
)
from s1lab.evaluation.statistics import mcnemar_p_value, student_t

AIME = 30


@pytest.mark.parametrize("n", [1, 5, 30, 198, 500])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_equals_scipy(n: int, level: float) -> None:
    for correct in {0, 1, n // 3, n // 2, n}:
        ours = wilson(correct, n, level)
        theirs = stats.binomtest(correct, n).proportion_ci(level, method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_the_headline() -> None:
    """17 of 30 correct: the 56.7% of s1-32B on AIME24 is anything from 39 to 73."""
    assert wilson(17, AIME).percent() == "56.7 [39.2, 72.6]"
    assert wilson(15, AIME).estimate in wilson(17, AIME)


@pytest.mark.parametrize(("correct", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_wilson_refuses_what_is_no_proportion(correct: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(correct, n)


@pytest.mark.parametrize("n", [15, 30, 60, 198, 500])
def test_wilson_covers_95_percent_over_accuracies(n: int) -> None:
    """2,000 trials, each with its own true accuracy; small n included."""
    rng = np.random.default_rng(n)
    truth = rng.uniform(0.05, 0.95, 2_000)
    intervals = [wilson(k, n) for k in range(n + 1)]
    covered = np.mean([p in intervals[k] for p, k in zip(truth, rng.binomial(n, truth))])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize(("questions", "seeds"), [(15, 2), (30, 1), (30, 4), (198, 4)])
def test_clustered_bootstrap_covers_95_percent(questions: int, seeds: int) -> None:
    """Questions of uniform difficulty, each answered with several seeds: 2,000 trials."""
    rng = np.random.default_rng([questions, seeds])
    covered = 0
    for _ in range(2_000):
        difficulty = rng.uniform(size=(questions, 1))
        scores = rng.random((questions, seeds)) < difficulty
        covered += 0.5 in clustered_bootstrap(scores, rng, resamples=1_000)
    assert 0.93 <= covered / 2_000 <= 0.97


def test_paired_bootstrap_covers_95_percent_at_thirty_questions() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(2_000):
        difficulty = rng.uniform(size=AIME)
        a = rng.random(AIME) < np.minimum(difficulty + 0.1, 1)
        b = rng.random(AIME) < difficulty
        truth = 0.1 - 0.005  # E[min(u + 0.1, 1) - u] for a uniform difficulty u
        covered += truth in paired_bootstrap(a, b, rng, resamples=1_000)
    assert 0.93 <= covered / 2_000 <= 0.97


def test_treating_seeds_as_questions_would_cover_far_too_little() -> None:
    """Why the bootstrap is clustered: eight seeds of thirty questions are not 240 questions."""
    rng = np.random.default_rng(3)
    clustered, pooled = 0, 0
    for _ in range(500):
        scores = rng.random((AIME, 8)) < rng.beta(0.4, 0.4, (AIME, 1))
        clustered += 0.5 in clustered_bootstrap(scores, rng, resamples=500)
        pooled += 0.5 in wilson(int(scores.sum()), scores.size)
    assert clustered / 500 > 0.92
    assert pooled / 500 < 0.75


def test_clustered_bootstrap_is_wilson_when_there_is_nothing_to_resample() -> None:
    interval = clustered_bootstrap(np.zeros((AIME, 4)), 0)
    assert (interval.low, interval.high) == (0.0, wilson(0, AIME).high)
    assert "Wilson" in interval.method


def test_clustered_bootstrap_skips_missing_samples() -> None:
    whole = clustered_bootstrap([[1, 1], [0, 0], [1, 0]], 0)
    holey = clustered_bootstrap([[1, np.nan], [0, 0], [1, 0]], 0)
    assert (holey.estimate, holey.low, holey.high) == (whole.estimate, whole.low, whole.high)
    with pytest.raises(ValueError, match="at least one score per question"):
        clustered_bootstrap([[np.nan, np.nan], [0, 1]], 0)


def test_paired_bootstrap_has_the_percentiles_of_a_brute_force_resampling() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(AIME) < 0.6, rng.random(AIME) < 0.4
    ours = paired_bootstrap(a, b, 1, small_sample=False)
    draws = rng.integers(0, AIME, (10_000, AIME))
    means = (a[draws].astype(float) - b[draws]).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert ours.estimate == pytest.approx(a.mean() - b.mean())
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=1.01 / AIME)


def test_paired_bootstrap_is_reproducible_and_refuses_unpaired_runs() -> None:
    a, b = [1, 0, 1, 1, 0], [0, 0, 1, 0, 1]
    assert paired_bootstrap(a, b, 5) == paired_bootstrap(a, b, 5)
    with pytest.raises(ValueError, match="pair the same questions"):
        paired_bootstrap(a, b[:-1], 5)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (2, 0), (5, 1), (7, 7), (20, 3)])
def test_mcnemar_equals_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    n = only_a + only_b
    expected = stats.binomtest(only_a, n).pvalue if n else 1.0
    assert mcnemar_p_value(only_a, only_b) == pytest.approx(expected)


def test_mcnemar_counts_only_questions_on_which_the_runs_differ() -> None:
    result = mcnemar([1, 1, 0, 1, 0], [1, 0, 0, 0, 1])
    assert (result.only_a, result.only_b, result.p_value) == (2, 1, 1.0)


def test_two_questions_out_of_thirty_show_nothing() -> None:
    """The best case for 56.7 against 50.0: two questions gained and none lost."""
    assert mcnemar_p_value(2, 0) == 0.5
    assert mcnemar_p_value(6, 0) < 0.05 < mcnemar_p_value(5, 0)


@pytest.mark.parametrize(("p_a", "p_b", "discordant"), [(0.6, 0.4, None), (0.7, 0.5, 0.3)])
def test_power_is_reached_by_simulation(p_a: float, p_b: float, discordant: float | None) -> None:
    n = questions_needed(p_a, p_b, discordant=discordant)
    share = p_a * (1 - p_b) + p_b * (1 - p_a) if discordant is None else discordant
    gain = (share + p_a - p_b) / 2
    draws = np.random.default_rng(0).multinomial(n, [gain, share - gain, 1 - share], 4_000)
    z = (draws[:, 0] - draws[:, 1]) / np.sqrt(np.maximum(draws[:, 0] + draws[:, 1], 1))
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)


def test_aime24_cannot_show_the_headline() -> None:
    """Wait's gain from 50.0 to 56.7 needs 881 independent questions, 116 at the very best."""
    assert questions_needed(17 / 30, 15 / 30) == 881
    assert questions_needed(17 / 30, 15 / 30, discordant=2 / 30) == 116
    assert detectable_difference(AIME, 0.5) == pytest.approx(0.348, abs=0.001)


def test_detectable_difference_inverts_questions_needed() -> None:
    gap = detectable_difference(198, 0.566)
    assert questions_needed(0.566 + gap, 0.566) <= 198 < questions_needed(0.566 + 0.99 * gap, 0.566)
    assert np.isnan(detectable_difference(3, 0.9))


def test_seeds_needed_by_simulation() -> None:
    within, gap = 0.15, 0.1
    k = seeds_needed(gap, within, AIME)
    rng = np.random.default_rng(1)
    difference = rng.normal(gap, np.sqrt(2 * within / (AIME * k)), 20_000)
    seen = np.abs(difference) > 1.96 * np.sqrt(2 * within / (AIME * k))
    assert seen.mean() >= 0.8


@pytest.mark.parametrize("freedom", [5, 10, 29, 197])
def test_student_quantiles_are_close_to_scipy(freedom: int) -> None:
    for quantile in (0.9, 0.975, 0.995):
        exact = stats.t.ppf(quantile, freedom)
        assert student_t(quantile, freedom) == pytest.approx(exact, rel=0.02)


def test_no_gap_has_no_number_of_questions() -> None:
    with pytest.raises(ValueError, match="no number of questions"):
        questions_needed(0.5, 0.5)
    with pytest.raises(ValueError, match="no number of questions"):
        questions_needed(0.7, 0.5, discordant=0.1)
