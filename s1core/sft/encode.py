"""From examples to packed rows of token ids: what the model reads and what it is taught. The loss
covers the reasoning and the answer only (Section 4.1): the chat prompt is masked, all that follows
the assistant header is supervised. Nothing is cut silently."""

import bisect
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s1core import templates
from s1core.errors import InputError
from s1core.records import Example
from s1core.sft.config import SFTConfig, TooLong

IGNORE = -100  # the label of a token that carries no loss, as in torch and transformers


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """One example as token ids and labels of equal length: prompt, then the assistant's turn."""

    key: str
    token_ids: tuple[int, ...]
    labels: tuple[int, ...]  # `IGNORE` on the prompt; not shifted
    full_length: int  # before any cut

    @property
    def supervised(self) -> int:
        """Tokens that carry loss: those with a label, except that none predicts position 0."""
        return sum(label != IGNORE for label in self.labels[1:])


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded examples, and what the sequence length did to them."""

    examples: tuple[EncodedExample, ...]  # those that can be trained on, in the order given
    truncated: int  # examples cut at the sequence length
    answers_cut: int  # of those, examples that lost a part of their answer
    answers_lost: int  # or all of it, so that the model never sees thinking end
    dropped: tuple[tuple[str, str], ...]  # keys left out, with the reason
    max_seq_len: int  # the sequence length that was applied

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example."""
        return [len(example.token_ids) for example in self.examples]

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
            f"{total} examples, {sum(self.lengths)} tokens ({self.supervised} supervised); at "
            f"{self.max_seq_len} tokens {self.truncated} were cut "
            f"({100 * self.truncated / max(1, total):.0f}%), {self.answers_cut} within the answer, "
            f"{self.answers_lost} before it; {len(self.dropped)} dropped{': ' if why else ''}{why}"
        )


def encode(
    examples: Sequence[Example],
    tokenizer: Any,
    template: str = "s1",
    max_seq_len: int = 32_768,
    on_too_long: TooLong = "truncate",
) -> Encoded:
    """Encode examples for fine-tuning (Section 4.1, Appendix D).

    An example without a question, a thought or an answer is left out, and the report says so. One
    longer than `max_seq_len` tokens (Table 8) loses its end, is left out under "drop", and refused
    under "error". InputError: that, or nothing is left.
    """
    if not examples:
        raise InputError("the dataset is empty: fine-tuning needs at least one example")
    kept: list[EncodedExample] = []
    dropped: list[tuple[str, str]] = []
    cut = lost = 0
    for example in examples:
        problem, trace = example.problem, example.trace
        texts = (problem.question, trace.thinking, trace.attempt)
        parts = dict(zip(("a question", "a thought", "an answer"), texts, strict=True))
        if empty := [name for name, text in parts.items() if not text.strip()]:
            dropped.append((example.key, f"without {empty[0]}"))  # nor trained on in silence
            continue
        ids, labels, answer = _encode_one(example, tokenizer, template)
        full = len(ids)
        if full > max_seq_len:
            excess = f"too long ({full} tokens, {max_seq_len} allowed)"
            if on_too_long == "error":
                raise InputError(f"example {example.key} is {excess}: cut it, or raise max_seq_len")
            if on_too_long == "drop":
                dropped.append((example.key, excess))
                continue
            lost += answer >= max_seq_len
            cut += answer < max_seq_len
            ids, labels = ids[:max_seq_len], labels[:max_seq_len]
        encoded = EncodedExample(example.key, ids, labels, full)
        if encoded.supervised:
            kept.append(encoded)
        else:
            dropped.append((encoded.key, "no supervised token: the prompt alone fills the length"))
    if not kept:
        why = f"all {len(examples)} examples were dropped, the first: {dropped[0][1]}"
        raise InputError(f"{why}; mend the data, or raise max_seq_len (now {max_seq_len})")
    return Encoded(tuple(kept), cut + lost, cut, lost, tuple(dropped), max_seq_len)


def _encode_one(
    example: Example, tokenizer: Any, template: str
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Ids, labels, and where the answer starts, of an example before any cut (Appendix D)."""
    delimiters = templates.resolve(template, tokenizer)
    opened = templates.prompt_ids(template, tokenizer, example.problem.question)
    # The prompt is inference's own, less the delimiter that opens thinking: that one is taught.
    prompt = opened[: len(opened) - len(delimiters.think_start_ids)]
    turn = templates.assistant_ids(template, tokenizer, example.trace)
    end = list(delimiters.think_end_ids)
    close = max(i for i in range(len(turn)) if turn[i : i + len(end)] == end)
    answer = len(prompt) + close + len(end)
    return (*prompt, *turn), (*[IGNORE] * len(prompt), *turn), answer


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: rows of indices whose lengths sum to at most `capacity`, such as
    `pack([6, 5, 4, 3, 2], 10) -> [[0, 2], [1, 3, 4]]`. Ties keep the order given."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
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


def plan_step(
    lengths: Sequence[int], config: SFTConfig, processes: int = 1, on_gpu: bool = False
) -> list[list[list[int]]]:
    """The forward passes of one optimizer step: `[team][pass] -> indices into the batch`. All teams
    get the same number (one may be empty): a sharded model gathers its weights in each."""
    team = config.sequence_parallel
    capacity = max(config.micro_batch_tokens or (8192 if on_gpu else 512) * team, *lengths)
    shares: list[list[int]] = [[] for _ in range(max(1, processes // team))]
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        min(shares, key=lambda share: sum(lengths[i] for i in share)).append(index)
    plans = []
    for share in shares:
        alone = [[j] for j in range(len(share))]
        rows = pack([lengths[i] for i in share], capacity) if config.packing else alone
        plans.append([sorted(share[j] for j in row) for row in rows])
    passes = max(1, *(len(plan) for plan in plans))
    return [plan + [[] for _ in range(passes - len(plan))] for plan in plans]
