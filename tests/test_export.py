"""Exported tables hold what went in, in every format, and never look finished when they are not."""

from __future__ import annotations

import json
import sqlite3

import pytest
from s1core.errors import InputError

from s1core.records import Example, Problem, Trace
from s1core.selection import Candidate
from s1lab.data.export import export, flat

TEXT = 'a "quoted", line\nwith é, a tab\t and , commas'


def pool(count=2500):
    for i in range(count):
        source = "Idavidrein/gpqa" if i % 10 == 3 else "a"
        problem = Problem(f"{TEXT} {i}", str(i), "", source, f"domain {i % 7}")
        trace = Trace(f"think {i}", "", "teacher")
        yield Candidate(Example(problem, trace), i, i % 2 == 0, None if i % 3 else False, True)


def read_back(path):
    duckdb = pytest.importorskip("duckdb")
    if path.suffix in (".sqlite", ".db"):
        with sqlite3.connect(path) as database:
            cursor = database.execute("SELECT * FROM pool")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
    made = duckdb.sql(f"SELECT * FROM '{path}'")
    return [dict(zip(made.columns, row, strict=True)) for row in made.fetchall()]


@pytest.mark.parametrize("suffix", [".sqlite", ".db", ".parquet", ".csv"])
def test_every_format_gives_back_every_row_in_order(tmp_path, suffix):
    path = tmp_path / f"pool{suffix}"
    assert export(pool(), path) == 2500
    expected = [flat(candidate) for candidate in pool()]
    found = read_back(path)
    if suffix == ".csv":  # where "" and nothing are the same
        expected = [{k: v if v != "" else None for k, v in row.items()} for row in expected]
        found = [{k: v if v != "" else None for k, v in row.items()} for row in found]
        for row in expected:
            row["answer"] = row["answer"] and int(row["answer"])
    assert found == expected
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_gated_text_is_left_out_unless_asked_for(tmp_path):
    gated = Problem("secret question", "A", "secret reason", "Idavidrein/gpqa")
    assert flat(gated) == {
        "key": gated.key, "question": None, "answer": None, "solution": None,
        "source": "Idavidrein/gpqa", "domain": "",
    }  # fmt: skip
    assert flat(gated, gated_text=True)["question"] == "secret question"
    for suffix in (".sqlite", ".parquet", ".csv"):
        export([gated], tmp_path / f"x{suffix}")
        assert b"secret" not in (tmp_path / f"x{suffix}").read_bytes()


def test_lists_and_mappings_become_json(tmp_path):
    export([{"key": "a", "votes": [1, 2], "meta": {"b": None, "a": "é"}}], tmp_path / "x.db")
    with sqlite3.connect(tmp_path / "x.db") as database:
        votes, meta = database.execute("SELECT votes, meta FROM pool").fetchone()
        assert database.execute("SELECT json_extract(meta, '$.a') FROM pool").fetchone() == ("é",)
    assert json.loads(votes) == [1, 2] and meta == '{"a": "é", "b": null}'


def test_a_table_may_have_any_name_and_duplicate_keys(tmp_path):
    row = {"key": "a", 'odd "name"': 1.5}
    export([row, row], tmp_path / "x.db", table='my "pool"')
    with sqlite3.connect(tmp_path / "x.db") as database:
        assert database.execute('SELECT count(*) FROM "my ""pool"""').fetchone() == (2,)


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    def breaking():
        yield from pool(1500)
        raise RuntimeError("the disk of the pool failed")

    for suffix in (".sqlite", ".parquet", ".csv"):
        path = tmp_path / f"pool{suffix}"
        path.write_text("what was there before")
        with pytest.raises(RuntimeError, match="failed"):
            export(breaking(), path)
        assert path.read_text() == "what was there before"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    "rows, says",
    [
        ([], "no rows"),
        (
            [{"a": 1}] * 1000 + [{"a": 1, "b": 2}],
            "row 1001 has columns that the first rows lack: b",
        ),
        ([{"a": 1}] * 1000 + [{"a": "x"}], "row 1001: column 'a' is integer in the first rows"),
    ],
)
def test_rows_that_do_not_fit_are_a_clear_error(tmp_path, rows, says):
    with pytest.raises(InputError, match=says):
        export(rows, tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


def test_the_suffix_names_the_format(tmp_path):
    with pytest.raises(InputError, match="x.xlsx ends in none of .sqlite"):
        export(pool(1), tmp_path / "x.xlsx")


def test_rows_in_the_published_layout_are_recognised_as_gated():
    assert flat({"question": "secret", "source_type": "Idavidrein/gpqa"})["question"] is None
