"""How far a profile is while it runs: read from the store, from any terminal, at any time.

Nothing is asked of the processes that compute. Speed is what finished and running steps of this
store really reached; where there is none yet, no time is given.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from s1core.records import Generation, read_recoverable
from s1lab.planning.tokens import Counter
from s1lab.steps import Step

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Progress:
    """One step: its state, tokens so far and in all (expected), and seconds so far."""

    step: Step
    state: Literal["done", "running", "stopped", "to do"]
    done: float
    total: float
    seconds: float

    @property
    def trains(self) -> bool:
        return self.step.condition is None


@dataclass(frozen=True, slots=True)
class Status:
    """All steps of a profile, and the GPUs that are rented meanwhile."""

    steps: tuple[Progress, ...]
    gpus: int

    def rate(self, trains: bool) -> float:
        """Tokens per second so far, of training or of sampling; 0 where none is measured."""
        measured = [s for s in self.steps if s.trains == trains and s.done and s.seconds]
        seconds = sum(s.seconds for s in measured)
        return sum(s.done for s in measured) / seconds if seconds else 0.0

    @property
    def seconds_spent(self) -> float:
        return sum(s.seconds for s in self.steps)

    @property
    def seconds_left(self) -> float | None:
        """At the speeds so far; None while one that is needed is not measured."""
        total = 0.0
        for trains in (True, False):
            left = sum(max(0.0, s.total - s.done) for s in self.steps if s.trains == trains)
            if left and not self.rate(trains):
                return None
            total += left / self.rate(trains) if left else 0.0
        return total

    def money(self, seconds: float, price: float) -> float:
        """What so many seconds cost at a price per GPU-hour."""
        return seconds / 3600 * max(self.gpus, 1) * price


def status(pipeline: Pipeline) -> Status:
    """Look at every step of a pipeline; takes no locks for longer than a glance."""
    counter = Counter(pipeline)
    found = []
    for step in pipeline.steps():
        tokens = counter.tokens(step)
        total = tokens.trained if step.condition is None else tokens.expected
        if step.run.is_finished:
            seconds = float(step.run.provenance().get("wall_seconds", 0.0))
            found.append(Progress(step, "done", total, total, seconds))
        elif not step.run.path.exists():
            found.append(Progress(step, "to do", 0, total, 0.0))
        else:
            with step.run.claim() as free:
                done, seconds = _so_far(step)
            state = "stopped" if free else "running"
            found.append(Progress(step, state, done, max(total, done), seconds))
    return Status(tuple(found), pipeline.profile.gpus)


def _so_far(step: Step) -> tuple[float, float]:
    """Tokens of a step that is under way, and seconds from its start to the last it wrote."""
    manifest = step.run.path / "manifest.json"
    name = "sft/log.jsonl" if step.condition is None else "results.jsonl"
    newest: Path = step.run.path / name
    if not (manifest.exists() and newest.exists()):
        return 0.0, 0.0
    kind = None if step.condition is None else Generation
    rows, _ = read_recoverable(newest, kind)  # another process may be writing the last line
    seconds = max(0.0, newest.stat().st_mtime - manifest.stat().st_mtime)
    return sum(_tokens(row) for _, row in rows), seconds


def _tokens(row: Any) -> int:
    """Tokens of a training step, or of a generation: all thinking, and what was answered."""
    if isinstance(row, Generation):
        return row.thinking_tokens + row.answer_tokens
    tokens = row.get("tokens")
    return tokens if isinstance(tokens, int) else 0


def lines(found: Status, price: float) -> list[str]:
    """A status as text: what runs, then the totals."""
    done = sum(s.state == "done" for s in found.steps)
    text = [f"{done} of {len(found.steps)} runs are finished"]
    for progress in found.steps:
        if progress.state in ("running", "stopped"):
            share = progress.done / progress.total if progress.total else 0.0
            text.append(
                f"  {progress.state:8} {progress.step.label}: {progress.done:,.0f} of about "
                f"{progress.total:,.0f} tokens ({share:.0%}), {progress.seconds:,.0f} s"
            )
    for trains, name in ((True, "training"), (False, "sampling")):
        if found.rate(trains):
            text.append(f"{name}: {found.rate(trains):,.0f} tokens/s so far")
    spent, left = found.seconds_spent, found.seconds_left
    text.append(f"spent: {clock(spent)}, {found.money(spent, price):,.2f} at {price:g} per hour")
    if left is None:
        return [*text, "left: not known before something was measured"]
    ready = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + left))
    return [*text, f"left: {clock(left)}, {found.money(left, price):,.2f}; ready {ready}"]


def clock(seconds: float) -> str:
    """`3725 -> "1 h 02 min"`."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{seconds:.0f} s"
