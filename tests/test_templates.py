"""Delimiters and prompts are the same for training and inference, and exact."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from s1core.errors import InputError

from s1core import templates
from s1core.records import Trace
from tests.helpers import CHATML, tiny_tokenizer


def test_the_s1_prompt_is_chatml_then_the_think_delimiter():
    tokenizer = tiny_tokenizer()
    ids = templates.prompt_ids("s1", tokenizer, "Use 3 4 to make 7")
    assert tokenizer.decode(ids) == (
        "<|im_start|>user\nUse 3 4 to make 7<|im_end|>\n<|im_start|>assistant\n<|im_start|>think\n"
    )


def test_a_system_prompt_comes_first():
    tokenizer = tiny_tokenizer()
    ids = templates.prompt_ids("s1", tokenizer, "yes?", system="Think")
    assert tokenizer.decode(ids).startswith("<|im_start|>system\nThink<|im_end|>\n<|im_start|>user")


def test_a_direct_answer_is_asked_without_thinking():
    tokenizer = tiny_tokenizer()
    ids = templates.answer_prompt_ids("s1", tokenizer, "yes?")
    assert tokenizer.decode(ids).endswith("<|im_start|>assistant\n")
    thinking = templates.prompt_ids("s1", tokenizer, "yes?")
    assert thinking == ids + templates.encode(tokenizer, "<|im_start|>think\n")


def test_training_supervises_exactly_what_inference_forces():
    tokenizer = tiny_tokenizer()
    delimiters = templates.resolve("s1", tokenizer)
    ids = templates.assistant_ids("s1", tokenizer, Trace("3 + 4 = 7 yes", "3 + 4"))
    assert tokenizer.decode(ids) == (
        "<|im_start|>think\n3 + 4 = 7 yes\n<|im_start|>answer\n3 + 4<|im_end|>"
    )
    start, end = delimiters.think_start_ids, delimiters.think_end_ids
    assert tuple(ids[: len(start)]) == start
    assert any(tuple(ids[i : i + len(end)]) == end for i in range(len(ids)))
    assert ids[-1] in delimiters.eos_ids


def test_a_chat_template_that_opens_thinking_is_not_opened_twice():
    import copy

    opened = copy.deepcopy(tiny_tokenizer())
    opened.chat_template = CHATML.replace("assistant\n", "assistant\n<think>\n")
    text = opened.decode(templates.prompt_ids("deepseek-r1", opened, "yes?"))
    assert text.count("<think>") == 1 and text.endswith("<think>\n")
    direct = opened.decode(templates.answer_prompt_ids("deepseek-r1", opened, "yes?"))
    assert "<think>" not in direct


@pytest.mark.parametrize("name", ["s1", "deepseek-r1", "qwen3"])
def test_thinking_ends_at_the_delimiter_or_an_end_of_turn(name):
    tokenizer = tiny_tokenizer()
    delimiters = templates.resolve(name, tokenizer)
    assert delimiters.end_of_thinking_ids == delimiters.eos_ids | {delimiters.think_end_ids[0]}
    eos = {tokenizer.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|endoftext|>")}
    assert delimiters.eos_ids == eos


def test_a_template_that_does_not_fit_names_those_that_do():
    import copy

    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.get_vocab = lambda: {"<|im_start|>": 1, "<|im_end|>": 2}
    with pytest.raises(
        InputError, match="this model has no <think> and no </think>.*pick one of s1"
    ):
        templates.resolve("deepseek-r1", tokenizer)
    tokenizer.get_vocab = dict
    with pytest.raises(InputError, match="this model has no .*no known template fits it"):
        templates.resolve("s1", tokenizer)


def sky_t1_tokenizer():
    """A tokenizer to which Sky-T1's markers were added, as a fine-tune of it may do."""
    import copy

    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.add_tokens(["<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>"])
    return tokenizer


def test_sky_t1_thinks_and_answers_between_its_own_markers():
    tokenizer = sky_t1_tokenizer()
    delimiters = templates.resolve("sky-t1", tokenizer)
    assert tokenizer.decode(delimiters.think_start_ids) == "<|begin_of_thought|>\n\n"
    assert tokenizer.decode(delimiters.think_end_ids) == (
        "<|end_of_thought|>\n\n<|begin_of_solution|>\n\n"
    )
    (end,) = tokenizer.encode("<|end_of_thought|>")
    assert delimiters.end_of_thinking_ids == delimiters.eos_ids | {end}
    text = tokenizer.decode(templates.prompt_ids("sky-t1", tokenizer, "yes?"))
    assert text.startswith("<|im_start|>system\nYour role as an assistant")
    assert text.endswith("<|im_start|>assistant\n<|begin_of_thought|>\n\n")


def test_sky_t1_markers_that_are_plain_text_to_the_tokenizer_are_refused():
    """The released Sky-T1 checkpoints keep Qwen2.5's tokenizer, which spells the markers out."""
    with pytest.raises(InputError, match="this model has no <.begin_of_thought.>.*pick one of"):
        templates.resolve("sky-t1", tiny_tokenizer())


def test_an_unknown_template_lists_the_known_ones():
    with pytest.raises(InputError, match="no template 'gpt'; pick one of s1, deepseek-r1"):
        templates.get("gpt")


def test_a_tokenizer_without_chat_template_is_refused_clearly():
    import copy

    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        templates.prompt_ids("s1", tokenizer, "yes?")


@pytest.fixture(scope="module")
def qwen_tokenizer():
    """The real Qwen tokenizer, from the folder named by `S1CORE_QWEN_TOKENIZER`."""
    folder = Path(os.environ.get("S1CORE_QWEN_TOKENIZER", ""))
    if not os.environ.get("S1CORE_QWEN_TOKENIZER") or not (folder / "tokenizer.json").exists():
        pytest.skip("set S1CORE_QWEN_TOKENIZER to a folder with Qwen's tokenizer.json")
    from transformers import PreTrainedTokenizerFast

    config = json.loads((folder / "tokenizer_config.json").read_text())
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=config.get("chat_template", CHATML),
    )


def test_ids_of_the_real_qwen_tokenizer(qwen_tokenizer):
    s1 = templates.resolve("s1", qwen_tokenizer)
    assert s1.think_start_ids == (151644, 26865, 198)
    assert s1.think_end_ids == (151644, 9217, 198)
    assert s1.end_of_thinking_ids == {151643, 151644, 151645}
    assert s1.newline_ids == (198,)
    assert templates.encode(qwen_tokenizer, "Wait") == [14190]
    qwen3 = templates.resolve("qwen3", qwen_tokenizer)
    assert qwen3.think_start_ids == (151667, 198)
    assert qwen3.think_end_ids == (151668, 271)
    assert qwen3.end_of_thinking_ids == {151643, 151645, 151668}
    # Sky-T1's checkpoints have this vocabulary without added tokens: `<`, `|`, `end`, ...
    assert len(templates.encode(qwen_tokenizer, "<|end_of_thought|>")) > 1
    with pytest.raises(InputError, match="pick one of s1"):
        templates.resolve("sky-t1", qwen_tokenizer)
