"""Selection as a specification: stages, Algorithm 1, baselines, against brute-force oracles."""

import itertools
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1core.errors import InputError
from s1core.records import Example, Problem, Trace, from_dict, read_jsonl, to_json, write_jsonl
from s1core.selection import Candidate, Funnel, SelectionConfig, StringPattern, difficulty, select
from s1core.selection.criteria import check_fields, check_format, deduplicate
from s1core.selection.decontaminate import BenchmarkIndex, decontaminate
from s1core.selection.diversity import DiversityConfig, benchmark_domains, diversify, preselect
from s1lab.analysis.training import beside_paper
from s1lab.kinds.curation import baseline
from tests.helpers import cases, refused, rows, told

AIME, GPQA, MATH = "qq8933/AIME_1983_2024", "Idavidrein/gpqa", "qfq/openaimath/Algebra"


def candidate(question="what is 1 + 1 ?", source="a", domain="Algebra", thinking="w", **changes):
    trace = Trace(thinking, changes.pop("attempt", "2"))
    fields = {"thinking_tokens": 10, "small_correct": False, "large_correct": False}
    fields |= {"trace_correct": True} | changes
    return Candidate(Example(Problem(question, "2", "", source, domain), trace), **fields)


def a_pool(size=400, seed=0, domains=12):
    rng = random.Random(seed)
    return [
        candidate(
            f"question {i} about {rng.random()}",
            source=rng.choice([AIME, GPQA, MATH, "other", "another"]),
            domain=f"domain {rng.randrange(domains)}",
            thinking_tokens=rng.randrange(1, 9000),
            small_correct=rng.random() < 0.3,
            large_correct=rng.random() < 0.4,
            trace_correct=rng.random() < 0.3,
        )
        for i in range(size)
    ]


def brute_force_overlap(question, benchmark_questions, n):
    """Does any n-gram of the question occur in a benchmark question? Short ones: whole match."""
    words, *others = (text.lower().split() for text in (question, *benchmark_questions))

    def grams(words):
        return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}

    return any(grams(words) & grams(b) or (len(b) < n and words == b != []) for b in others)


few_words = st.lists(st.sampled_from(["a", "B", "b", "c", "d\t", "\nA"]), max_size=14).map(" ".join)


@given(few_words, st.lists(few_words, min_size=1, max_size=4), st.integers(1, 9))
@settings(max_examples=400, deadline=None)
def test_overlap_equals_brute_force(question, benchmark, n):
    index = BenchmarkIndex({"bench": benchmark}, n)
    assert (index.overlap(question) is not None) == brute_force_overlap(question, benchmark, n)


@pytest.mark.parametrize("benchmark, n, question, dropped", cases("selection")["overlap"])
def test_eight_shared_words_or_a_whole_short_question_drop_one(benchmark, n, question, dropped):
    index = BenchmarkIndex({"bench": [benchmark]}, n)
    assert (index.overlap(question) is not None) is dropped
    index = BenchmarkIndex({"a": ["7 3 8"]}, None, normalize=lambda q: " ".join(sorted(q)))
    assert index.overlap("8 7 3") and not index.overlap("8 7 4")
    for benchmarks, n, says in (({"a": []}, 8, "'a' has no question"), ({"a": "b"}, 0, "one word")):
        with pytest.raises(InputError, match=says):
            BenchmarkIndex(benchmarks, n)


def test_decontamination_keeps_and_drops_every_candidate_once_and_says_why():
    pool = [candidate("a b c d"), candidate("a b x d"), candidate("q a b c")]
    index = BenchmarkIndex({"other": ["x y z"], "bench": ["A  b\nc"]}, n=3)
    kept, dropped = decontaminate(pool, index)
    assert [c.question for c in kept] == ["a b x d"]
    assert [d.candidate.question for d in dropped] == ["a b c d", "q a b c"]
    assert [d.reason for d in dropped] == ["overlaps bench"] * 2


def test_missing_fields_and_api_errors_are_dropped_with_their_reason():
    lacking = {
        name: candidate(**changes) for name, changes in cases("selection")["lacking"].items()
    }
    kept, dropped = check_fields([candidate(), *lacking.values()])
    assert kept == [candidate()] and [d.reason for d in dropped] == list(lacking)


def official_rule_keeps(question, source):
    """The condition of the official notebook, transcribed in its own terms (an oracle)."""
    numbered = any(f"p{i}." in question for i in range(1, 1000))
    starred = re.search(r"\*\*(?=.*\d)[^\s\]]*\*\*", question)
    if "[asy]" not in question and "![Image]" not in question and not numbered and not starred:
        return True
    return "[asy]" in question and "AIME" in source


pieces = st.sampled_from(
    "[asy] ![Image] p1. p999. p1000. p0. p07. **1** ** x1".split() + ["**a 1**", " "]
)


@given(st.lists(pieces, max_size=6).map("".join), st.sampled_from([AIME, GPQA]))
@settings(max_examples=500, deadline=None)
def test_string_patterns_equal_the_official_rule(text, source):
    kept, dropped = check_format([candidate("q" + text, source=source)])
    assert bool(kept) == official_rule_keeps("q" + text, source)
    assert len(kept) + len(dropped) == 1


def test_only_what_neither_model_solves_is_kept_and_patterns_can_look_at_the_trace():
    pattern = StringPattern("ends mid-line", r"=\s*$", field="thinking")
    kept, dropped = check_format([candidate(thinking="3 + 4 ="), candidate()], [pattern])
    assert len(kept) == 1 and dropped[0].reason == "ends mid-line"
    solved = {(True, False): "the small model only", (False, True): "the large model only"}
    solved |= {(True, True): "both models"}
    graded = [candidate(f"q{s}", small_correct=s, large_correct=b) for s, b in solved]
    kept, dropped = difficulty([*graded, candidate(), candidate(small_correct=None)])
    assert len(kept) == 2
    assert [d.reason for d in dropped] == [f"solved by {who}" for who in solved.values()]


def algorithm_1(pool, target, variant, rng, config):
    """Algorithm 1 and the notebook's cells, written out plainly, with full weights."""
    pool = sorted(pool, key=lambda c: c.key)
    selected = {}
    for c in pool:
        if c.trace_correct and (
            c.source in (AIME, GPQA) or (MATH in c.source and c.thinking_tokens > 5600)
        ):
            selected[c.key] = c
    names = sorted({c.domain for c in pool})
    members = {d: [c for c in pool if c.domain == d] for d in names}
    weights = benchmark_domains(pool, config) if variant == "notebook" else {}
    while len(selected) < target and names:
        if variant == "notebook" and len(selected) >= config.switch_at and weights:
            options = sorted(weights)
            p = np.cumsum([weights[d] for d in options])
            domain = options[int(np.searchsorted(p, rng.random() * p[-1], side="right"))]
        else:
            domain = names[int(rng.integers(len(names)))]
        ranked = sorted(members[domain], key=lambda c: (-c.thinking_tokens, c.key))
        p = np.cumsum([2.0**-rank for rank in range(len(ranked))])
        chosen = ranked[int(np.searchsorted(p, rng.random() * p[-1], side="right"))]
        selected[chosen.key] = chosen
        members[domain].remove(chosen)
        if not members[domain]:
            names.remove(domain)
            weights.pop(domain, None)
    return list(selected)


@pytest.mark.parametrize("variant", ["paper", "notebook"])
@pytest.mark.parametrize("seed", range(4))
def test_diversity_equals_a_plain_algorithm_1(variant, seed):
    pool = a_pool(500, seed)
    config = DiversityConfig(target=300, variant=variant, switch_at=150)
    kept, dropped = diversify(pool, config, np.random.default_rng(seed))
    oracle = algorithm_1(pool, 300, variant, np.random.default_rng(seed), config)
    assert [c.key for c in kept] == oracle
    assert len(kept) == 300 and len(kept) + len(dropped) == len(pool)


@given(st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_another_row_order_gives_the_same_selection(seed, shuffler):
    pool = a_pool(120, 1)
    config = SelectionConfig(diversity=DiversityConfig(target=30, correct_sources=(AIME,)))
    first = select(pool, {}, config, np.random.default_rng(seed))
    shuffler.shuffle(pool)
    assert select(pool, {}, config, np.random.default_rng(seed)) == first
    copies = [candidate("same", thinking_tokens=n) for n in (30, 10, 20)]
    for order in itertools.permutations(copies):
        kept, dropped = deduplicate(order)
        assert kept == [copies[1]] and len(dropped) == 2


def test_the_notebook_imitates_the_benchmarks_domains():
    geometry = {"source": AIME, "domain": "Geometry", "trace_correct": False}
    biology = {"source": GPQA, "domain": "Biology", "trace_correct": False}
    pool = [candidate(f"a{i}", **geometry) for i in range(90)]
    pool += [candidate(f"g{i}", **biology) for i in range(9)]
    pool += [candidate(f"o{i}", domain="Statistics") for i in range(400)]
    weights = benchmark_domains(pool, DiversityConfig(target=200, variant="notebook", switch_at=10))
    assert weights == pytest.approx({"Geometry": 90 / 135, "Biology": 45 / 135})


@pytest.mark.parametrize("says, questions, changes", cases("selection")["pools"])
def test_what_cannot_be_selected_from_is_a_clear_error(says, questions, changes):
    pool = [candidate(question, source=AIME if says[0] == "2" else "a") for question in questions]
    with pytest.raises(InputError, match=says):
        diversify(pool, DiversityConfig(**{"target": 1, **changes}), np.random.default_rng(0))


def test_the_funnel_accounts_for_every_question_at_every_stage_and_survives_json():
    dirt = [candidate("![Image]"), candidate("b a d n g r a m !"), candidate(error="x")]
    pool = [*(good := a_pool(300)), *dirt, good[0]]
    config = SelectionConfig(ngram=4, diversity=DiversityConfig(target=60))
    selected, funnel = select(pool, {"bench": ["n g r a m"]}, config, np.random.default_rng(0))
    names = ["pool", "decontaminate", "deduplicate", "missing or failed", "format", "difficulty"]
    assert [stage.name for stage in funnel.stages] == [*names, "diversity"]
    for before, after in zip(funnel.stages, funnel.stages[1:], strict=False):
        assert before.kept == after.kept + after.dropped
        assert after.dropped == sum(after.reasons.values())
    for stage in funnel.stages:
        assert stage.kept == sum(stage.by_source.values()) == sum(stage.by_domain.values())
    assert funnel.stages[-1].kept == len(selected) == 60
    assert funnel.preselected == len(preselect(selected, config.diversity))
    assert from_dict(Funnel, json.loads(to_json(funnel))) == funnel
    rows = {row["stage"]: row for row in beside_paper(funnel)}
    assert rows["deduplicate"]["paper"] is None
    assert (rows["format"]["paper"], rows["format"]["notebook"]) == (51_581, 51_607)
    assert (rows["pre-selected"]["paper"], rows["pre-selected"]["notebook"]) == (384, 393)


def test_baselines_take_what_their_name_says():
    pool = a_pool(300)
    rng = np.random.default_rng(0)
    lengths = sorted((c.thinking_tokens for c in pool), reverse=True)
    assert [c.thinking_tokens for c in baseline("longest", pool, 50, rng)] == lengths[:50]
    assert {c.key for c in baseline("full", pool, 0, rng)} == {c.key for c in pool}
    for name in ("random", "diverse"):
        chosen = baseline(name, pool, 50, np.random.default_rng(7))
        again = baseline(name, pool[::-1], 50, np.random.default_rng(7))
        assert chosen == again and len({c.key for c in chosen}) == 50
        assert len(baseline(name, pool, 300, rng)) == 300
    with pytest.raises(InputError, match="301 of 300"):
        baseline("random", pool, 301, rng)
    pool = [candidate(f"q{i}", domain="big" if i % 10 else "small") for i in range(2000)]
    chosen = baseline("diverse", pool, 200, np.random.default_rng(5))
    assert 70 < sum(c.domain == "small" for c in chosen) < 130  # whatever the size of a domain


def run(pool, *more):
    """The command's words; it must succeed."""
    code, shown = told("s1core", "select", pool, "--output", "out.jsonl", *more)
    assert code == 0, shown
    return shown


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jsonl("pool.jsonl", made := a_pool(300))
    return made


def test_the_command_selects_what_the_function_selects_in_any_layout(pool):
    write_jsonl("held-out.jsonl", [{"problem": pool[0].question}])
    config = SelectionConfig(diversity=DiversityConfig(target=60))
    expected, funnel = select(pool, {"b": [pool[0].question]}, config)
    flat = [json.loads(to_json(c)) for c in pool]
    write_jsonl("flat.jsonl", [row.pop("example") | row for row in flat])
    for layout in ("pool.jsonl", "flat.jsonl"):
        shown = run(layout, "--size", 60, "--against", "held-out.jsonl").splitlines()
        assert list(read_jsonl("out.jsonl", Example)) == [c.example for c in expected]
        counts = [line.split()[-2:] for line in shown]
        assert all([str(s.kept), str(s.dropped)] in counts for s in funnel.stages)
    said = refused("s1core", "select", "pool.jsonl", "--output", "out.jsonl", "--size", 50)
    assert "60 rows" in said  # an output is not replaced by less


def test_annotations_that_no_row_has_are_not_asked_for_and_bad_rows_are_counted(pool):
    rows = [{"problem": {"question": f"q{i}", "answer": ""},
             "trace": {"thinking": "w " * i, "attempt": "a"}} for i in range(1, 40)]  # fmt: skip
    write_jsonl("pool.jsonl", [*rows, {"problem": 1}, {"trace": {}}])
    shown = run("pool.jsonl", "--size", 10)
    assert len(list(read_jsonl("out.jsonl", Example))) == 10
    assert "no row says domain, small_correct, large_correct, trace_correct" in shown
    assert "2 rows were left out; the first: " in shown and "pool.jsonl:40" in shown


@pytest.mark.parametrize("more, says", cases("selection")["refused"].items())
def test_what_cannot_be_selected_is_a_sentence_and_nothing_is_written(pool, more, says):
    for name, text in {"empty": "", "numbers": '{"question": 1}', "torn": '{"question'}.items():
        Path(f"{name}.jsonl").write_text(text)
    words = ["select", "pool.jsonl", "--output", "out.jsonl", *more.split()]
    assert re.search(says, refused("s1core", *words)) and not Path("out.jsonl").exists()


def test_the_official_runs_questions_hash_to_their_recorded_keys_and_math500_drops_itself(data_dir):
    questions = [row["problem"] for row in rows(data_dir / "math500" / "math500.jsonl")]
    pool = [candidate(q) for q in questions]
    assert len(decontaminate(pool, BenchmarkIndex({"MATH500": questions}))[1]) == 500
    run = rows(data_dir / "s1k" / "s1k_questions_from_filter_notebook.jsonl")
    assert len(run) == len({row["question_hash"] for row in run}) == 1000
    held = [row for row in run if not row["withheld"]]
    agrees = [Problem(row["question"], "").key == row["question_hash"] for row in held]
    assert agrees == [row["hash_ok"] for row in held]
    assert (sum(agrees), len(held)) == (868, 893)
    pool = [candidate(row["question"], source=row["source_type"]) for row in held if row["hash_ok"]]
    assert check_format(pool)[1] == []
