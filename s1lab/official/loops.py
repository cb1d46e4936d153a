"""The three loops of the official code, restated from their behaviour.

They disagree with each other and with Section 3.1; a published number belongs to the loop that
made it. Each is a function from a prompt to the engine requests that it makes and the final prompt
that it builds, faults included. `DEPARTURES` lists where each parts from the specification.

Known from simplescaling/s1 at 77272c6e: the README's example, eval/generate.py, and the fork of
lm-evaluation-harness (lm_eval/models/vllm_causallms.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from s1core.backends.base import Backend
from s1core.backends.sampling import row_seed
from s1core.records import Generation, Problem, Segment
from s1core.templates import encode, prompt_ids
from s1lab.official import engine as engines
from s1lab.official.engine import (
    CUE,
    END,
    SCRIPT_TOKENS,
    LoopEngine,
    LoopRequest,
    LoopResult,
    Output,
)
from s1lab.official.harness import HarnessSettings, harness

README_TOKENS = 32_000


def readme(
    engine: LoopEngine,
    prompt: str,
    max_thinking: int = README_TOKENS,
    num_ignore: int = 1,
    ignore: str = "Wait",
) -> LoopResult:
    """The README's loop: strings, one prompt, what is left shrinks by each output's tokens."""
    return _strings(engine, prompt, max_thinking, num_ignore, ignore, shrinks=True)


def generate_script(engine: LoopEngine, prompt: str, ignore: str = "Wait") -> LoopResult:
    """eval/generate.py: as the README with one Wait, but every round has all the tokens."""
    return _strings(engine, prompt, SCRIPT_TOKENS, 1, ignore, shrinks=False)


def _strings(
    engine: LoopEngine, prompt: str, left: int, waits: int, ignore: str, *, shrinks: bool
) -> LoopResult:
    end = tuple(encode(engine.tokenizer, engines.TURN_END))
    stops = (*encode(engine.tokenizer, engines.MARK), *end)
    requests: list[LoopRequest] = []

    def ask(request: LoopRequest) -> Output:
        requests.append(request)
        return engine.generate([request])[0]

    prompt += engines.START
    begin = len(prompt)
    output = ask(LoopRequest(prompt, left, 0, stops))
    for _ in range(waits):
        left -= len(output.token_ids) if shrinks else 0
        if left > 0:
            prompt += output.text + ignore
            output = ask(LoopRequest(prompt, left, 1, stops))
    prompt += output.text
    # No delimiter, no cue: the model must write its own, or it goes on thinking.
    answer, thinking = ask(LoopRequest(prompt, SCRIPT_TOKENS, 0, end)), prompt[begin:]
    ids = tuple(encode(engine.tokenizer, thinking))
    return LoopResult(tuple(requests), prompt, ids, thinking, answer.text)


def run(
    loop: Literal["readme", "generate_script", "harness"],
    backend: Backend,
    problems: Sequence[Problem],
    settings: HarnessSettings,
    seed: int = 0,
) -> Iterator[Generation]:
    """Answer problems with an official loop, as generations that can be graded.

    All problems are one batch, which the harness looks at as a whole; `seed` and the first problem
    choose its random numbers.

    The string loops count in re-tokenized text and mark no origins, so all that they keep as
    thinking is marked "sampled"; take counts that matter from `forcing.generate` instead.

    Raises:
        LoopCrash: where the original would have crashed.
    """
    tokenizer = backend.tokenizer
    asked = (problem.question for problem in problems)
    prompts = [prompt_ids("s1", tokenizer, question, thinking=False) for question in asked]
    own = row_seed(seed, problems[0].key, 0) if problems else seed
    engine = engines.BackendEngine(backend, own >> 1)
    if loop == "harness":
        results = harness(engine, prompts, settings)
    else:
        cap, waits = settings.max_tokens_thinking, settings.thinking_n_ignore
        cap = README_TOKENS if cap == "auto" else cap
        ignore = settings.thinking_n_ignore_str
        results = [
            readme(engine, text, cap, waits, ignore)
            if loop == "readme"
            else generate_script(engine, text, ignore)
            for text in map(tokenizer.decode, prompts)
        ]
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
            waits_used=max(len(result.requests) - 2, 0),
            thinking=result.thinking,
            answer=answer,
        )


DEPARTURES = (
    ("readme", "Wait is not subtracted from what is left", "ignore strings count"),
    ("readme", "the dropped stop token is subtracted", "a dropped token does not count"),
    ("readme", "no end delimiter is forced", "exactly one follows thinking"),
    ("readme", "no cue when thinking was cut", "the cue follows the delimiter then"),
    ("readme", "text is tokenized again in every round", "token ids are kept"),
    ("generate_script", "every round has all the tokens", "rounds share one budget"),
    ("generate_script", "Wait also follows a cut round", "only an end is replaced"),
    ("harness", "every round has the whole cap", "rounds share one budget"),
    ("harness", "ids beyond the cap are cut, their text is not", "text is the ids' text"),
    ("harness", "a cut trace whose last round stopped gets no cue", "a cut one gets it"),
    ("harness", "an empty batch is submitted, and crashes", "an empty batch is empty"),
    ("harness", "the delimiter has no line break without a cue", "the template's own"),
)
"""Where a loop parts from the specification (`s1core.forcing.budget`): what it does, what is
specified."""
