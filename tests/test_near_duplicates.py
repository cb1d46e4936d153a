"""The near-duplicate report agrees with a pairwise comparison and finds the known copies."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1core.records import Problem, question_key
from s1lab.data.audit import near_duplicates, shingles
from s1lab.data.load import benchmark_questions, problems

questions = st.lists(st.sampled_from("a b B! c, d2 $x$".split()), max_size=9).map(" ".join)


@given(questions, st.lists(questions, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_the_nearest_question_is_the_one_a_pairwise_comparison_finds(question, benchmark):
    found = near_duplicates([Problem(question, "")], {"bench": benchmark}, threshold=1e-9)
    pairs = [(shingles(question), shingles(other)) for other in benchmark]
    similarities = [len(a & b) / len(a | b) if a & b else 0.0 for a, b in pairs]
    assert [n.similarity for n in found] == pytest.approx([s for s in [max(similarities)] if s])
    first = question_key(benchmark[similarities.index(max(similarities))])
    assert all(n.benchmark_key == first for n in found)


def test_shingles_ignore_case_punctuation_and_spacing():
    assert shingles("Find  $x$, y and\nZ!") == {"find x y", "x y and", "y and z"}
    assert shingles("Find x") == {"find x"} and shingles(" !") == frozenset()


def test_the_report_is_sorted_and_keeps_to_its_threshold():
    pool = [Problem(q, "") for q in ("a b c d", "a b c x", "p q r s", "a b c d !")]
    found = near_duplicates(pool, {"bench": ["a b c d"]}, threshold=0.5)
    assert [(n.key, n.similarity) for n in found] == sorted((pool[i].key, 1.0) for i in (0, 3))
    assert len(near_duplicates(pool, {"bench": ["a b c d"]}, threshold=0.3)) == 3


def test_the_published_s1k_holds_four_near_copies_of_math500_and_none_of_aime24(data_dir):
    benchmarks = benchmark_questions(("MATH500", "AIME24"), data_dir)
    found = near_duplicates(problems("s1K questions", data_dir), benchmarks, threshold=0.5)
    assert [n.benchmark for n in found] == ["MATH500"] * 4
    assert [round(n.similarity, 2) for n in found] == [1.0, 1.0, 1.0, 0.65]
