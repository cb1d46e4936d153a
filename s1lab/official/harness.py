"""The loop of the official harness (a fork of lm-evaluation-harness), restated; see `loops`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from s1core.templates import encode
from s1lab.official.engine import (
    CUE,
    END,
    MARK,
    SCRIPT_TOKENS,
    START,
    TURN_END,
    LoopEngine,
    LoopRequest,
    LoopResult,
    Output,
)


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


@dataclass(slots=True)
class _Row:
    prompt: list[int]
    thinking: list[int] = field(default_factory=list)
    text: str = ""
    stopped: bool = True
    requests: list[LoopRequest] = field(default_factory=list)


def harness(
    engine: LoopEngine, prompts: Sequence[Sequence[int]], settings: HarnessSettings
) -> list[LoopResult]:
    """The harness's loop: ids, a batch at a time, each round with the whole cap.

    Without Waits one round, which ends at stop strings; with n of them n + 1 rounds by stop ids,
    and whoever hits the cap leaves early. The answer follows the delimiter, with the cue where the
    last round stopped by length.

    Raises:
        LoopCrash: every sequence ran to its cap before the last round, so that the next batch is
            empty.
    """
    start, end, end_cue, newline, ignore = (
        encode(engine.tokenizer, text)
        for text in (START, END, END + CUE, "\n", settings.thinking_n_ignore_str)
    )
    rows = [_Row([*prompt, *start]) for prompt in prompts]
    cap, waits = settings.max_tokens_thinking, settings.thinking_n_ignore
    if cap == "auto":
        longest = max(map(len, prompts), default=0)
        cap = settings.max_model_len - longest - len(start) - len(end_cue) - 100
    request = LoopRequest((), cap, temperature=settings.temperature)
    strings = (*settings.stop, *settings.until_thinking)
    if waits:
        ids = tuple(encode(engine.tokenizer, string)[0] for string in strings)
        thought = replace(request, min_tokens=1, stop_token_ids=ids)
    else:
        thought = replace(request, stop=strings)
    live = rows
    for left in range(waits, -1, -1):
        for row, output in zip(live, _ask(engine, live, thought), strict=True):
            row.stopped = output.finish_reason == "stop"
            row.thinking += output.token_ids[:-1] if row.stopped else output.token_ids
            row.text += output.text
        live = [row for row in live if row.stopped]
        for row in live if left else ():
            row.thinking += ignore
            row.text += settings.thinking_n_ignore_str
    # The ids are cut to the cap; the text keeps what was cut.
    counted = [tuple(row.thinking[:cap]) for row in rows]
    for row, ids in zip(rows, counted, strict=True):
        cue = end_cue if row.text.endswith("\n") else [*newline, *end_cue]
        row.thinking = [*ids, *(end if row.stopped else cue)]
    answer = replace(request, max_tokens=settings.max_gen_toks, stop=settings.stop)
    answers = _ask(engine, rows, answer)
    return [
        LoopResult(tuple(row.requests), (*row.prompt, *row.thinking), ids, row.text, output.text)
        for row, ids, output in zip(rows, counted, answers, strict=True)
    ]


def _ask(engine: LoopEngine, rows: Sequence[_Row], request: LoopRequest) -> list[Output]:
    batch = [replace(request, prompt=(*row.prompt, *row.thinking)) for row in rows]
    for row, made in zip(rows, batch, strict=True):
        row.requests.append(made)
    return engine.generate(batch)
