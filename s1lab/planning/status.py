"""How far a profile is while it runs: read from the store, from any terminal, at any time.

Nothing is asked of the processes that compute. Speed is what finished and running steps of this
store really reached; where there is none yet, no time is given.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pandas as pd

from s1core.records import Generation, read_recoverable
from s1lab.planning.tokens import Counter
from s1lab.steps import Step

if TYPE_CHECKING:
    from s1lab.pipeline import Pipeline

COLUMNS = ("run", "label", "trains", "state", "done", "total", "seconds")


def status(pipeline: Pipeline) -> pd.DataFrame:
    """A row for every step of a pipeline: its run, label, whether it trains, state ("done",
    "running", "stopped" or "to do"), tokens so far (`done`) and in all (`total`, expected), and
    seconds so far. Holds the store for no longer than a glance."""
    counter = Counter(pipeline)
    with pipeline.store.free() as free:
        begun = "stopped" if free else "running"
    rows: list[tuple[Any, ...]] = []
    for step in pipeline.steps():
        tokens, trains = counter.tokens(step), step.condition is None
        total = tokens.trained if trains else tokens.generated
        state, done, seconds = "to do", 0.0, 0.0
        if step.run.is_finished:
            seconds = float(step.run.provenance().get("wall_seconds", 0.0))
            state, done = "done", total
        elif step.run.path.exists():
            done, seconds = _so_far(step)
            state, total = begun, max(total, done)
        rows.append((step.run.id, step.label, trains, state, done, total, seconds))
    return pd.DataFrame(rows, columns=COLUMNS)


def _so_far(step: Step) -> tuple[float, float]:
    """Tokens of a step that is under way, and seconds from its start to the last it wrote."""
    trains = step.condition is None
    began = step.run.path / "manifest.json"
    newest = step.run.path / ("sft/log.jsonl" if trains else "results.jsonl")
    if not (began.exists() and newest.exists()):
        return 0.0, 0.0
    # Another process may be writing the last line.
    rows: Any = (row for _, row in read_recoverable(newest, None if trains else Generation)[0])
    if trains:
        done = sum(row["tokens"] for row in rows if isinstance(row.get("tokens"), int))
    else:
        done = sum(row.thinking_tokens + row.answer_tokens for row in rows)
    return done, max(0.0, newest.stat().st_mtime - began.stat().st_mtime)


def rate(found: pd.DataFrame, trains: bool) -> float:
    """Tokens per second so far, of training or of sampling; 0 where none is measured."""
    measured = found[(found.trains == trains) & (found.done > 0) & (found.seconds > 0)]
    return measured.done.sum() / measured.seconds.sum() if len(measured) else 0.0


def seconds_left(found: pd.DataFrame) -> float | None:
    """At the speeds so far; None while one that is needed is not measured."""
    total = 0.0
    for trains, part in found.groupby("trains"):
        left, speed = (part.total - part.done).clip(lower=0).sum(), rate(found, bool(trains))
        if left and not speed:
            return None
        total += left / speed if left else 0.0
    return total


def lines(found: pd.DataFrame, gpus: int, price: float) -> list[str]:
    """A status as text: what runs, then the totals, at a price per hour of each GPU."""
    text = [f"{(found.state == 'done').sum()} of {len(found)} runs are finished"]
    for row in found[found.state.isin(["running", "stopped"])].itertuples():
        share = row.done / row.total if row.total else 0.0
        text.append(
            f"  {row.state:8} {row.label}: {row.done:,.0f} of about {row.total:,.0f} tokens "
            f"({share:.0%}), {row.seconds:,.0f} s"
        )
    for trains, name in ((True, "training"), (False, "sampling")):
        if speed := rate(found, trains):
            text.append(f"{name}: {speed:,.0f} tokens/s so far")
    per_second = max(gpus, 1) * price / 3600
    spent, left = found.seconds.sum(), seconds_left(found)
    text.append(f"spent: {clock(spent)}, {spent * per_second:,.2f} at {price:g} per hour")
    if left is None:
        return [*text, "left: not known before something was measured"]
    ready = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + left))
    return [*text, f"left: {clock(left)}, {left * per_second:,.2f}; ready {ready}"]


def clock(seconds: float) -> str:
    """`3725 -> "1 h 02 min"`."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{seconds:.0f} s"
