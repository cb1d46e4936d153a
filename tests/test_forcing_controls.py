"""Conditional control, step forcing and rejection sampling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s1core.backends.hf import HFBackend
from s1core.errors import InputError
from s1core.forcing import Budget, controls, generate
from s1core.records import Example, Problem, Trace
from tests.helpers import tiny_model, tiny_tokenizer
from tests.scripted import NativeScriptedBackend, ScriptedBackend

PROBLEMS = [Problem(f"Use {i} 7 to make {i * 3}", "") for i in range(6)]


def test_instructions_follow_the_question_word_for_word():
    ask = controls.instructed
    assert ask("Q?", "tokens", 2048) == "Q?\n\nThink for up to 2048 tokens."
    assert ask("Q?", "steps", 64) == "Q?\n\nThink for up to 64 steps."
    for length in ("short", "long"):
        assert ask("Q?", "class", length).startswith(f"Q?\n\nAnswer after a {length} amount of")
    backend = ScriptedBackend(tiny_tokenizer(), lambda context: tiny_tokenizer().eos_token_id)
    asked = {"ask": lambda p: ask(p.question, "steps", 8)}
    (generation,) = generate(backend, PROBLEMS[:1], Budget(5), **asked)
    assert generation.problem_key == PROBLEMS[0].key  # as without the instruction
    assert "Think for up to 8 steps." in tiny_tokenizer().decode(backend.requests[0][0])


@given(st.integers(1, 10**6))
def test_instructed_sizes_are_the_next_power_of_two(amount):
    size = controls.bucket(amount)
    assert size & (size - 1) == 0 and size / 2 < amount <= size


def test_a_training_example_names_its_length_and_counts_its_steps_down():
    made = controls.step_conditional(Example(Problem("Q?", "1"), Trace("a\n\nb\n\nc", "1")))
    assert made.problem.question == "Q?\n\nThink for up to 4 steps."
    assert made.trace.thinking == (
        "<|im_start|>4 steps left\na\n\n<|im_start|>3 steps left\nb\n\n<|im_start|>2 steps left\nc"
    )
    assert controls.count_steps(made.trace.thinking) == 3 and made.trace.attempt == "1"
    example = Example(Problem("yes?", "1"), Trace("1 + 2 = 3", "1"))
    made = controls.token_conditional(example, tiny_tokenizer())
    assert made.problem.question == "yes?\n\nThink for up to 16 tokens."  # 9 tokens with spaces


def stepper(total: int, words: int = 3):
    """A model that writes `total` steps of some words, counting down, then the answer."""
    tokenizer = tiny_tokenizer()
    steps = "".join(f"<|im_start|>{total - i} steps left\n" + " yes" * words for i in range(total))
    script = tokenizer.encode(steps + "<|im_start|>answer\nUse answer<|im_end|>")

    def policy(context):
        text, said = tokenizer.encode("<|im_start|>think\n"), list(context)
        start = next(i for i in range(len(said), 0, -1) if said[i - len(text) : i] == text)
        return script[len(said) - start]

    return policy, script


def force_steps(backend, steps, max_thinking=200):
    machine = controls.step_machine(tiny_tokenizer(), steps)
    return list(generate(backend, PROBLEMS[:1], Budget(max_thinking), machine=machine))[0]


@pytest.mark.parametrize("kind", [NativeScriptedBackend, ScriptedBackend])
def test_a_model_within_its_steps_is_left_alone_and_one_step_too_many_ends_thinking(kind):
    tokenizer = tiny_tokenizer()
    policy, script = stepper(3)
    generation = force_steps(kind(tokenizer, policy), steps=4)
    # Everything is as the model wrote it, the word "answer" in the answer too.
    assert generation.token_ids() == script[:-1]
    assert controls.count_steps(generation.thinking) == 3
    assert generation.answer == "Use answer"
    assert (generation.outcome, generation.finish_reason) == ("ended", "stop")
    generation = force_steps(kind(tokenizer, stepper(5)[0]), steps=2)
    assert controls.count_steps(generation.thinking) == 2 and generation.outcome == "ended"
    assert generation.token_ids("answer", "forced") == tokenizer.encode("<|im_start|>answer\n")
    generation = force_steps(kind(tokenizer, stepper(9)[0]), 8, max_thinking=12)
    assert (generation.outcome, generation.thinking_tokens) == ("truncated", 12)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_native_and_multi_call_step_forcing_agree(temperature):
    backend = HFBackend(tiny_model(), tiny_tokenizer())
    machine = controls.step_machine(tiny_tokenizer(), 2)
    options = {"machine": machine, "samples": 4, "temperature": temperature}
    native = list(generate(backend, PROBLEMS, Budget(80, max_answer=30), **options))
    calls = list(generate(backend, PROBLEMS, Budget(80, max_answer=30), native=False, **options))
    assert native == calls
    mark = tiny_tokenizer().convert_tokens_to_ids("<|im_start|>")
    assert all(g.token_ids("thinking").count(mark) <= 2 for g in native)


def test_steps_and_waits_do_not_mix():
    backend = ScriptedBackend(tiny_tokenizer(), stepper(3)[0])
    machine = controls.step_machine(tiny_tokenizer(), 4)
    with pytest.raises(InputError, match="takes no Waits"):
        list(generate(backend, PROBLEMS[:1], Budget(9, num_ignore=1), machine=machine))
    with pytest.raises(InputError, match="at least 1"):
        controls.step_machine(tiny_tokenizer(), 0)
