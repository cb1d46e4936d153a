"""Encoding and packing: exactly what is supervised, and what a sequence length does to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s1core import templates
from s1core.errors import InputError
from s1core.records import Example, Problem, Trace
from s1core.sft import SFTConfig, encode
from s1core.sft.encode import IGNORE, pack, plan_step
from tests.helpers import table, tiny_tokenizer

CASES = table("sft.yaml")


def example(thinking: str = "a b\nc", attempt: str = "9", question: str = "Use 3 7") -> Example:
    return Example(Problem(question, "9"), Trace(thinking, attempt))


def test_everything_after_the_assistant_header_is_supervised_and_nothing_before():
    (encoded,) = encode([example()], tiny_tokenizer()).examples
    taught = [i for i, label in enumerate(encoded.labels) if label != IGNORE]
    text = tiny_tokenizer().decode([encoded.token_ids[i] for i in taught])
    masked = tiny_tokenizer().decode(encoded.token_ids[: taught[0]])
    assert masked == "<|im_start|>user\nUse 3 7<|im_end|>\n<|im_start|>assistant\n"
    assert text == "<|im_start|>think\na b\nc\n<|im_start|>answer\n9<|im_end|>"
    assert encoded.labels[taught[0] :] == encoded.token_ids[taught[0] :]
    prompt = templates.prompt_ids("s1", tiny_tokenizer(), "Use 3 7")  # as inference has it
    assert list(encoded.token_ids[: len(prompt)]) == prompt


def test_a_cut_is_counted_by_what_it_costs():
    rows = [example(attempt="1 2 3 4")]
    whole = encode(rows, tiny_tokenizer()).examples[0].token_ids
    answer = tiny_tokenizer().convert_ids_to_tokens(list(whole)).index("answer") + 2
    for length, cut, lost in ((len(whole) - 1, 1, 0), (answer + 1, 1, 0), (answer, 0, 1)):
        encoded = encode(rows, tiny_tokenizer(), max_seq_len=length)
        assert (encoded.truncated, encoded.answers_cut, encoded.answers_lost) == (1, cut, lost)
        assert encoded.examples[0].token_ids == whole[:length]
        assert encoded.examples[0].full_length == len(whole)
        assert "1 were cut (100%)" in encoded.report()


def test_what_is_too_long_is_refused_or_dropped_by_name_and_nothing_left_is_refused():
    rows = [example(), example("a " * 100, question="Use 1 2")]
    with pytest.raises(InputError, match=f"{rows[1].key} is too long .* 60 allowed"):
        encode(rows, tiny_tokenizer(), max_seq_len=60, on_too_long="error")
    left = encode(rows, tiny_tokenizer(), max_seq_len=60, on_too_long="drop")
    assert [e.key for e in left.examples] == [rows[0].key]
    assert left.dropped[0][0] == rows[1].key and "too long" in left.dropped[0][1]
    with pytest.raises(InputError, match="dataset is empty"):
        encode([], tiny_tokenizer())
    with pytest.raises(InputError, match="all 1 examples were dropped.*raise max_seq_len"):
        encode([example()], tiny_tokenizer(), max_seq_len=4)


@given(st.lists(st.integers(1, 50), max_size=60))
def test_every_example_is_packed_once_and_no_row_overflows(lengths):
    rows = pack(lengths, 50)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= 50 for row in rows)
    # best fit opens a row only when no other has room: at most one row is at most half full
    assert sum(2 * sum(lengths[i] for i in row) <= 50 for row in rows) <= 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=16), st.integers(1, 4), st.booleans())
def test_a_step_gives_every_process_the_same_number_of_passes(lengths, processes, packing):
    plan = plan_step(lengths, SFTConfig(micro_batch_tokens=64, packing=packing), processes)
    assert len(plan) == processes
    assert len({len(passes) for passes in plan}) == 1
    assert sorted(i for passes in plan for row in passes for i in row) == list(range(len(lengths)))


@pytest.mark.parametrize("name", CASES["wrong"])
def test_settings_that_cannot_be_meant_are_refused(name):
    pairs = [(0.9,), (0.9, 1.0), (0.9, float("nan")), (-0.1, 0.9), "ab"] * (name == "betas")
    for value in [*CASES["wrong"][name], *pairs]:
        with pytest.raises(InputError, match=rf"^{name}.* must be .* not "):
            SFTConfig(**{name: value})


def test_nothing_trains_on_an_empty_part_in_silence():
    whole = example(question="Use 9")
    rows = [whole, example(attempt=" "), example(thinking=""), example(question="\n")]
    left = encode(rows, tiny_tokenizer())
    assert [row.key for row in left.examples] == [whole.key]
    assert "3 dropped: 1 without an answer, 1 without a thought, 1 without a" in left.report()
