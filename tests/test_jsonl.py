"""Records are what their fields declare, whatever a file holds; nothing but one sentence else."""

import json
import os
from dataclasses import asdict, make_dataclass
from pathlib import Path
from typing import Literal, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s1core import jsonl, records
from s1core.errors import InputError
from s1core.jsonl import Journal, from_dict, parse_json, read_jsonl, read_recoverable, to_json
from s1core.records import Example, Generation, Grade, Problem, Segment, Trace
from tests.helpers import cases

RECORDS = {
    Problem: Problem("q?", "1"),
    Trace: Trace("so", "1"),
    Example: Example(Problem("q?", "1"), Trace("so", "1")),
    Grade: Grade("k", 0, "correct", "1", "exact"),
    Generation: Generation("k", 0, (Segment((1, 2), "sampled", "thinking"),), "ended", 0),
}
ANYTHING = (None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**30, "x", [], [1], ["x"], {})
ANYTHING += ({"a": 1}, [None], [[1]], [{"token_ids": [1], "origin": "model", "phase": "answer"}])
FITS = {str: ["x"], int: [0], tuple: [[]]}  # what of the above a declared type takes
CASES = [
    (kind, field, value)
    for kind in RECORDS
    for field, declared in get_type_hints(kind).items()
    for value in ANYTHING
    for fits in [FITS.get(get_origin(declared) or declared, [])]
    if not any(type(value) is type(fit) and value == fit for fit in fits)
]


def row_of(kind: type) -> dict:
    return json.loads(to_json(RECORDS[kind]))


def test_a_field_comes_back_as_it_declares_or_is_refused_by_file_line_and_name(tmp_path):
    file = tmp_path / "f.jsonl"
    for kind, record in RECORDS.items():
        jsonl.write_jsonl(file, [record] * 2)
        assert list(read_jsonl(file, kind)) == [record] * 2
    for kind, field, value in CASES:
        file.write_text(to_json(RECORDS[kind]) + "\n" + json.dumps({**row_of(kind), field: value}))
        with pytest.raises(InputError) as error:
            list(read_jsonl(file, kind))
        said = str(error.value)
        assert said.startswith(f"{file}:2: {field}") and "\n" not in said, (kind, value, said)
    assert len(CASES) > 250


@pytest.mark.parametrize("declared", [Literal["a"] | Literal["b"], int | str, None | int, dict])
def test_a_declaration_that_could_not_be_checked_is_an_error(declared):
    with pytest.raises(TypeError, match="x is declared as .*, which is never checked"):
        from_dict(make_dataclass("Unchecked", [("x", declared)]), {"x": "a"})


@pytest.mark.parametrize(
    "ids", [[-1], [1.0], [True], [None], ["1"], [[1]], [2**63], [1, 2, float("nan")], "12", None, 5]
)
def test_token_ids_are_whole_numbers_from_zero(ids):
    segment = {**asdict(Segment((), "forced", "answer")), "token_ids": ids}
    row = {**row_of(Generation), "segments": [segment]}
    with pytest.raises(InputError, match=r"segments\[0\]: token_ids must be a list of whole"):
        from_dict(Generation, row)


LINES = [(text.encode("l1"), said) for said, text in cases("jsonl")["lines"]]
LINES += [(b"[" * 100_000, "nested too deeply"), (b'{"a":' * 100_000, "nested too deeply")]
LINES += [(b'{"question": ' + b"9" * 5_000 + b"}", "a number too long")]


@pytest.mark.parametrize("line, said", LINES, ids=lambda value: repr(value[:20]))
def test_a_line_that_is_no_record_is_named_and_costs_no_other_line(tmp_path, line, said):
    file, good = tmp_path / "f.jsonl", to_json(RECORDS[Problem]).encode()
    file.write_bytes(b"\n".join((good, line, good)) + b"\n")
    with pytest.raises(InputError, match=r"f\.jsonl:2: ") as error:
        list(read_jsonl(file, Problem))
    assert said in str(error.value) and "\n" not in str(error.value)
    left_out: list[InputError] = []
    assert list(read_jsonl(file, Problem, left_out)) == [RECORDS[Problem]] * 2
    assert [str(e) for e in left_out] == [str(error.value)]
    with pytest.raises(InputError, match=r"f\.jsonl:2: damaged line"):
        read_recoverable(file, Problem)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")))
def test_whatever_a_line_holds_it_is_an_object_or_an_input_error(line):
    try:
        assert isinstance(parse_json(line), dict)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
), st.sampled_from(sorted(RECORDS, key=lambda kind: kind.__name__)), st.data())  # fmt: skip
def test_any_json_value_in_any_field_is_typed_or_refused(value, kind, data):
    field = data.draw(st.sampled_from(sorted(row_of(kind))))
    try:
        made = from_dict(kind, {**row_of(kind), field: value})
        assert from_dict(kind, json.loads(to_json(made))) == made
    except InputError as error:
        assert field in str(error)


@given(st.integers(0, 200))
def test_a_torn_last_line_is_cut_and_every_whole_one_kept(tmp_path_factory, cut):
    file = tmp_path_factory.mktemp("torn") / "j.jsonl"
    journal = Journal(file)
    journal.append([RECORDS[Grade]] * 3)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - cut])
    lines = file.read_bytes().count(b"\n")
    rows, torn = read_recoverable(file, Grade)
    assert len(rows) in (lines, lines + 1) and torn in (None, lines + 1)
    assert list(journal.records(Grade)) == [RECORDS[Grade]] * lines
    journal.append([RECORDS[Grade]])
    assert len(list(journal.records(Grade))) == lines + 1


def test_a_failed_write_leaves_what_was_there(tmp_path):
    file = tmp_path / "f.jsonl"
    jsonl.write_jsonl(file, [{"a": 1}])
    with pytest.raises(ZeroDivisionError):
        jsonl.write_jsonl(file, ({"a": 1 // n} for n in (1, 0)))
    assert file.read_text() == '{"a":1}\n' and os.listdir(tmp_path) == ["f.jsonl"]


def test_only_regular_files_are_read_and_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for path in (Path(""), tmp_path, tmp_path / "pipe", Path("/dev/null"), Path("/dev/zero")):
        with pytest.raises(InputError, match="is not a regular file"):
            jsonl.write_atomically(path, ["x"])
        with pytest.raises(InputError, match="is not a regular file"):
            list(read_jsonl(path))
    jsonl.write_atomically(tmp_path / "link", ["x"])
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "x"
    with pytest.raises(InputError, match="not Unicode"):
        records.question_key("\ud800")


@given(st.text(st.sampled_from("aé漢\x1b\x07\x00\x9b\r\u202e\u2066\u200b\ud800\n\t")))
def test_printable_text_moves_no_cursor_and_turns_no_line(text):
    shown = records.printable(text)
    assert len(shown) == len(shown.encode().decode()) == len(text)
    assert all(c.isprintable() or c in "\n\t" for c in shown)
