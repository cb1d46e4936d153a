"""The official loops, request by request, and where each parts from the specification."""

import pytest

from s1core.errors import InputError
from s1core.records import Problem
from s1lab.official import loops as compat
from s1lab.official.loops import LoopCrash, LoopEngine, Output
from tests.helpers import tiny_tokenizer
from tests.scripted import ScriptedBackend

CHAT = "<|im_start|>user\nyes?<|im_end|>\n<|im_start|>assistant\n"


class Replay:
    """An engine that answers from a list; lengths are what the loops look at."""

    def __init__(self, *texts: str, context_length: int = 32_768):
        self.tokenizer, self.context_length = tiny_tokenizer(), context_length
        self.texts = list(texts)
        self.requests = []

    def generate(self, requests):
        if not requests:
            raise LoopCrash("empty batch")
        self.requests += requests
        return [self._output(request) for request in requests]

    def _output(self, request):
        ids = self.tokenizer.encode(self.texts.pop(0))[: request.max_tokens]
        stops = {*request.stop_token_ids, *map(self.tokenizer.convert_tokens_to_ids, request.stop)}
        stopped = bool(ids) and ids[-1] in stops
        text = self.tokenizer.decode(ids[:-1] if stopped else ids)
        return Output(tuple(ids), text, "stop" if stopped else "length")


def ids(text: str) -> list[int]:
    return tiny_tokenizer().encode(text)


IM_START, IM_END = ids("<|im_start|>")[0], ids("<|im_end|>")[0]


THINK = CHAT + "<|im_start|>think"


def test_the_readme_makes_these_requests():
    engine = Replay("yes yes<|im_start|>", " no<|im_end|>", "<|im_start|>answer\n7<|im_end|>")
    result = compat.strings(engine, CHAT, 20, 1)
    assert [(r.prompt, r.max_tokens, r.min_tokens) for r in engine.requests] == [
        (THINK, 20, 0),
        (THINK + "yes yesWait", 16, 1),
        (THINK + "yes yesWait no", 32_768, 0),
    ]
    assert [set(r.stop_token_ids) for r in engine.requests] == [{IM_START, IM_END}] * 2 + [{IM_END}]
    assert result.answer == "<|im_start|>answer\n7"


def test_the_readme_shrinks_what_is_left_and_forces_nothing():
    for texts, most, waits, left, thinking in (
        # The stop token is subtracted, the Wait is not.
        ("yes<|im_start|> no<|im_start|> no<|im_start|> 7", 10, 2, [10, 8, 6], "yesWaitnoWaitno"),
        # A round is skipped when nothing is left, and no delimiter or cue is forced.
        ("yesyesyesyes yesyes<|im_end|>", 3, 3, [3], "yesyesyes"),
    ):
        result = compat.strings(engine := Replay(*texts.split()), CHAT, most, waits)
        assert [r.max_tokens for r in engine.requests] == [*left, 32_768]
        assert result.waits == len(left) - 1
        assert result.final_prompt == THINK + thinking


def test_the_script_gives_every_round_all_the_tokens_and_waits_even_after_a_cut():
    engine = Replay("yes", "no<|im_start|>", "7<|im_end|>")  # The first output has no stop: a cut.
    compat.strings(engine, CHAT, 32_768, shrinks=False)
    assert [r.max_tokens for r in engine.requests] == [32_768] * 3
    assert engine.requests[1].prompt.endswith("thinkyesWait")


def harness(engine, *prompts, **settings):
    return compat.harness(engine, [ids(p) for p in prompts], **settings)


WAIT = {"thinking_n_ignore": 1, "thinking_n_ignore_str": "Wait"}


def test_the_harness_without_waits_stops_at_strings_and_appends_the_delimiter():
    engine = Replay("yes\n<|im_start|>", "\n7<|im_end|>")
    (result,) = harness(engine, CHAT, max_tokens_thinking=9, max_gen_toks=50)
    first, last = engine.requests
    assert set(first.stop) == {"<|im_start|>", "<|im_end|>"} and not first.stop_token_ids
    assert (first.max_tokens, first.min_tokens, last.max_tokens) == (9, 0, 50)
    assert list(result.final_prompt) == ids(THINK) + ids("yes\n") + ids("<|im_start|>answer")
    assert result.answer == "\n7"


@pytest.mark.parametrize(("cut", "newline"), [("yes yes", "\n"), ("yes yes\n", "")])
def test_the_harness_cues_a_trace_that_was_cut(cut, newline):
    engine = Replay(cut, "7<|im_end|>")
    (result,) = harness(engine, CHAT, max_tokens_thinking=len(ids(cut)))
    tail = ids(cut) + ids(newline) + ids("<|im_start|>answer\nFinal Answer:")
    assert list(result.final_prompt) == ids(THINK) + tail


def test_each_round_of_the_harness_has_the_whole_cap_and_ids_are_cut_but_not_the_text():
    engine = Replay("yes yes yes<|im_start|>", " no no no<|im_start|>", "7<|im_end|>")
    (result,) = harness(engine, CHAT, max_tokens_thinking=7, **WAIT)
    assert [(r.max_tokens, r.min_tokens) for r in engine.requests[:2]] == [(7, 1)] * 2
    assert list(result.thinking_ids) == ids("yes yes yesWait no no no")[:7]
    assert result.thinking == "yes yes yesWait no no no"
    # It was cut, but since its last round stopped by itself it gets no cue.
    assert list(result.final_prompt)[-2:] == ids("<|im_start|>answer")


def test_a_sequence_that_runs_to_the_cap_leaves_the_harness_early():
    engine = Replay("yes yes", "no<|im_start|>", "no<|im_start|>", "7<|im_end|>", "8<|im_end|>")
    cut, waited = harness(engine, CHAT, CHAT, max_tokens_thinking=3, **WAIT)
    assert (cut.waits, waited.waits) == (0, 1)
    assert list(cut.final_prompt)[-3:] == ids("Final Answer:")[-3:]
    assert (cut.answer, waited.answer) == ("7", "8")
    with pytest.raises(LoopCrash, match="empty batch"):  # every sequence left
        harness(Replay("yes yes", "yes yes"), CHAT, CHAT, max_tokens_thinking=2, **WAIT)


def test_without_a_string_the_harness_only_resubmits_and_stop_strings_are_one_token():
    with pytest.raises(InputError, match="'Question:' as one token"):
        compat._ids(tiny_tokenizer(), ["<|im_end|>", "Question:"])
    engine = Replay("yes<|im_start|>", " no<|im_start|>", "7<|im_end|>")
    (result,) = harness(engine, CHAT, max_tokens_thinking=50, thinking_n_ignore=1)
    assert list(engine.requests[1].prompt)[-1:] == ids("yes") and result.thinking == "yes no"


def test_auto_is_what_the_longest_prompt_of_the_batch_leaves():
    said = ("a<|im_start|>", "b<|im_start|>", "7<|im_end|>", "8<|im_end|>")
    longer = "yes" * 10 + CHAT
    engine = Replay(*said, context_length=1000)
    harness(engine, CHAT, longer)
    overhead = len(ids("<|im_start|>think")) + len(ids("<|im_start|>answer\nFinal Answer:"))
    assert {r.max_tokens for r in engine.requests[:2]} == {1000 - len(ids(longer)) - overhead - 100}


@pytest.mark.parametrize("loop", ["readme", "generate", "harness"])
def test_a_loop_gives_generations_that_can_be_graded(loop):
    def scripted(context):
        thinking = tiny_tokenizer().decode(context).split("<|im_start|>think")[1]
        if "answer" in thinking:
            return [*ids("\n7"), IM_END][len(ids(thinking.split("answer")[1]))]
        if "<|im_start|>" in thinking:
            return ids("answer")[0]
        said = thinking.endswith(("yes", "no"))
        return IM_START if said else ids("no" if "Wait" in thinking else "yes")[0]

    backend = ScriptedBackend(tiny_tokenizer(), scripted, context_length=10**6)
    (generation,) = compat.run(loop, backend, [Problem("yes?", "7")], 30, max_answer=30)
    assert (generation.thinking, generation.waits_used) == ("yesWaitno", 1)
    assert generation.answer.strip() == "7"


def test_a_request_ends_with_the_context_and_a_prompt_that_fills_it_is_refused():
    """The loops ask for 32,768 tokens whatever the model holds; vLLM stops at its context."""
    backend = ScriptedBackend(tiny_tokenizer(), lambda context: 30, context_length=20)
    engine = LoopEngine(backend)
    (output,) = engine.generate([compat.LoopRequest(tuple(range(10, 17)), 32_768)])
    assert (len(output.token_ids), output.finish_reason) == (13, "length")
    with pytest.raises(LoopCrash, match="a prompt of 20 tokens"):
        engine.generate([compat.LoopRequest(tuple(range(20)), 5)])
