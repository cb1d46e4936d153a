"""`Machine` for many rows at once, its state in tensors: budget forcing inside a serving engine.

An engine's slot holds one request; one table row holds the state of its machine. At every step the
engine shows the logits of its rows and samples afterwards. So whether a row *would* end is decided
before: by the arg-max, or by one uniform number (a function of the request's seed and the position)
against the probability of the stop ids. A row that ends has its next id forced, one that thinks on
has the stop ids masked, and the engine samples what is left: the distribution is the same.

There is no loop over rows, and on a GPU nothing waits for the device. An engine may show a position
twice (a prompt read in pieces), so a decision holds once the row has grown by it; and it may drop a
row and bring it back in another slot, so a state is kept and found again by what the row has said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from s1core.errors import BackendError
from s1core.forcing.budget import Machine, Rules

THINKING, ANSWER, DONE, PLAIN, UNKNOWN = range(5)
"""Phases of a row. PLAIN: not ours; UNKNOWN: the prompt says whether thinking is open already."""

_FORCED = 1e9
_PRIME = 6364136223846793005
_STATE = ("phase", "left", "at", "until", "waits", "thought", "held", "length", "hash")
_FIXED = ("key", "seed", "prompt", "cap", "num_ignore", "min_thinking", "turns", "newline", "end")
_FIXED += ("cue", "close", "header", "again", "final", "opened")
COLUMNS = _STATE + _FIXED


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

    Args:
        left: thinking tokens that the budget and the context allow (`left` and `cap` are the
            tokens of the answer where `phase` is ANSWER).
        cap: most answer tokens.
        opening: the think delimiter, forced where the prompt does not hold it (phase UNKNOWN).
        final: an id at which the engine ends the request.
        key: the request's own number, by which its record is asked for.
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
    fixed["final"] = min(rules.eos_ids) if final is None else final
    marked = 1 + (rules.header >= 0)  # a header alone does not say what it opens
    marks = [list(opening[:marked]), list(rules.end_ids[:marked])]
    ids = {"plan": plan, "stops": sorted(rules.stops), "eos": list(rules.eos_ids)}
    return {"fixed": fixed, "ignore": ignore, "marks": marks, **ids}


class Slots:
    """The machines of an engine's slots.

    Args:
        slots: how many requests the engine steps together at most.
        longest: most tokens of a request, its prompt included.
        ends_line: of every id, whether its text ends a line, [vocabulary] of truth values.
        unknown: ids that the tokenizer lacks, never sampled.
        kept: states of past requests that are kept.
    """

    def __init__(
        self,
        slots: int,
        longest: int,
        ends_line: torch.Tensor,
        unknown: torch.Tensor | None = None,
        kept: int = 4096,
    ) -> None:
        self.device, self.slots, self.kept = ends_line.device, slots, kept
        self.ends_line, self.unknown = ends_line, unknown
        size, whole = (slots + kept, len(COLUMNS)), {"dtype": torch.long, "device": self.device}
        self.state = torch.full(size, 0, **whole)
        self.state[:, 0] = PLAIN
        self.next = self.state.clone()
        # One bit per output token: an end of thinking was dropped where it stands.
        self.drops = torch.zeros(slots + kept, longest // 64 + 1, **whole)
        self.powers = torch.full((longest + 2,), _PRIME, **whole)
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
        """Stage a request for a slot; None is one of the engine's own. Returns whether it is ours.

        Args:
            prompt: tokens of its prompt; `total` includes what it has said already.
            sampling: vLLM's `SamplingParams`, or what has their names.
        """
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

    def flush(self, tokens: Callable[[list[int], int], torch.Tensor]) -> None:
        """Write what was staged; `tokens(slots, width)` are their first ids, [slots, width]."""
        if not self._staged:
            return
        slots, rows = list(self._staged), list(self._staged.values())
        self._staged = {}
        at = self._there(slots)
        # What a slot held is kept: a row that was dropped comes back in some other slot.
        ring = self._there([self.slots + (self._ring + i) % self.kept for i in range(len(slots))])
        self._ring += len(slots)
        for table in (self.state, self.next, self.drops):
            table[ring] = table[at]
        fixed = [dict(told["fixed"]) if told else {"phase": PLAIN} for told, *_ in rows]
        for row, (told, prompt, _, how) in zip(fixed, rows, strict=True):
            told = told and told | {"fixed": told["fixed"] | {"seed": 0}}
            digest = hashlib.sha256(json.dumps([told, how]).encode()).digest()
            row |= {"prompt": prompt, "hash": int.from_bytes(digest[:8], "big", signed=True)}
        c = _columns(self._there([[row.get(name, 0) for name in COLUMNS] for row in fixed]))
        self.sampling[at] = self._there([how for *_, how in rows], torch.float32)
        for name in self.tables:
            pad = (0, 0) if name == "ignore" else 0
            self._fill(name, at, [told[name] if told else [] for told, *_ in rows], pad)
        total = self._there([total for *_, total, _ in rows])
        said = tokens(slots, max(total for *_, total, _ in rows)).long()
        last = said.gather(1, total[:, None] - 1).squeeze(1)
        before = self._hash(said, total - 1, c.hash)
        c.hash, c.length = before * _PRIME + last + 1, total
        c.left = (c.left - (total - c.prompt)).clamp(min=0)
        if any(row["phase"] == UNKNOWN for row in fixed):
            self._open(c, at, said, [told["marks"] if told else [[-1], [-1]] for told, *_ in rows])
        self._settle(c, last)
        fresh = (_table(c), _table(c), torch.zeros_like(self.drops[at]))
        if any(total > prompt for _, prompt, total, _ in rows):  # dropped before, now back
            told = torch.stack([total - 1, before, total, c.hash], 1)[:, None]
            had = self.state[:, _PLACE].repeat(1, 2) == told
            same = (had[..., :2].all(2) | had[..., 2:].all(2)) & (total > c.prompt)[:, None]
            found, back = same.any(1, keepdim=True), same.long().argmax(1)
            tables = zip((self.state, self.next, self.drops), fresh, strict=True)
            fresh = tuple(table[back].where(found, new) for table, new in tables)
        for table, new in zip((self.state, self.next, self.drops), fresh, strict=True):
            table[at] = new

    def step(
        self,
        logits: torch.Tensor,
        slots: np.ndarray,
        at: torch.Tensor,
        length: torch.Tensor,
        last: torch.Tensor,
        lengths: np.ndarray,
    ) -> torch.Tensor:
        """Decide the next token of every row, in place.

        Args:
            logits: [rows, vocabulary], 32-bit floats, temperature not applied.
            slots, at: the slot of each row, [rows], on the host and on the device.
            length: tokens of each row that its next one follows, [rows].
            last: the last of these tokens, [rows].
            lengths: `length` on the host, or more than it.
        """
        kind = self.kind[slots]
        if not kind.any():
            return logits
        old, told = self.state[at], self.next[at]
        c = _columns(told)
        self._take(c, at, last)
        grown = (length == old[:, _LENGTH] + 1)[:, None]
        now = _table(c).where(grown, old)
        self.state[at] = now
        c = _columns(now)
        if self.unknown is not None:
            ours = (c.phase != PLAIN)[:, None]
            logits[:, self.unknown] = logits[:, self.unknown].masked_fill(ours, -torch.inf)
        free = (c.phase == THINKING) & (c.at >= c.until)
        picked = None
        ends = torch.zeros_like(free)
        kind = np.where(lengths < self.over[slots], kind, 0)  # thinking is over for sure elsewhere
        if kind.any():
            stops = self.tables["stops"][at]
            number = uniform(c.seed, c.length - c.prompt)
            if (kind < 3).any():
                ends = self._would_end(logits, at, stops, number, free, kind)
            if cut := np.flatnonzero(kind == 3).tolist():
                rows = self._there(cut)
                picked = torch.full_like(c.left, -1)
                picked[rows] = self._draw(logits[rows], slots[cut], at[rows], number[rows])
                hit = (picked[:, None] == stops).any(1) & free
                ends = torch.where(picked >= 0, hit, ends)
                picked = torch.where(free & ~ends, picked, -1)
            self._end(c, at, ends)
            # What thinks on, thinks on: no stop.
            seen = logits.gather(1, stops)
            quiet = ((c.phase == THINKING) & (c.at >= c.until))[:, None]
            logits.scatter_(1, stops, seen.masked_fill(quiet, -torch.inf))
        # Logits from the middle of a prompt decide nothing.
        whole = c.length == length
        self.next[at] = _table(c).where(whole[:, None], told)
        word, bit = ((c.length - c.prompt) // 64)[:, None], (c.length - c.prompt) % 64
        drops = self.drops[at]
        flag = torch.ones_like(bit) << bit
        noted = drops.gather(1, word).squeeze(1)
        noted = ((noted & ~flag) | flag * ends).where(whole, noted)
        self.drops[at] = drops.scatter(1, word, noted[:, None])
        plan = self.tables["plan"]
        planned = plan[at, c.at.clamp(max=plan.shape[1] - 1)]
        token = torch.where(c.phase == DONE, c.final, planned.where(c.at < c.until, -1))
        if picked is not None:
            token = torch.where(picked >= 0, picked, token)
        here, forced = token.clamp(min=0)[:, None], (token >= 0)[:, None]
        return logits.scatter_(1, here, logits.gather(1, here).masked_fill(forced, _FORCED))

    def dropped(self, keys: Sequence[int]) -> dict[int, list[int]]:
        """Where ends of thinking were dropped, in output tokens, by the keys of requests."""
        asked, found = set(keys), dict[int, tuple[int, int]]()
        held = self.state[:, [COLUMNS.index("key"), _LENGTH]].tolist()
        for row, (key, length) in enumerate(held):
            if key in asked and length >= found.get(key, (0, 0))[0]:
                found[key] = (length, row)
        rows = self.drops[self._there([row for _, row in found.values()])].cpu().numpy()
        bits = np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little")
        return {key: np.flatnonzero(b).tolist() for key, b in zip(found, bits, strict=True)}

    def _would_end(
        self,
        logits: torch.Tensor,
        at: torch.Tensor,
        stops: torch.Tensor,
        number: torch.Tensor,
        free: torch.Tensor,
        kind: np.ndarray,
    ) -> torch.Tensor:
        """Which rows would sample a stop next, [rows]."""
        heat = self.sampling[at, 0]
        hot = heat > 1e-5
        scale = heat.where(hot, 1.0)[:, None]
        seen = logits.gather(1, stops)
        rows, ends = slice(None), torch.zeros_like(free)
        if logits.device.type == "cpu":
            # Few rows can end at all: no stop is as likely as its logit beside the largest one.
            top = logits.amax(1, keepdim=True)
            most = ((seen - top) / scale).exp().sum(1)
            near = free & torch.where(hot, number < most, (seen >= top).any(1))
            rows = near.nonzero().squeeze(1)
            if not len(rows):
                return ends
            logits = logits[rows]
        likely = best = torch.zeros_like(ends[rows])
        if (kind == 2).any():
            scaled = logits / scale[rows]
            first = (stops[:, :, None] == stops[:, None]).tril(-1).any(2)[rows]  # padding repeats
            share = (seen[rows] / scale[rows] - scaled.logsumexp(1, keepdim=True)).exp()
            likely = number[rows] < share.masked_fill(first, 0.0).sum(1)
        if (kind == 1).any():
            best = (logits.argmax(1, keepdim=True) == stops[rows]).any(1)
        ends[rows] = torch.where(hot[rows], likely, best) & free[rows]
        return ends

    def _draw(
        self, logits: torch.Tensor, slots: np.ndarray, at: torch.Tensor, number: torch.Tensor
    ) -> torch.Tensor:
        """An id per row, [rows], from its truncated distribution (top-k, top-p, min-p)."""
        heat, top_p, top_k, min_p = self.sampling[at][:, :, None].unbind(1)
        most, size = self.top_k[slots], logits.shape[1]
        width = int(most.max()) if most.min() > 0 else size
        ordered, order = (logits / heat).topk(min(width, size), 1)
        whole = ordered.logsumexp(1, keepdim=True)  # its scale matters to no step below
        share = (ordered - whole).exp()
        rank = torch.arange(ordered.shape[1], device=self.device)
        share = share.masked_fill((top_k > 0) & (rank >= top_k), 0.0)
        share = share.masked_fill(share < min_p * share[:, :1], 0.0)
        before = share.cumsum(1) - share
        share = share.masked_fill(before >= top_p * share.sum(1, keepdim=True), 0.0)
        cdf = share.double().cumsum(1)
        place = torch.searchsorted(cdf, number[:, None] * cdf[:, -1:], right=True)
        last = (share > 0).sum(1, keepdim=True) - 1
        return order.gather(1, place.minimum(last)).squeeze(1)

    def _take(self, c: SimpleNamespace, at: torch.Tensor, last: torch.Tensor) -> None:
        """`Machine.take` of one token per row: a forced one moves on, a sampled one counts."""
        drawn = c.at >= c.until
        answer = (c.phase == ANSWER) & drawn
        c.at = c.at + ~drawn
        c.left = c.left - drawn.long()
        c.thought = c.thought + (drawn & (c.phase == THINKING))
        c.length, c.hash = c.length + 1, c.hash * _PRIME + last + 1
        eos = (self.tables["eos"][at] == last[:, None]).any(1)
        other = (c.held > 0) & (last != c.again)
        c.phase = c.phase.masked_fill(answer & (eos | other | (c.left <= 0)), DONE)
        c.held = (answer & (last == c.header)).long()
        self._settle(c, last)

    def _settle(self, c: SimpleNamespace, last: torch.Tensor) -> None:
        """Rules 2 and 3: where the budget or the context is used up, thinking is cut."""
        cut = (c.phase == THINKING) & (c.at >= c.until) & (c.left <= 0)
        c.at = c.at.where(~cut, c.end.where(self.ends_line[last], c.newline))
        c.until, c.left = c.until.where(~cut, c.close), c.left.where(~cut, c.cap)
        c.phase = c.phase.masked_fill(cut, ANSWER)

    def _end(self, c: SimpleNamespace, at: torch.Tensor, ends: torch.Tensor) -> None:
        """Rule 1: replace the end of thinking by the ignore string, or let thinking end."""
        turn = (c.waits % c.turns.clamp(min=1))[:, None, None].expand(-1, 1, 2)
        first, size = self.tables["ignore"][at].gather(1, turn).squeeze(1).unbind(1)
        wanted = (c.waits < c.num_ignore) | (c.thought < c.min_thinking)
        wait = ends & wanted & (size <= c.left)
        over, size = ends & ~wait, size * wait
        c.waits, c.thought = c.waits + wait, c.thought + size
        c.left = c.cap.where(over, c.left - size)
        c.at = torch.where(wait, first, c.end.where(over, c.at))
        c.until = torch.where(wait, first + size, c.cue.where(over, c.until))
        c.phase = c.phase.masked_fill(over, ANSWER)

    def _open(
        self, c: SimpleNamespace, at: torch.Tensor, said: torch.Tensor, marks: list[list[list[int]]]
    ) -> None:
        """Where a prompt leaves its row: thinking, answering, or yet to open its thinking."""
        place = torch.arange(said.shape[1], device=self.device)

        def latest(hit: torch.Tensor, size: Any = 1) -> torch.Tensor:
            inside = place + size <= c.prompt[:, None]
            return torch.where(hit & inside, place, -1).amax(1)

        after = said.roll(-1, 1)
        found = []
        for both in zip(*marks, strict=True):
            first, second = self._there([[*mark, -1][:2] for mark in both])[:, :, None].unbind(1)
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

    def _hash(self, said: torch.Tensor, count: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """A polynomial of each row's first `count` ids, [rows]: it grows by one id at a time."""
        rest = count[:, None] - 1 - torch.arange(said.shape[1], device=self.device)
        terms = ((said + 1) * self.powers[rest.clamp(min=0)]).masked_fill(rest < 0, 0)
        return terms.sum(1) + start * self.powers[count]

    def _fill(self, name: str, at: torch.Tensor, rows: list[list[Any]], pad: Any) -> None:
        """Write ragged rows into a table that widens as needed; short ones repeat their first."""
        table = self.tables[name]
        width = max(table.shape[1], *map(len, rows))
        if width > table.shape[1]:
            wider = torch.zeros(len(table), width, *table.shape[2:], **_like(table))
            wider[:] = table[:, :1]
            wider[:, : table.shape[1]] = table
            table = self.tables[name] = wider
        table[at] = self._there([[*row, *[row[0] if row else pad] * width][:width] for row in rows])

    def _there(self, values: Any, dtype: torch.dtype = torch.long) -> torch.Tensor:
        """A tensor on the device; where that is a GPU, without waiting for it."""
        made = torch.tensor(values, dtype=dtype)
        if self.device.type == "cpu":
            return made
        return made.pin_memory().to(self.device, non_blocking=True)


_LENGTH = COLUMNS.index("length")
_PLACE = [_LENGTH, COLUMNS.index("hash")]


def _like(table: torch.Tensor) -> dict[str, Any]:
    return {"dtype": table.dtype, "device": table.device}


def _columns(table: torch.Tensor) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip(COLUMNS, table.unbind(1), strict=True)))


def _table(columns: SimpleNamespace) -> torch.Tensor:
    return torch.stack([getattr(columns, name) for name in COLUMNS], 1)


def uniform(seeds: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """`sampling.uniforms` on a device: numbers in [0, 1), float64, from int64 seeds and draws."""

    def mixed(state: torch.Tensor, shift: int, factor: int = 1) -> torch.Tensor:
        logical = (state >> shift) & ((1 << (64 - shift)) - 1)
        return (state ^ logical) * factor

    state = seeds + (draws + 1) * (0x9E3779B97F4A7C15 - 2**64)
    state = mixed(mixed(state, 30, 0xBF58476D1CE4E5B9 - 2**64), 27, 0x94D049BB133111EB - 2**64)
    return ((mixed(state, 31) >> 11) & (2**53 - 1)).double() * 2.0**-53


def replay(machine: Machine, token_ids: Sequence[int], dropped: Sequence[int]) -> None:
    """Step a machine over what the engine did, told where it dropped an end of thinking.

    Raises:
        BackendError: the ids are not those that the machine forces.
    """
    at, sampled, forced = set(dropped), list[int](), list(machine.start())
    for place, token in enumerate(token_ids):
        if not forced and place in at:  # which stop was dropped does not matter to the machine
            forced, sampled = machine.take([*sampled, min(machine.stops)]), []
        if machine.finished:
            return
        if forced:
            if forced.pop(0) != token:
                raise BackendError(f"the engine returned id {token} where another was forced")
            continue
        sampled.append(token)
        if token in machine.stops or len(sampled) == machine.room:
            forced, sampled = machine.take(sampled), []
    machine.take(sampled)
