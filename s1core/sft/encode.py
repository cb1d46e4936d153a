"""From examples to token ids and labels: what the model reads and what it is taught.

The loss covers the reasoning and the answer only (Section 4.1): the chat prompt up to and
including the assistant header is masked, everything after it, delimiters and end of turn
included, is supervised. Delimiters come from `s1core.templates`, the file that also serves
inference. Nothing is cut silently: Table 8 is about exactly that cut.

Examples then share forward passes: laid end to end in one row, with position ids that restart and
attention that stays inside an example (`s1core.sft.attention`). `pack` fills rows, and `plan_step`
shares the work of one optimizer step among processes.
"""

from __future__ import annotations

import bisect
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1core.errors import InputError
from s1core.records import Example
from s1core.sft.config import TooLong

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORE = -100
"""The label of a token that carries no loss (the convention of torch and transformers)."""


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """One example as token ids and labels of equal length.

    Attributes:
        key: `Problem.key`.
        token_ids: prompt, then the assistant's turn.
        labels: `token_ids` with `IGNORE` on the prompt; not shifted.
        full_length: tokens before any cut.
    """

    key: str
    token_ids: tuple[int, ...]
    labels: tuple[int, ...]
    full_length: int

    @property
    def supervised(self) -> int:
        """Tokens that carry loss: those with a label, except that none predicts position 0."""
        return sum(label != IGNORE for label in self.labels[1:])


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded examples, and what the sequence length did to them.

    Attributes:
        examples: those that can be trained on, in the order given.
        truncated: examples cut at the sequence length.
        answers_cut: of those, examples that lost a part of their answer.
        answers_lost: of those, examples that lost all of it (so the model never sees thinking end).
        dropped: keys left out, with the reason.
        max_seq_len: the sequence length that was applied.
    """

    examples: tuple[EncodedExample, ...]
    truncated: int
    answers_cut: int
    answers_lost: int
    dropped: tuple[tuple[str, str], ...]
    max_seq_len: int

    @property
    def lengths(self) -> list[int]:
        return [len(example.token_ids) for example in self.examples]

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return sum(self.lengths)

    @property
    def supervised(self) -> int:
        """Supervised tokens of one epoch."""
        return sum(example.supervised for example in self.examples)

    @property
    def fingerprint(self) -> str:
        """sha256 over keys, token ids and labels: the identity of the training data."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(repr((example.key, example.token_ids, example.labels)).encode())
        return digest.hexdigest()

    def report(self) -> str:
        """One line for people: what the cut at the sequence length did (compare Table 8)."""
        total = len(self.examples) + len(self.dropped)
        reasons = Counter(reason.split(" (")[0] for _, reason in self.dropped)
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        return (
            f"{total} examples, {self.tokens} tokens ({self.supervised} supervised); at "
            f"{self.max_seq_len} tokens {self.truncated} were cut "
            f"({100 * self.truncated / max(1, total):.0f}%), {self.answers_cut} within the answer, "
            f"{self.answers_lost} before it; {len(self.dropped)} dropped"
            + (f": {why}" if why else "")
        )


def encode_one(
    example: Example, tokenizer: PreTrainedTokenizerBase, template: str = "s1"
) -> tuple[EncodedExample, int]:
    """Encode one example uncut; returns it and the position at which its answer starts.

    The turn reads `<|im_start|>think\\n{thinking}\\n<|im_start|>answer\\n{attempt}<|im_end|>`
    with the s1 template (Appendix D).
    """
    from s1core import templates

    delimiters = templates.resolve(template, tokenizer)
    opened = templates.prompt_ids(template, tokenizer, example.problem.question)
    # The prompt is inference's own, less the delimiter that opens thinking: that one is taught.
    prompt = opened[: len(opened) - len(delimiters.think_start_ids)]
    turn = templates.assistant_ids(template, tokenizer, example.trace)
    end = list(delimiters.think_end_ids)
    ids = (*prompt, *turn)
    labels = (*[IGNORE] * len(prompt), *turn)
    answer = len(prompt) + _after_last(list(turn), end)
    return EncodedExample(example.key, ids, labels, len(ids)), answer


def encode(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    template: str = "s1",
    max_seq_len: int = 32_768,
    on_too_long: TooLong = "truncate",
) -> Encoded:
    """Encode examples for fine-tuning (Section 4.1, Appendix D).

    Args:
        examples: what to train on.
        tokenizer: of the model that is fine-tuned.
        template: a key of `s1core.templates.TEMPLATES`.
        max_seq_len: longest sequence in tokens; the paper's is 32,768 (Table 8: 4,096).
        on_too_long: "truncate" cuts the end off (as the paper's ablation did), "drop" leaves the
            example out, "error" refuses.

    An example without a question, a thought or an answer is left out, and the report says so.

    Raises:
        InputError: there are no examples, one is too long under "error" or holds something other
            than text, or nothing is left to supervise.
    """
    if not examples:
        raise InputError("the dataset is empty: fine-tuning needs at least one example")
    kept: list[EncodedExample] = []
    dropped: list[tuple[str, str]] = []
    truncated = cut = lost = 0
    for example in examples:
        if empty := _empty_part(example):
            dropped.append((example.key, f"without {empty}"))
            continue
        encoded, answer = encode_one(example, tokenizer, template)
        if encoded.full_length > max_seq_len:
            excess = f"{encoded.full_length} tokens, {max_seq_len} allowed"
            if on_too_long == "error":
                raise InputError(
                    f"example {encoded.key} is too long ({excess}): raise max_seq_len, or choose "
                    'on_too_long="truncate" or "drop"'
                )
            if on_too_long == "drop":
                dropped.append((encoded.key, f"too long ({excess})"))
                continue
            truncated += 1
            lost += answer >= max_seq_len
            cut += answer < max_seq_len
            ids, labels = encoded.token_ids[:max_seq_len], encoded.labels[:max_seq_len]
            encoded = EncodedExample(encoded.key, ids, labels, encoded.full_length)
        if encoded.supervised == 0:
            dropped.append((encoded.key, "no supervised token: the prompt alone fills the length"))
            continue
        kept.append(encoded)
    if not kept:
        raise InputError(
            f"nothing to train on: all {len(examples)} examples were dropped, the first: "
            f"{dropped[0][1]}; mend the data, or raise max_seq_len (now {max_seq_len})"
        )
    return Encoded(tuple(kept), truncated, cut, lost, tuple(dropped), max_seq_len)


def _empty_part(example: Example) -> str:
    """What an example lacks, "" when it is whole: nothing trains on an empty answer in silence."""
    trace = example.trace
    parts = {"question": example.problem.question, "thinking": trace.thinking}
    for name, text in {**parts, "answer": trace.attempt}.items():
        if not isinstance(text, str):
            raise InputError(f"the {name} of an example is {type(text).__name__}, not text")
        if not text.strip():
            return f"{'a' if name == 'question' else 'any'} {name}"
    return ""


def _after_last(ids: list[int], pattern: list[int]) -> int:
    """Index just after the last occurrence of `pattern`: `([5, 1, 2, 7], [1, 2]) -> 3`."""
    for start in range(len(ids) - len(pattern), -1, -1):
        if ids[start : start + len(pattern)] == pattern:
            return start + len(pattern)
    raise InputError("the encoded turn holds no end-of-thinking delimiter: check the chat template")


# ------------------------------------------------------------------------------------ rows


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: rows of indices whose lengths sum to at most `capacity`.

    `pack([6, 5, 4, 3, 2], 10) -> [[0, 2], [1, 3, 4]]`. Ties keep the order given, so the result
    is a function of the lengths alone. O(n log n) but for list insertion.

    Raises:
        InputError: a length exceeds the capacity.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    if order and lengths[order[0]] > capacity:
        raise InputError(
            f"an example of {lengths[order[0]]} tokens does not fit in a row of {capacity}: "
            "raise micro_batch_tokens or lower max_seq_len"
        )
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), ascending: the best fit is a bisection
    for index in order:
        place = bisect.bisect_left(room, (lengths[index], -1))
        if place < len(room):
            left, row = room.pop(place)
        else:
            left, row = capacity, len(rows)
            rows.append([])
        rows[row].append(index)
        bisect.insort(room, (left - lengths[index], row))
    return rows


def row_capacity(
    wanted: int | None, lengths: Sequence[int], *, on_gpu: bool, processes: int = 1
) -> int:
    """Most tokens of one packed row in a step with these examples.

    Args:
        wanted: `SFTConfig.micro_batch_tokens`; None takes 8,192 on a GPU and 512 on a CPU. Fewer
            do not fill the device, more only take memory.
        lengths: of the step's examples; the longest always fits.
        on_gpu: whether the model runs on one.
        processes: that share a row.
    """
    return max(wanted or (8192 if on_gpu else 512) * processes, *lengths)


def balance(costs: Sequence[float], parts: int) -> list[list[int]]:
    """Share out work: longest first, each to the part with the least so far.

    `balance([5, 4, 3, 3, 3], 2) -> [[0, 3], [1, 2, 4]]`.
    """
    shares: list[list[int]] = [[] for _ in range(parts)]
    loads = [0.0] * parts
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        part = min(range(parts), key=lambda p: (loads[p], p))
        shares[part].append(index)
        loads[part] += costs[index]
    return shares


def plan_step(
    lengths: Sequence[int], capacity: int, processes: int = 1, packing: bool = True
) -> list[list[list[int]]]:
    """The forward passes of one optimizer step: `[process][pass] -> indices into the batch`.

    Every process gets the same number of passes (a pass may be empty), because a sharded model
    gathers its weights in each of them and all must take part.
    """
    shares = balance([float(n) for n in lengths], processes)
    plans = []
    for share in shares:
        rows = (
            pack([lengths[i] for i in share], capacity)
            if packing
            else [[j] for j in range(len(share))]
        )
        plans.append([sorted(share[j] for j in row) for row in rows])
    passes = max(1, *(len(plan) for plan in plans))
    return [plan + [[] for _ in range(passes - len(plan))] for plan in plans]
