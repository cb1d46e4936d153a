"""Delimiters and prompts are the same for training and inference, and exact."""

import copy
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from s1core import templates
from s1core.checkpoints import load_tokenizer
from s1core.errors import InputError
from s1core.forcing import Budget, Machine
from s1core.forcing.budget import rules
from s1core.records import Trace
from tests.helpers import CHATML, cases, tiny_model, tiny_tokenizer


def changed(added: tuple[str, ...] = (), special: bool = True, **attributes: object):
    """The tiny tokenizer with further tokens and other attributes."""
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.add_tokens(list(added), special_tokens=special)
    for name, value in attributes.items():
        setattr(tokenizer, name, value)
    return tokenizer


def test_a_prompt_is_chatml_then_the_think_delimiter_and_a_direct_answer_has_none():
    tokenizer = tiny_tokenizer()
    turns = "<|im_start|>user\nUse 3 4 to make 7<|im_end|>\n<|im_start|>assistant\n"
    ids = templates.prompt_ids("s1", tokenizer, "Use 3 4 to make 7")
    assert tokenizer.decode(ids) == turns + "<|im_start|>think\n"
    direct = templates.prompt_ids("s1", tokenizer, "Use 3 4 to make 7", thinking=False)
    assert tokenizer.decode(direct) == turns
    ids = templates.prompt_ids("s1", tokenizer, "yes?", system="Think")
    assert tokenizer.decode(ids).startswith("<|im_start|>system\nThink<|im_end|>\n<|im_start|>user")


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
    steps = Trace("<|im_start|>4 steps left\nyes", "no")  # whose headers are real, too
    ids = templates.assistant_ids("s1", tokenizer, steps)
    assert ids.count(tokenizer.encode("<|im_start|>")[0]) == 3


def test_a_chat_template_that_opens_thinking_is_not_opened_twice():
    opened = changed(chat_template=CHATML.replace("assistant\n", "assistant\n<think>\n"))
    text = opened.decode(templates.prompt_ids("deepseek-r1", opened, "yes?"))
    assert text.count("<think>") == 1 and text.endswith("<think>\n")
    direct = opened.decode(templates.prompt_ids("deepseek-r1", opened, "yes?", thinking=False))
    assert "<think>" not in direct


@pytest.mark.parametrize("name", ["s1", "deepseek-r1", "qwen3"])
def test_thinking_ends_at_the_delimiter_or_an_end_of_turn(name):
    tokenizer = tiny_tokenizer()
    delimiters = templates.resolve(name, tokenizer)
    assert delimiters.end_of_thinking_ids == delimiters.eos_ids | {delimiters.think_end_ids[0]}
    eos = {tokenizer.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|endoftext|>")}
    assert delimiters.eos_ids == eos


def test_a_template_that_does_not_fit_names_those_that_do():
    with pytest.raises(InputError, match="no <think> and no </think>.*pick one of s1"):
        templates.resolve("deepseek-r1", load_tokenizer("pocket-s1"))
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(InputError, match="this model has no .*no known template fits it"):
        templates.resolve("s1", bare)
    with pytest.raises(InputError, match="no template 'gpt'; pick one of s1, deepseek-r1"):
        templates.get("gpt")
    with pytest.raises(InputError, match="no chat template"):
        templates.prompt_ids("s1", changed(chat_template=None), "yes?")


def test_sky_t1_thinks_and_answers_between_markers_that_are_tokens():
    """The released Sky-T1 checkpoints keep Qwen2.5's tokenizer, which spells the markers out."""
    with pytest.raises(InputError, match="this model has no <.begin_of_thought.>.*pick one of"):
        templates.resolve("sky-t1", tiny_tokenizer())
    names = ("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>")
    tokenizer = changed(names, special=False)
    delimiters = templates.resolve("sky-t1", tokenizer)
    assert tokenizer.decode(delimiters.think_start_ids) == "<|begin_of_thought|>\n\n"
    assert tokenizer.decode(delimiters.think_end_ids) == (
        "<|end_of_thought|>\n\n<|begin_of_solution|>\n\n"
    )
    text = tokenizer.decode(templates.prompt_ids("sky-t1", tokenizer, "yes?"))
    assert text.startswith("<|im_start|>system\nYour role as an assistant")
    assert text.endswith("<|im_start|>assistant\n<|begin_of_thought|>\n\n")


NAMES = ["<end_of_turn>", "<|eom_id|>", "<|return|>", "<|eot_id|>", "<|end_of_text|>", "<turn|>"]


@pytest.mark.parametrize("declared", [60, [60], [60, 61, 2], None, []])
def test_an_end_of_turn_is_known_by_the_generation_settings(tmp_path, declared):
    model = copy.deepcopy(tiny_model())
    model.generation_config.eos_token_id = declared
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    eos = templates.resolve("s1", load_tokenizer(tmp_path)).eos_ids
    more = declared if isinstance(declared, list) else [declared] if declared else []
    assert eos == templates.resolve("s1", tiny_tokenizer()).eos_ids | {*more}


def test_the_templates_own_end_ends_a_turn_and_is_what_is_trained():
    chat = CHATML.replace("<|im_end|>", "<|fin|>")
    tokenizer = changed(("<|fin|>",), chat_template=chat, eos_token="<|endoftext|>")
    (end,) = tokenizer.encode("<|fin|>")
    assert end in templates.resolve("s1", tokenizer).eos_ids
    assert templates.assistant_ids("s1", tokenizer, Trace("yes", "no"))[-1] == end


@pytest.mark.parametrize("special", [True, False])
def test_an_end_of_turn_is_known_by_its_name_and_in_a_thought_replaced_by_wait(special):
    tokenizer = changed(tuple(NAMES), special, declared_ends=(60,))
    delimiters = templates.resolve("s1", tokenizer)
    compiled = rules(Budget(40, num_ignore=1, max_answer=9), delimiters, tokenizer)
    ends = [*(tokenizer.encode(name)[0] for name in (*NAMES, "<|im_end|>", "<|endoftext|>")), 60]
    assert delimiters.eos_ids >= {*ends} and delimiters.end_of_thinking_ids >= {*ends}
    for end in ends:
        machine = Machine(compiled, (1,), 400)
        assert machine.take([70, end]) == tokenizer.encode("Wait") and machine.waits_used == 1


SPELLED = ["<|im_end|>", "<|im_start|>", "<|im_start|>answer\n", "<think>", "</think>\n"]
SPELLED += ["<|endoftext|>"]


spelled = st.lists(st.sampled_from([*"yes <|>\n\ue000", *SPELLED, "<|im_"]), max_size=9)


@given(spelled.map("".join), st.sampled_from(["s1", "qwen3", "deepseek-r1"]))
def test_control_tokens_that_a_question_or_a_trace_spells_out_stay_text(text, name):
    tokenizer = tiny_tokenizer()
    controls = set(tokenizer.all_special_ids) - {tokenizer.encode("\ue000")[0]}

    def counted(ids):
        return [token for token in ids if token in controls]

    asked = templates.prompt_ids(name, tokenizer, text)
    assert counted(asked) == counted(templates.prompt_ids(name, tokenizer, "yes"))
    turn = templates.assistant_ids(name, tokenizer, Trace(f"{text} no", f"{text} no"))
    plain = templates.assistant_ids(name, tokenizer, Trace("yes no", "yes no"))
    assert counted(turn) == counted(plain)
    if "\ue000" not in text:  # which this tokenizer does not know
        assert text.strip() in tokenizer.decode(asked)
        assert tokenizer.decode(turn).count(f"{text} no".strip()) >= 2


def test_a_template_with_todays_date_is_told_the_same_day_every_day():
    dated = changed(chat_template="{{ strftime_now('%d %b %Y') }}" + CHATML)
    text = dated.decode(templates.prompt_ids("s1", dated, "yes"))
    assert "31" in text and "2025" in text.replace(" ", "")


@pytest.mark.parametrize("template", cases("templates")["failing"])
def test_a_chat_template_that_fails_is_one_sentence(template):
    with pytest.raises(InputError, match="chat template does not take") as error:
        templates.prompt_ids("s1", changed(chat_template=template), "yes", system="Think")
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(InputError, match="not Unicode"):
        templates.prompt_ids("s1", tiny_tokenizer(), "yes \udcff")


def test_ids_of_the_real_qwen_tokenizer():
    folder = os.environ.get("S1CORE_QWEN_TOKENIZER")
    if not folder or not Path(folder, "tokenizer.json").exists():
        pytest.skip("set S1CORE_QWEN_TOKENIZER to a folder with Qwen's tokenizer.json")
    tokens = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": CHATML}
    qwen = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", **tokens)
    s1, qwen3 = (templates.resolve(name, qwen) for name in ("s1", "qwen3"))
    assert (s1.think_start_ids, s1.newline_ids) == ((151644, 26865, 198), (198,))
    assert s1.think_end_ids == (151644, 9217, 198)
    assert s1.end_of_thinking_ids == {151643, 151644, 151645}
    assert templates.encode(qwen, "Wait") == [14190]
    assert (qwen3.think_start_ids, qwen3.think_end_ids) == ((151667, 198), (151668, 271))
    assert qwen3.end_of_thinking_ids == {151643, 151645, 151668}
    # Sky-T1's checkpoints have this vocabulary without added tokens: `<`, `|`, `end`, ...
    assert len(templates.encode(qwen, "<|end_of_thought|>")) > 1
    with pytest.raises(InputError, match="pick one of s1"):
        templates.resolve("sky-t1", qwen)
