"""Watching a generation while it is made: the same state machine, asked after every token.

How sampled tokens are split over calls of `take` changes nothing, so a watched generation has the
tokens of an unwatched one; it only costs the engine a question per token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from s1core.forcing.budget import Machine, Rules
from s1core.records import Origin, Phase

See = Callable[[Sequence[int], Origin, Phase], None]


class WatchedMachine(Machine):
    """A `Machine` that calls `see` with (ids, origin, phase) of what it appends, as it does.

    It asks to be asked after `every` sampled tokens. What was dropped is never shown.
    """

    def __init__(self, *machine: Any, see: See, every: int = 1) -> None:
        super().__init__(*machine)
        self._see, self._every = see, every

    @property
    def room(self) -> int:
        """Tokens that may be sampled before the machine must be asked again: few."""
        return min(super().room, self._every)

    def _append(self, ids: Sequence[int], origin: Origin, phase: Phase) -> None:
        super()._append(ids, origin, phase)
        if ids:
            self._see(ids, origin, phase)


def watched(see: See, every: int = 1) -> Callable[[Rules, Sequence[int], int], Machine]:
    """The machine for `forcing.generate(..., machine=watched(see))`."""
    return partial(WatchedMachine, see=see, every=every)


class TextStream:
    """Token ids to text, piece by piece: what `add` returned, joined, is the text of all ids.

    A character of several tokens comes with its last one. Decoding starts anew at each line break,
    so a long trace costs what a short one does.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._decode = partial(tokenizer.decode, clean_up_tokenization_spaces=False)
        self._ids: list[int] = []
        self._shown = 0

    def add(self, ids: Sequence[int], last: bool = False) -> str:
        """The text that `ids` complete; with `last`, what was held back too."""
        self._ids.extend(ids)
        text = self._decode(self._ids)
        if text.endswith("\N{REPLACEMENT CHARACTER}") and not last:  # an unfinished character
            return ""
        new, self._shown = text[self._shown :], len(text)
        if last or text.endswith("\n"):
            self._ids, self._shown = [], 0
        return new
