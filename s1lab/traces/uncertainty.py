"""How uncertain a model was at every token of a trace: entropy and varentropy.

Both are taken from the distribution that the token was (or would have been) drawn from, at
temperature 1: with probabilities p_i, the entropy is the mean of -log2 p_i under p, in bits, and
the varentropy its variance, in bits squared. Of two equally likely tokens the entropy is 1 and the
varentropy 0; both are 0 where one token is certain. Surprisal is -log2 of the probability of the
token that is there: high where the decoder forced one that the model would not have chosen.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from s1core import templates
from s1core.records import Generation, Problem
from s1lab.evaluation.statistics import Array
from s1lab.traces.steps import split

Row = dict[str, Any]

GROUPS = ("forced", "own", "plain")
"""Where a step begins: at a Wait that was forced, at one the model wrote, at anything else."""

MEASURES, RESAMPLES = ("entropy", "varentropy", "surprisal"), 2000

MOST_LOGITS = 1 << 22
"""Logits held at once (16 MB in float32); a single longer row is computed all the same."""

CHUNK = 256
"""Positions of a row that are measured at once."""


def token_uncertainty(
    model: Any, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]],
    vocabulary: int | None = None,
) -> list[Array]:  # fmt: skip
    """Entropy, varentropy and surprisal of every token of each continuation of its prompt.

    One forward pass of a transformers `model` per batch, no sampling. Ids from `vocabulary` on are
    never sampled (padding of the embedding) and left out of the distribution; None keeps all.
    Returns an array per row, (`MEASURES`, tokens), which does not depend on what it is batched
    with. A prompt has a token at least.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = [[*prompt, *ids] for prompt, ids in zip(prompts, continuations, strict=True)]
    found: dict[int, Array] = {}
    for batch in _batches([len(row) for row in rows], MOST_LOGITS // model.config.vocab_size):
        # Padding is on the right, where no token before it can see it: no mask is needed.
        ids = pad_sequence([torch.tensor(rows[i]) for i in batch], batch_first=True)
        with torch.inference_mode():
            logits = model(input_ids=ids.to(model.device), use_cache=False).logits
            for place, i in enumerate(batch):
                begin, end = len(prompts[i]), len(rows[i])
                before = logits[place, begin - 1 : end - 1, :vocabulary]
                found[i] = _measure(before, ids[place, begin:end].to(logits.device))
    return [found[i] for i in range(len(rows))]


def _measure(logits: Any, ids: Any) -> Array:
    import torch

    parts = []
    for some, at in zip(logits.split(CHUNK), ids.split(CHUNK), strict=True):
        information = -torch.log_softmax(some.double(), -1) / math.log(2)  # not all at once
        probability = torch.exp2(-information)
        possible = probability > 0  # else infinite information, and no weight
        entropy = torch.where(possible, probability * information, 0.0).sum(-1)
        square = probability * (information - entropy[:, None]) ** 2
        varentropy = torch.where(possible, square, 0.0).sum(-1)
        surprisal = information.gather(-1, at[:, None])[:, 0]
        parts.append(torch.stack((entropy, varentropy, surprisal)).cpu().numpy())
    return np.concatenate(parts, axis=1)


def _batches(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Rows of about equal length together, at most `most_tokens` padded tokens in a batch."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * lengths[i] > most_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def uncertainty_rows(
    model: Any, tokenizer: Any, problems: Sequence[Problem], generations: Sequence[Generation], *,
    separator: str = "\n\n", template: str = "s1",
) -> list[Row]:  # fmt: skip
    """Entropy, varentropy and surprisal of every thinking token, and where its steps begin.

    `model` is the transformers model that wrote the traces. One row per generation: each of
    `MEASURES` with one value per thinking token, and for each of `GROUPS` the places of its first
    tokens. A step that the model opens with "Wait" counts as its own; the first step is left out.
    """
    asked = {p.key: templates.prompt_ids(template, tokenizer, p.question) for p in problems}
    prompts = [asked[generation.problem_key] for generation in generations]
    thinking = [generation.token_ids("thinking") for generation in generations]
    known = max(tokenizer.get_vocab().values()) + 1
    measured = token_uncertainty(model, prompts, thinking, known)
    rows = []
    for generation, values in zip(generations, measured, strict=True):
        row = {"problem_key": generation.problem_key, "sample": generation.sample}
        for measure, line in zip(MEASURES, values, strict=True):
            row[measure] = [round(float(value), 3) for value in line]
        row |= {group: [] for group in GROUPS}
        for step in split(generation, tokenizer, separator)[1:]:
            own = "own" if step.text.lstrip().startswith("Wait") else "plain"
            row["forced" if step.pieces[0].origin == "forced" else own].append(step.start)
        rows.append(row)
    return rows


def around_waits(rows: Sequence[Mapping[str, Any]], window: int = 13) -> list[Row]:
    """Mean uncertainty by distance from where a step begins, for each kind of step.

    From `uncertainty_rows`, up to `window` tokens away. Returns rows of `group`, `measure`,
    `offset` (0 is the first token of the step), `mean`, `low`, `high` (95%, questions resampled),
    `positions` and `questions`. Offsets without a position are left out.
    """
    offsets, table = range(-window, window + 1), []
    for group, measure in product(GROUPS, MEASURES):
        sums, counts = _sums(rows, group, measure, [(offset, offset) for offset in offsets])
        ends, total, number = _ends(_resampled(sums, counts)), sums.sum(0), counts.sum(0)
        for i in np.flatnonzero(number):
            row = {"group": group, "measure": measure, "offset": offsets[i]}
            row |= _numbers(("mean", "low", "high"), (total[i] / number[i], *ends[:, i]))
            positions, questions = int(number[i]), int((counts[:, i] > 0).sum())
            table.append(row | {"positions": positions, "questions": questions})
    return table


def contrasts(rows: Sequence[Mapping[str, Any]], window: int = 13) -> list[Row]:
    """Forced Waits against ordinary step starts: before, at and after, with the difference. Returns
    rows of `measure`, `where` ("before", "at", "after"), `forced`, `plain`, `difference`, `low` and
    `high` (95%; the same resampled questions for both); empty without either kind."""
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
