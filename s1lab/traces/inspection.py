"""Looking into traces: what the model would have said at each step, and how sure it was.

From finished generations to the small tables that the trace viewer and the entropy figures draw.
Everything is measured with the model that wrote the traces; nothing is kept here, and nothing of
profiles or stores is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np

from s1core import templates
from s1core.backends.base import Backend
from s1core.grading import grade
from s1core.records import Generation, Grade, Problem
from s1core.templates import Template
from s1lab.evaluation.statistics import Array
from s1lab.traces.entropy import MEASURES, token_uncertainty
from s1lab.traces.steps import answer_pieces, answers_at_steps, split

Row = dict[str, Any]

GROUPS = ("forced", "own", "plain")
"""Where a step begins: at a Wait that was forced, at one the model wrote, at anything else."""

RESAMPLES = 2000


def trace_row(
    problem: Problem,
    generation: Generation,
    tokenizer: Any,
    verdict: Grade | None = None,
    answers: Sequence[Row] = (),
    separator: str = "\n\n",
) -> Row:
    """One generation as the trace viewer reads it: its text in steps, no token ids.

    `answers` are rows of `thinking_tokens`, `answer`, `status` and `extracted`, one per cut.
    """
    return {
        "problem_key": generation.problem_key,
        "sample": generation.sample,
        "question": problem.question,
        "status": verdict.status if verdict else "",
        "extracted": verdict.extracted if verdict else "",
        "outcome": generation.outcome,
        "finish_reason": generation.finish_reason,
        "waits_used": generation.waits_used,
        "thinking_tokens": generation.thinking_tokens,
        "steps": [asdict(step) for step in split(generation, tokenizer, separator)],
        "answer": [asdict(piece) for piece in answer_pieces(generation, tokenizer)],
        "answers": list(answers),
    }


def read_traces(
    backend: Backend,
    problems: Sequence[Problem],
    generations: Sequence[Generation],
    kind: str,
    *,
    separator: str = "\n\n",
    max_answer: int = 512,
    template: str | Template = "s1",
) -> list[Row]:
    """The rows of the trace viewer (see `trace_row`), with the answer at every step, graded.

    Answers are sampled greedily by `backend`, the model that wrote the traces, and graded as `kind`
    says; `separator` ends a step.

    Raises:
        BackendError: a cut does not fit into the context, or the engine failed.
    """
    by_key = {problem.key: problem for problem in problems}
    options = {"separator": separator, "max_answer": max_answer, "template": template}
    rows = []
    for generation in generations:
        problem = by_key[generation.problem_key]
        verdict, answers = grade(problem, generation, kind), []
        for cut in answers_at_steps(backend, problem, generation, **options):
            graded = grade(problem, cut, kind)
            row = {"thinking_tokens": cut.thinking_tokens, "answer": cut.answer}
            answers.append(row | {"status": graded.status, "extracted": graded.extracted})
        rows.append(trace_row(problem, generation, backend.tokenizer, verdict, answers, separator))
    return rows


# --------------------------------------------------------------------------- uncertainty


def uncertainty_rows(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    generations: Sequence[Generation],
    *,
    separator: str = "\n\n",
    template: str | Template = "s1",
    ignore_str: str = "Wait",
) -> list[Row]:
    """Entropy, varentropy and surprisal of every thinking token, and where its steps begin.

    `model` is the transformers model that wrote the traces. One row per generation: each of
    `MEASURES` with one value per thinking token, and for each of `GROUPS` the places of its first
    tokens. A step that the model opens with `ignore_str` counts as its own Wait; the first step is
    left out: nothing comes before it.
    """
    asked = {p.key: templates.prompt_ids(template, tokenizer, p.question) for p in problems}
    prompts = [asked[generation.problem_key] for generation in generations]
    thinking = [generation.token_ids("thinking") for generation in generations]
    known = max(tokenizer.get_vocab().values()) + 1
    measured = token_uncertainty(model, prompts, thinking, vocabulary=known)
    rows = []
    for generation, values in zip(generations, measured, strict=True):
        row = {"problem_key": generation.problem_key, "sample": generation.sample}
        for measure, line in zip(MEASURES, values, strict=True):
            row[measure] = [round(float(value), 3) for value in line]
        row |= {group: [] for group in GROUPS}
        for step in split(generation, tokenizer, separator)[1:]:
            own = bool(ignore_str) and step.text.lstrip().startswith(ignore_str)
            forced = step.pieces[0].origin == "forced"
            row["forced" if forced else "own" if own else "plain"].append(step.start)
        rows.append(row)
    return rows


def around_waits(rows: Sequence[Mapping[str, Any]], window: int = 13) -> list[Row]:
    """Mean uncertainty by distance from where a step begins, for each kind of step.

    From `uncertainty_rows`, with `window` tokens on either side. Returns rows of `group`,
    `measure`, `offset` (0 is the first token of the step), `mean`, `low`, `high` (95%, questions
    resampled), `positions` and `questions`. Offsets without a position are left out.
    """
    offsets = list(range(-window, window + 1))
    table = []
    for group, measure in product(GROUPS, MEASURES):
        sums, counts = _sums(rows, group, measure, [(offset, offset) for offset in offsets])
        ends = _ends(_resampled(sums, counts))
        total, number = sums.sum(0), counts.sum(0)
        for i in np.flatnonzero(number):
            row = {"group": group, "measure": measure, "offset": offsets[i]}
            row |= _numbers(("mean", "low", "high"), (total[i] / number[i], *ends[:, i]))
            positions, questions = int(number[i]), int((counts[:, i] > 0).sum())
            table.append(row | {"positions": positions, "questions": questions})
    return table


def contrasts(rows: Sequence[Mapping[str, Any]], window: int = 13) -> list[Row]:
    """Forced Waits against ordinary step starts: before, at and after, with the difference.

    Returns rows of `measure`, `where` ("before", "at", "after"), `forced`, `plain`, `difference`,
    `low` and `high` (95%; the same resampled questions for both); empty without either kind.
    """
    spans = {"before": (-window, -1), "at": (0, 0), "after": (1, window)}
    names = ("forced", "plain", "difference", "low", "high")
    table = []
    for measure in MEASURES:
        forced, plain = (_sums(rows, g, measure, list(spans.values())) for g in ("forced", "plain"))
        if not (forced[1].sum(0).all() and plain[1].sum(0).all()):
            return []
        means = [sums.sum(0) / counts.sum(0) for sums, counts in (forced, plain)]
        ends = _ends(_resampled(*forced) - _resampled(*plain))
        for where, *values in zip(spans, *means, means[0] - means[1], *ends, strict=True):
            table.append({"measure": measure, "where": where} | _numbers(names, values))
    return table


def _numbers(names: Iterable[str], values: Iterable[float]) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in zip(names, values, strict=True)}


def _sums(
    rows: Sequence[Mapping[str, Any]], group: str, measure: str, spans: list[tuple[int, int]]
) -> tuple[Array, Array]:
    """Sum and number of values by question and span of offsets: two (questions, spans)."""
    keys = {key: i for i, key in enumerate(sorted({row["problem_key"] for row in rows}))}
    sums = np.zeros((len(keys), len(spans)))
    counts = np.zeros_like(sums)
    for row in rows:
        values, question = np.asarray(row[measure], float), keys[row["problem_key"]]
        for place, (i, (first, last)) in product(row[group], enumerate(spans)):
            inside = values[max(place + first, 0) : max(place + last + 1, 0)]
            sums[question, i] += inside.sum()
            counts[question, i] += inside.size
    return sums, counts


def _resampled(sums: Array, counts: Array) -> Array:
    """Means over resampled questions, (resamples, spans); the same questions on every call."""
    questions = len(sums)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(questions, np.full(questions, 1 / questions), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        return (drawn @ sums) / (drawn @ counts)


def _ends(means: Array) -> Array:
    """95% percentiles, (2, spans); a resample that holds no position of a span says nothing."""
    empty = np.isnan(means).all(0)
    return np.nanquantile(np.where(empty, 0.0, means), [0.025, 0.975], axis=0)
