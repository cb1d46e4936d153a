"""The pocket world: exact answers, honest splits, traces that mean what they say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from s1core import checkpoints
from s1core.errors import RunError
from s1core.grading.countdown import check
from s1lab import pocket
from s1lab.pocket import pretrain, teacher, world
from s1lab.pocket.pool import POOL_SIZE, build_pool, normal_form, trace_correct
from s1lab.pocket.world import CAP, Puzzle, all_puzzles, chains, parse_question, solutions

# ------------------------------------------------------------------------------ the task


@pytest.mark.parametrize(
    ("question", "expression", "right"),
    [
        ("Use 3 7 8 to make 29", "( 3 * 7 ) + 8", True),
        ("Use 3 7 8 to make 29", "8 + 7 * 3", True),
        ("Use 3 7 8 to make 29", "(3*7)+8 = 29", True),
        ("Use 3 7 8 to make 29", "3 * 7 + 8\nand then some", True),
        ("Use 3 7 8 to make 29", "21 + 8", False),
        ("Use 3 7 8 to make 29", "3 * 7 + 8 + 0", False),
        ("Use 3 7 8 to make 29", "( 3 * 7 + 8", False),
        ("Use 3 7 8 to make 29", "", False),
        ("Use 3 7 8 to make 29", "__import__('os')", False),
        ("Use 2 3 3 to make 2", "2 * ( 3 / 3 )", True),
        ("Use 2 3 3 to make 2", "2 / ( 3 - 3 )", False),
        ("Use 4 3 8 to make 6", "8 / ( 4 / 3 )", True),
    ],
)
def test_answers_are_checked_exactly(question, expression, right):
    assert check(question, expression) is right


def test_a_chain_is_the_arithmetic_that_it_says():
    for numbers in [(2, 3, 7), (4, 4, 16), (5, 9, 13)]:
        for chain in chains(numbers):
            value = Fraction(chain.numbers[0])
            for operator, number, result in zip(chain.operators, chain.numbers[1:], chain.results):
                right = Fraction(number)
                value = {
                    "+": value + right,
                    "-": value - right,
                    "*": value * right,
                    "/": value / right,
                }[operator]
                assert value == result and 0 <= result <= CAP
            assert sorted(chain.numbers) == sorted(numbers)
            assert check(
                f"Use {' '.join(map(str, numbers))} to make {chain.value}", chain.expression
            )


def test_a_question_reads_back_as_its_puzzle():
    puzzle = Puzzle((8, 3, 7), 29)
    assert parse_question(puzzle.question + "\n\nThink for up to 64 tokens.") == puzzle
    with pytest.raises(ValueError, match="not a Countdown question"):
        parse_question("How many r in raspberry?")


# ------------------------------------------------------------------------------ the splits


def test_no_evaluation_puzzle_can_be_trained_on():
    held_out = world.held_out()
    assert len(held_out) == world.EVAL_SIZE >= 300
    assert not held_out & {p.key for p in world.training_puzzles(3)}
    assert not held_out & {p.key for p in world.training_puzzles(2)}
    everything = {p.key for p in all_puzzles(3)}
    assert held_out | {p.key for p in world.training_puzzles(3)} == everything


def test_no_pretraining_document_contains_an_evaluation_puzzle():
    tokenizer = pocket.load_tokenizer()
    held_out, found = world.held_out(), 0
    recipe = pretrain.RECIPES["large"]
    for step in (0, recipe.steps - 1):
        text = tokenizer.decode(pretrain.batch(recipe, step).reshape(-1))
        for document in text.split("<|endoftext|>"):
            if "Use" in document and "make" in document:
                try:
                    key = parse_question(document).key
                except ValueError:
                    continue  # cut at the edge of a row
                found += 1
                assert key not in held_out
    assert found > 100


def test_no_selected_trace_can_contain_an_evaluation_puzzle():
    held_out = world.held_out()
    leaked = [r for r in build_pool() if parse_question(r.example.problem.question).key in held_out]
    assert len(leaked) == round(0.02 * POOL_SIZE)  # put there for decontamination to find
    evaluation = {normal_form(p.question) for p in pocket.evaluation_problems()}
    assert all(normal_form(r.example.problem.question) in evaluation for r in leaked)


# ----------------------------------------------------------------------------- the teacher


def test_an_honest_teacher_is_always_right_and_stops_at_the_first_yes():
    rng = np.random.default_rng(0)
    habits = teacher.Habits(slip=0.0, double_check=0.0)
    for puzzle in world.training_puzzles(3)[::500]:
        text, believed = teacher.think(puzzle, rng, habits)
        *before, last = text.split("\n")
        assert last.endswith(f"want {puzzle.target} yes") and believed in solutions(puzzle)
        assert all(line.endswith(" no") for line in before) and "Wait" not in text


def test_a_slip_that_is_noticed_says_wait_and_repeats_the_same_line():
    rng = np.random.default_rng(0)
    habits = teacher.Habits(slip=0.5, repair=1.0, double_check=0.0)
    repaired = 0
    for puzzle in world.training_puzzles(3)[::300]:
        text, believed = teacher.think(puzzle, rng, habits)
        assert believed in solutions(puzzle)
        lines = text.split("\n")
        for before, after in zip(lines, lines[1:]):
            if after.startswith("Wait"):
                assert before.endswith(" yes") and after.endswith(" no")
                assert after.removeprefix("Wait ")[:-3] == before[:-4]
                repaired += 1
    assert repaired > 20


def test_traces_are_wrong_only_where_a_slip_went_unnoticed():
    rng = np.random.default_rng(0)
    habits = teacher.Habits(slip=0.5, repair=0.0)
    wrong = [
        row
        for puzzle in world.training_puzzles(3)[::300]
        if not trace_correct(row := teacher.example(puzzle, rng, habits))
    ]
    assert wrong and all(" yes" in row.trace.thinking.split("\n")[-1] for row in wrong)


# -------------------------------------------------------------------------------- the pool


def test_the_pool_is_a_function_of_its_seed_and_dirty_in_every_way():
    pool = build_pool(3, 1000)
    assert pool == build_pool(3, 1000) != build_pool(4, 1000)
    questions = [row.example.problem.question for row in pool]
    assert len(set(questions)) == len(pool) == 1000
    assert sum(bool(row.error) for row in pool) == 50
    assert sum("![Image]" in question for question in questions) == 20
    assert sum("**" in row.example.trace.thinking for row in pool) == 20
    assert 0.02 < np.mean([not trace_correct(r.example) for r in pool if not r.error]) < 0.2


# ------------------------------------------------------------------- tokenizer and models


def test_the_tokenizer_has_the_shape_of_qwens():
    tokenizer = pocket.load_tokenizer()
    ids = tokenizer.get_vocab()
    assert tokenizer("<|im_start|>think\n").input_ids == [
        ids["<|im_start|>"],
        ids["think"],
        ids["\n"],
    ]
    assert len(tokenizer("Wait").input_ids) == 1 and tokenizer.eos_token == "<|im_end|>"
    assert len(tokenizer) < pretrain.VOCABULARY  # padded embedding, as Qwen's


def test_the_direct_encoding_of_pretraining_is_the_tokenizers():
    documents, tokenizer = pretrain.documents(), pocket.load_tokenizer()
    rng = np.random.default_rng(0)
    for kind in pretrain.SHARES:
        ids = documents.draw(kind, rng)
        assert tokenizer(tokenizer.decode(ids)).input_ids == ids


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_base_model_does_what_its_card_says(size):
    """A sample of the skills on the card, within the noise of a smaller sample."""
    import json

    from s1lab.pocket.ship import measure

    claimed = json.loads((checkpoints.MODELS / size / "skills.json").read_text())
    measured = measure(size, count=50)
    for skill, value in claimed.items():
        assert abs(measured[skill] - value) < 0.15, skill


def test_pretraining_resumes_to_the_same_weights(tmp_path):
    from dataclasses import replace

    import torch
    from safetensors.torch import load_file

    recipe = replace(
        pretrain.RECIPES["small"],
        hidden_size=32,
        intermediate_size=32,
        layers=1,
        steps=4,
        batch_size=1,
        warmup=1,
    )
    whole = pretrain.pretrain(recipe, tmp_path / "whole", progress=False)

    class Killed(Exception):
        pass

    def kill_at(step, real=pretrain.batch):
        def batch(recipe, at):
            if at == step:
                raise Killed
            return real(recipe, at)

        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "batch", kill_at(3))
        with pytest.raises(Killed):
            pretrain.pretrain(recipe, tmp_path / "cut", progress=False, checkpoint_every=2)
    resumed = pretrain.pretrain(recipe, tmp_path / "cut", progress=False, checkpoint_every=2)
    one, two = (load_file(path / "model.safetensors") for path in (whole, resumed))
    assert all(torch.equal(one[name], two[name]) for name in one)
    logs = [(path.parent / "log.jsonl").read_text() for path in (whole, resumed)]
    assert logs[0] == logs[1]
    with pytest.raises(RunError, match="another recipe"):
        pretrain.pretrain(replace(recipe, seed=9), tmp_path / "cut", progress=False)
