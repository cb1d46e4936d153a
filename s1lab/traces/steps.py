"""A trace taken apart into steps, and what the model would answer after each of them.

Budget forcing can end thinking anywhere (Section 3.1). Ending it after every step of a finished
trace shows when the answer was first there, and whether later thinking kept it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from s1core import templates
from s1core.backends.base import Backend, SamplingParams
from s1core.errors import BackendError
from s1core.forcing.budget import Budget, Machine, rules
from s1core.records import Generation, Origin, Phase, Problem
from s1core.templates import Template


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive tokens of one origin as text."""

    text: str
    origin: Origin
    tokens: int


@dataclass(frozen=True, slots=True)
class TraceStep:
    """A line or paragraph of thinking: tokens `start` to `end` (exclusive) of the thinking."""

    start: int
    end: int
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What the model answers when its thinking is ended after `thinking_tokens` tokens."""

    thinking_tokens: int
    answer: str
    answer_tokens: int
    finish_reason: Literal["stop", "length"]


def split(generation: Generation, tokenizer: Any, separator: str = "\n\n") -> tuple[TraceStep, ...]:
    """The steps of a generation's thinking, in order; together they hold every thinking token.

    A step ends with `separator` ("\\n" where a line is a step), and before a forced Wait, which
    always opens a new one. White space alone is not a step; it stays with the one before.
    """
    tokens = _marked(generation, "thinking")
    texts = {token: tokenizer.decode([token]) for token, _ in dict.fromkeys(tokens)}
    ends: list[int] = []
    text = ""

    def end(place: int) -> None:
        if ends and not text.strip():
            ends[-1] = place
        else:
            ends.append(place)

    for place, (token, origin) in enumerate(tokens):
        opens = origin == "forced" and place > 0 and tokens[place - 1][1] == "sampled"
        if opens and text.strip():
            end(place)
            text = ""
        text += texts[token]
        if text.endswith(separator) and (text.strip() or ends):
            end(place + 1)
            text = ""
    if len(tokens) > max(ends, default=0):
        end(len(tokens))
    spans = zip([0, *ends], ends)
    return tuple(TraceStep(*span, _pieces(tokens[slice(*span)], tokenizer)) for span in spans)


def answer_pieces(generation: Generation, tokenizer: Any) -> tuple[Piece, ...]:
    """The answer phase of a generation: the forced closing of thinking, then what was sampled."""
    return _pieces(_marked(generation, "answer"), tokenizer)


def answers_at_steps(
    backend: Backend,
    problem: Problem,
    generation: Generation,
    *,
    separator: str = "\n\n",
    max_answer: int = 512,
    template: str | Template = "s1",
) -> list[StepAnswer]:
    """What the model would say if its thinking stopped after each step, the start included.

    Thinking is ended as an upper bound ends it (Section 3.1), and answers are greedy, whatever the
    trace was sampled with: where a greedy run with `max_thinking` as large has the same thinking,
    it gives the same answer. One record per cut: 0 thinking tokens, then the end of each step.

    Raises:
        BackendError: the generation is another problem's, a cut does not fit, the engine failed.
    """
    if generation.problem_key != problem.key:
        raise BackendError(
            f"generation of problem {generation.problem_key} with the question of {problem.key}; "
            "pair them by problem key"
        )
    tokenizer = backend.tokenizer
    delimiters = templates.resolve(template, tokenizer)
    prompt = templates.prompt_ids(template, tokenizer, problem.question)
    thinking = generation.token_ids("thinking")
    cuts = [0, *(step.end for step in split(generation, tokenizer, separator))]
    machines = []
    for cut in cuts:
        budget = Budget(max_thinking=cut, max_answer=max_answer)
        machine = Machine(rules(budget, delimiters, tokenizer), prompt, backend.context_length)
        machine.start()
        if cut and machine.room < cut:
            raise BackendError(
                f"problem {problem.key}: {cut} thinking tokens and an answer of {max_answer} do "
                f"not fit into a context of {backend.context_length}; lower max_answer"
            )
        machine.take(thinking[:cut])
        machines.append(machine)
    _sample(backend, prompt, machines)
    found = []
    for cut, machine in zip(cuts, machines, strict=True):
        ids = [
            token
            for segment in machine.segments
            if (segment.phase, segment.origin) == ("answer", "sampled")
            for token in segment.token_ids
        ]
        text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        found.append(StepAnswer(cut, text, len(ids), machine.finish_reason))
    return found


def _sample(backend: Backend, prompt: Sequence[int], machines: Sequence[Machine]) -> None:
    """Let every machine, its thinking closed, sample its answer."""
    for first in range(0, len(machines), backend.batch_size):
        block = machines[first : first + backend.batch_size]
        prompts = [[*prompt, *machine.token_ids] for machine in block]
        params = [SamplingParams(m.room, stop_token_ids=tuple(sorted(m.stops))) for m in block]
        for machine, completion in zip(block, backend.complete(prompts, params), strict=True):
            if completion.finish_reason == "error":
                raise BackendError(f"an answer could not be sampled: {completion.error}")
            machine.take(completion.token_ids)


def _marked(generation: Generation, phase: Phase) -> list[tuple[int, Origin]]:
    """The tokens of a phase, each with who wrote it."""
    return [
        (token, segment.origin)
        for segment in generation.segments
        if segment.phase == phase
        for token in segment.token_ids
    ]


def _pieces(tokens: Sequence[tuple[int, Origin]], tokenizer: Any) -> tuple[Piece, ...]:
    """Runs of one origin as text: decoded together, so that spaces between them are right."""
    ids, origins = [token for token, _ in tokens], [origin for _, origin in tokens]
    whole = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    pieces, begun, shown = [], 0, 0
    for border in range(1, len(tokens) + 1):
        if border == len(tokens):
            upto = len(whole)
        elif origins[border] != origins[border - 1]:
            before = tokenizer.decode(ids[:border], clean_up_tokenization_spaces=False)
            # A character may be split between two runs; it is shown with the second.
            upto = len(before.rstrip("\N{REPLACEMENT CHARACTER}"))
        else:
            continue
        pieces.append(Piece(whole[shown:upto], origins[begun], border - begun))
        begun, shown = border, max(upto, shown)
    return tuple(pieces)
