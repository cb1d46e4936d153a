"""The last step before a reproduction starts: what it goes without, and what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from s1core.errors import RunError
from s1lab.pipeline import Pipeline
from s1lab.planning.cost import cost
from s1lab.planning.needs import find_missing
from s1lab.planning.status import clock
from s1lab.steps import wanted

if TYPE_CHECKING:
    from s1lab.planning.cost import Cost

ASK_BEYOND = 3600.0
"""Seconds of work, at worst, that are started without asking."""


def begin_with(
    pipeline: Pipeline, ask: Callable[[str], bool] | None, only: Sequence[str] = ()
) -> Pipeline:
    """The pipeline to run: without what cannot be had, and with its cost agreed to.

    Only profiles that need GPUs are asked about; the others cost nothing but patience.

    Args:
        ask: puts a question and says whether the answer was yes; None agrees to anything.
        only: the experiments that are started; empty for all.

    Raises:
        RunError: it is more than an hour of work and was not agreed to, or something of it does
            not fit.
        InputError: the training set cannot be had.
    """
    if not pipeline.profile.gpus and not pipeline.profile.rehearsal:
        return pipeline
    if pipeline.profile.gpus:
        refuse_or_agree(cost(pipeline, only=_names(pipeline, only)), pipeline, ask)
    missing = find_missing(pipeline.whole)
    for name, reason in sorted(missing.items()):
        pipeline.say(f"goes without {name}: {reason}")
    pipeline.store.note_missing(pipeline.profile.name, missing)
    return Pipeline(pipeline.whole, pipeline.store, progress=pipeline.progress, say=pipeline.say)


def refuse_or_agree(found: Cost, pipeline: Pipeline, ask: Callable[[str], bool] | None) -> None:
    """Raise RunError unless what is left fits, and is short or agreed to."""
    name = pipeline.profile.name
    if found.misfits:
        raise RunError(f"nothing was started: {found.misfits[0]}")
    low, high = found.seconds
    if ask is None or high <= ASK_BEYOND:
        return
    text = f"{name}: {clock(low)} to {clock(high)} of work on {found.gpus} GPU(s) are left"
    if not ask(f"{text}. Start?"):
        raise RunError(
            f"{text}; nothing was started. See `s1lab plan {name}`, then start it with --yes"
        )


def _names(pipeline: Pipeline, only: Sequence[str]) -> frozenset[str] | None:
    if not only:
        return None
    return frozenset(step.run.id for step in wanted(pipeline.steps(), list(only)))
