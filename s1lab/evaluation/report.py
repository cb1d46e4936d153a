"""How numbers are written, and runs side by side: accuracy, thinking, Control, truncation.

A table is plain text until it is written, as Markdown, CSV or HTML; text from models or questions
is escaped in each of them.
"""

import html
import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
import pandas as pd

from s1core.errors import InputError
from s1core.records import Generation, Grade, Problem, printable
from s1lab.data.export import inert
from s1lab.evaluation.statistics import Interval, clustered_bootstrap, control

Format = Literal["markdown", "csv", "html"]
Row = dict[str, Any]
"""A line of a table: cells by heading, whose unit stands at the end, as in "accuracy (%)"."""

NOT_MEASURED = "not measured here"
_SYMBOLS = {"correct": "+", "wrong": "-", "no_answer": "o", "truncated": "x", "not_compared": "?"}


def lines(head: str, rows: Iterable[Sequence[Any]]) -> list[Row]:
    """The lines of a table under a head such as `"Waits | gain (points)"`."""
    return [dict(zip(head.split(" | "), row, strict=True)) for row in rows]


def written(value: Any, unit: str = "", digits: int = 1) -> str:
    """A value as every page writes it: `−13.8 points [−15.9, −11.6]`, `66.0% [61.4, 70.6]`. An
    interval is in percent unless it has another unit. In "%" and "points" a value is a share of
    one, in other units what it is. Points have signs, and a unit with a plus: "+tokens"."""
    middle, ends = in_parts(value, unit, digits)
    unit = unit.lstrip("+") or "%" * isinstance(value, Interval)
    return middle if value is None else f"{middle}{' ' * (unit not in ('%', ''))}{unit}{ends}"


def in_parts(value: Any, unit: str = "", digits: int = 1) -> tuple[str, str]:
    """The value and its interval as text, without the unit; None is "not measured here"."""
    if value is None or isinstance(value, str | bool):
        return {None: NOT_MEASURED, True: "yes", False: "no"}.get(value, value), ""
    if isinstance(value, Interval):
        ends = (value.estimate, value.low, value.high)
        middle, low, high = (in_parts(end, unit or "%", digits)[0] for end in ends)
        return middle, f" [{low}, {high}]"
    share, sign = unit[:6] in ("%", "points"), "+" * unit.startswith(("points", "+"))
    form = f"{sign},d" if isinstance(value, Integral) and not share else f"{sign},.{digits}f"
    text = format(100 * value if share else value, form)
    return (text if text.strip("+-0.,") else text.lstrip("+-")).replace("-", "−"), ""


def minus(text: str) -> str:
    """Text whose negative numbers have a minus, not a hyphen; names keep theirs."""
    return re.sub(r"(?<![\w.)\]–-])-(?=\d)|(?<=\de)-(?=\d)", "−", text)


def summarise(
    name: str, made: Sequence[Generation], grades: Sequence[Grade], at_most: float | None = None
) -> dict[str, str]:
    """A run's line of the report, by column; its generations, and their grades in the same order.

    Shares are of generations, tokens are means, accuracy is pass@1 (`clustered_bootstrap`). Control
    (Eq. 1) counts who thought for `at_most` tokens. "thinking cut" was ended by the budget or the
    context, a "truncated" answer cut off.
    """
    rows = [(g.problem_key, g.sample, float(v.correct)) for g, v in zip(made, grades, strict=True)]
    scores = pd.DataFrame(rows).pivot(index=0, columns=1, values=2)
    spent = [(g.thinking_tokens, g.answer_tokens, g.waits_used) for g in made]
    thinking, answer, waits = np.mean(spent, axis=0)
    kept = "" if at_most is None else f"{control([n for n, *_ in spent], at_most):.1f}"
    row = {"run": name, "n": str(len(scores)), "samples": str(scores.shape[1])}
    row |= {"accuracy % [95%]": clustered_bootstrap(scores).percent()}
    row |= {"thinking tokens": f"{thinking:.0f}", "answer tokens": f"{answer:.0f}"}
    row |= {"waits": f"{waits:.2f}", "control %": kept}
    shares = {"thinking cut %": [g.outcome != "ended" for g in made]}
    shares |= {"truncated %": [g.status == "truncated" for g in grades]}
    shares |= {"no answer %": [g.status == "no_answer" for g in grades]}
    return row | {name: f"{100 * np.mean(share):.1f}" for name, share in shares.items()}


def question_table(
    runs: Sequence[tuple[str, Sequence[Grade]]], problems: Iterable[Problem]
) -> pd.DataFrame:
    """Question by run: `+` correct, `-` wrong, `o` no answer, `x` truncated, one per sample. Runs
    have a name and grades; rows are in the order of `problems`."""
    marks: dict[str, list[str]] = {}
    for place, (_, grades) in enumerate(runs):
        for grade in sorted(grades, key=lambda grade: grade.sample):
            marks.setdefault(grade.problem_key, [""] * len(runs))[place] += _SYMBOLS[grade.status]
    texts = {problem.key: problem for problem in problems if problem.key in marks}
    rows = [
        (key, _one_line(problem.question)[:60], problem.answer, *marks[key])
        for key, problem in texts.items()
    ]
    return pd.DataFrame(rows, columns=["key", "question", "gold", *(name for name, _ in runs)])


def write_table(table: pd.DataFrame, form: Format = "markdown") -> str:
    """A table of text in a format, all in it escaped; InputError: an unknown one."""
    table = table.map(_one_line).rename(columns=_one_line)
    if form == "csv":
        return table.map(inert).rename(columns=inert).to_csv(index=False, lineterminator="\n")
    if form == "html":
        with pd.option_context("display.max_colwidth", None):
            text = table.to_html(index=False, border=0, justify="left")
        return re.sub(r">\s+<", "><", text.replace(' class="dataframe"', "", 1)) + "\n"
    if form == "markdown":
        rule = ["---", *("---:" for _ in table.columns[1:])]  # numbers to the right
        head, *rows = [[*map(_no_markup, row)] for row in (table.columns, *table.to_numpy())]
        return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *rows))
    raise InputError(f"unknown format {form!r}; pick one of markdown, csv, html")


def _one_line(text: str) -> str:
    return printable(" ".join(str(text).split()))


def _no_markup(text: str) -> str:
    """Text inside a cell of Markdown: no HTML, no mark that a renderer would read."""
    return re.sub(r"([\\`*_|\[\]$~])", r"\\\1", html.escape(text, quote=False))
