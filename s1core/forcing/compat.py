"""The three loops of the official code, restated from their behaviour.

They disagree with each other and with Section 3.1; a published number belongs to the loop that
made it. Each is a function from a prompt to the engine requests that it makes and the final prompt
that it builds, faults included. `DEPARTURES` lists where each parts from the specification.

Known from simplescaling/s1 at 77272c6e: the README's example, eval/generate.py, and the fork of
lm-evaluation-harness (lm_eval/models/vllm_causallms.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from s1core.backends.base import Backend, SamplingParams
from s1core.records import Generation, Problem, Segment
from s1core.templates import answer_prompt_ids, encode

MARK, TURN_END = "<|im_start|>", "<|im_end|>"
START, END = MARK + "think", MARK + "answer"
CUE = "\nFinal Answer:"
SCRIPT_TOKENS = 32_768


class LoopCrash(RuntimeError):
    """The official loop fails here: it would have raised or gone on for ever."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a loop asks of its engine. String loops send text, the harness sends ids."""

    prompt: str | tuple[int, ...]
    max_tokens: int
    min_tokens: int = 0
    stop_token_ids: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Output:
    """What the engine gave: ids with the stop token, text without it."""

    token_ids: tuple[int, ...]
    text: str
    finish_reason: Literal["stop", "length"]


class Engine(Protocol):
    """vLLM's `LLM.generate`, as far as the loops use it."""

    tokenizer: Any

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """One output per request."""
        ...


@dataclass(frozen=True, slots=True)
class LoopResult:
    """What a loop did for one prompt.

    Attributes:
        requests: the engine requests, in order, the answer's included.
        final_prompt: what the answer was generated from.
        thinking_ids: what the loop counts as thinking, where it counts.
        thinking: the text that it keeps as thinking.
        answer: the text of the last output.
    """

    requests: tuple[Request, ...]
    final_prompt: str | tuple[int, ...]
    thinking_ids: tuple[int, ...]
    thinking: str
    answer: str


class BackendEngine:
    """Run the loops on any backend; every request is kept in `requests`."""

    def __init__(self, backend: Backend, seed: int = 0) -> None:
        self.backend, self.tokenizer, self.seed = backend, backend.tokenizer, seed
        self.requests: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """Text prompts are tokenized here, as vLLM does; an empty batch raises, as it did."""
        if not requests:
            raise LoopCrash("the loop submits an empty batch, which the engine refuses")
        self.requests += requests
        prompts = [
            encode(self.tokenizer, r.prompt) if isinstance(r.prompt, str) else list(r.prompt)
            for r in requests
        ]
        params = [
            SamplingParams(
                max_tokens=r.max_tokens,
                temperature=r.temperature,
                seed=self.seed + len(self.requests) + i,
                stop_token_ids=tuple({*r.stop_token_ids, *self._single_ids(r.stop)}),
                min_tokens=r.min_tokens,
            )
            for i, r in enumerate(requests)
        ]
        return [self._output(c) for c in self.backend.complete(prompts, params)]

    def _single_ids(self, strings: Sequence[str]) -> list[int]:
        ids = [encode(self.tokenizer, string) for string in strings]
        if long := [s for s, i in zip(strings, ids, strict=True) if len(i) != 1]:
            raise ValueError(f"stop string {long[0]!r} is not one token; only such are supported")
        return [i[0] for i in ids]

    def _output(self, completion: Any) -> Output:
        if completion.finish_reason == "error":
            raise LoopCrash(f"the engine failed: {completion.error}")
        ids = completion.token_ids
        stopped = completion.finish_reason == "stop"
        text = self.tokenizer.decode(ids[:-1] if stopped else ids)
        return Output(ids, text, "stop" if stopped else "length")


def readme(
    engine: Engine,
    prompt: str,
    max_thinking: int = 32_000,
    num_ignore: int = 1,
    ignore: str = "Wait",
) -> LoopResult:
    """The README's loop: strings, one prompt, what is left shrinks by each output's tokens."""
    stops = tuple(encode(engine.tokenizer, MARK) + encode(engine.tokenizer, TURN_END))
    trail = _Trail(engine)
    prompt = prompt + START
    begin, left = len(prompt), max_thinking
    output = trail.ask(Request(prompt, max_thinking, 0, stops))
    for _ in range(num_ignore):
        left -= len(output.token_ids)
        if left > 0:
            prompt += output.text + ignore
            output = trail.ask(Request(prompt, left, 1, stops))
    return _string_answer(trail, prompt + output.text, begin, SCRIPT_TOKENS)


def generate_script(engine: Engine, prompt: str, ignore: str = "Wait") -> LoopResult:
    """eval/generate.py: as the README with one Wait, but every round has all the tokens."""
    stops = tuple(encode(engine.tokenizer, MARK) + encode(engine.tokenizer, TURN_END))
    trail = _Trail(engine)
    prompt = prompt + START
    begin = len(prompt)
    output = trail.ask(Request(prompt, SCRIPT_TOKENS, 0, stops))
    prompt += output.text + ignore
    output = trail.ask(Request(prompt, SCRIPT_TOKENS, 1, stops))
    return _string_answer(trail, prompt + output.text, begin, SCRIPT_TOKENS)


def _string_answer(trail: _Trail, prompt: str, begin: int, tokens: int) -> LoopResult:
    """No delimiter, no cue: the model must write its own, or it goes on thinking."""
    tokenizer = trail.engine.tokenizer
    answer = trail.ask(Request(prompt, tokens, 0, tuple(encode(tokenizer, TURN_END))))
    thinking = prompt[begin:]
    ids = tuple(encode(tokenizer, thinking))
    return LoopResult(tuple(trail.requests), prompt, ids, thinking, answer.text)


@dataclass
class _Trail:
    engine: Engine
    requests: list[Request] = field(default_factory=list)

    def ask(self, request: Request) -> Output:
        self.requests.append(request)
        return self.engine.generate([request])[0]


@dataclass(frozen=True, slots=True)
class HarnessSettings:
    """The harness's generation settings, by its own names where it has them.

    `max_tokens_thinking` may be "auto": what the longest prompt of the batch leaves, less 100.
    `stop` is the task's own stop strings, `max_gen_toks` the answer's limit.
    """

    max_tokens_thinking: int | Literal["auto"] = "auto"
    thinking_n_ignore: int = 0
    thinking_n_ignore_str: str = ""
    until_thinking: tuple[str, ...] = (MARK,)
    stop: tuple[str, ...] = (TURN_END,)
    max_gen_toks: int = SCRIPT_TOKENS
    max_model_len: int = SCRIPT_TOKENS
    temperature: float = 0.0


def harness(
    engine: Engine, prompts: Sequence[Sequence[int]], settings: HarnessSettings
) -> list[LoopResult]:
    """The harness's loop: ids, a batch at a time, each round with the whole cap.

    Raises:
        LoopCrash: every sequence ran to its cap before the last round, so that the next batch is
            empty.
    """
    rows = _HarnessRows(engine, prompts, settings)
    if settings.thinking_n_ignore:
        rows.rounds()
    else:
        rows.once()
    return rows.answers()


class _HarnessRows:
    def __init__(
        self, engine: Engine, prompts: Sequence[Sequence[int]], settings: HarnessSettings
    ) -> None:
        self.engine, self.settings = engine, settings
        tokenizer = engine.tokenizer
        start, self.end = encode(tokenizer, START), encode(tokenizer, END)
        self.end_cue = encode(tokenizer, END + CUE)
        self.newline = encode(tokenizer, "\n")
        self.ignore = encode(tokenizer, settings.thinking_n_ignore_str)
        self.prompts = [[*prompt, *start] for prompt in prompts]
        self.requests: list[list[Request]] = [[] for _ in prompts]
        self.thinking: list[list[int]] = [[] for _ in prompts]
        self.text = [""] * len(prompts)
        self.reason = ["stop"] * len(prompts)
        cap = settings.max_tokens_thinking
        longest = max(map(len, prompts), default=0)
        room = settings.max_model_len - longest - len(start) - len(self.end_cue) - 100
        self.cap = room if cap == "auto" else cap

    def ask(self, rows: Sequence[int], request: Request) -> list[Output]:
        batch = [replace(request, prompt=(*self.prompts[i], *self.thinking[i])) for i in rows]
        for row, made in zip(rows, batch, strict=True):
            self.requests[row].append(made)
        return self.engine.generate(batch)

    def once(self) -> None:
        """Without Waits: one round, which ends at stop strings."""
        stop = (*self.settings.stop, *self.settings.until_thinking)
        request = Request((), self.cap, 0, (), stop, self.settings.temperature)
        for row, output in enumerate(self.ask(range(len(self.prompts)), request)):
            self._extend(row, output)

    def rounds(self) -> None:
        """With Waits: n + 1 rounds by stop ids; whoever hits the cap leaves early."""
        settings = self.settings
        strings = (*settings.stop, *settings.until_thinking)
        stops = tuple(encode(self.engine.tokenizer, string)[0] for string in strings)
        request = Request((), self.cap, 1, stops, (), settings.temperature)
        live = list(range(len(self.prompts)))
        for number in range(settings.thinking_n_ignore + 1):
            last, staying = number == settings.thinking_n_ignore, []
            for row, output in zip(live, self.ask(live, request), strict=True):
                self._extend(row, output)
                if output.finish_reason == "stop" and not last:
                    self.thinking[row] += self.ignore
                    self.text[row] += settings.thinking_n_ignore_str
                    staying.append(row)
            live = staying
        # The ids are cut to the cap; the text keeps what was cut.
        self.thinking = [ids[: self.cap] for ids in self.thinking]

    def _extend(self, row: int, output: Output) -> None:
        stopped = output.finish_reason == "stop"
        self.thinking[row] += output.token_ids[:-1] if stopped else output.token_ids
        self.text[row] += output.text
        self.reason[row] = output.finish_reason

    def answers(self) -> list[LoopResult]:
        """The delimiter, with the cue where the last round stopped by length; then the answer."""
        settings, rows = self.settings, range(len(self.prompts))
        thinking = [tuple(ids) for ids in self.thinking]
        for row in rows:
            if self.reason[row] == "length":
                newline = [] if self.text[row].endswith("\n") else self.newline
                self.thinking[row] += [*newline, *self.end_cue]
            else:
                self.thinking[row] += self.end
        request = Request((), settings.max_gen_toks, 0, (), settings.stop, settings.temperature)
        outputs = self.ask(rows, request)
        return [
            LoopResult(
                requests=tuple(self.requests[row]),
                final_prompt=(*self.prompts[row], *self.thinking[row]),
                thinking_ids=thinking[row],
                thinking=self.text[row],
                answer=outputs[row].text,
            )
            for row in rows
        ]


def harness_rejection(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    settings: HarnessSettings,
    give_up_after: int = 1000,
) -> list[tuple[int, ...]]:
    """The harness's rejection sampling: thinking ids that ended within the limit, per prompt.

    Every round has as many requests as prompts: slots of those that fit are filled with copies of
    those still missing. The original never gives up; this raises `LoopCrash` instead.
    """
    rows = _HarnessRows(engine, prompts, settings)
    stop = (*settings.stop, *settings.until_thinking)
    request = Request((), rows.cap, 0, (), stop, settings.temperature)
    found: dict[int, tuple[int, ...]] = {}
    for _ in range(give_up_after):
        missing = [row for row in range(len(prompts)) if row not in found]
        if not missing:
            return [found[row] for row in range(len(prompts))]
        filled = [missing[slot % len(missing)] for slot in range(len(prompts))]
        for row, output in zip(filled, rows.ask(filled, request), strict=True):
            if output.finish_reason == "stop":
                found.setdefault(row, output.token_ids[:-1])
    raise LoopCrash(f"after {give_up_after} rounds some prompts never fit; the original goes on")


def run(
    loop: Literal["readme", "generate_script", "harness"],
    backend: Backend,
    problems: Sequence[Problem],
    settings: HarnessSettings,
) -> Iterator[Generation]:
    """Answer problems with an official loop, as generations that can be graded.

    The string loops count in re-tokenized text and mark no origins, so all that they keep as
    thinking is marked "sampled"; take counts that matter from `forcing.generate` instead.

    Raises:
        LoopCrash: where the original would have crashed.
    """
    tokenizer = backend.tokenizer
    prompts = [answer_prompt_ids("s1", tokenizer, problem.question) for problem in problems]
    engine = BackendEngine(backend)
    if loop == "harness":
        results = harness(engine, prompts, settings)
    else:
        cap, waits = settings.max_tokens_thinking, settings.thinking_n_ignore
        cap = SCRIPT_TOKENS if cap == "auto" else cap
        ignore = settings.thinking_n_ignore_str
        results = [
            readme(engine, text, cap, waits, ignore)
            if loop == "readme"
            else generate_script(engine, text, ignore)
            for text in map(tokenizer.decode, prompts)
        ]
    for problem, result in zip(problems, results, strict=True):
        answer = result.answer.removeprefix(END).removeprefix("\n")
        cut = result.final_prompt[-len(encode(tokenizer, END + CUE)) :] == tuple(
            encode(tokenizer, END + CUE)
        )
        yield Generation(
            problem_key=problem.key,
            sample=0,
            segments=(
                Segment(result.thinking_ids, "sampled", "thinking"),
                Segment(tuple(encode(tokenizer, answer)), "sampled", "answer"),
            ),
            outcome="truncated" if cut else "ended",
            waits_used=max(len(result.requests) - 2, 0),
            thinking=result.thinking,
            answer=answer,
        )


@dataclass(frozen=True, slots=True)
class Departure:
    """One way in which an official loop parts from the specification (`forcing.budget`)."""

    loop: Literal["readme", "generate_script", "harness", "harness_rejection"]
    does: str
    specified: str


DEPARTURES = (
    Departure("readme", "Wait is not subtracted from what is left", "ignore strings count"),
    Departure("readme", "the dropped stop token is subtracted", "a dropped token does not count"),
    Departure("readme", "no end delimiter is forced", "exactly one follows thinking"),
    Departure("readme", "no cue when thinking was cut", "the cue follows the delimiter then"),
    Departure("readme", "text is tokenized again in every round", "token ids are kept"),
    Departure("generate_script", "every round has all the tokens", "rounds share one budget"),
    Departure("generate_script", "Wait also follows a cut round", "only an end is replaced"),
    Departure("harness", "every round has the whole cap", "rounds share one budget"),
    Departure("harness", "ids beyond the cap are cut, their text is not", "text is the ids' text"),
    Departure("harness", "a cut trace whose last round stopped gets no cue", "a cut one gets it"),
    Departure("harness", "an empty batch is submitted, and crashes", "an empty batch is empty"),
    Departure("harness", "the delimiter has no line break without a cue", "the template's own"),
    Departure("harness_rejection", "rounds are not bounded", "at most `rounds`"),
)
