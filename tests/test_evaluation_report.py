"""Tables across runs: the numbers, the matrix, and text that must not break out of its cell."""

import csv
import io

import pandas as pd
import pytest

from s1core.errors import InputError
from s1core.records import Generation, Grade, Problem, Segment
from s1lab.evaluation import clustered_bootstrap, wilson
from s1lab.evaluation.report import question_table, summarise, write_table
from tests.hostile import Page

PROBLEMS = [Problem(f"What is {n} + 1?", str(n + 1)) for n in range(4)]
NASTY = Problem("<script>alert('x')</script> | `$\\pi$` =cmd|' /C calc'!A0\nnext", "=1+1")


def made(of: Problem, sample: int, thinking: int, outcome: str = "ended") -> Generation:
    segments = (
        Segment(tuple(range(thinking)), "sampled", "thinking"),
        Segment((1, 2, 3), "sampled", "answer"),
    )
    return Generation(of.key, sample, segments, outcome, 1, answer=f" {of.answer}")


def run(statuses: list[str], samples: int = 1) -> tuple[list[Generation], list[Grade]]:
    problems = PROBLEMS[: len(statuses) // samples]
    pairs = [(p, s) for p in problems for s in range(samples)]
    generations = [
        made(p, s, 10 * (i + 1), "ended" if i else "truncated") for i, (p, s) in enumerate(pairs)
    ]
    grades = [Grade(p.key, s, status, "", "") for (p, s), status in zip(pairs, statuses)]
    return generations, grades


def test_a_summary_counts_by_hand():
    row = summarise("a", *run(["correct", "wrong", "truncated", "no_answer"]), at_most=25)
    assert list(row.values()) == [
        *("a", "4", "1", wilson(1, 4).percent(), "25", "3", "1.00"),
        *("50.0", "25.0", "25.0", "25.0"),
    ]
    assert summarise("a", *run(["correct"]))["control %"] == ""
    several = summarise("a", *run(["correct", "wrong", "correct", "correct"], samples=2))
    assert (several["n"], several["samples"]) == ("2", "2")
    assert several["accuracy % [95%]"] == clustered_bootstrap([[1, 0], [1, 1]]).percent()


def test_what_is_no_run_is_refused():
    with pytest.raises(InputError, match="none negative"):
        summarise("a", *run(["correct"]), at_most=-1)
    with pytest.raises(InputError, match="markdown, csv, html"):
        write_table(pd.DataFrame(), "latex")  # type: ignore[arg-type]


def test_the_matrix_has_a_mark_per_sample_and_keeps_the_order_of_problems():
    four = ["correct", "wrong", "truncated", "no_answer"]
    runs = [("a", run(four, 2)[1]), ("b", run(["correct"])[1])]
    table = question_table(runs, PROBLEMS)
    assert table[["a", "b"]].to_numpy().tolist() == [["+-", "+"], ["xo", ""]]
    assert table.iloc[0, :3].tolist() == [PROBLEMS[0].key, "What is 0 + 1?", "1"]


FORMULAS = ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "=cmd|' /C calc'!A0", "+x", "-o", "＝1+1", "\t=1"]
MARKUP = ["a|b", "<b>x</b>", "[x](javascript:1)", "\x1b]0;x\x07", "a\nb", "\u202e", "`$"]
HOSTILE = [*FORMULAS, *MARKUP]


def nasty() -> pd.DataFrame:
    grades = (Grade(NASTY.key, 0, "wrong", "", ""),)
    return question_table([("run <b>|1</b>", grades)], [NASTY])


def twice(head: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame([(text, text) for text in HOSTILE], columns=head)


def test_html_holds_text_as_text():
    for table in (nasty(), twice(("a", "<i>"))):
        page = Page(write_table(table, "html"))
        assert {*page.tags} == {"table", "thead", "tbody", "tr", "th", "td"}
        assert "<script>" in page.text or "<b>x</b>" in page.text


def test_csv_starts_no_formula_and_no_format_moves_a_terminal():
    for text in FORMULAS:
        table = pd.DataFrame([(text, "-"), ("-0.5", "+-")], columns=(text, "b"))
        head, first, second = csv.reader(io.StringIO(write_table(table, "csv")))
        assert head[0] == first[0] == f"'{text.strip()}"
        assert (first[1], *second) == ("-", "-0.5", "+-"), "marks and numbers stay"
    for form in ("markdown", "csv", "html"):
        text = write_table(pd.DataFrame([HOSTILE], columns=HOSTILE), form)
        assert all(c.isprintable() or c == "\n" for c in text)


def test_markdown_rows_keep_their_number_of_cells_and_hold_no_markup():
    lines = write_table(nasty()).splitlines()
    assert [line.replace("\\|", "").count("|") for line in lines] == [5, 5, 5]
    assert "<script>" not in lines[2]
    lines = write_table(twice(("a", "b"))).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}
    assert len(lines) == 2 + len(HOSTILE) and not any("[x](" in line for line in lines)
