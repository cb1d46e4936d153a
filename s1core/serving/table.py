"""What the machines of an engine's slots know, as tensors: requests come in, leave and come back.

A slot holds one request, a row of the table the state of its machine. An engine may drop a request
and bring it back in another slot, telling nothing but its ids: so the rows that slots held are kept
for a while, and found again by a polynomial of all that the request has said.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s1core.forcing.budget import Rules

THINKING, ANSWER, DONE, PLAIN, UNKNOWN = range(5)
"""Phases of a row. PLAIN: not ours; UNKNOWN: the prompt says whether thinking is open already."""

PRIME = 6364136223846793005
_STATE = ("phase", "left", "at", "until", "waits", "thought", "held", "length", "hash")
_FIXED = ("key", "seed", "prompt", "cap", "num_ignore", "min_thinking", "turns", "newline", "end")
_FIXED += ("cue", "close", "header", "again", "final", "opened")
COLUMNS = _STATE + _FIXED
_LENGTH, _HASH = COLUMNS.index("length"), COLUMNS.index("hash")


def program(
    rules: Rules,
    left: int,
    cap: int,
    *,
    phase: int = THINKING,
    opening: Sequence[int] = (),
    final: int | None = None,
    key: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """What a slot is told of its request, as plain lists and numbers, which travel anywhere.

    `left` are thinking tokens that the budget and the context allow, `cap` most answer tokens (both
    the same where `phase` is ANSWER); `opening` the think delimiter, forced where the prompt does
    not hold it (phase UNKNOWN); at `final` (else one of `ends`, never forced) the engine ends the
    request; by its `key` its record is asked for.
    """
    plan = [*opening, *rules.newline_ids, *rules.end_ids, *rules.cue_ids]
    end = len(opening) + len(rules.newline_ids)
    cue = end + len(rules.end_ids)
    close, ignore = len(plan), []
    for ids in rules.ignore_ids:
        ignore.append((len(plan), len(ids)))
        plan += ids
    fixed = {"newline": len(opening), "end": end, "cue": cue, "close": close, "key": key}
    fixed |= {"phase": phase, "left": left, "cap": cap, "seed": seed, "turns": len(ignore)}
    fixed |= {"num_ignore": rules.num_ignore, "min_thinking": rules.min_thinking}
    again = rules.end_ids[1] if len(rules.end_ids) > 1 else -1
    fixed |= {"header": rules.header, "again": again, "opened": len(opening)}
    ends = sorted({*rules.eos_ids} - {*plan}) or [min(rules.eos_ids)]
    fixed["final"] = ends[0] if final is None else final
    marked = 1 + (rules.header >= 0)  # a header alone does not say what it opens
    marks = [list(opening[:marked]), list(rules.end_ids[:marked])]
    ids = {"plan": plan, "stops": sorted(rules.stops), "eos": list(rules.eos_ids), "ends": ends}
    return {"fixed": fixed, "ignore": ignore, "marks": marks, **ids}


class SlotTable:
    """The states of an engine's requests, at most `slots` together, and of `kept` that have left.
    `longest` are most tokens of a request, prompt included; `ends_line` [vocabulary] says of every
    id whether its text ends a line; `unknown` are ids that the tokenizer lacks, never sampled."""

    def __init__(
        self, slots: int, longest: int, ends_line: Tensor, unknown: Any = None, kept: int = 4096
    ) -> None:
        self.device, self.slots, self.kept = ends_line.device, slots, kept
        self.ends_line, self.unknown = ends_line, unknown
        rows, whole = slots + kept, {"dtype": torch.long, "device": self.device}
        self.state = torch.zeros(rows, len(COLUMNS), **whole)
        self.state[:, 0] = PLAIN
        self.next = self.state.clone()
        # One bit per output token: an end of thinking was dropped where it stands.
        self.drops = torch.zeros(rows, longest // 64 + 1, **whole)
        self.powers = torch.full((longest + 2,), PRIME, **whole)
        self.powers[0] = 1
        self.powers = self.powers.cumprod(0)
        self.tables = {name: torch.zeros(slots, 1, **whole) for name in ("plan", "stops", "eos")}
        self.tables["ignore"] = torch.zeros(slots, 1, 2, **whole)
        self.sampling = torch.ones(slots, 4, device=self.device)
        # What the host knows of a slot: whether it is ours, how it samples, where thinking is over.
        self.kind, self.over = np.zeros(slots, np.int8), np.zeros(slots, np.int64)
        self.top_k = np.zeros(slots, np.int64)
        self._staged: dict[int, tuple[Any, ...]] = {}
        self._ring = 0

    def put(
        self, slot: int, told: dict[str, Any] | None, prompt: int, total: int, sampling: Any = None
    ) -> bool:
        """Stage a request for a slot (None: one of the engine's own); returns whether it is ours.
        `prompt` and `total` are tokens, without and with its output; `sampling` is as vLLM's."""
        if told is None and not self.kind[slot] and slot not in self._staged:
            return False
        how = (0.0, 1.0, 0, 0.0)
        self.kind[slot] = 0
        if told is not None:
            how = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p)
            heat, top_p, top_k, min_p = how
            cut = top_p < 1 or top_k > 0 or min_p > 0
            self.kind[slot] = (3 if cut else 2) if heat > 1e-5 else 1
            self.top_k[slot] = top_k
            self.over[slot] = prompt + told["fixed"]["opened"] + told["fixed"]["left"]
        self._staged[slot] = (told, prompt, total, how)
        return told is not None

    def flush(self, tokens: Callable[[list[int], Tensor, int], Tensor]) -> None:
        """Write what was staged; `tokens(slots, at, width)` are their first ids, [slots, width];
        `slots` and `at` are the same, on the host and on the device."""
        if not self._staged:
            return
        slots, rows = list(self._staged), list(self._staged.values())
        self._staged = {}
        at = self.there(slots)
        # What a slot held is kept: a row that was dropped comes back in some other slot.
        ring = self.there([self.slots + (self._ring + i) % self.kept for i in range(len(slots))])
        self._ring += len(slots)
        for table in (self.state, self.next, self.drops):
            table[ring] = table[at]
        fixed = [dict(told["fixed"]) if told else {"phase": PLAIN} for told, *_ in rows]
        for row, (told, prompt, _, how) in zip(fixed, rows, strict=True):
            told = told and told | {"fixed": told["fixed"] | {"seed": 0}}
            digest = hashlib.sha256(json.dumps([told, how]).encode()).digest()
            row |= {"prompt": prompt, "hash": int.from_bytes(digest[:8], "big", signed=True)}
        c = columns(self.there([[row.get(name, 0) for name in COLUMNS] for row in fixed]))
        self.sampling[at] = self.there([how for *_, how in rows], torch.float32)
        for name in self.tables:
            pad = (0, 0) if name == "ignore" else 0
            self._fill(name, at, [told[name] if told else [] for told, *_ in rows], pad)
        total = self.there([total for *_, total, _ in rows])
        said = tokens(slots, at, max(total for *_, total, _ in rows)).long()
        last = said.gather(1, total[:, None] - 1).squeeze(1)
        # A polynomial of what each row has said, but for its last id: it grows by one at a time.
        rest = total[:, None] - 2 - torch.arange(said.shape[1], device=self.device)
        terms = ((said + 1) * self.powers[rest.clamp(min=0)]).masked_fill(rest < 0, 0)
        before = terms.sum(1) + c.hash * self.powers[total - 1]
        c.hash, c.length = before * PRIME + last + 1, total
        c.left = (c.left - (total - c.prompt)).clamp(min=0)
        if any(row["phase"] == UNKNOWN for row in fixed):
            self._open(c, at, said, [told["marks"] if told else [[-1], [-1]] for told, *_ in rows])
        self.settle(c, last)
        tables = self.state, self.next, self.drops
        fresh = (rows_of(c), rows_of(c), torch.zeros_like(self.drops[at]))
        if any(total > prompt for _, prompt, total, _ in rows):  # dropped before, now back
            told = torch.stack([total - 1, before, total, c.hash], 1)[:, None]
            had = self.state[:, [_LENGTH, _HASH] * 2] == told
            same = (had[..., :2].all(2) | had[..., 2:].all(2)) & (total > c.prompt)[:, None]
            found, back = same.any(1, keepdim=True), same.long().argmax(1)
            fresh = tuple(a[back].where(found, b) for a, b in zip(tables, fresh, strict=True))
        for table, new in zip(tables, fresh, strict=True):
            table[at] = new

    def dropped(self, keys: Sequence[int]) -> dict[int, list[int]]:
        """Where ends of thinking were dropped, in output tokens, by the keys of requests."""
        asked, found = set(keys), dict[int, tuple[int, int]]()
        held = self.state[:, [COLUMNS.index("key"), _LENGTH]].tolist()
        for row, (key, length) in enumerate(held):
            if key in asked and length >= found.get(key, (0, 0))[0]:
                found[key] = (length, row)
        rows = self.drops[self.there([row for _, row in found.values()])].cpu().numpy()
        bits = np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little")
        return {key: np.flatnonzero(b).tolist() for key, b in zip(found, bits, strict=True)}

    def settle(self, c: SimpleNamespace, last: Tensor) -> None:
        """Rules 2 and 3: where the budget or the context is used up, thinking is cut."""
        cut = (c.phase == THINKING) & (c.at >= c.until) & (c.left <= 0)
        c.at = c.at.where(~cut, c.end.where(self.ends_line[last], c.newline))
        c.until, c.left = c.until.where(~cut, c.close), c.left.where(~cut, c.cap)
        c.phase = c.phase.masked_fill(cut, ANSWER)

    def _open(
        self, c: SimpleNamespace, at: Tensor, said: Tensor, marks: list[list[list[int]]]
    ) -> None:
        """Where a prompt leaves its row: thinking, answering, or yet to open its thinking."""
        place = torch.arange(said.shape[1], device=self.device)

        def latest(hit: Tensor, size: Any = 1) -> Tensor:
            inside = place + size <= c.prompt[:, None]
            return torch.where(hit & inside, place, -1).amax(1)

        after = said.roll(-1, 1)
        found = []
        for both in zip(*marks, strict=True):
            first, second = self.there([[*mark, -1][:2] for mark in both])[:, :, None].unbind(1)
            hit = (said == first) & ((after == second) | (second < 0))
            found.append(latest(hit, 1 + (second >= 0).long()))
        turn = torch.full_like(found[0], -1)
        for stop in self.tables["eos"][at].unbind(1):
            turn = turn.maximum(latest(said == stop[:, None]))
        opens, closes = found
        ask = c.phase == UNKNOWN
        answers = ask & (closes > opens) & (closes > turn)
        thinks = ask & (opens > closes) & (opens > turn)
        c.until = torch.where(ask & ~answers & ~thinks, c.opened, c.until)
        c.left = c.cap.where(answers, c.left)
        c.phase = c.phase.masked_fill(ask, THINKING).masked_fill(answers, ANSWER)

    def _fill(self, name: str, at: Tensor, rows: list[list[Any]], pad: Any) -> None:
        """Write ragged rows into a table that widens as needed; short ones repeat their first."""
        table = self.tables[name]
        width = max(table.shape[1], *map(len, rows))
        if width > table.shape[1]:
            wider = table.new_zeros(len(table), width, *table.shape[2:])
            wider[:] = table[:, :1]
            wider[:, : table.shape[1]] = table
            table = self.tables[name] = wider
        table[at] = self.there([[*row, *[row[0] if row else pad] * width][:width] for row in rows])

    def there(self, values: Any, dtype: torch.dtype = torch.long) -> Tensor:
        """A tensor on the device; where that is a GPU, without waiting for it."""
        made, cpu = torch.tensor(values, dtype=dtype), self.device.type == "cpu"
        return made if cpu else made.pin_memory().to(self.device, non_blocking=True)


def columns(table: Tensor) -> SimpleNamespace:
    """Rows of a table by the names of `COLUMNS`."""
    return SimpleNamespace(**dict(zip(COLUMNS, table.unbind(1), strict=True)))


def rows_of(columns: SimpleNamespace) -> Tensor:
    """`columns` undone."""
    return torch.stack([getattr(columns, name) for name in COLUMNS], 1)
