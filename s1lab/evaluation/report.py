"""Runs side by side: accuracy with interval, thinking, Control, truncation, question by question.

A table is plain data until it is written, as Markdown, CSV or HTML; text from models or questions
is escaped in each of them. It knows generations and grades and nothing of how they were made.
"""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from s1core.errors import InputError
from s1core.records import Generation, Grade, Problem, Status
from s1lab.evaluation.metrics import control
from s1lab.evaluation.statistics import Interval, Seed, clustered_bootstrap, wilson

Format = Literal["markdown", "csv", "html"]
FORMATS: tuple[Format, ...] = ("markdown", "csv", "html")

_SYMBOLS: dict[Status, str] = dict(
    correct="+", wrong="-", no_answer="o", truncated="x", not_compared="?"
)


@dataclass(frozen=True, slots=True)
class GradedRun:
    """One run: its name, its generations with their grades, and the limit it was given.

    `at_most` is the limit on thinking tokens that Control (Eq. 1) counts; None when there is none.
    """

    name: str
    generations: tuple[Generation, ...]
    grades: tuple[Grade, ...]
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in numbers. Shares are fractions of generations, tokens are means per generation.

    Attributes:
        accuracy: pass@1; Wilson for one sample per question, else question-clustered bootstrap.
        control: percent of generations within the limit; NaN without one.
        cut_thinking: share whose thinking the budget or the context ended.
        truncated: share whose answer was cut off before it was given (graded `truncated`).
    """

    name: str
    questions: int
    samples: int
    accuracy: Interval
    thinking_tokens: float
    answer_tokens: float
    waits: float
    control: float
    cut_thinking: float
    truncated: float
    no_answer: float


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of text, ready to be written in any format; a notebook shows it as HTML."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def _repr_html_(self) -> str:
        return _html(self)


def summarise(run: GradedRun, seed: Seed = 0, level: float = 0.95) -> RunRow:
    """A run's numbers.

    Raises:
        InputError: no generations, or generations and grades that do not belong together.
    """
    by_id = {(g.problem_key, g.sample): g for g in run.grades}
    wanted = [(g.problem_key, g.sample) for g in run.generations]
    if not wanted or len(set(wanted)) != len(wanted) or set(wanted) != set(by_id):
        raise InputError(
            f"run {run.name!r} has {len(wanted)} generations and {len(by_id)} grades that do not "
            "pair one to one; grade the run again"
        )
    scores = score_matrix(run.grades)
    questions, samples = scores.shape
    if samples == 1:
        interval = wilson(float(scores.sum()), questions, level)
    else:
        interval = clustered_bootstrap(scores, seed, level=level)
    thinking = [g.thinking_tokens for g in run.generations]
    limit = run.at_most

    def share(status: Status) -> float:
        return sum(g.status == status for g in run.grades) / len(run.grades)

    return RunRow(
        run.name,
        questions,
        samples,
        interval,
        float(np.mean(thinking)),
        float(np.mean([g.answer_tokens for g in run.generations])),
        float(np.mean([g.waits_used for g in run.generations])),
        math.nan if limit is None else control(thinking, limit),
        sum(g.outcome != "ended" for g in run.generations) / len(wanted),
        share("truncated"),
        share("no_answer"),
    )


def score_matrix(grades: Iterable[Grade]) -> np.ndarray:
    """(questions, samples) of 0/1 in order of first appearance; NaN where a sample is missing."""
    rows: dict[str, dict[int, float]] = {}
    for grade in grades:
        rows.setdefault(grade.problem_key, {})[grade.sample] = float(grade.correct)
    samples = sorted({sample for row in rows.values() for sample in row})
    return np.array([[row.get(sample, np.nan) for sample in samples] for row in rows.values()])


def summary_table(rows: Iterable[RunRow]) -> Table:
    """One line per run."""
    columns = (
        "run", "n", "samples", "accuracy % [95%]", "thinking tokens", "answer tokens", "waits",
        "control %", "thinking cut %", "truncated %", "no answer %",
    )  # fmt: skip
    lines = [
        (
            row.name,
            str(row.questions),
            str(row.samples),
            row.accuracy.percent(),
            f"{row.thinking_tokens:.0f}",
            f"{row.answer_tokens:.0f}",
            f"{row.waits:.2f}",
            "" if math.isnan(row.control) else f"{row.control:.1f}",
            f"{100 * row.cut_thinking:.1f}",
            f"{100 * row.truncated:.1f}",
            f"{100 * row.no_answer:.1f}",
        )
        for row in rows
    ]
    return Table(columns, tuple(lines))


def question_table(runs: Sequence[GradedRun], problems: Iterable[Problem] = ()) -> Table:
    """Question by run: `+` correct, `-` wrong, `o` no answer, `x` truncated, one per sample.

    Rows are in the order of `problems`, or of first appearance; a question that a run did not
    answer stays empty.
    """
    texts = {problem.key: problem for problem in problems}
    seen = dict.fromkeys(grade.problem_key for run in runs for grade in run.grades)
    keys = [key for key in texts if key in seen] or list(seen)
    cells: dict[tuple[str, int], dict[int, str]] = {}
    for number, run in enumerate(runs):
        for grade in run.grades:
            cell = cells.setdefault((grade.problem_key, number), {})
            cell[grade.sample] = _SYMBOLS[grade.status]
    lines = []
    for key in keys:
        marks = [cells.get((key, number), {}) for number in range(len(runs))]
        joined = ["".join(mark for _, mark in sorted(cell.items())) for cell in marks]
        asked = " ".join(texts[key].question.split())[:60] if key in texts else ""
        gold = texts[key].answer if key in texts else ""
        lines.append((key, asked, gold, *joined))
    return Table(("key", "question", "gold", *(run.name for run in runs)), tuple(lines))


def write_table(table: Table, form: Format = "markdown") -> str:
    """The table as text, everything in it escaped for the format.

    Raises:
        InputError: the format is unknown.
    """
    if form == "markdown":
        return _markdown(table)
    if form == "csv":
        return _csv(table)
    if form == "html":
        return _html(table)
    raise InputError(f"unknown format {form!r}; pick one of {', '.join(FORMATS)}")


def report(
    runs: Sequence[GradedRun],
    problems: Iterable[Problem] = (),
    form: Format = "markdown",
    *,
    matrix: bool = False,
    seed: Seed = 0,
) -> str:
    """The summary of several runs as text, or their matrix question by question."""
    if matrix:
        return write_table(question_table(runs, problems), form)
    return write_table(summary_table(summarise(run, seed) for run in runs), form)


def _markdown(table: Table) -> str:
    def cell(text: Any) -> str:
        escaped = html.escape(" ".join(str(text).split()), quote=False)
        for mark in "\\`*_|[]$":
            escaped = escaped.replace(mark, "\\" + mark)
        return escaped

    # Numbers to the right; a column of text starts with a name.
    rule = ["---", *("---:" for _ in table.columns[1:])]
    lines = [[cell(name) for name in table.columns], rule]
    lines += [[cell(value) for value in row] for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    # A spreadsheet would run a question that starts like a formula.
    writer.writerows(
        [f"'{v}" if v[:1] in tuple("=@\t\r") or _looks_computed(v) else v for v in row]
        for row in table.rows
    )
    return buffer.getvalue()


def _looks_computed(text: str) -> bool:
    return text[:1] in ("+", "-") and any(character in text for character in "(!|")


def _html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(value)}</td>" for value in row) + "</tr>\n"
        for row in table.rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
