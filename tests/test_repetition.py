"""Repetition: what a trace wrote before, and what a Wait adds."""

from __future__ import annotations

import pytest

from s1core.records import Generation, Segment
from s1lab import pocket
from s1lab.traces.repetition import novelty

A, B, C = "3 + 7 = 10 want 29 no\n", "3 * 7 = 21 want 29 no\n", "7 - 3 = 4 want 29 no\n"


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return pocket.load_tokenizer()


def trace(tokenizer: object, *stretches: str) -> Generation:
    """A generation whose stretches of thinking are joined by forced Waits."""

    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False))

    segments = [Segment(ids(stretches[0]), "sampled", "thinking")]
    for stretch in stretches[1:]:
        segments.append(Segment(ids("Wait"), "forced", "thinking"))
        if stretch:
            segments.append(Segment(ids(stretch), "sampled", "thinking"))
    segments.append(Segment(ids("Answer : 3 + 7"), "sampled", "answer"))
    return Generation("key", 0, tuple(segments), "ended", len(stretches) - 1)


@pytest.mark.parametrize(
    ("stretches", "steps", "new", "repeated"),
    [
        (("",), (0,), (0,), 0.0),
        ((A + B + C,), (3,), (3,), 0.0),
        ((A + B + A + A,), (4,), (2,), 0.5),
        ((A + B, B), (2, 1), (2, 0), 1 / 3),
        ((A, B, A + C), (1, 1, 2), (1, 1, 1), 1 / 4),
        ((A, ""), (1, 0), (1, 0), 0.0),
    ],
)
def test_a_step_is_new_once_and_steps_are_counted_between_waits(
    tokenizer, stretches, steps, new, repeated
):
    found = novelty(trace(tokenizer, *stretches), tokenizer, "\n")
    assert (found.steps, found.new) == (steps, new)
    assert found.repeated == pytest.approx(repeated)


def test_an_answer_is_no_step(tokenizer):
    assert sum(novelty(trace(tokenizer, A), tokenizer, "\n").steps) == 1
