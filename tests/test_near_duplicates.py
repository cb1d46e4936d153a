"""The near-duplicate report agrees with a pairwise comparison and finds the known copies."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1core.records import Problem, question_key
from s1lab.data.load import benchmark_questions, problems
from s1lab.data.near_duplicates import near_duplicates, shingles

questions = st.lists(st.sampled_from("a b B! c, d2 $x$".split()), max_size=9).map(" ".join)


def jaccard_of_triples(one, other):
    def triples(text):
        words = re.findall(r"[a-z0-9]+", text.lower())
        if len(words) < 3:
            return {tuple(words)} if words else set()
        return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}

    a, b = triples(one), triples(other)
    return len(a & b) / len(a | b) if a & b else 0.0


@given(questions, st.lists(questions, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_the_nearest_question_is_the_one_a_pairwise_comparison_finds(question, benchmark):
    found = near_duplicates([Problem(question, "")], {"bench": benchmark}, threshold=1e-9)
    similarities = [jaccard_of_triples(question, other) for other in benchmark]
    if max(similarities) == 0:
        assert not found
    else:
        (nearest,) = found
        assert nearest.similarity == pytest.approx(max(similarities))
        first = similarities.index(max(similarities))
        assert nearest.benchmark_key == question_key(benchmark[first])


def test_shingles_ignore_case_punctuation_and_spacing():
    assert shingles("Find  $x$, y and\nZ!") == {"find x y", "x y and", "y and z"}
    assert shingles("Find x") == {"find x"} and shingles(" !") == frozenset()


def test_the_report_is_sorted_and_keeps_to_its_threshold():
    pool = [Problem(q, "") for q in ("a b c d", "a b c x", "p q r s", "a b c d !")]
    found = near_duplicates(pool, {"bench": ["a b c d"]}, threshold=0.5)
    assert [(n.key, n.similarity) for n in found] == sorted(
        [(pool[0].key, 1.0), (pool[3].key, 1.0)]
    )
    assert len(near_duplicates(pool, {"bench": ["a b c d"]}, threshold=0.3)) == 3


def test_the_published_s1k_holds_four_near_copies_of_math500_and_none_of_aime24(data_dir):
    benchmarks = benchmark_questions(("MATH500", "AIME24"), data_dir)
    found = near_duplicates(problems("s1K questions", data_dir), benchmarks, threshold=0.5)
    assert [n.benchmark for n in found] == ["MATH500"] * 4
    assert [round(n.similarity, 2) for n in found] == [1.0, 1.0, 1.0, 0.65]
