"""The three loops of the official code, restated from their behaviour.

They disagree with each other and with Section 3.1; a published number belongs to the loop that
made it. Each is a function from a prompt to the engine requests that it makes and the final prompt
that it builds, faults included. `DEPARTURES` lists where each parts from the specification.

Known from simplescaling/s1 at 77272c6e: the README's example, eval/generate.py, and the fork of
lm-evaluation-harness (lm_eval/models/vllm_causallms.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from s1core.backends.base import Backend, Completion, SamplingParams, row_seed
from s1core.errors import BackendError, InputError
from s1core.records import Generation, Problem, Segment
from s1core.templates import encode, prompt_ids
from s1lab import packaged

MARK, TURN_END = "<|im_start|>", "<|im_end|>"
START, END = MARK + "think", MARK + "answer"
CUE = "\nFinal Answer:"
README_TOKENS, SCRIPT_TOKENS = 32_000, 32_768

_LISTED = packaged("official/departures.yaml")
DEPARTURES = [(loop, *pair) for loop, pairs in _LISTED.items() for pair in pairs.items()]
"""Where a loop parts from the specification (`s1core.forcing.budget`): what it does, what is
specified."""


class LoopCrash(BackendError):
    """The official loop fails here: it would have raised or gone on for ever."""


@dataclass(frozen=True, slots=True)
class LoopRequest:
    """What a loop asks of its engine. String loops send text, the harness sends ids."""

    prompt: str | tuple[int, ...]
    max_tokens: int
    min_tokens: int = 0
    stop_token_ids: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    temperature: float = 0.0


class Output(NamedTuple):
    """What the engine gave: ids with the stop token, text without it."""

    token_ids: tuple[int, ...]
    text: str
    finish_reason: Literal["stop", "length"]


class LoopResult(NamedTuple):
    """What a loop did for one prompt."""

    waits: int  # how many it put in
    final_prompt: str | tuple[int, ...]  # what the answer was generated from
    thinking_ids: tuple[int, ...]  # what the loop counts as thinking, where it counts
    thinking: str  # the text that it keeps as thinking
    answer: str  # the text of the last output


class LoopEngine:
    """vLLM's `LLM.generate` on any backend, as far as the loops use it: one output per request."""

    def __init__(self, backend: Backend, seed: int = 0) -> None:
        self.backend, self.tokenizer, self.seed = backend, backend.tokenizer, seed
        self.context_length = backend.context_length

    def generate(self, requests: Sequence[LoopRequest]) -> list[Output]:
        """As in vLLM text prompts are tokenized here, a request ends with the context, however many
        tokens it may have, and one whose prompt fills it is refused, like an empty batch."""
        if not requests:
            raise LoopCrash("the loop submits an empty batch, which the engine refuses")
        self.seed += len(requests)
        asked = [r.prompt for r in requests]
        prompts = [encode(self.tokenizer, p) if isinstance(p, str) else list(p) for p in asked]
        longest, context = max(map(len, prompts)), self.context_length
        if longest >= context:
            refused = f"which an engine with a context of {context} refuses"
            raise LoopCrash(f"the loop submits a prompt of {longest} tokens, {refused}")
        params = [
            SamplingParams(
                max_tokens=min(r.max_tokens, context - len(prompts[i])),
                temperature=r.temperature,
                seed=self.seed + i,
                stop_token_ids=tuple({*r.stop_token_ids, *_ids(self.tokenizer, r.stop)}),
                min_tokens=r.min_tokens,
            )
            for i, r in enumerate(requests)
        ]
        return [self._output(c) for c in self.backend.complete(prompts, params)]

    def _output(self, completion: Completion) -> Output:
        if completion.finish_reason == "error":
            raise LoopCrash(f"the engine failed: {completion.error}")
        ids, stopped = completion.token_ids, completion.finish_reason == "stop"
        text = self.tokenizer.decode(ids[:-1] if stopped else ids)
        return Output(ids, text, "stop" if stopped else "length")


def _ids(tokenizer: object, strings: Sequence[str]) -> tuple[int, ...]:
    """The ids of strings that are one token each."""
    ids = [encode(tokenizer, string) for string in strings]
    if long := [s for s, i in zip(strings, ids, strict=True) if len(i) != 1]:
        raise InputError(f"the official loops need a model that has {long[0]!r} as one token")
    return tuple(i[0] for i in ids)


def strings(
    engine: LoopEngine,
    prompt: str,
    left: int = README_TOKENS,
    waits: int = 1,
    ignore: str = "Wait",
    shrinks: bool = True,
) -> LoopResult:
    """The README's loop: strings, one prompt, and what is left shrinks by each output's tokens.
    eval/generate.py's is the same with one Wait, but every round has all the tokens."""
    stops, used = _ids(engine.tokenizer, (MARK, TURN_END)), 0

    def ask(*request: object) -> Output:
        return engine.generate([LoopRequest(*request)])[0]

    prompt += START
    begin = len(prompt)
    output = ask(prompt, left, 0, stops)
    for _ in range(waits):
        left -= len(output.token_ids) if shrinks else 0
        if left > 0:
            prompt += output.text + ignore
            output, used = ask(prompt, left, 1, stops), used + 1
    prompt += output.text
    # No delimiter, no cue: the model must write its own, or it goes on thinking.
    answer, thinking = ask(prompt, SCRIPT_TOKENS, 0, stops[1:]), prompt[begin:]
    ids = tuple(encode(engine.tokenizer, thinking))
    return LoopResult(used, prompt, ids, thinking, answer.text)


@dataclass(slots=True)
class _Row:
    prompt: list[int]
    thinking: list[int] = field(default_factory=list)
    text: str = ""
    stopped: bool = True
    waits: int = 0


def harness(
    engine: LoopEngine,
    prompts: Sequence[Sequence[int]],
    max_tokens_thinking: int | None = None,
    thinking_n_ignore: int = 0,
    thinking_n_ignore_str: str = "",
    max_gen_toks: int = SCRIPT_TOKENS,
    temperature: float = 0.0,
) -> list[LoopResult]:
    """The harness's loop, its settings by its own names: ids, a batch at a time, each round with
    the whole cap; None is its "auto", what the longest prompt leaves of the context, less 100.

    Without Waits one round, which ends at stop strings; with n of them n + 1 rounds by stop ids,
    and whoever hits the cap leaves early. The answer follows the delimiter, with the cue where the
    last round stopped by length. LoopCrash: every sequence ran to its cap before the last round, so
    that the next batch is empty.
    """
    texts = (START, END, END + CUE, "\n", thinking_n_ignore_str)
    start, end, end_cue, newline, ignore = (encode(engine.tokenizer, text) for text in texts)
    rows, cap = [_Row([*prompt, *start]) for prompt in prompts], max_tokens_thinking
    if cap is None:
        longest = max(map(len, prompts), default=0)
        cap = engine.context_length - longest - len(start) - len(end_cue) - 100
    request = LoopRequest((), cap, temperature=temperature)
    thought = replace(request, stop=(TURN_END, MARK))
    if thinking_n_ignore:
        ids = _ids(engine.tokenizer, thought.stop)
        thought = replace(request, min_tokens=1, stop_token_ids=ids)

    def ask(rows: Sequence[_Row], how: LoopRequest) -> list[Output]:
        return engine.generate([replace(how, prompt=(*row.prompt, *row.thinking)) for row in rows])

    live = rows
    for left in range(thinking_n_ignore, -1, -1):
        for row, output in zip(live, ask(live, thought), strict=True):
            row.stopped = output.finish_reason == "stop"
            row.thinking += output.token_ids[:-1] if row.stopped else output.token_ids
            row.text += output.text
        live = [row for row in live if row.stopped]
        for row in live if left else ():
            row.thinking += ignore
            row.text += thinking_n_ignore_str
            row.waits += 1
    # The ids are cut to the cap; the text keeps what was cut.
    counted = [tuple(row.thinking[:cap]) for row in rows]
    for row, ids in zip(rows, counted, strict=True):
        cue = end_cue if row.text.endswith("\n") else [*newline, *end_cue]
        row.thinking = [*ids, *(end if row.stopped else cue)]
    answers = ask(rows, replace(request, max_tokens=max_gen_toks, stop=(TURN_END,)))
    return [
        LoopResult(row.waits, (*row.prompt, *row.thinking), ids, row.text, output.text)
        for row, ids, output in zip(rows, counted, answers, strict=True)
    ]


def run(
    loop: Literal["readme", "generate", "harness"],
    backend: Backend,
    problems: Sequence[Problem],
    cap: int | None = None,
    waits: int = 1,
    ignore: str = "Wait",
    max_answer: int = SCRIPT_TOKENS,
    temperature: float = 0.0,
    seed: int = 0,
) -> Iterator[Generation]:
    """Answer problems with an official loop, as one batch (`seed` and the first problem choose its
    random numbers); None is the cap that the loop takes by itself. LoopCrash where the original
    would have crashed.

    The string loops count in re-tokenized text and mark no origins, so all that they keep as
    thinking is marked "sampled"; take counts that matter from `forcing.generate` instead.
    """
    tokenizer = backend.tokenizer
    prompts = [prompt_ids("s1", tokenizer, p.question, thinking=False) for p in problems]
    own = row_seed(seed, problems[0].key, 0) if problems else seed
    engine = LoopEngine(backend, own >> 1)
    if loop == "harness":
        results = harness(engine, prompts, cap, waits, ignore, max_answer, temperature)
    else:
        readme = loop == "readme"
        most = README_TOKENS if cap is None else cap
        rounds = (most, waits) if readme else (SCRIPT_TOKENS, 1)
        texts = map(tokenizer.decode, prompts)
        results = [strings(engine, text, *rounds, ignore, shrinks=readme) for text in texts]
    cue = tuple(encode(tokenizer, END + CUE))
    for problem, result in zip(problems, results, strict=True):
        answer = result.answer.removeprefix(END).removeprefix("\n")
        cut = result.final_prompt[-len(cue) :] == cue
        yield Generation(
            problem_key=problem.key,
            sample=0,
            segments=(
                Segment(result.thinking_ids, "sampled", "thinking"),
                Segment(tuple(encode(tokenizer, answer)), "sampled", "answer"),
            ),
            outcome="truncated" if cut else "ended",
            waits_used=result.waits,
            thinking=result.thinking,
            answer=answer,
        )
