"""What a trace looks like from inside: its steps, the answer at each, the model's uncertainty."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s1core.backends.hf import HFBackend
from s1core.errors import BackendError
from s1core.forcing import Budget, generate
from s1core.records import Generation, Problem, Segment
from s1core.templates import encode, prompt_ids
from s1lab.traces import uncertainty
from s1lab.traces.repetition import novelty, repeated
from s1lab.traces.steps import answers_at_steps, read_traces, split, trace_row
from s1lab.traces.uncertainty import token_uncertainty
from tests.helpers import cases, tiny_model, tiny_tokenizer

PROBLEMS = [Problem(f"Use {a} {b} to make {a + b}", f"{a} + {b}") for a, b in [(3, 7), (5, 8)]]


def generation(*runs: tuple[str, str], problem: Problem = PROBLEMS[0]) -> Generation:
    """A generation from (origin, text) runs of thinking, then an answer."""
    written = [(origin, text, "thinking") for origin, text in runs]
    written += [("forced", "<|im_start|>answer\n", "answer"), ("sampled", "3 + 7", "answer")]
    segments = tuple(
        Segment(tuple(encode(tiny_tokenizer(), text)), origin, phase)
        for origin, text, phase in written
    )
    return Generation(problem.key, 0, segments, "ended", 0, answer="3 + 7")


@pytest.fixture(scope="module")
def backend() -> HFBackend:
    return HFBackend(tiny_model(), tiny_tokenizer(), batch_size=8)


@pytest.fixture(scope="module")
def greedy(backend: HFBackend) -> list[Generation]:
    budget = Budget(max_thinking=40, num_ignore=2, max_answer=6)
    return list(generate(backend, PROBLEMS, budget))


def test_a_step_is_a_line_and_a_forced_wait_opens_one():
    trace = generation(("sampled", "3 + 7\n3 * 7"), ("forced", "Wait"), ("sampled", " 3 + 7\n"))
    steps = split(trace, tiny_tokenizer(), "\n")
    assert [step.text for step in steps] == ["3 + 7\n", "3 * 7", "Wait 3 + 7\n"]
    pieces = [(piece.origin, piece.text) for piece in steps[2].pieces]
    assert pieces == [("forced", "Wait"), ("sampled", " 3 + 7\n")]
    answer = [(p.origin, p.text) for p in trace_row(PROBLEMS[0], trace, tiny_tokenizer()).answer]
    assert answer == [("forced", "<|im_start|>answer\n"), ("sampled", "3 + 7")]
    spaced = split(generation(("sampled", "\n\n3 + 7\n\n\n\n3 * 7\n\n")), tiny_tokenizer())
    assert [step.text for step in spaced] == ["\n\n3 + 7\n\n\n\n", "3 * 7\n\n"]


LINES = {"A": "3 + 7 = 10 no\n", "B": "3 * 7 = 21 no\n", "C": "7 - 3 = 4 no\n"}


@pytest.mark.parametrize(("stretches", "new", "share"), cases("steps")["stretches"])
def test_a_step_is_new_once_and_steps_are_counted_between_waits(stretches, new, share):
    texts = ["".join(LINES[name] for name in names.split()) for names in stretches]
    runs = [run for text in texts for run in (("forced", "Wait"), ("sampled", text)) if run[1]]
    found = novelty(generation(*runs[1:]), tiny_tokenizer(), "\n")
    assert found == new and repeated(found) == pytest.approx(share)


origins, texts = st.sampled_from(["sampled", "forced"]), st.sampled_from("a1 \n")


@given(
    st.lists(st.tuples(origins, st.text(texts, min_size=1, max_size=12)), max_size=6),
    st.sampled_from(["\n", "\n\n"]),
)
def test_the_steps_hold_every_thinking_token_once_and_all_the_text(runs, separator):
    trace = generation(*runs)
    steps = split(trace, tiny_tokenizer(), separator)
    assert [step.start for step in steps] == [0, *(step.end for step in steps)][: len(steps)]
    assert (steps[-1].end if steps else 0) == trace.thinking_tokens
    assert "".join(step.text for step in steps) == "".join(text for _, text in runs)
    for step in steps:
        assert sum(piece.tokens for piece in step.pieces) == step.end - step.start > 0


def test_an_answer_at_a_step_is_what_a_budget_of_as_many_tokens_gives(backend, greedy):
    """The oracle is budget forcing itself, run from the start with the smaller budget."""
    cuts = 0
    for problem, whole in zip(PROBLEMS, greedy, strict=True):
        for found in answers_at_steps(backend, problem, whole, separator="7", max_answer=6):
            budget = Budget(found.thinking_tokens, num_ignore=2, max_answer=6)
            (capped,) = generate(backend, [problem], budget)
            thinking = whole.token_ids("thinking")[: found.thinking_tokens]
            assert capped.token_ids("thinking") == thinking
            for name in ("answer", "answer_tokens", "finish_reason"):
                assert getattr(found, name) == getattr(capped, name)
            cuts += 1
    assert cuts > 6
    with pytest.raises(BackendError, match="lower max_answer"):
        answers_at_steps(backend, PROBLEMS[0], greedy[0], max_answer=480)
    with pytest.raises(BackendError, match="pair them by problem key"):
        answers_at_steps(backend, PROBLEMS[1], greedy[0])


class Fixed:
    """A model whose next-token probabilities are known: a function of the token before."""

    def __init__(self, table: list[list[float]]) -> None:
        import torch

        self._logits = torch.tensor(table).clamp_min(0).log()
        self.device = self._logits.device
        self.config = type("Config", (), {"vocab_size": len(table)})

    def __call__(self, input_ids, use_cache):
        return type("Output", (), {"logits": self._logits[input_ids]})


def test_entropy_and_varentropy_by_hand():
    """After 0: one half each of two tokens. After 1: certain. After 2: 1/2, 1/4, 1/4."""
    model = Fixed([[0, 0.5, 0.5], [0, 0, 1], [0.5, 0.25, 0.25]])
    (found,) = token_uncertainty(model, [[0]], [[1, 2, 0]])
    entropy, varentropy, surprisal = found
    assert entropy == pytest.approx([1, 0, 1.5])
    # 1/2 * (1 - 1.5)^2 + 1/2 * (2 - 1.5)^2
    assert varentropy == pytest.approx([0, 0, 0.25])
    assert surprisal == pytest.approx([1, 0, 1])
    certain = Fixed([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # a forced token that the model excludes
    assert token_uncertainty(certain, [[0]], [[2]])[0].tolist() == [[0], [0], [math.inf]]
    padded = token_uncertainty(Fixed([[0.25, 0.25, 0.5]] * 3), [[0]], [[1]], vocabulary=2)
    assert padded[0].ravel() == pytest.approx([1, 0, 1])


def test_a_row_does_not_depend_on_its_batch_and_agrees_with_scipy():
    import torch
    from scipy.stats import entropy

    model, rng = tiny_model(), np.random.default_rng(0)
    rows = [rng.integers(0, 100, size).tolist() for size in (30, 7, 19, 3)]
    together = token_uncertainty(model, [row[:2] for row in rows], [row[2:] for row in rows])
    for row, found in zip(rows, together, strict=True):
        (alone,) = token_uncertainty(model, [row[:2]], [row[2:]])
        np.testing.assert_allclose(found, alone, atol=1e-3)
        with torch.inference_mode():
            share = model(torch.tensor([row])).logits[0, 1:-1].double().softmax(-1).numpy()
        np.testing.assert_allclose(alone[0], entropy(share, base=2, axis=1), atol=1e-6)
        assert alone.shape == (3, len(row) - 2)


def row(key: str, values: list[float], **places: list[int]) -> dict:
    groups = {group: places.get(group, []) for group in uncertainty.GROUPS}
    return {"problem_key": key, **dict.fromkeys(uncertainty.MEASURES, values), **groups}


def test_means_around_a_wait_by_hand():
    rows = [row("a", [0, 1, 2, 3, 4, 5], forced=[2], plain=[4])]
    rows.append(row("b", [0, 2, 4, 6], forced=[1, 2]))
    table = uncertainty.around_waits(rows, window=2)
    forced = [r for r in table if (r["group"], r["measure"]) == ("forced", "entropy")]
    # The first Wait of b has one token before it.
    by_hand = [(0 + 0) / 2, (1 + 0 + 2) / 3, (2 + 2 + 4) / 3, (3 + 4 + 6) / 3, (4 + 6) / 2]
    assert [r["offset"] for r in forced] == [-2, -1, 0, 1, 2]
    assert [r["mean"] for r in forced] == pytest.approx(by_hand, abs=1e-4)
    assert [r["positions"] for r in forced] == [2, 3, 3, 3, 2]
    assert {r["questions"] for r in forced} == {2}
    assert all(r["low"] <= r["mean"] <= r["high"] for r in table)
    assert not [r for r in table if r["group"] == "own"]


def test_contrasts_subtract_ordinary_steps_on_the_same_resampled_questions():
    rng = np.random.default_rng(1)
    # A question's own level is in both kinds of step, so it must cancel.
    rows = [
        row(str(q), [level + 1] * 8 + [level] * 8, forced=[3], plain=[11])
        for q, level in enumerate(rng.normal(10, 5, 60))
    ]
    for found in uncertainty.contrasts(rows, window=2):
        assert found["difference"] == pytest.approx(1, abs=1e-4)
        assert found["low"] == pytest.approx(1, abs=1e-4) == found["high"]
    assert uncertainty.contrasts([row("a", [1, 2, 3], plain=[1])]) == []


def test_the_kinds_of_step_are_told_apart_by_who_wrote_the_wait(backend):
    said, forced = ("sampled", "3 + 7\nWait 3 + 7\n3 * 7\n"), ("forced", "Wait")
    trace, engine = generation(said, forced, ("sampled", " 3 + 7\n")), backend
    asked = (engine.model, engine.tokenizer, PROBLEMS, [trace])
    (found,) = uncertainty.uncertainty_rows(*asked, separator="\n")
    starts = [step.start for step in split(trace, backend.tokenizer, "\n")]
    assert [found["own"], found["plain"], found["forced"]] == [[s] for s in starts[1:]]
    prompt = prompt_ids("s1", backend.tokenizer, PROBLEMS[0].question)
    thinking, size = trace.token_ids("thinking"), len(backend.tokenizer)
    (direct,) = token_uncertainty(backend.model, [prompt], [thinking], vocabulary=size)
    assert found["entropy"] == pytest.approx(direct[0], abs=6e-4)
    assert len(found["entropy"]) == len(found["surprisal"]) == trace.thinking_tokens


def test_rows_of_the_viewer_have_graded_answers(backend, greedy):
    rows = read_traces(backend, PROBLEMS, greedy, "countdown", separator="\n", max_answer=4)
    for shown, whole in zip(rows, greedy, strict=True):
        assert shown.steps[-1].end == shown.thinking_tokens == whole.thinking_tokens
        cuts = [answer.thinking_tokens for answer in shown.answers]
        assert cuts == [0, *(step.end for step in shown.steps)]
        known = {"correct", "wrong", "no_answer", "truncated"}
        assert {answer.status for answer in shown.answers} <= known
