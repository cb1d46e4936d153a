"""Tables across runs: the numbers, the matrix, and text that must not break out of its cell."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from s1core.errors import InputError

from s1core.grading.files import grade_file, read_generations
from s1core.records import Generation, Grade, Problem, Segment, read_jsonl, to_json
from s1lab.evaluation import wilson
from s1lab.evaluation.judging import second_opinion
from s1lab.evaluation.report import GradedRun, question_table, report, score_matrix, summarise

PROBLEMS = [Problem(f"What is {n} + 1?", str(n + 1)) for n in range(4)]
NASTY = Problem("<script>alert('x')</script> | `$\\pi$` =cmd|' /C calc'!A0\nnext", "=1+1")


def made(of: Problem, sample: int, thinking: int, outcome: str = "ended") -> Generation:
    segments = (
        Segment(tuple(range(thinking)), "sampled", "thinking"),
        Segment((1, 2, 3), "sampled", "answer"),
    )
    return Generation(of.key, sample, segments, outcome, 1, answer=f" {of.answer}")


def run(name: str, statuses: list[str], samples: int = 1, **more: object) -> GradedRun:
    problems = PROBLEMS[: len(statuses) // samples]
    pairs = [(p, s) for p in problems for s in range(samples)]
    generations = [
        made(p, s, 10 * (i + 1), "ended" if i else "truncated") for i, (p, s) in enumerate(pairs)
    ]
    grades = [Grade(p.key, s, status, "", "") for (p, s), status in zip(pairs, statuses)]
    return GradedRun(name, tuple(generations), tuple(grades), **more)


def test_a_summary_counts_by_hand() -> None:
    row = summarise(run("a", ["correct", "wrong", "truncated", "no_answer"], at_most=25))
    assert (row.questions, row.samples, row.accuracy) == (4, 1, wilson(1, 4))
    assert (row.thinking_tokens, row.answer_tokens, row.waits) == (25, 3, 1)
    assert (row.control, row.cut_thinking, row.truncated, row.no_answer) == (50, 0.25, 0.25, 0.25)


def test_several_samples_get_the_clustered_bootstrap() -> None:
    row = summarise(run("a", ["correct", "wrong", "correct", "correct"], samples=2))
    assert (row.questions, row.samples, row.accuracy.estimate) == (2, 2, 0.75)
    assert "question-clustered" in row.accuracy.method
    assert score_matrix(run("a", ["correct", "wrong"] * 2, 2).grades).tolist() == [[1, 0], [1, 0]]


def test_grades_of_another_run_are_refused() -> None:
    mixed = GradedRun("a", run("a", ["correct"]).generations, run("b", ["correct"] * 2).grades)
    with pytest.raises(InputError, match="do not pair one to one"):
        summarise(mixed)


def test_the_matrix_has_a_mark_per_sample_and_keeps_the_order_of_problems() -> None:
    runs = [run("a", ["correct", "wrong", "truncated", "no_answer"], 2), run("b", ["correct"])]
    table = question_table(runs, PROBLEMS)
    assert [row[3:] for row in table.rows] == [("+-", "+"), ("xo", "")]
    assert table.rows[0][:3] == (PROBLEMS[0].key, "What is 0 + 1?", "1")


def nasty() -> list[GradedRun]:
    grades = (Grade(NASTY.key, 0, "wrong", "", ""),)
    return [GradedRun("run <b>|1</b>", (made(NASTY, 0, 5),), grades)]


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_holds_text_as_text() -> None:
    parser = Cells()
    parser.feed(report(nasty(), [NASTY], "html", matrix=True))
    assert parser.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    assert any("<script>" in text for text in parser.texts)


def test_markdown_rows_keep_their_number_of_cells() -> None:
    lines = report(nasty(), [NASTY], "markdown", matrix=True).splitlines()
    assert len(lines) == 3
    bars = [line.replace("\\|", "").count("|") for line in lines]
    assert bars == [5, 5, 5]
    assert "<script>" not in lines[2]


def test_csv_reads_back_and_starts_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(report(nasty(), [NASTY], "csv", matrix=True))))
    assert rows[1][2] == "'=1+1"
    assert rows[1][3] == "-"
    assert len(rows[1]) == len(rows[0]) == 4


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="markdown, csv, html"):
        report([run("a", ["correct"])], form="latex")  # type: ignore[arg-type]


# ------------------------------------------------------------------------- files


def test_a_file_of_generations_is_graded_and_a_torn_line_reported(tmp_path: Path) -> None:
    path, out = tmp_path / "generations.jsonl", tmp_path / "grades.jsonl"
    lines = [to_json(made(p, 0, 4)) for p in PROBLEMS]
    path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:30], encoding="utf-8")
    grades, torn = grade_file(path, PROBLEMS, "math", out)
    assert ([g.status for g in grades], torn) == (["correct"] * 3, 4)
    assert list(read_jsonl(out, Grade)) == grades


def test_damaged_and_repeated_generations_are_errors_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "generations.jsonl"
    line = to_json(made(PROBLEMS[0], 0, 4))
    path.write_text(f"{line}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=":2: problem .* has sample 0 twice"):
        read_generations(path)
    path.write_text(f"{line}\n{{}}\n", encoding="utf-8")
    with pytest.raises(InputError, match=":2: not a Generation"):
        read_generations(path)
    path.write_text(f"{line[:40]}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=":1: damaged line"):
        read_generations(path)


# ------------------------------------------------------------------------- a judge


def test_a_judge_is_a_second_column_and_never_fills_in_the_first() -> None:
    grades = run("a", ["correct", "wrong", "truncated", "correct"]).grades
    keys = [grade.problem_key for grade in grades]
    opinion = second_opinion(grades, {keys[0]: True, keys[1]: True}, {keys[2]: "timeout"})
    assert [grade.problem_key for grade in opinion.disagreements] == [keys[1]]
    assert opinion.agreement == 0.5
    assert opinion.unjudged == {keys[2]: "timeout", keys[3]: "no verdict"}
    assert opinion.grades == grades
    assert ("truncated", "not judged", "1") in opinion.table().rows


def test_a_judge_speaks_about_one_sample() -> None:
    with pytest.raises(ValueError, match="one verdict per problem"):
        second_opinion(run("a", ["correct", "wrong"], 2).grades, {})
