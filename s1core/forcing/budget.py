"""Budget forcing (Section 3.1) as one pure state machine over token ids.

It decides when thinking goes on and when it ends; it samples nothing, holds no text and knows no
engine. An engine asks three things of a `Machine`: how many tokens it may sample before asking
again (`room`), at which ids it must ask at once (`stops`), and, after `take`, which ids to append.
Thinking stops at its delimiter and at an end of turn, the answer at an end of turn alone: many
models write the delimiter a second time, right after the close. Where the delimiter is a turn's
header (s1: `<|im_start|>answer`), another header (`<|im_start|>user`) means that the turn is over.

    thinking ──end token, Waits left──▶ (drop it, append "Wait") ──▶ thinking
    thinking ──end token, none left───▶ end delimiter ──▶ answer          outcome "ended"
    thinking ──max_thinking reached───▶ newline?, end delimiter, cue ──▶ answer   "truncated"
    thinking ──context nearly full────▶ the same                         outcome "context"
    answer   ──end of turn, max_answer or the context─▶ finished
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from s1core.errors import InputError, check_number
from s1core.jsonl import read_yaml
from s1core.records import Origin, Outcome, Phase, Segment
from s1core.templates import Delimiters, encode

EFFORTS = Path(__file__).with_name("efforts.yaml")
"""Budgets by name, as commercial APIs offer them."""

_COUNTS = ("max_thinking", "num_ignore", "min_thinking", "max_answer")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a model may and must think (Section 3.1). An `ignore_str` of "" only suppresses the
    end of thinking ("without string", Table 4); several are drawn from in turn."""

    max_thinking: int  # most thinking tokens, ignore strings included; 0: an immediate answer
    num_ignore: int = 0  # how many ends of thinking are replaced by the ignore string
    min_thinking: int = 0  # they are replaced below so many tokens too, Waits left or not
    ignore_str: str | tuple[str, ...] = "Wait"
    answer_cue: str = "Final Answer:"  # follows the end delimiter when thinking was cut short
    max_answer: int = 512  # most answer tokens, end of turn included; the context keeps the room

    def __post_init__(self) -> None:
        for name in _COUNTS:
            check_number(name, getattr(self, name), int(name == "max_answer"), 2**31 - 1)
        least, most = self.min_thinking, self.max_thinking
        if least > most:
            raise InputError(f"min_thinking ({least}) exceeds max_thinking ({most})")
        if isinstance(self.ignore_str, list):
            object.__setattr__(self, "ignore_str", tuple(self.ignore_str))
        strings = self.ignore_strings
        if not isinstance(strings, tuple) or not all(isinstance(s, str) for s in strings):
            raise InputError(f"ignore_str must be text or a list of texts, not {strings!r:.60}")
        if not strings:
            raise InputError('ignore_str is an empty list; use "" to only suppress the end')
        if not isinstance(self.answer_cue, str):
            raise InputError(f"answer_cue must be text, not {self.answer_cue!r:.60}")

    @property
    def ignore_strings(self) -> tuple[str, ...]:
        """What replaces an end of thinking, in turn."""
        return (self.ignore_str,) if isinstance(self.ignore_str, str) else self.ignore_str


def read_effort(name: Any, path: Path = EFFORTS) -> dict[str, Any]:
    """The settings of the `Budget` that a YAML file names, at its top or under `efforts`.
    InputError: the file names no budgets, or none of that name."""
    named = (read := read_yaml(path)).get("efforts", read)
    rows = named.items() if isinstance(named, dict) else ()
    if not rows or not all(isinstance(k, str) and isinstance(v, dict) for k, v in rows):
        raise InputError(f"{path} names no budgets, such as `low: {{max_thinking: 1000}}`")
    if not isinstance(name, str) or name not in named:
        raise InputError(f"there is no effort {name!r:.40}; pick one of {', '.join(named)}")
    return named[name]


@dataclass(frozen=True, slots=True)
class Rules:
    """A `Budget` in the token ids of one tokenizer: all that a `Machine` needs to know."""

    max_thinking: int
    num_ignore: int
    min_thinking: int
    max_answer: int
    ignore_ids: tuple[tuple[int, ...], ...]
    end_ids: tuple[int, ...]
    cue_ids: tuple[int, ...]
    newline_ids: tuple[int, ...]
    stops: frozenset[int]  # these end thinking
    eos_ids: tuple[int, ...]  # and these the answer
    header: int  # what opens a turn, where the end delimiter is one itself; else -1
    ends_line: Callable[[int], bool] = field(compare=False)  # of a token's text

    @property
    def longest_closing(self) -> int:
        """Most tokens that closing a cut thinking phase can take."""
        return len(self.newline_ids) + len(self.end_ids) + len(self.cue_ids)


def rules(budget: Budget, delimiters: Delimiters, tokenizer: Any) -> Rules:
    """A budget in a tokenizer's ids; InputError: one of its texts holds an end of thinking."""
    encoded = []
    for text in (*budget.ignore_strings, budget.answer_cue):
        encoded.append(tuple(encode(tokenizer, text)))
        if delimiters.end_of_thinking_ids & set(encoded[-1]):
            raise InputError(f"{text!r} contains an end-of-thinking token; use plain text")
    *ignore_ids, cue_ids = encoded
    opening = delimiters.think_end_ids[0]
    return Rules(
        **{name: getattr(budget, name) for name in _COUNTS},
        ignore_ids=tuple(ignore_ids),
        end_ids=delimiters.think_end_ids,
        cue_ids=cue_ids,
        newline_ids=delimiters.newline_ids,
        stops=delimiters.end_of_thinking_ids,
        eos_ids=tuple(sorted(delimiters.eos_ids)),
        header=opening if opening == delimiters.think_start_ids[0] else -1,
        ends_line=lambda token: tokenizer.decode([token]).endswith("\n"),
    )


class Machine:
    """The decoding of one prompt: what was sampled, what was forced, and what comes next.

    `start()` first, then `take(sampled)` until `finished`; both return the ids to append next.
    Splitting the sampled tokens differently over calls of `take` changes nothing. The engine must
    call it as soon as it samples one of `stops`, which each `take` may change; under `suppress` the
    next token must be none of them (an empty ignore string would only invite it again)."""

    def __init__(self, rules: Rules, prompt: Sequence[int], context_length: int) -> None:
        """For a context of `context_length` tokens; InputError where no answer would fit it."""
        spare = context_length - len(prompt) - rules.longest_closing
        if spare < 1:
            takes = f"{len(prompt)} tokens and closing its thinking takes {rules.longest_closing}"
            left = f"which leaves no room for an answer in a context of {context_length}"
            raise InputError(f"the prompt has {takes}, {left}; shorten it or lengthen the context")
        self.rules, self.stops = rules, rules.stops
        self.phase: Phase = "thinking"
        self.outcome: Outcome = "ended"
        self.finish_reason: Literal["stop", "length"] = "length"
        self.finished = self.suppress = False
        self.waits_used = self.draws = 0
        self._last = prompt[-1] if prompt else -1
        self._runs: list[tuple[list[int], Origin, Phase]] = []
        self._thinking_left = min(rules.max_thinking, max(spare - rules.max_answer, 0))
        self._context_binds = self._thinking_left < rules.max_thinking
        self._context_left = context_length - len(prompt)
        self._answer_left = 0
        self._held: list[int] = []  # A header: the next token says what it opens.

    @property
    def room(self) -> int:
        """Tokens that may be sampled before the machine must be asked again."""
        if self.phase == "thinking":
            return self._thinking_left
        return self._answer_left - len(self._held)

    @property
    def thinking_tokens(self) -> int:
        """Thinking tokens so far, ignore strings included."""
        return sum(len(ids) for ids, _, phase in self._runs if phase == "thinking")

    @property
    def token_ids(self) -> list[int]:
        """Everything after the prompt, in order."""
        return [token for ids, _, _ in self._runs for token in ids] + self._held

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Everything after the prompt, marked by origin and phase."""
        return tuple(Segment(tuple(ids), origin, phase) for ids, origin, phase in self._runs if ids)

    def start(self) -> list[int]:
        """Ids to append before anything is sampled: none, unless no thinking fits."""
        return [] if self._thinking_left or self.phase == "answer" else self._cut_thinking()

    def take(self, sampled: Sequence[int]) -> list[int]:
        """Take at most `room` newly sampled tokens; return the ids to append after them. Only the
        last may be one of `stops`: it is dropped, and what is returned stands in its place."""
        return self._advance(sampled, stopped=bool(sampled) and sampled[-1] in self.stops)

    def _advance(self, sampled: Sequence[int], stopped: bool) -> list[int]:
        """`take`, told whether the last token ends the phase (and is dropped)."""
        if not sampled or self.finished:
            return []
        self.draws += len(sampled)
        if self.phase == "answer":
            return self._take_answer(sampled, stopped)
        may_wait = not (self.suppress and len(sampled) == 1)
        self.suppress = False
        self._append(sampled[:-1] if stopped else sampled, "sampled", "thinking")
        if stopped:
            return self._end_of_thinking(may_wait)
        return [] if self._thinking_left else self._cut_thinking()

    def _take_answer(self, sampled: Sequence[int], stopped: bool) -> list[int]:
        """Take answer tokens, up to an end of turn or to the header of another turn."""
        ids, self._held = [*self._held, *sampled], []
        header, again = self.rules.header, list(self.rules.end_ids[1:2])
        others = (i for i, t in enumerate(ids) if t == header and ids[i + 1 : i + 2] != again)
        at = next(others, len(ids) - stopped)
        if at == len(ids) - 1 and not stopped and len(ids) < self._answer_left:
            self._held = ids[at:]
        else:
            self.finished = at < len(ids) or len(ids) == self._answer_left
            self.finish_reason = "stop" if at < len(ids) else "length"
        self._append(ids[:at], "sampled", "answer")
        return []

    def _end_of_thinking(self, may_wait: bool) -> list[int]:
        """Rule 1: replace the end of thinking by the ignore string, or let thinking end."""
        rules, used = self.rules, self.waits_used
        wanted = used < rules.num_ignore or self.thinking_tokens < rules.min_thinking
        wait = rules.ignore_ids[used % len(rules.ignore_ids)]
        # A suppressed end that comes back means that the engine cannot suppress: let it end.
        if not (wanted and may_wait and len(wait) <= self._thinking_left):
            return self._begin_answer("ended", rules.end_ids)
        self.waits_used += 1
        self.suppress = not wait
        self._append(wait, "forced", "thinking")
        return [*wait, *(() if self._thinking_left else self._cut_thinking())]

    def _cut_thinking(self) -> list[int]:
        """Rules 2 and 3: the budget, or the context, is used up."""
        newline = () if self.rules.ends_line(self._last) else self.rules.newline_ids
        closing = (*newline, *self.rules.end_ids, *self.rules.cue_ids)
        return self._begin_answer("context" if self._context_binds else "truncated", closing)

    def _begin_answer(self, outcome: Outcome, closing: tuple[int, ...]) -> list[int]:
        self.outcome, self.suppress = outcome, False
        self._append(closing, "forced", "answer")
        self.skip_thinking()
        return list(closing)

    def skip_thinking(self) -> None:
        """Answer at once, with no delimiter in between; called before `start()`."""
        self.phase, self.stops = "answer", frozenset(self.rules.eos_ids)
        self._answer_left = min(self.rules.max_answer, self._context_left)

    def _append(self, ids: Sequence[int], origin: Origin, phase: Phase) -> None:
        if not ids:
            return
        if self._runs and self._runs[-1][1:] == (origin, phase):
            self._runs[-1][0].extend(ids)
        else:
            self._runs.append((list(ids), origin, phase))
        self._last = ids[-1]
        self._context_left -= len(ids)
        if phase == "thinking":
            self._thinking_left -= len(ids)
        elif origin == "sampled":
            self._answer_left -= len(ids)
