"""The loop of the official harness (a fork of lm-evaluation-harness), restated; see `loops`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from s1core.templates import encode
from s1lab.official.engine import (
    CUE,
    END,
    MARK,
    SCRIPT_TOKENS,
    START,
    TURN_END,
    Engine,
    LoopResult,
    Output,
    Request,
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
