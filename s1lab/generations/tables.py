"""What the chapter shows, from committed outcomes: accuracy under caps, what a Wait did, noise.

Each table is tidy: a row an estimate, with `n`, and `low` and `high` (95%), all as fractions.
Differences are paired over questions.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from s1lab.evaluation import Interval, paired_bootstrap, wilson
from s1lab.generations.files import AGGREGATES, table

FOLDER = "generations"  # below `results/`
MEASURES = {"thinking_tokens": ("thinking_tokens", "mean"), "cut": ("cut", "sum")}
CAPS = (500, 1000, 2000, 4000, 8000)
NAMES = {"global_mmlu": "Global-MMLU, English", "fork": "FORK"}


def _estimate(right: float, n: int) -> dict[str, float]:
    return {"n": n} | wilson(right, n).row("accuracy")


def _by(of: pd.DataFrame, names: list[str], **measures: tuple[str, str]) -> pd.DataFrame:
    """A row a group: its names, n, accuracy with its interval, and measures as for pandas' agg."""
    groups = of.assign(right=of.status == "correct").groupby(names)
    found = groups.agg(right=("right", "sum"), n=("right", "size"), **measures).reset_index()
    ends = pd.DataFrame(map(_estimate, found.right, found.n))
    return found[names].join(ends).join(found[list(measures)])


def caps(name: str, folder: Path) -> pd.DataFrame:
    """Accuracy against thinking tokens: s1.1-32B under each cap, and the model it came from.
    Columns: model, cap (0 for the model that does not think), n, accuracy, low, high,
    thinking_tokens (mean), cut (how many the decoder stopped), no_answer (how many state none)."""
    of = table(name, folder)
    of["cap"] = of.condition.replace("", "0").astype(int)
    of["none"] = of.status.isin(["no_answer", "truncated"])
    return _by(of, ["model", "cap"], **MEASURES, no_answer=("none", "sum"))


def _right(of: pd.DataFrame, model: str, condition: object = "") -> pd.Series:
    """1 for each question answered right, by question."""
    chosen = of[(of.model == model) & (of.condition == str(condition))].set_index("question")
    return (chosen.status == "correct").astype(float).sort_index()


def _gap(a: pd.Series, b: pd.Series) -> dict[str, float]:
    """Accuracy of `a` minus that of `b` over the questions that both have, if any."""
    both = a.index.intersection(b.index)
    gap = len(both) and paired_bootstrap(a[both].to_numpy(), b[both].to_numpy())
    return {"n": len(both)} | (gap.row("difference") if gap else {})


def cap_differences(name: str, folder: Path) -> pd.DataFrame:
    """Each cap against the largest and the model that does not think: n, difference, low, high."""
    of = table(name, folder)
    plain = next(model for model in of.model.unique() if model != "s1.1-32B")
    ours = {cap: _right(of, "s1.1-32B", cap) for cap in CAPS}
    others = {f"cap {CAPS[-1]}": ours[CAPS[-1]], plain: _right(of, plain)}
    return pd.DataFrame(
        {"cap": cap, "against": against, **_gap(right, theirs)}
        for cap, right in ours.items()
        for against, theirs in others.items()
        if against != f"cap {cap}"
    )


def per_doubling(name: str, folder: Path) -> Interval:
    """Slope of s1.1-32B's accuracy over log2 of its mean thinking tokens, questions resampled."""
    of = table(name, folder).query("model == 's1.1-32B'")
    of = of.assign(condition=of.condition.astype(int), right=of.status == "correct")
    by_cap = of.pivot(index="condition", columns="question").loc[list(CAPS)]
    right, tokens = (by_cap[of].to_numpy(float) for of in ("right", "thinking_tokens"))
    n = right.shape[1]
    draws = np.vstack([np.arange(n), np.random.default_rng(0).integers(0, n, (2_000, n))])
    doublings = np.log2(tokens[:, draws].mean(axis=2))
    slopes = [np.polyfit(x, y, 1)[0] for x, y in zip(doublings.T, right[:, draws].mean(axis=2).T)]
    low, high = np.quantile(slopes[1:], [0.025, 0.975])
    return Interval(float(slopes[0]), float(low), float(high), n, "questions resampled")


def one_wait(folder: Path) -> pd.DataFrame:
    """What one forced Wait did to answers that can be read before and after it. Columns: model,
    traces, found (the place of the Wait is known), readable, right_before, mended (wrong, then
    right), broken (right, then wrong), unchanged, and the net gain among the readable."""
    rows = []
    for model, part in table("mgsm", folder).groupby("model"):
        seen = part[(part.before != "") & (part.status != "no_answer")]
        before, after = ((seen[name] == "correct").to_numpy() for name in ("before", "status"))
        turned = {"right_before": before, "mended": after & ~before, "broken": before & ~after}
        turned["unchanged"] = after == before
        counts = {"traces": len(part), "found": int((part.waits > 0).sum()), "readable": len(seen)}
        counts |= {name: int(some.sum()) for name, some in turned.items()}
        rows.append({"model": model} | counts | paired_bootstrap(after, before).row("gain"))
    return pd.DataFrame(rows)


def more_waits(folder: Path) -> pd.DataFrame:
    """SimpleQA with forced Waits: right, not attempted (shares), thinking tokens, empty answers."""
    of = table("simpleqa", folder)
    of = of.assign(waits=of.condition.astype(int), none=of.status == "no_answer")
    measures = {"not_attempted": ("none", "mean"), "thinking_tokens": MEASURES["thinking_tokens"]}
    return _by(of, ["model", "waits"], **measures, empty=("cut", "sum"))


def wait_gains(folder: Path) -> pd.DataFrame:
    """SimpleQA with Waits less without, over the same questions, where a file has them."""
    of, pairs = table("simpleqa", folder), more_waits(folder).query("waits > 0")[["model", "waits"]]
    gaps = [_gap(_right(of, model, n), _right(of, model, 0)) for model, n in pairs.to_numpy()]
    return pairs.reset_index(drop=True).join(pd.DataFrame(gaps)).query("n > 0")


def judged(folder: Path) -> pd.DataFrame:
    """SimpleQA's stored verdicts beside a plain test: do the gold's words stand in the answer?"""
    of = table("simpleqa", folder)
    stored = of.status.map({"correct": "A, right", "wrong": "B, wrong", "no_answer": "C, neither"})
    counts = pd.crosstab(stored.rename("stored verdict"), of.method)
    return counts.reset_index().rename_axis(columns=None)


def recounted(folder: Path) -> pd.DataFrame:
    """The authors' own logs as somebody else counted them: MATH500 under caps, and both with Waits.
    Columns: benchmark, kind ("cap" or "Waits"), amount, n, accuracy, low, high, tokens (mean)."""
    made, rows = json.loads((folder / AGGREGATES).read_text(encoding="utf-8")), []
    for stem, benchmark, kind, key, name, n in (
        ("E0013-s1-external", "MATH500", "cap", "curve", "budget", 500),
        ("E0014-s1-waits", "MATH500", "Waits", "ladder", "waits", 500),
        ("E0015-s1-waits-gpqa", "GPQA Diamond", "Waits", "ladder", "waits", 198),
    ):
        for row in made[stem][key]:
            named = {"benchmark": benchmark, "kind": kind, "amount": row[name]}
            estimate = _estimate(round(row["accuracy"] * n), n)
            rows.append(named | estimate | {"tokens": row["mean_tokens"]})
    return pd.DataFrame(rows)


def checkpoints(folder: Path) -> tuple[pd.DataFrame, float]:
    """Eleven checkpoints of one run on AIME24 (step, n, accuracy, low, high, unfinished thoughts,
    share right as stored), and the p-value of Cochran's Q between them."""
    of = table("aime24", folder)
    of["step"], of["right"] = of.condition.astype(int), of.status == "correct"
    of["stored"] = of.method.str.endswith("stored correct")
    found = _by(of, ["step"], unfinished=("cut", "sum"), stored=("stored", "mean"))
    runs = of.pivot(index="condition", columns="question", values="right").to_numpy(float)
    return found, float(stats.friedmanchisquare(*runs).pvalue)  # of 0 and 1, Cochran's Q


def cap_curves(folder: Path) -> pd.DataFrame:
    """Curve rows (`s1lab.figures.panels`) of both sets: a panel each."""
    last = {"by": "cap", "key": lambda cap: cap == 0, "kind": "stable"}
    parts = [caps(name, folder).assign(panel=panel) for name, panel in NAMES.items()]
    of = pd.concat([part.sort_values(**last) for part in parts])
    plain = of.cap == 0
    return of.assign(
        name=np.where(plain, "Qwen2.5-32B-Instruct", "s1.1-32B"),
        series=np.where(plain, "base", "capping"),
        x=of.thinking_tokens.mask(plain, 100.0),
    ).reset_index(drop=True)


def recount_curves(folder: Path) -> pd.DataFrame:
    """Curve rows of the recounted logs: caps and Waits, a panel for each benchmark."""
    of = recounted(folder)
    series = of.kind.map({"cap": "capping", "Waits": "wait"})
    names = of.kind.map({"cap": "caps", "Waits": "1 to 8 Waits"})
    return of.assign(panel=of.benchmark, name=names, series=series, x=of.tokens)


def numbers(folder: Path) -> dict[str, str | Interval]:
    """What the chapter's sentences name, by name; intervals are shares, gained or lost."""
    waits, (steps, chance) = one_wait(folder), checkpoints(folder)
    math = recounted(folder).query("benchmark == 'MATH500'").set_index(["kind", "amount"])
    percent, tokens = (100 * math.accuracy).map("{:.1f}".format), math.tokens["Waits"]
    counts = ("found", "traces", "readable", "mended", "broken")
    said = {name: f"{waits[name].sum():,}" for name in counts}
    said |= {"solved": f"{waits.right_before.sum() / waits.readable.sum():.0%}"}
    said |= {"math-first": percent["cap", 500], "math-last": percent["cap", 8000]}
    said |= {"math-one": percent["Waits", 1], "math-eight": percent["Waits", 8]}
    ends = (100 * steps.accuracy).agg({"lowest": "min", "highest": "max"}).map("{:.1f}".format)
    said |= {"math-growth": f"{tokens[8] / tokens[1]:.1f}", **ends, "cochran": f"{chance:.2f}"}
    for name in NAMES:
        said[f"{name}-slope"] = per_doubling(name, folder)
        gains = cap_differences(name, folder).query("cap == 500")
        (gain,) = rows(gains[gains.against.str.startswith("qwen")], "difference", "points")
        said[f"{name}-gain"] = gain["difference (points)"]
    return said


def rows(table: pd.DataFrame, value: str = "accuracy", unit: str = "%") -> list[dict[str, Any]]:
    """Rows for a chapter's table: `value` as an interval, its unit in the heading, ends gone."""
    number = table["n"] if "n" in table else table["readable"]
    ends = zip(table[value], table.low, table.high, number, strict=True)
    found = [None if np.isnan(end[0]) else Interval(*end) for end in ends]
    units = {value: unit, "not_attempted": "%", "stored": "%"}
    kept = table.astype(object).assign(**{value: found}).drop(columns=["low", "high"])
    heads = {name: f"{name} ({unit})" for name, unit in units.items()}
    kept.columns = [heads.get(name, name).replace("_", " ") for name in kept]
    return kept.where(kept.notna(), None).to_dict("records")
