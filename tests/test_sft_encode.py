"""Encoding and packing: exactly what is supervised, and what a sequence length does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1core.errors import InputError
from s1core.records import Example, Problem, Trace
from s1core.sft import SFTConfig, encode
from s1core.sft.encode import IGNORE, pack, plan_step


def example(thinking: str = "a b\nc", attempt: str = "9", question: str = "Use 3 7") -> Example:
    return Example(Problem(question, "9"), Trace(thinking, attempt))


def test_everything_after_the_assistant_header_is_supervised_and_nothing_before(
    tiny_tokenizer: Any,
) -> None:
    (encoded,) = encode([example()], tiny_tokenizer).examples
    taught = [i for i, label in enumerate(encoded.labels) if label != IGNORE]
    text = tiny_tokenizer.decode([encoded.token_ids[i] for i in taught])
    masked = tiny_tokenizer.decode(encoded.token_ids[: taught[0]])
    assert masked == "<|im_start|>user\nUse 3 7<|im_end|>\n<|im_start|>assistant\n"
    assert text == "<|im_start|>think\na b\nc\n<|im_start|>answer\n9<|im_end|>"
    assert taught == list(range(taught[0], len(encoded.token_ids)))
    assert all(encoded.labels[i] == encoded.token_ids[i] for i in taught)


@pytest.mark.slow
def test_labels_are_those_of_trl_with_completion_only_loss(
    tiny_tokenizer: Any, tiny_model: Any, tmp_path: Path
) -> None:
    """The oracle: another trainer, given prompt and completion as text."""
    pytest.importorskip("trl", reason="TRL is the oracle: pip install trl")
    from datasets import Dataset
    from trl import SFTConfig as TRLConfig
    from trl import SFTTrainer

    rows = [example(), example("a b c " * 9, "1 2", "Use 4 4")]
    chats = [
        tiny_tokenizer.apply_chat_template(
            [{"role": "user", "content": row.problem.question}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for row in rows
    ]
    turns = [
        f"<|im_start|>think\n{row.trace.thinking}\n<|im_start|>answer\n{row.trace.attempt}<|im_end|>"
        for row in rows
    ]
    for length in (512, 40):
        args = TRLConfig(
            str(tmp_path), max_length=length, completion_only_loss=True, bf16=False, use_cpu=True
        )
        data = Dataset.from_dict({"prompt": chats, "completion": turns})
        trainer = SFTTrainer(tiny_model, args, train_dataset=data, processing_class=tiny_tokenizer)
        batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
        ours = encode(rows, tiny_tokenizer, max_seq_len=length)
        for i, encoded in enumerate(ours.examples):
            size = len(encoded.token_ids)
            assert batch["input_ids"][i][:size].tolist() == list(encoded.token_ids)
            assert batch["labels"][i][:size].tolist() == list(encoded.labels)
            assert set(batch["labels"][i][size:].tolist()) <= {IGNORE}


def test_the_prompt_is_the_one_that_inference_uses(tiny_tokenizer: Any) -> None:
    from s1core import templates

    (encoded,) = encode([example()], tiny_tokenizer).examples
    prompt = templates.prompt_ids("s1", tiny_tokenizer, "Use 3 7")
    assert list(encoded.token_ids[: len(prompt)]) == prompt


def test_a_cut_is_counted_by_what_it_costs(tiny_tokenizer: Any) -> None:
    whole = encode([example(attempt="1 2 3 4")], tiny_tokenizer).examples[0]
    length = len(whole.token_ids)
    answer = tiny_tokenizer.convert_ids_to_tokens(list(whole.token_ids)).index("answer") + 2
    within = encode([example(attempt="1 2 3 4")], tiny_tokenizer, max_seq_len=length - 1)
    before = encode([example(attempt="1 2 3 4")], tiny_tokenizer, max_seq_len=answer)
    first = encode([example(attempt="1 2 3 4")], tiny_tokenizer, max_seq_len=answer + 1)
    assert (within.truncated, within.answers_cut, within.answers_lost) == (1, 1, 0)
    assert (before.truncated, before.answers_cut, before.answers_lost) == (1, 0, 1)
    assert (first.answers_cut, first.answers_lost) == (1, 0)
    assert len(within.examples[0].token_ids) == length - 1
    assert within.examples[0].full_length == length
    assert "1 were cut (100%)" in within.report()


def test_a_too_long_example_is_refused_by_name_or_dropped_with_a_reason(
    tiny_tokenizer: Any,
) -> None:
    rows = [example(), example("a " * 100, question="Use 1 2")]
    with pytest.raises(InputError, match=f"{rows[1].key} is too long .* 60 allowed"):
        encode(rows, tiny_tokenizer, max_seq_len=60, on_too_long="error")
    left = encode(rows, tiny_tokenizer, max_seq_len=60, on_too_long="drop")
    assert [e.key for e in left.examples] == [rows[0].key]
    assert left.dropped[0][0] == rows[1].key
    assert "too long" in left.dropped[0][1]


def test_an_empty_dataset_and_a_dataset_of_prompts_alone_are_refused(tiny_tokenizer: Any) -> None:
    with pytest.raises(InputError, match="dataset is empty"):
        encode([], tiny_tokenizer)
    with pytest.raises(InputError, match="all 1 examples were dropped.*raise max_seq_len"):
        encode([example()], tiny_tokenizer, max_seq_len=4)


# ----------------------------------------------------------------------------------- packing

heavy_tail = np.clip(np.random.default_rng(0).lognormal(4.4, 0.9, 1000), 20, 850).astype(int)


@given(st.lists(st.integers(1, 50), max_size=60))
@settings(deadline=None)
def test_every_example_is_packed_once_and_no_row_overflows(lengths: list[int]) -> None:
    rows = pack(lengths, 50)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= 50 for row in rows)
    # best fit opens a row only when no other has room: at most one row is at most half full
    assert sum(2 * sum(lengths[i] for i in row) <= 50 for row in rows) <= 1


def test_packing_by_hand() -> None:
    assert pack([6, 5, 4, 3, 2], 10) == [[0, 2], [1, 3, 4]]
    rows = plan_step([5, 4, 3, 3, 3], SFTConfig(micro_batch_tokens=8), processes=2)
    assert rows == [[[0, 3], []], [[1, 2], [4]]]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=16), st.integers(1, 4), st.booleans())
@settings(deadline=None)
def test_a_step_gives_every_process_the_same_number_of_passes(
    lengths: list[int], processes: int, packing: bool
) -> None:
    plan = plan_step(lengths, SFTConfig(micro_batch_tokens=64, packing=packing), processes)
    assert len(plan) == processes
    assert len({len(passes) for passes in plan}) == 1
    assert sorted(i for passes in plan for row in passes for i in row) == list(range(len(lengths)))


# ------------------------------------------------------------------------------------ recipe


def test_the_paper_makes_315_steps() -> None:
    assert SFTConfig().total_steps(1000) == 315


NAN, INFINITE = float("nan"), float("inf")
WRONG = {
    **dict.fromkeys(("epochs", "batch_size"), (0, -1, 1.5, "3", True, None, 10**12, NAN)),
    **dict.fromkeys(("seed", "checkpoint_every"), (-1, 2**64, 0.5, "0", None)),
    **dict.fromkeys(("max_seq_len", "loss_chunk_tokens"), (0, -5, 10**12, 2.0, NAN)),
    **dict.fromkeys(("micro_batch_tokens", "sequence_parallel"), (-1, 10**12, "8", None, NAN)),
    "lr": (0, -1e-5, 1e30, NAN, INFINITE, "1e-5", None, True),
    **dict.fromkeys(("warmup_ratio", "weight_decay"), (-0.1, 2, NAN, INFINITE, "0.1", None)),
    **dict.fromkeys(("eps", "max_grad_norm"), (0, -1, NAN, INFINITE, 1e300, "1")),
    "betas": ((0.9,), (0.9, 1.0), (0.9, NAN), (-0.1, 0.9), 0.9, "0.9", [0.9, 0.95], ("a", "b")),
    **dict.fromkeys(("packing", "activation_checkpointing"), (1, "yes", None)),
    "dtype": ("float8", None, 16),
    "on_too_long": ("cut", "", None),
    "template": (None, 3),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_settings_that_cannot_be_meant_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name} must be .* \(SFTConfig\)$"):
        SFTConfig(**{name: value})


def test_nothing_trains_on_an_empty_part_in_silence(tiny_tokenizer: Any) -> None:
    whole = example(question="Use 9")
    rows = [whole, example(attempt=" "), example(thinking=""), example(question="\n")]
    left = encode(rows, tiny_tokenizer)
    assert [row.key for row in left.examples] == [whole.key]
    assert "3 dropped: 1 without an answer, 1 without a thought, 1 without a" in left.report()
    for wrong in (None, 3, ["9"]):
        with pytest.raises(InputError, match="for an answer, which is no text"):
            encode([example(attempt=wrong)], tiny_tokenizer)  # type: ignore[arg-type]
