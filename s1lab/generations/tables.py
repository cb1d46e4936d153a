"""What the chapter shows, from committed outcomes: accuracy under caps, what a Wait did, noise.

Each table is tidy: a row an estimate, with `n`, and `low` and `high` (95%), all as fractions.
Differences are paired over questions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from s1core.errors import InputError
from s1lab.evaluation import Interval, paired_bootstrap, wilson
from s1lab.generations.outcomes import AGGREGATES, table

FOLDER = "generations"
"""Below `results/`."""

CAPS = (500, 1000, 2000, 4000, 8000)


def _estimate(right: float, n: float) -> dict[str, float]:
    interval = wilson(right, n)
    ends = {"accuracy": interval.estimate, "low": interval.low, "high": interval.high}
    return {"n": int(n), **ends}


def caps(name: str, folder: Path) -> pd.DataFrame:
    """Accuracy against thinking tokens: s1.1-32B under each cap, and the model it came from.

    Columns: model, cap (0 for the model that does not think), n, accuracy, low, high,
    thinking_tokens (mean), cut (how many the decoder stopped), no_answer (how many state none).
    """
    rows = []
    for (model, condition), of in table(name, folder).groupby(["model", "condition"], sort=False):
        right = (of.status == "correct").sum()
        rows.append(
            {"model": model, "cap": int(condition or 0), **_estimate(right, len(of))}
            | {"thinking_tokens": of.thinking_tokens.mean(), "cut": int(of.cut.sum())}
            | {"no_answer": int(of.status.isin(["no_answer", "truncated"]).sum())}
        )
    return pd.DataFrame(rows).sort_values(["model", "cap"], ignore_index=True)


def _right(of: pd.DataFrame, **where: str) -> pd.Series:
    """1 for each question answered right, by question."""
    chosen = of[np.logical_and.reduce([of[name] == value for name, value in where.items()])]
    return (chosen.set_index("question").status == "correct").astype(float).sort_index()


def paired(a: pd.Series, b: pd.Series) -> Interval:
    """Accuracy of `a` minus that of `b` over the questions that both have."""
    both = a.index.intersection(b.index)
    return paired_bootstrap(a[both].to_numpy(), b[both].to_numpy(), seed=0)


def cap_differences(name: str, folder: Path) -> pd.DataFrame:
    """Each cap against the largest and against the model that does not think, paired.

    Columns: cap, against, n, difference, low, high.
    """
    of = table(name, folder)
    plain = next(model for model in of.model.unique() if model != "s1.1-32B")
    largest = _right(of, model="s1.1-32B", condition=str(CAPS[-1]))
    others = {f"cap {CAPS[-1]}": largest, plain: _right(of, model=plain)}
    rows = []
    for cap in CAPS:
        ours = _right(of, model="s1.1-32B", condition=str(cap))
        for against, theirs in others.items():
            if against == f"cap {cap}":
                continue
            rows.append({"cap": cap, "against": against, **_points(paired(ours, theirs))})
    return pd.DataFrame(rows)


def _points(gap: Interval) -> dict[str, float]:
    return {"n": gap.n, "difference": gap.estimate, "low": gap.low, "high": gap.high}


def per_doubling(name: str, folder: Path) -> Interval:
    """Slope of s1.1-32B's accuracy over log2 of its mean thinking tokens, questions resampled."""
    of = table(name, folder)
    runs = [of[(of.model == "s1.1-32B") & (of.condition == str(cap))] for cap in CAPS]
    right = np.array([_right(of, model="s1.1-32B", condition=str(cap)) for cap in CAPS])
    tokens = np.array([r.set_index("question").thinking_tokens.sort_index() for r in runs])
    rng = np.random.default_rng(0)
    n = right.shape[1]
    draws = np.vstack([np.arange(n), rng.integers(0, n, (2_000, n))])
    slopes = [
        np.polyfit(np.log2(tokens[:, d].mean(axis=1)), right[:, d].mean(axis=1), 1)[0]
        for d in draws
    ]
    low, high = np.quantile(slopes[1:], [0.025, 0.975])
    return Interval(float(slopes[0]), float(low), float(high), n, "questions resampled")


def one_wait(folder: Path, by: str = "model") -> pd.DataFrame:
    """What one forced Wait did to answers that can be read before and after it.

    Columns: `by` ("model", "group" for language, "condition" for how the language was asked for),
    traces, readable, right_before, mended (wrong, then right), broken (right, then wrong), and the
    net gain among the readable with its interval.
    """
    of = table("mgsm", folder)
    rows = []
    for value, part in of.groupby(by, sort=True):
        seen = part[(part.before != "") & (part.status != "no_answer")]
        mended = ((seen.before == "wrong") & (seen.status == "correct")).to_numpy()
        broken = ((seen.before == "correct") & (seen.status == "wrong")).to_numpy()
        gap = paired_bootstrap(
            (~broken & (seen.before == "correct")) | mended,
            (seen.before == "correct").to_numpy(),
            seed=0,
        )
        rows.append(
            {by: value, "traces": len(part), "readable": len(seen)}
            | {"right_before": int((seen.before == "correct").sum())}
            | {"mended": int(mended.sum()), "broken": int(broken.sum())}
            | {"gain": gap.estimate, "low": gap.low, "high": gap.high}
        )
    return pd.DataFrame(rows)


def places(folder: Path) -> pd.DataFrame:
    """How many forced Waits were found, and how: one line, repeated, or not at all."""
    of = table("mgsm", folder)
    found = of.place.replace("", "not found").value_counts()
    return found.rename_axis("place").reset_index(name="traces")


def more_waits(folder: Path) -> pd.DataFrame:
    """SimpleQA with forced Waits: right, not attempted, tokens; paired against no Wait.

    A file without the questions of the others is left out of the pairs (its `n` is 0 there).
    """
    of = table("simpleqa", folder)
    rows = []
    for (model, waits), part in of.groupby(["model", "condition"]):
        base = _right(of, model=model, condition="0")
        ours = _right(of, model=model, condition=waits)
        both = len(base.index.intersection(ours.index))
        gap = _points(paired(ours, base)) if waits != "0" and both else {"n": 0}
        right = (part.status == "correct").sum()
        rows.append(
            {"model": model, "waits": int(waits), **_estimate(right, len(part))}
            | {"not_attempted": (part.status == "no_answer").mean()}
            | {"thinking_tokens": part.thinking_tokens.mean(), "empty": int(part.cut.sum())}
            | {f"pair_{name}": value for name, value in gap.items()}
        )
    return pd.DataFrame(rows).sort_values(["model", "waits"], ignore_index=True)


def recounted(folder: Path) -> pd.DataFrame:
    """The authors' own logs as somebody else counted them: MATH500 under caps, and both with Waits.

    Columns: benchmark, kind ("cap" or "Waits"), amount, n, accuracy, low, high, tokens (mean).
    """
    made = json.loads((folder / AGGREGATES).read_text(encoding="utf-8"))
    rows = []
    for stem, benchmark, kind, key, name, n in (
        ("E0013-s1-external", "MATH500", "cap", "curve", "budget", 500),
        ("E0014-s1-waits", "MATH500", "Waits", "ladder", "waits", 500),
        ("E0015-s1-waits-gpqa", "GPQA Diamond", "Waits", "ladder", "waits", 198),
    ):
        for row in made[stem][key]:
            right = round(row["accuracy"] * n)
            rows.append(
                {"benchmark": benchmark, "kind": kind, "amount": row[name], **_estimate(right, n)}
                | {"tokens": row["mean_tokens"]}
            )
    return pd.DataFrame(rows)


def checkpoints(folder: Path) -> tuple[pd.DataFrame, float]:
    """Eleven checkpoints of one run on AIME24, and whether they differ by more than chance.

    Returns:
        step, n, accuracy, low, high, unfinished (thoughts that never end), stored (share right by
        the log's own verdict); and the p-value of Cochran's Q over the same questions.
    """
    of = table("aime24", folder)
    rows = []
    for step, part in of.groupby(of.condition.astype(int)):
        right = (part.status == "correct").sum()
        stored = part.method.str.endswith("stored correct").mean()
        rows.append(
            {"step": step, **_estimate(right, len(part))}
            | {"unfinished": int(part.cut.sum()), "stored": stored}
        )
    matrix = of.assign(right=of.status == "correct").pivot(
        index="question", columns="condition", values="right"
    )
    return pd.DataFrame(rows), cochran_q(matrix.to_numpy(float))


def cochran_q(right: np.ndarray) -> float:
    """p-value of Cochran's Q: do k runs over the same questions, shape (questions, k), differ?"""
    k = right.shape[1]
    runs, questions = right.sum(axis=0), right.sum(axis=1)
    spread = k * (questions.sum()) - (questions**2).sum()
    if spread == 0:
        return 1.0
    q = (k - 1) * (k * (runs**2).sum() - runs.sum() ** 2) / spread
    return float(stats.chi2.sf(q, k - 1))


def wait_gains(folder: Path) -> pd.DataFrame:
    """SimpleQA with Waits less without, over the same questions (see `more_waits`)."""
    of = more_waits(folder)
    of = of[of.pair_n > 0][["model", "waits", "pair_n", "pair_difference", "pair_low", "pair_high"]]
    return of.rename(columns=lambda name: name.removeprefix("pair_")).reset_index(drop=True)


def authors(folder: Path) -> pd.DataFrame:
    """The authors' own logs, run by run; empty where the Hub was not reached."""
    try:
        of = table("authors", folder)
    except InputError:
        return pd.DataFrame(columns=["run", "task", "n", "accuracy", "thinking tokens", "cut"])
    rows = [
        {"run": run, "task": task, **_estimate((part.status == "correct").sum(), len(part))}
        | {"thinking_tokens": part.thinking_tokens.mean(), "cut": int(part.cut.sum())}
        for (run, task), part in of.groupby(["condition", "group"])
    ]
    return shown(pd.DataFrame(rows))


NAMES = {"global_mmlu": "Global-MMLU, English", "fork": "FORK"}


def cap_curves(folder: Path) -> pd.DataFrame:
    """Curve rows (`s1lab.figures.panels`) of both sets: a panel each."""
    found = []
    for name, panel in NAMES.items():
        of = caps(name, folder).assign(panel=panel)
        thinks = of.cap > 0
        found.append(of[thinks].assign(name="s1.1-32B", series="capping", x=of.thinking_tokens))
        found.append(of[~thinks].assign(name="Qwen2.5-32B-Instruct", series="base", x=100.0))
    return pd.concat(found, ignore_index=True)


def recount_curves(folder: Path) -> pd.DataFrame:
    """Curve rows of the recounted logs: caps and Waits, a panel for each benchmark."""
    of = recounted(folder)
    series = of.kind.map({"cap": "capping", "Waits": "wait"})
    names = of.kind.map({"cap": "caps", "Waits": "1 to 8 Waits"})
    return of.assign(panel=of.benchmark, name=names, series=series, x=of.tokens)


def caps_in_words(folder: Path) -> str:
    """The ends of each curve, for those who cannot see it."""
    return " ".join(
        f"{panel}: {', '.join(_said(row) for row in caps(name, folder).itertuples())}."
        for name, panel in NAMES.items()
    )


def recount_in_words(folder: Path) -> str:
    """Every point of the recounted logs, for those who cannot see them."""
    return "; ".join(
        f"{row.benchmark}, {row.kind} {row.amount}: {100 * row.accuracy:.1f}% at {row.tokens:,.0f}"
        for row in recounted(folder).itertuples()
    )


def _said(row: Any) -> str:
    what = f"cap {row.cap:,}" if row.cap else f"{row.model} without thinking"
    return f"{what} {100 * row.accuracy:.1f}%"


def numbers(folder: Path) -> dict[str, str]:
    """What the chapter's sentences name, by name."""
    waits, (steps, chance) = one_wait(folder), checkpoints(folder)
    math = recounted(folder).query("benchmark == 'MATH500'").set_index(["kind", "amount"])
    percent = (100 * math.accuracy).map("{:.1f}".format)
    said = {
        "found": f"{len(table('mgsm', folder).query('waits > 0')):,}",
        "traces": f"{waits.traces.sum():,}",
        "readable": f"{waits.readable.sum():,}",
        "mended": str(waits.mended.sum()),
        "broken": str(waits.broken.sum()),
        "solved": f"{waits.right_before.sum() / waits.readable.sum():.0%}",
        "math-first": percent["cap", 500],
        "math-last": percent["cap", 8000],
        "math-one": percent["Waits", 1],
        "math-eight": percent["Waits", 8],
        "math-growth": f"{math.tokens['Waits', 8] / math.tokens['Waits', 1]:.1f}",
        "lowest": f"{100 * steps.accuracy.min():.1f}",
        "highest": f"{100 * steps.accuracy.max():.1f}",
        "cochran": f"{chance:.2f}",
    }
    for name in NAMES:
        said[f"{name}-slope"] = per_doubling(name, folder).percent()
        gains = cap_differences(name, folder).query("cap == 500")
        (gain,) = shown(gains[gains.against.str.startswith("qwen")], "difference").difference
        said[f"{name}-gain"] = gain
    return said


def shown(table: pd.DataFrame, value: str = "accuracy", digits: int = 1) -> pd.DataFrame:
    """For people: `value` with its interval in one column, in percent, `low` and `high` gone."""
    ends = zip(table[value], table.low, table.high, strict=True)
    words = [
        "–" if np.isnan(v) else Interval(v, low, high, 0).percent(digits) for v, low, high in ends
    ]
    named = table.assign(**{value: words}).drop(columns=["low", "high"])
    return named.rename(columns=lambda name: name.replace("_", " "))
