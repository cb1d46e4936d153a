"""The pocket world: exact answers, honest splits, traces that mean what they say."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from s1core import checkpoints
from s1core.grading.countdown import check, read_question
from s1lab import pocket
from s1lab.pocket import pretrain, teacher, world
from s1lab.pocket.pool import POOL_SIZE, build_pool, normal_form, trace_correct
from s1lab.pocket.world import Puzzle, chains, solutions
from tests.test_sft_encode import CASES


@pytest.mark.parametrize(("question", "expression", "right"), CASES["countdown"])
def test_questions_are_read_and_answers_checked_exactly(question, expression, right):
    assert check(question, expression) is right
    read = read_question(question + "\n\nThink for up to 64 tokens.")
    assert Puzzle(*read).question == question
    with pytest.raises(ValueError, match="not a Countdown question"):
        read_question(expression)


@pytest.mark.parametrize("numbers", [(2, 3, 7), (4, 4, 16), (5, 9, 13)])
def test_a_chain_is_the_arithmetic_that_it_says(numbers):
    for chain in chains(numbers):
        assert check(Puzzle(numbers, chain.value).question, chain.expression)
        assert all(0 <= result <= world.CAP for result in chain.results)
        assert sorted(chain.numbers) == sorted(numbers)
        assert chain.line.endswith(f"= {chain.value}")


def test_no_evaluation_puzzle_can_be_trained_on_and_none_is_in_a_pretraining_document():
    held_out = world.held_out()
    three, two = ({p.key for p in world.training_puzzles(size)} for size in (3, 2))
    assert len(held_out) == world.EVAL_SIZE >= 300
    assert not held_out & (three | two)
    assert held_out | three == {puzzle.key for puzzle in world.all_puzzles(3)}
    tokenizer, found = pocket.load_tokenizer(), 0
    recipe = pretrain.RECIPES["large"]
    for step in (0, recipe.steps - 1):
        text = tokenizer.decode(pretrain.batch(recipe, step).reshape(-1))
        for document in text.split("<|endoftext|>"):
            try:
                puzzle = Puzzle(*read_question(document))
            except ValueError:
                continue  # another kind, or cut at the edge of a row
            found += 1
            assert puzzle.key not in held_out
    assert found > 100


def test_no_selected_trace_can_contain_an_evaluation_puzzle():
    questions = [row.example.problem.question for row in build_pool()]
    leaked = [q for q in questions if Puzzle(*read_question(q)).key in world.held_out()]
    assert len(leaked) == round(0.02 * POOL_SIZE)  # put there for decontamination to find
    evaluation = {normal_form(problem.question) for problem in pocket.evaluation_problems()}
    assert all(normal_form(question) in evaluation for question in leaked)


def traces(**habits: float) -> Any:
    """Puzzles with the text of a teacher of these habits, and what it came to believe."""
    rng = np.random.default_rng(0)
    for puzzle in world.training_puzzles(3)[::300]:
        yield puzzle, *teacher.think(puzzle, rng, teacher.Habits(**habits))


def test_a_teacher_says_wait_where_it_notices_a_slip_and_else_stops_at_the_first_yes():
    repaired = 0
    for puzzle, text, believed in traces(slip=0.5, repair=1.0, double_check=0.0):
        assert believed in solutions(puzzle)
        lines = text.split("\n")
        for before, after in ((a, b) for a, b in zip(lines, lines[1:]) if b.startswith("Wait")):
            assert before.endswith(" yes") and after.endswith(" no")
            assert after.removeprefix("Wait ")[:-3] == before[:-4]
            repaired += 1
    assert repaired > 20
    for slip in (0.0, 0.5):
        right = []
        for puzzle, text, believed in traces(slip=slip, repair=0.0, double_check=0.0):
            *before, last = text.split("\n")
            assert last.endswith(f"want {puzzle.target} yes") and "Wait" not in text
            assert all(line.endswith(" no") for line in before)
            right.append(believed in solutions(puzzle))
        assert all(right) is (slip == 0)


def test_the_pool_is_a_function_of_its_seed_and_dirty_in_every_way():
    pool = build_pool(3, 1000)
    assert pool == build_pool(3, 1000) != build_pool(4, 1000)
    questions = [row.example.problem.question for row in pool]
    assert len(set(questions)) == len(pool) == 1000
    assert sum(bool(row.error) for row in pool) == 50
    assert sum("![Image]" in question for question in questions) == 20
    assert sum("**" in row.example.trace.thinking for row in pool) == 20
    assert 0.02 < np.mean([not trace_correct(r.example) for r in pool if not r.error]) < 0.2


def test_the_tokenizer_has_the_shape_of_qwens():
    tokenizer = pocket.load_tokenizer()
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("<|im_start|>think\n").input_ids)
    assert tokens == ["<|im_start|>", "think", "\n"]
    assert len(tokenizer("Wait").input_ids) == 1 and tokenizer.eos_token == "<|im_end|>"
    assert len(tokenizer) < pretrain.VOCABULARY  # padded embedding, as Qwen's
    for kind in pretrain.SHARES:  # pretraining encodes directly
        ids = pretrain.draw(kind, np.random.default_rng(0))
        assert tokenizer(tokenizer.decode(ids)).input_ids == ids


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_base_model_does_what_its_card_says(size):
    """A sample of the skills on the card, within the noise of a smaller sample."""
    from s1lab.pocket.pretrain import measure

    claimed = json.loads((checkpoints.MODELS / size / "skills.json").read_text())
    assert measure(checkpoints.MODELS / size, count=50) == pytest.approx(claimed, abs=0.15)


def test_pretraining_is_a_function_of_its_recipe(tmp_path):
    tiny = {"hidden_size": 32, "intermediate_size": 32, "layers": 1, "steps": 3, "batch_size": 1}
    recipe = replace(pretrain.RECIPES["small"], **tiny, warmup=1)
    one, two = (pretrain.pretrain(recipe, tmp_path / n, progress=False) for n in ("one", "two"))
    for name in ("model/model.safetensors", "log.jsonl"):
        assert (one.parent / name).read_bytes() == (two.parent / name).read_bytes()
