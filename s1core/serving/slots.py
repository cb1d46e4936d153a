"""`Machine` for many rows at once, its state in tensors: budget forcing inside a serving engine.

At every step the engine shows the logits of its rows and samples afterwards. So whether a row
*would* end is decided before: by the arg-max, or by one uniform number (a function of the request's
seed and the position) against the probability of the stop ids. A row that ends has its next id
forced, one that thinks on has the stop ids masked, and the engine samples what is left: the
distribution is the same. Where the engine cuts the distribution (top-k, top-p, min-p), what it
would keep depends on the stops, so a row that thinks has its id drawn here.

There is no loop over rows, and on a GPU nothing waits for the device. An engine may show a position
twice (a prompt read in pieces), so a decision holds once the row has grown by it.
"""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import torch
from numpy import ndarray as Array
from torch import Tensor

from s1core.errors import BackendError
from s1core.forcing.budget import Machine
from s1core.serving.table import ANSWER, DONE, PLAIN, PRIME, THINKING, SlotTable, columns, rows_of

_FORCED = 1e9  # a logit that leaves no other id a chance, at any temperature


class Slots(SlotTable):
    """The machines of an engine's slots, stepped together."""

    def step(
        self, logits: Tensor, slots: Array, at: Tensor, length: Tensor, last: Tensor, lengths: Array
    ) -> Tensor:
        """Decide the next token of every row, in place.

        `logits` [rows, vocabulary] are 32-bit floats, temperature not applied; all else is [rows]:
        `slots`, `at` the slot of each row, on the host and on the device; `length` tokens that the
        next one follows, `last` the last of them; `lengths` is `length` on the host, or more.
        """
        kind = self.kind[slots]
        if not kind.any():
            return logits
        old, told = self.state[at], self.next[at]
        c = columns(told)
        self._take(c, at, last)
        grown = (length == columns(old).length + 1)[:, None]
        now = rows_of(c).where(grown, old)
        self.state[at] = now
        c = columns(now)
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
                rows = self.there(cut)
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
        self.next[at] = rows_of(c).where(whole[:, None], told)
        word, flag = (c.length - c.prompt) // 64, 1 << (c.length - c.prompt) % 64
        noted = self.drops[at, word]
        self.drops[at, word] = ((noted & ~flag) | flag * ends).where(whole, noted)
        plan = self.tables["plan"]
        token = plan[at, c.at.clamp(max=plan.shape[1] - 1)].where(c.at < c.until, -1)
        token = c.final.where(c.phase == DONE, token)
        if picked is not None:
            token = torch.where(picked >= 0, picked, token)
        here, forced = token.clamp(min=0)[:, None], (token >= 0)[:, None]
        return logits.scatter_(1, here, logits.gather(1, here).masked_fill(forced, _FORCED))

    def _would_end(
        self, logits: Tensor, at: Tensor, stops: Tensor, number: Tensor, free: Tensor, kind: Array
    ) -> Tensor:
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

    def _draw(self, logits: Tensor, slots: Array, at: Tensor, number: Tensor) -> Tensor:
        """An id per row, [rows], from its truncated distribution (top-k, top-p, min-p)."""
        heat, top_p, top_k, min_p = self.sampling[at][:, :, None].unbind(1)
        most, size = self.top_k[slots], logits.shape[1]
        width = int(most.max()) if most.min() > 0 else size
        ordered, order = (logits / heat).topk(min(width, size), 1)
        share = (ordered - ordered[:, :1]).exp()  # their sum matters to no step below
        rank = torch.arange(ordered.shape[1], device=self.device)
        share = share.masked_fill((top_k > 0) & (rank >= top_k), 0.0)
        share = share.masked_fill(share < min_p * share[:, :1], 0.0)
        before = share.cumsum(1) - share
        share = share.masked_fill(before >= top_p * share.sum(1, keepdim=True), 0.0)
        cdf = share.double().cumsum(1)
        place = torch.searchsorted(cdf, number[:, None] * cdf[:, -1:], right=True)
        last = (share > 0).sum(1, keepdim=True) - 1
        return order.gather(1, place.minimum(last)).squeeze(1)

    def _take(self, c: SimpleNamespace, at: Tensor, last: Tensor) -> None:
        """`Machine.take` of one token per row: a forced one moves on, a sampled one counts."""
        drawn = c.at >= c.until
        answer = (c.phase == ANSWER) & drawn
        c.at = c.at + ~drawn
        c.left = c.left - drawn.long()
        c.thought = c.thought + (drawn & (c.phase == THINKING))
        c.length, c.hash = c.length + 1, c.hash * PRIME + last + 1
        eos = (self.tables["eos"][at] == last[:, None]).any(1)
        other = (c.held > 0) & (last != c.again)
        c.phase = c.phase.masked_fill(answer & (eos | other | (c.left <= 0)), DONE)
        c.held = (answer & (last == c.header)).long()
        self.settle(c, last)

    def _end(self, c: SimpleNamespace, at: Tensor, ends: Tensor) -> None:
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


def uniform(seeds: Tensor, draws: Tensor) -> Tensor:
    """`sampling.uniforms` on a device: numbers in [0, 1), float64, from int64 seeds and draws."""

    def mixed(state: Tensor, shift: int, factor: int = 1) -> Tensor:
        logical = (state >> shift) & ((1 << (64 - shift)) - 1)
        return (state ^ logical) * factor

    state = seeds + (draws + 1) * (0x9E3779B97F4A7C15 - 2**64)
    state = mixed(mixed(state, 30, 0xBF58476D1CE4E5B9 - 2**64), 27, 0x94D049BB133111EB - 2**64)
    return ((mixed(state, 31) >> 11) & (2**53 - 1)).double() * 2.0**-53


def replay(machine: Machine, token_ids: Sequence[int], dropped: Sequence[int]) -> None:
    """Step a machine over what the engine did, told where it dropped an end of thinking.
    BackendError: the ids are not those that the machine forces."""
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
