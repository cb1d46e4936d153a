"""A trace taken apart into steps, and what the model would answer after each of them.

Budget forcing can end thinking anywhere (Section 3.1). Ending it after every step of a finished
trace shows when the answer was first there, and whether later thinking kept it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from s1core.backends.base import Backend
from s1core.errors import BackendError
from s1core.forcing import Budget, generate
from s1core.forcing.budget import Machine, Rules
from s1core.grading import grade
from s1core.records import Generation, Grade, Origin, Outcome, Phase, Problem, Status


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
class TraceAnswer:
    """What is answered when thinking stops after `thinking_tokens` tokens, graded."""

    thinking_tokens: int
    answer: str
    status: Status
    extracted: str


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One generation as the trace viewer reads it: its text in steps, no token ids. `status` is ""
    where nobody graded it; `answer` begins with the forced closing of thinking."""

    problem_key: str
    sample: int
    question: str
    status: Literal[Status, ""]
    extracted: str
    outcome: Outcome
    finish_reason: str
    waits_used: int
    thinking_tokens: int
    steps: tuple[TraceStep, ...]
    answer: tuple[Piece, ...]
    answers: tuple[TraceAnswer, ...]

    @property
    def by_cut(self) -> dict[int, TraceAnswer]:
        """The answers, by the thinking tokens after which they are given."""
        return {answer.thinking_tokens: answer for answer in self.answers}

    @property
    def waits(self) -> list[int]:
        """After how many tokens a Wait was forced."""
        return [s.start for s in self.steps if s.pieces and s.pieces[0].origin == "forced"]


def split(generation: Generation, tokenizer: Any, separator: str = "\n\n") -> tuple[TraceStep, ...]:
    """The steps of a generation's thinking, in order; together they hold every thinking token. A
    step ends with `separator` ("\\n" where a line is a step), and before a forced Wait, which
    always opens a new one. White space alone is not a step; it stays with the one before."""
    tokens = _marked(generation, "thinking")
    texts = {token: tokenizer.decode([token]) for token, _ in dict.fromkeys(tokens)}
    ends: list[int] = []
    text = ""
    for place, (token, origin) in enumerate(tokens):
        opens = origin == "forced" and place > 0 and tokens[place - 1][1] == "sampled"
        if opens and text.strip():
            ends.append(place)
            text = ""
        text += texts[token]
        whole = text.endswith(separator) and (text.strip() or ends)
        if whole or place + 1 == len(tokens):
            if ends and not text.strip():
                ends.pop()
            ends.append(place + 1)
            text = ""
    spans = zip([0, *ends], ends)
    return tuple(TraceStep(*span, _pieces(tokens[slice(*span)], tokenizer)) for span in spans)


def answers_at_steps(
    backend: Backend, problem: Problem, generation: Generation, *,
    separator: str = "\n\n", max_answer: int = 512, template: str = "s1",
) -> list[Generation]:  # fmt: skip
    """What the model would say if its thinking stopped after each step, the start included.

    Thinking is ended as an upper bound ends it (Section 3.1), and answers are greedy, whatever the
    trace was sampled with: where a greedy run with `max_thinking` as large has the same thinking,
    it gives the same answer. One generation per cut: no thinking, then up to the end of each step.
    Raises BackendError: the generation is another problem's, a cut does not fit, the engine failed.
    """
    if (key := generation.problem_key) != problem.key:
        told = f"generation of problem {key} with the question of {problem.key}"
        raise BackendError(f"{told}; pair them by problem key")
    thinking = generation.token_ids("thinking")

    def resumed(rules: Rules, prompt: Sequence[int], context_length: int) -> Machine:
        """A machine that has thought as far as its budget lets it."""
        machine, cut = Machine(rules, prompt, context_length), rules.max_thinking
        if machine.room < cut:
            told = f"{cut} thinking tokens and an answer of {max_answer} do not fit into a context"
            raise BackendError(f"problem {key}: {told} of {context_length}; lower max_answer")
        machine.start()
        machine.take(thinking[:cut])
        return machine

    cuts = [0, *(step.end for step in split(generation, backend.tokenizer, separator))]
    budgets = [Budget(max_thinking=cut, max_answer=max_answer) for cut in cuts]
    problems = [problem] * len(cuts)
    options = {"template": template, "machine": resumed, "native": False}
    return list(generate(backend, problems, budgets, **options))


def trace_row(
    problem: Problem, generation: Generation, tokenizer: Any, verdict: Grade | None = None,
    answers: Sequence[TraceAnswer] = (), separator: str = "\n\n",
) -> TraceRow:  # fmt: skip
    """One generation with its verdict, and the answers at its steps, where they are known."""
    told = {name: getattr(verdict, name, "") for name in ("status", "extracted")}
    for name in ("sample", "outcome", "finish_reason", "waits_used", "thinking_tokens"):
        told[name] = getattr(generation, name)
    told["steps"] = split(generation, tokenizer, separator)
    told["answer"] = _pieces(_marked(generation, "answer"), tokenizer)
    return TraceRow(problem.key, question=problem.question, answers=tuple(answers), **told)


def read_traces(
    backend: Backend, problems: Sequence[Problem], generations: Sequence[Generation], kind: str,
    **options: Any,
) -> list[TraceRow]:  # fmt: skip
    """Rows with the answer at every step: `answers_at_steps` with its options, graded as `kind`
    says. Raises BackendError: a cut does not fit into the context, or the engine failed."""
    by_key, rows = {problem.key: problem for problem in problems}, []
    separator = options.setdefault("separator", "\n\n")
    for generation in generations:
        problem, answers = by_key[generation.problem_key], []
        for cut in answers_at_steps(backend, problem, generation, **options):
            said = grade(problem, cut, kind)
            told = (cut.thinking_tokens, cut.answer, said.status, said.extracted)
            answers.append(TraceAnswer(*told))
        verdict = grade(problem, generation, kind)
        rows.append(trace_row(problem, generation, backend.tokenizer, verdict, answers, separator))
    return rows


def _marked(generation: Generation, phase: Phase) -> list[tuple[int, Origin]]:
    """The tokens of a phase, each with who wrote it."""
    of = (segment for segment in generation.segments if segment.phase == phase)
    return [(token, segment.origin) for segment in of for token in segment.token_ids]


def _pieces(tokens: Sequence[tuple[int, Origin]], tokenizer: Any) -> tuple[Piece, ...]:
    """Runs of one origin as text: decoded together, so that spaces between them are right."""
    ids = [token for token, _ in tokens]
    whole = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    pieces, border, shown = [], 0, 0
    for origin, run in groupby(origin for _, origin in tokens):
        border += (count := len([*run]))
        before = tokenizer.decode(ids[:border], clean_up_tokenization_spaces=False)
        # A character may be split between two runs; it is shown with the second.
        upto = len(before.rstrip("\N{REPLACEMENT CHARACTER}") if border < len(ids) else whole)
        pieces.append(Piece(whole[shown:upto], origin, count))
        shown = max(upto, shown)
    return tuple(pieces)
