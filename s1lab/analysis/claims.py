"""The paper's claims (`claims.json`), each with its numbers and what our runs are asked.

Which differences the paper's own numbers show is asked by `s1lab.audit.comparisons`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from s1core.errors import InputError, RunError
from s1lab.analysis import verdicts
from s1lab.analysis.verdicts import Measured
from s1lab.audit.published import accuracy_of, published, runs
from s1lab.evaluation import scaling_per_doubling
from s1lab.pipeline import Pipeline


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, a row of `claims.json`, in our words.

    `chapter` is the notebook that discusses it, without its number; `numbers` names where the
    paper's come from (see `_PAPER`) and `test` a function of `verdicts`, each with arguments.
    """

    text: str
    where: str
    chapter: str
    numbers: Sequence[str]
    test: Sequence[Any]

    def paper(self) -> str:
        """The paper's numbers, read from `published.json`."""
        name, *arguments = self.numbers
        return _PAPER[name](*arguments)


def measured(claim: Claim, pipeline: Pipeline) -> Measured:
    """Our side of `claim`, from finished runs; "not tested" where the profile lacks them.

    Raises:
        InputError: the store is not read-only, so that asking could start a run.
    """
    if not pipeline.store.read_only:
        raise InputError("claims are read from finished runs: open the store with read_only=True")
    name, *arguments = claim.test
    try:
        return getattr(verdicts, name)(pipeline, *arguments)
    except RunError:
        return Measured("", "", "not tested")


def _gap(first: float, second: float) -> str:
    return f"{first - second:+.1f} points ({first} and {second}, AIME24)"


def _rows(table: str, a: str, b: str) -> str:
    return _gap(*(accuracy_of(table, row, "AIME24").percent for row in (a, b)))


def _figure_1() -> str:
    points = published()["figure1"]["points"]["AIME24"]
    (start, low), (end, high) = points[0], points[-3]  # the last two are Waits
    return f"{high - low:+.1f} points from {start:,.0f} to {end:,.0f} tokens (AIME24)"


def _figure_4a() -> str:
    points = published()["figure4a"]["points"]
    return f"{points[-1][1] - points[-2][1]:+.1f} points from Wait 4x to 6x (AIME24)"


def _figure_4b() -> str:
    figure = published()["figure4b"]
    best = max(figure["majority_Qwen2.5-32B-Instruct"]["acc"])
    return f"{min(figure['sequential_s1']['acc'][1:])} against {best} at best (GPQA Diamond)"


def _scaling() -> str:
    value = scaling_per_doubling(runs("BF").thinking_tokens, runs("BF").exact_accuracy)
    return f"{value:+.1f} points per doubling (AIME24)"


_PAPER: dict[str, Callable[..., str]] = {
    "said": lambda text: text.format(**published()),
    "rows": _rows,
    "figure 1": _figure_1,
    "figure 4a": _figure_4a,
    "figure 4b": _figure_4b,
    "table 8": lambda: _gap(*(row[0] for row in published()["table8"]["rows"]["AIME24"][::-1])),
    "scaling of BF": _scaling,
}

_FILE = files("s1lab.analysis").joinpath("claims.json")
CLAIMS = tuple(Claim(**row) for row in json.loads(_FILE.read_text(encoding="utf-8")))
