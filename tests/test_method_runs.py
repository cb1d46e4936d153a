"""Votes and rejection from stored samples, and what is measured of methods: against brute force."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from s1core.backends import Completion
from s1core.backends.hf import HFBackend
from s1core.errors import BackendError, InputError, RunError
from s1core.forcing import Budget, generate
from s1core.grading.countdown import check
from s1core.records import Generation, Problem
from s1lab.analysis import controls as methods
from s1lab.analysis import results
from s1lab.analysis.controls import measures
from s1lab.analysis.methods import MethodRun, fits, match, rejection, sequential, votes
from s1lab.evaluation import control, scaling_per_doubling
from s1lab.evaluation.measure import Samples, read_samples, resume, tabulate
from s1lab.evaluation.statistics import performance
from s1lab.evaluation.voting import ballots, majority, same_answer
from s1lab.runs import Journal, RunStore
from tests.helpers import rows, tiny_model, tiny_tokenizer
from tests.scripted import ScriptedBackend

PROBLEMS = [Problem(f"Use {i} 7 to make {i * 3}", "") for i in range(6)]


def made(correct, thinking=None, answer=4, ended=None, extracted=None) -> Samples:
    """Samples of questions, by their arrays."""
    correct = np.array(correct, float)
    thinking = np.full(correct.shape, 10.0) if thinking is None else np.array(thinking, float)
    ended = np.ones(correct.shape) if ended is None else np.array(ended, float)
    texts = np.where(correct == 1, "1", "2") if extracted is None else np.array(extracted, str)
    keys = tuple(f"q{i:03}" for i in range(len(correct)))
    answers = np.full(correct.shape, answer)
    return Samples(keys, correct, ended, thinking, answers, 0 * correct, texts, texts)


def setting(method: str, thinking, correct, limit=math.nan) -> MethodRun:
    return sequential(made([[c] for c in correct], [[t] for t in thinking]), method, "", limit)


@pytest.mark.parametrize(("kind", "a", "b", "same"), rows("votes.jsonl"))
def test_answers_are_one_vote_when_they_are_the_same_answer(kind, a, b, same):
    assert same_answer(kind)(a, b) is same_answer(kind)(b, a) is same


def test_equal_votes_on_a_countdown_question_have_equal_verdicts():
    """So a vote by value never joins a right answer with a wrong one."""
    operators = list(itertools.product("+-*/", repeat=2))
    orders = [*itertools.permutations("378"), "377", "777"]
    answers = [f"( {a} {f} {b} ) {g} {c}" for a, b, c in orders for f, g in operators]
    verdicts: dict[int, set[bool]] = {}
    for vote, answer in zip(ballots(answers, same_answer("countdown")), answers, strict=True):
        verdicts.setdefault(vote, set()).add(check("Use 3 7 8 to make 29", answer))
    assert all(len(verdict) == 1 for verdict in verdicts.values())
    assert {True} in verdicts.values() and len(verdicts) < len(answers)


@pytest.mark.parametrize("seed", range(4))
def test_a_vote_is_averaged_over_every_choice_of_samples(seed):
    """Brute force: vote on each choice; where answers tie, each wins in some of the orders."""
    pool = ["3 + 7", "7 + 3", "3 * 7", "", "7 * 3", "9"]
    answers = [*pool[:5], pool[seed]] if seed < 2 else np.random.default_rng(seed).choice(pool, 6)
    answers, same = list(map(str, answers)), same_answer("countdown")
    right = ["+" in answer for answer in answers]

    def wins(order) -> bool:
        cast = [answers[i] for i in order if answers[i]]
        winner = max(cast, key=lambda a: sum(same(a, b) for b in cast), default="0")
        return same(winner, "3 + 7")

    for k in range(1, 7):
        won = np.mean([wins(order) for order in itertools.permutations(range(6), k)])
        assert majority(answers, right, [k], same) == [pytest.approx(won)]
    samples = made([[1, 0, 0, 1], [0, 0, 0, 0]], [[1, 2, 3, 4], [5, 5, 5, 5]])
    found = votes(samples, same_answer("math"))
    assert found[0].correct.tolist() == [0.5, 0.0]
    assert [(run.setting, run.cost) for run in found] == [("1x", 7.75), ("2x", 15.5), ("4x", 31.0)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Samples of a real (tiny) model drawn without a limit, and what the run has of them."""
    backend = HFBackend(tiny_model(), tiny_tokenizer())
    options = {"samples": 6, "temperature": 1.0, "seed": 3}
    drawn = list(generate(backend, PROBLEMS, Budget(60, max_answer=5), **options))
    store, rows = RunStore(tmp_path_factory.mktemp("s")), tabulate(PROBLEMS, drawn, "countdown")
    ragged = store.locate("generate", {"a": 1})
    ragged.ensure(lambda run: run.write_table("grades.csv", rows[1:]))
    with pytest.raises(RunError, match="equally many samples"):
        read_samples(ragged)
    run = store.locate("generate", {}).ensure(lambda run: run.write_table("grades.csv", rows))
    return backend, drawn, read_samples(run)


@pytest.mark.parametrize("limit", [2, 5, 8, 20])
def test_rejection_from_stored_samples_is_rejection_sampling(stored, limit):
    backend, drawn, samples = stored
    budget, options = Budget(limit, max_answer=5), {"temperature": 1.0, "seed": 3}
    sampled = list(generate(backend, PROBLEMS, budget, samples=6, **options))
    accepted = zip(samples.keys, fits(samples, limit), strict=True)
    kept = {key: int(row.argmax()) if row.any() else None for key, row in accepted}
    own = {(g.problem_key, g.sample): g for g in drawn}
    outcomes = set()
    for key, first in kept.items():
        ended = [g for g in sampled if g.problem_key == key and g.outcome == "ended"]
        outcomes.add(first is None)
        assert (first is None) == (not ended)
        assert first is None or ended[0] == own[key, first]
    assert limit == 20 or True in outcomes, "small limits show questions that nothing fits"
    assert limit != 8 or False in outcomes


@pytest.mark.parametrize("limit", [3, 7, 12])
def test_rejection_is_averaged_over_every_order_of_the_samples(limit):
    correct = [[1, 0, 1, 0], [0, 1, 1, 1], [1, 1, 0, 0]]
    thinking = [[2, 5, 9, 11], [6, 6, 8, 3], [30, 20, 40, 13]]
    ended = [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    samples = made(correct, thinking, answer=4, ended=ended)
    found = rejection(samples, limit)
    for i, drawn in enumerate(zip(*row) for row in zip(correct, thinking, ended)):
        tried = []
        for order in itertools.permutations(drawn):
            spent = 0
            for number, (right, tokens, stopped) in enumerate(order, start=1):
                if stopped and tokens < limit:
                    tried.append((right, tokens, number, spent + tokens + 4))
                    break
                spent += min(tokens, limit)
            else:
                tried.append((0, math.nan, 4, spent))
        by_hand = (found.correct[i], found.thinking[i], found.tries[i], found.tokens[i])
        assert by_hand == pytest.approx(np.mean(tried, axis=0), nan_ok=True)
        assert found.answered[i] == fits(samples, limit)[i].any()
    one = made([[1, 0], [1, 0], [1, 1], [0, 0]], [[5, 50], [5, 50], [50, 50], [50, 50]])
    gain = rejection(one, 10).gain  # on the questions that have a short trace
    assert (gain.estimate, gain.n) == (0.5, 2)


def test_methods_are_matched_on_the_line_between_two_settings():
    rng = np.random.default_rng(0)
    ours = [setting("ours", rng.integers(t, 2 * t, 80), rng.random(80) < 0.5)
            for t in (3, 20, 90, 800)]  # fmt: skip
    theirs = votes(made(rng.random((80, 8)) < 0.4, rng.integers(10, 40, (80, 8))), str.__eq__)
    found = match(ours, theirs)
    assert 0 < len(found) < len(ours) and not match(ours, []), "some of ours lie outside"
    for run, level, gap in found:
        left = max((other for other in theirs if other.cost <= run.cost), key=lambda o: o.cost)
        right = min((other for other in theirs if other.cost >= run.cost), key=lambda o: o.cost)
        share = math.log2(run.cost / left.cost) / math.log2(right.cost / left.cost)
        ends = left.correct.mean(), right.correct.mean()
        assert level == pytest.approx((1 - share) * ends[0] + share * ends[1])
        assert gap.estimate == pytest.approx(run.correct.mean() - level)
        assert gap.low < gap.estimate < gap.high


def test_measures_are_those_of_the_metrics_module():
    rng, limits = np.random.default_rng(1), [16, 32, 64]
    drawn = [made(rng.random((40, 3)) < 0.3 + limit / 200, rng.integers(4, 50, (40, 3)))
             for limit in limits]  # fmt: skip
    made_runs = [sequential(one, "TCC", "", limit) for one, limit in zip(drawn, limits)]
    found = measures(made_runs)
    tokens = [run.thinking_tokens for run in made_runs]
    percents = [100 * run.correct.mean() for run in made_runs]
    assert 100 * found.scaling.estimate == pytest.approx(scaling_per_doubling(tokens, percents))
    assert 100 * found.performance.estimate == pytest.approx(performance(percents))
    assert 100 * found.control_of_runs == pytest.approx(control(tokens, limits))
    assert found.control.estimate == pytest.approx(np.mean([run.keeps for run in made_runs]))
    assert found.scaling.low < found.scaling.estimate < found.scaling.high


def test_the_interval_of_scaling_covers_what_generated_the_data():
    """Five settings on a line of 8 points per doubling, 100 questions, 60 repetitions."""
    rng, covered = np.random.default_rng(2), 0
    for _ in range(60):
        ease = rng.normal(0, 0.1, 100)
        made_runs = [
            setting("BF", [2**i] * 100, rng.random(100) < np.clip(0.2 + 0.08 * i + ease, 0, 1))
            for i in range(3, 8)
        ]
        covered += 0.08 in measures(made_runs, resamples=400).scaling
    assert covered >= 51  # 95% of 60 is 57; fewer than 51 has a chance below 0.5%
    alike = [setting("TCC", rng.normal(200, 20, 40), rng.random(40) < 0.5) for _ in range(4)]
    assert measures(alike).slope == "undetermined"
    apart = [setting("BF", [8 * 4**i] * 40, np.arange(40) < 9 * i) for i in range(4)]
    assert measures(apart).slope == measures(apart).scaling


def test_right_and_wrong_traces_are_compared_on_the_questions_that_have_both():
    draws = results.small_benchmarks(made(np.arange(400)[:, None] % 2), seed=0)
    assert draws.mean() == pytest.approx(0.5, abs=0.01)  # and scatter as 30 questions do
    assert draws.std() == pytest.approx(0.5 / 30**0.5 * (370 / 399) ** 0.5, rel=0.03)
    samples = made([[1, 0], [1, 1], [0, 1]], [[10, 30], [99, 99], [50, 20]])
    found = results.right_and_wrong(samples)
    assert (found["both"], found["questions"]) == (2, 3)
    assert (found["right"], found["wrong"], found["gap"].estimate) == (15, 40, -25)
    assert results.right_and_wrong(made([[1, 1]])) == {"both": 0, "questions": 1}


def test_what_is_not_defined_is_none():
    for used in ([200, 200, 200], [16, 32, 64], [100, 50, 25]):  # thinking, of 16, 32, 64 asked for
        asked = [SimpleNamespace(instruct=("tokens", limit)) for limit in (16, 32, 64)]
        family = [replace(setting("TCC", [t], [1]), condition=c) for t, c in zip(used, asked)]
        assert methods.obeyed(family) == pytest.approx(used[1] / used[0])
        assert methods.obeyed(family[:1]) is None
    one = measures([setting("CCC", [9.0] * 8, [1, 0] * 4)])
    assert one.scaling is None and one.control is None and one.control_of_runs is None
    with pytest.raises(InputError, match="at least one"):
        measures([])
    for limit in (0, -1, math.nan):
        with pytest.raises(InputError, match="accepts nothing"):
            rejection(made([[1, 0]]), limit)


BUDGET = Budget(max_thinking=4, max_answer=3)


class Flaky(ScriptedBackend):
    """Fails on the rows whose prompt holds a given text, while it is told to."""

    batch_size, broken = 4, ""

    def complete(self, prompts, params):
        made = super().complete(prompts, params)
        for row, prompt in enumerate(prompts):
            if self.broken and self.broken in self.tokenizer.decode(prompt):
                made[row] = Completion((), "error", "out of memory")
        return made


def ask(backend, journal) -> int:
    how = {"samples": 2, "temperature": 0.0, "seed": 0, "template": "s1"}
    return resume(journal, backend, PROBLEMS, BUDGET, **how)


def test_rows_that_an_engine_fails_on_lose_no_others_and_are_asked_again(tmp_path):
    backend = Flaky(tiny_tokenizer(), lambda context: 7)
    undisturbed = Journal(tmp_path / "whole.jsonl")
    assert ask(backend, undisturbed) == 12

    journal, backend.broken = Journal(tmp_path / "out.jsonl"), "Use 2 7"
    with pytest.raises(BackendError, match=r"2 generations failed.*out of memory.*run again"):
        ask(backend, journal)
    kept = list(journal.records(Generation))
    assert len(kept) == 10 and PROBLEMS[2].key not in {g.problem_key for g in kept}

    backend.broken = ""
    assert ask(backend, journal) == 2
    assert ask(backend, journal) == 0

    def in_order(of: Journal) -> list[Generation]:
        return sorted(of.records(Generation), key=lambda g: (g.problem_key, g.sample))

    assert in_order(journal) == in_order(undisturbed)
