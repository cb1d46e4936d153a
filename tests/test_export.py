"""Exported tables hold what went in, in every format, and never look finished when they are not."""

import csv
import sqlite3

import pytest

from s1core.errors import InputError
from s1core.records import Example, Problem, Trace
from s1core.selection import Candidate
from s1lab.data.export import export, flat

TEXT = 'a "quoted", line\nwith é, a tab\t and , commas'
SUFFIXES = (".sqlite", ".db", ".parquet", ".csv")


def pool(count=2500):
    for i in range(count):
        source = "Idavidrein/gpqa" if i % 10 == 3 else "a"
        problem = Problem(f"{TEXT} {i}", str(i), "", source, f"domain {i % 7}")
        trace = Trace(f"think {i}", "", "teacher")
        yield Candidate(Example(problem, trace), i, i % 2 == 0, None if i % 3 else False, True)


def query(path, sql):
    if path.suffix in (".sqlite", ".db"):
        with sqlite3.connect(path) as database:
            cursor = database.execute(sql.format("pool"))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
    made = pytest.importorskip("duckdb").sql(sql.format(f"'{path}'"))
    return [dict(zip(made.columns, row, strict=True)) for row in made.fetchall()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_back_every_row_in_order(tmp_path, suffix):
    path = tmp_path / f"pool{suffix}"
    assert export(pool(), path) == 2500
    expected, found = [flat(candidate) for candidate in pool()], query(path, "SELECT * FROM {}")
    if suffix == ".csv":  # where "" and nothing are the same
        for row in (*expected, *found):
            row |= {k: v if v != "" else None for k, v in row.items()}
            row["answer"] = row["answer"] and int(row["answer"])
    assert found == expected and list(found[0]) == list(expected[0])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_gated_text_is_left_out(tmp_path):
    gated = Problem("secret question", "A", "secret reason", "Idavidrein/gpqa")
    nothing = {"question": None, "answer": None, "solution": None}
    assert flat(gated) == {"key": gated.key, **nothing, "source": gated.source, "domain": ""}
    for suffix in SUFFIXES:
        export([gated], tmp_path / f"x{suffix}")
        assert b"secret" not in (tmp_path / f"x{suffix}").read_bytes()


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    def breaking():
        yield from pool(1500)
        raise RuntimeError("the disk of the pool failed")

    for suffix in SUFFIXES:
        path = tmp_path / f"pool{suffix}"
        path.write_text("what was there before")
        with pytest.raises(RuntimeError, match="failed"):
            export(breaking(), path)
        assert path.read_text() == "what was there before"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_no_table_can_hold_is_a_clear_error(tmp_path, suffix):
    for items, says in (([], "no rows"), ([Problem("\ud800", "")], "lone surrogate")):
        with pytest.raises(InputError, match=says):
            export(items, tmp_path / f"x{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_no_cell_of_a_csv_file_is_a_formula_and_numbers_stay_numbers(tmp_path):
    numbers = ["-5", "+3.2", "-1e-5", "2", "a\rb = c"]
    formulas = ["=1+1", "+A1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "=cmd|' /C calc'!A0"]
    export([Problem(text, "") for text in [*numbers, *formulas]], tmp_path / "x.csv")
    with open(tmp_path / "x.csv", encoding="utf-8", newline="") as file:
        shown = [row["question"] for row in csv.DictReader(file)]
    assert shown == [*numbers, *(f"'{text}" for text in formulas)]


@pytest.mark.parametrize(
    "name", ["", ".csv", "x", "x.xlsx", "folder.csv", "file/x.csv", "device.db", "locked/x.sqlite"]
)
def test_where_no_table_can_be_written_is_said_in_a_sentence(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("kept")
    (tmp_path / "device.db").symlink_to("/dev/full")
    (tmp_path / "locked").symlink_to("/proc/1")
    with pytest.raises(InputError, match="ends in none|not a regular file|cannot be written"):
        export(pool(1), tmp_path / name if name else "")
    assert (tmp_path / "file").read_text() == "kept"
