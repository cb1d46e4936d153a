"""Budget forcing as a specification: every invariant of Section 3.1's decoder, against a scripted
model that tries to break it. No tokenizer and no engine here, only ids."""

from dataclasses import replace
from operator import ne

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1core.errors import InputError
from s1core.forcing.budget import Budget, Machine, Rules, rules
from s1core.templates import resolve
from tests.helpers import cases as tables
from tests.helpers import tiny_tokenizer

EOS, END, ANSWER, NEWLINE, CUE, WAIT, HMM, A, B = range(9)
STOPS = frozenset({EOS, END})
PROMPT = (A, B, NEWLINE)


RULES = Rules(
    max_thinking=10, num_ignore=0, min_thinking=0, max_answer=4, ignore_ids=((WAIT,),),
    end_ids=(END, ANSWER, NEWLINE), cue_ids=(CUE, CUE), newline_ids=(NEWLINE,), stops=STOPS,
    eos_ids=(EOS,), header=-1, ends_line=lambda token: token == NEWLINE,
)  # fmt: skip


def make_rules(max_thinking: int, **changes: object) -> Rules:
    return replace(RULES, max_thinking=max_thinking, **changes)


def decode(the_rules: Rules, model, context: int = 10_000, can_suppress: bool = True) -> Machine:
    """Step a machine one token at a time; `model` maps the number of draws to a token."""
    machine = Machine(the_rules, PROMPT, context)
    machine.start()
    while not machine.finished:
        assert machine.room > 0, "an unfinished machine must allow a token"
        token = model(machine.draws)
        if machine.suppress and can_suppress and token in STOPS:
            token = A
        machine.take([token])
    return machine


def says(*script: int, then: int = A):
    return lambda draw: script[draw] if draw < len(script) else then


def reference(r: Rules, model, context: int) -> tuple[list[int], list[int], list[int], str, int]:
    """The specification again, as one plain loop: (thinking, closing, answer, outcome, Waits)."""
    thinking, waits, draws, suppress = [], 0, 0, False
    longest = len(r.newline_ids) + len(r.end_ids) + len(r.cue_ids)
    by_context = max(0, context - len(PROMPT) - longest - r.max_answer)
    cap = min(r.max_thinking, by_context)
    while True:
        if len(thinking) == cap:
            line_ended = r.ends_line(thinking[-1] if thinking else PROMPT[-1])
            closing = [*([] if line_ended else r.newline_ids), *r.end_ids, *r.cue_ids]
            outcome = "truncated" if r.max_thinking <= by_context else "context"
            break
        token = model(draws)
        if suppress and token in r.stops:
            token = A
        draws, suppress = draws + 1, False
        if token not in r.stops:
            thinking.append(token)
            continue
        wait = list(r.ignore_ids[waits % len(r.ignore_ids)])
        wanted = waits < r.num_ignore or len(thinking) < r.min_thinking
        if wanted and len(thinking) + len(wait) <= cap:
            thinking, waits, suppress = thinking + wait, waits + 1, not wait
            continue
        closing, outcome = list(r.end_ids), "ended"
        break
    room = min(r.max_answer, context - len(PROMPT) - len(thinking) - len(closing))
    answer = [model(draws + i) for i in range(room)]
    ends = [i for i, token in enumerate(answer) if token in r.eos_ids]
    ends += [i for i, t in enumerate(answer) if t == r.header and answer[i + 1 : i + 2] != [ANSWER]]
    return thinking, closing, answer[: min(ends, default=room)], outcome, waits


@st.composite
def adversaries(draw: st.DrawFn):
    """Models that end at once, never end, end twice, sample only stops, or babble."""
    script = draw(st.lists(st.sampled_from([EOS, END, ANSWER, NEWLINE, CUE, WAIT, A]), max_size=40))
    return says(*script, then=draw(st.sampled_from([A, EOS, END, NEWLINE, WAIT])))


@st.composite
def rule_sets(draw: st.DrawFn) -> Rules:
    max_thinking = draw(st.integers(0, 30))
    ignore = st.lists(st.sampled_from([WAIT, HMM, NEWLINE]), max_size=4).map(tuple)
    return make_rules(
        max_thinking,
        num_ignore=draw(st.integers(0, 5)),
        min_thinking=draw(st.integers(0, max_thinking)),
        max_answer=draw(st.integers(1, 8)),
        ignore_ids=tuple(draw(st.lists(ignore, min_size=1, max_size=3))),
        cue_ids=draw(st.sampled_from([(), (CUE,), (CUE, CUE)])),
        header=draw(st.sampled_from([-1, END])),
    )


contexts = st.one_of(st.integers(10, 40), st.just(10_000))
cases = given(rule_sets(), adversaries(), contexts)


def phase_ids(machine: Machine, phase: str, origin: str | None = None) -> list[int]:
    return [
        token
        for segment in machine.segments
        if segment.phase == phase and origin in (None, segment.origin)
        for token in segment.token_ids
    ]


@cases
def test_the_machine_is_the_specification(r, model, context):
    machine = decode(r, model, context)
    thinking, closing, answer, outcome, waits = reference(r, model, context)
    assert phase_ids(machine, "thinking") == thinking
    assert phase_ids(machine, "answer", "forced") == closing
    assert machine.token_ids == [*thinking, *closing, *answer]
    assert (machine.outcome, machine.waits_used) == (outcome, waits)
    wait = [t for i in range(waits) for t in r.ignore_ids[i % len(r.ignore_ids)]]
    assert phase_ids(machine, "thinking", "forced") == wait
    marks = [(segment.phase, segment.origin) for segment in machine.segments if segment.token_ids]
    assert len(marks) == len(machine.segments) and all(map(ne, marks, marks[1:]))


@cases
def test_no_limit_is_ever_exceeded_and_the_outcome_names_the_tighter_one(r, model, context):
    machine = decode(r, model, context)
    answer = phase_ids(machine, "answer", "sampled")
    assert machine.thinking_tokens == len(phase_ids(machine, "thinking")) <= r.max_thinking
    assert len(PROMPT) + len(machine.token_ids) <= context and len(answer) <= r.max_answer
    if machine.thinking_tokens and machine.finish_reason == "length":
        assert len(answer) == r.max_answer, "the context keeps room for the answer"
    if machine.outcome == "context":
        assert context - len(PROMPT) - r.longest_closing - r.max_answer < r.max_thinking
    if machine.outcome == "truncated":
        assert machine.thinking_tokens == r.max_thinking


@given(rule_sets(), adversaries(), contexts, st.lists(st.integers(1, 7), min_size=1, max_size=20))
def test_how_the_tokens_are_split_over_calls_does_not_matter(r, model, context, sizes):
    whole = decode(r, model, context)
    machine = Machine(r, PROMPT, context)
    machine.start()
    turn = 0
    while not machine.finished:
        chunk: list[int] = []
        size = min(machine.room, sizes[turn % len(sizes)])
        while len(chunk) < size and not (chunk and chunk[-1] in machine.stops):
            token = model(machine.draws + len(chunk))
            chunk.append(A if machine.suppress and not chunk and token in STOPS else token)
        machine.take(chunk)
        turn += 1
    assert machine.segments == whole.segments


@cases
def test_take_returns_exactly_what_must_be_appended(r, model, context):
    machine = Machine(r, PROMPT, context)
    fed = list(machine.start())
    while not machine.finished:
        token = model(machine.draws)
        token = A if machine.suppress and token in STOPS else token
        kept = [] if token in machine.stops else [token]
        fed += [*kept, *machine.take([token])]
        assert fed[: len(machine.token_ids)] == machine.token_ids
        assert machine.finished or len(fed) == len(machine.token_ids)


@settings(max_examples=200)
@given(st.integers(0, 30), st.integers(0, 30), adversaries())
def test_a_larger_budget_extends_a_smaller_one(small, more, model):
    short = phase_ids(decode(make_rules(small), model), "thinking")
    long = phase_ids(decode(make_rules(small + more), model), "thinking")
    assert long[: len(short)] == short


IDS = {name: globals()[name] for name in "EOS END ANSWER NEWLINE CUE WAIT HMM A B".split()}
TABLES = tables("budget")


def ids(words: str) -> list[int]:
    return [IDS[word] for word in words.split()]


@pytest.mark.parametrize("name", TABLES["scripted"])
def test_a_scripted_model_is_made_to(name):
    changes, script, then, thinking, outcome, waits = TABLES["scripted"][name]
    if "ignore_ids" in changes:
        changes = {**changes, "ignore_ids": tuple(tuple(ids(s)) for s in changes["ignore_ids"])}
    machine = decode(replace(RULES, **changes), says(*ids(script), then=IDS[then]))
    assert phase_ids(machine, "thinking") == ids(thinking)
    assert (machine.outcome, machine.waits_used) == (outcome, waits)


def test_after_the_close_the_answer_is_sampled_to_its_end_or_its_cap():
    cut, ended = decode(make_rules(3), says()), decode(make_rules(3), says(A, END, B, EOS))
    assert cut.token_ids == ids("A A A NEWLINE END ANSWER NEWLINE CUE CUE A A A A")
    assert ended.token_ids == ids("A END ANSWER NEWLINE B")
    assert (cut.finish_reason, ended.finish_reason) == ("length", "stop")


AGAIN = ("END", "END ANSWER NEWLINE", "END END", "END A END")
ANSWERS = [(END, 4, *row) for row in TABLES["headers"]]
ANSWERS += [(-1, 9, f"{again} B B EOS", f"{again} B B") for again in AGAIN]


@pytest.mark.parametrize("header, most, sampled, answer", ANSWERS)
@pytest.mark.parametrize("natural", [False, True])
def test_a_second_close_ends_no_answer_but_the_header_of_another_turn_does(
    natural, header, most, sampled, answer
):
    """Many models write the delimiter again after a forced or a natural end; the answer follows."""
    r, thought = make_rules(50 if natural else 1, max_answer=most, header=header), [A, END]
    machine = decode(r, says(*thought[: 1 + natural], *ids(sampled)))
    assert machine.outcome == ("ended" if natural else "truncated")
    assert phase_ids(machine, "answer", "sampled") == ids(answer)
    assert machine.finish_reason == "stop"


def test_an_engine_that_cannot_suppress_still_terminates():
    r = make_rules(20, min_thinking=15, ignore_ids=((),))
    machine = decode(r, says(then=END), can_suppress=False)
    assert (machine.outcome, machine.thinking_tokens) == ("ended", 0)


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused():
    with pytest.raises(InputError, match="the prompt has 3 tokens.*context of 9"):
        Machine(make_rules(5), PROMPT, context_length=9)
    assert decode(make_rules(5), says(then=A), context=10).outcome == "context"


WRONG = [(message, row) for message, rows in TABLES["refused"].items() for row in rows]
NO_NUMBERS = [-1, 2**31, 10**5000, 1.5, float("nan"), float("inf"), True, None, "3"]
for field in ("max_thinking", "num_ignore", "min_thinking", "max_answer"):
    WRONG += [(f"{field} must be a whole number from", {field: value}) for value in NO_NUMBERS]


@pytest.mark.parametrize("message, settings", WRONG)
def test_a_budget_that_makes_no_sense_is_refused(message, settings):
    with pytest.raises(InputError, match=message):
        Budget(**{"max_thinking": 5, **settings})


def test_a_budget_becomes_ids_of_the_tokenizer_and_no_ignore_string_ends_thinking_itself():
    tokenizer = tiny_tokenizer()
    with pytest.raises(InputError, match="contains an end-of-thinking token"):
        rules(Budget(5, ignore_str="Wait<|im_end|>"), resolve("s1", tokenizer), tokenizer)
    compiled = rules(Budget(5, ignore_str=("Wait", "Hmm")), resolve("s1", tokenizer), tokenizer)
    assert [tokenizer.decode(ids) for ids in compiled.ignore_ids] == ["Wait", "Hmm"]
    assert tokenizer.decode(compiled.end_ids) == "<|im_start|>answer\n"
    assert tokenizer.decode(compiled.cue_ids) == "Final Answer:"
    assert compiled.ends_line(compiled.newline_ids[-1]) and not compiled.ends_line(WAIT + 20)
