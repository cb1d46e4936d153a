"""Whatever is wrong with an option or a file is one sentence, before any work, and loses nothing.

Options are found in the command lines themselves, so a new one is tried as soon as it exists.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from s1core import cli as core
from s1core.records import Example, Problem, Trace, to_json
from s1lab import cli as lab
from s1lab import profiles
from tests.helpers import cases, refused, told

APPS = {"s1core": core, "s1lab": lab}
HUGE = "9" * 40
CASES = cases("bad_inputs")
PROBLEM = Problem("What is 1 + 1?", "2")
GOOD = {
    "problems.jsonl": to_json(PROBLEM) + "\n",
    "generations.jsonl": "",
    "examples.jsonl": to_json(Example(PROBLEM, Trace("One and one.", "2"))) + "\n",
}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of a command line, by its words."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = {
    (app, words): command
    for app, module in APPS.items()
    for words, command in leaves(typer.main.get_command(module.app))
}


def bad_numbers(app: str) -> Iterator[tuple[str, str, str]]:
    """(command, option, value) for every option of a command line that takes a number."""
    for (_, words), command in ((key, c) for key, c in COMMANDS.items() if key[0] == app):
        for option in command.params:
            kind, name = option.type_descriptor.annotation, option.opts[0]
            if kind in (int, float):
                values = ["-1", "nan", "inf", "-inf", "1e400", HUGE, f"-{HUGE}", "two", "", "0x10"]
                values += ["9" * 5000, *(["1.5"] if kind is int else [])]
                values += ["0"] * (name in CASES["not_zero"].split())
                values += CASES["too_much"].get(name, "").split()
                yield from ((words, name, value) for value in values)


def arguments(app: str, words: str) -> list[str]:
    """The least that a command needs, with names of files that are there."""
    given = words.split()
    for option in (option for option in COMMANDS[app, words].params if option.required):
        value = CASES["needs"].get(option.name, "problems.jsonl")
        given += [option.opts[0], value] if option.opts[0].startswith("-") else [value]
    return given


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S1CORE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("S1CORE_DATA_DIR", raising=False)
    for name, text in GOOD.items():
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


def test_every_command_has_help_with_an_example():
    for app, words in COMMANDS:
        code, shown = told(app, *words.split(), "--help")
        assert code == 0 and "Example" in shown and f"{app} {words}" in shown, words
    assert len(COMMANDS) == 24


@pytest.mark.parametrize("app", APPS)
def test_every_number_out_of_its_range_is_refused_before_any_work(app):
    """Some hundreds of cases in one test a command line, so that they take seconds."""
    tried = sorted(set(bad_numbers(app)))
    for words, option, value in tried:
        text = refused(app, *arguments(app, words), f"{option}={value}")
        assert f"Invalid value for '{option}'" in text, (words, option, value, text)
    assert len(tried) > 100


FILES = {name: text if text is None else text.encode("l1") for name, text in CASES["files"].items()}
FILES["nested 100,000 deep"] = b'{"question": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
FILES["a number of 5,000 digits"] = b'{"question": "q", "answer": "2", "n": ' + b"9" * 5000 + b"}\n"
READERS, WRITERS = CASES["readers"], CASES["writers"]
KNOWN = "generate grade select sft annotate report regrade loop distill judge harness".split()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [*FILES, "a folder"])
def test_a_file_that_is_not_what_it_should_be_is_one_sentence(content, reader):
    app, *words = reader.split()
    if "against" in reader and content in ("an answer that is a list", "an unknown field"):
        pytest.skip("a benchmark's file may have any other columns")
    if content == "a folder":
        Path("bad.jsonl").mkdir()
    elif FILES[content] is not None:
        Path("bad.jsonl").write_bytes(FILES[content])
    given = [word for word in words if word in KNOWN]
    text = refused(app, *given, *READERS[reader].replace("FILE", "bad.jsonl").split())
    assert "bad.jsonl" in text or "generations.jsonl" in text, text
    assert not Path("out.jsonl").exists() and not Path("o.jsonl").exists()


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("said", CASES["outputs"])
def test_an_output_is_a_regular_file_and_no_input(writer, said):
    Path("link").symlink_to("problems.jsonl")
    Path("hard").hardlink_to("problems.jsonl")
    os.mkfifo("pipe")
    Path("folder").mkdir()
    for output in CASES["outputs"][said]:
        assert said in refused(*writer.split(), *WRITERS[writer].split(), "--output", output)


COMMANDS_OF_A_PROFILE = "reproduce compare accept plan preflight fetch status".split()


@pytest.mark.parametrize("command", COMMANDS_OF_A_PROFILE)
@pytest.mark.parametrize("name", [*CASES["profiles"], "p.yaml"])
def test_a_profile_that_is_none_is_refused_by_every_command(name, command):
    shipped = (profiles.FOLDER / "smoke.yaml").read_text()
    Path("p.yaml").write_text(shipped.replace("name: smoke", "name: ../../victim"))
    refused("s1lab", command, name)
    assert not Path("results").exists()


ESCAPES = "\x1b]0;t\x07\x1b[2J\u202e\x9b31m\x00\r\x08"
NAME = "f\x1b[31m\u202e.jsonl"
LOG = {"question": f"q{ESCAPES}", "gold": f"7{ESCAPES}", "response": f"It is {ESCAPES} 8."}


@pytest.mark.parametrize("line", CASES["shown"])
def test_no_command_shows_a_raw_escape(line):
    Path(NAME).write_text(json.dumps(LOG) + "\n" + json.dumps({**LOG, "correct": True}) + "\n")
    _, text = told(*(w.replace("NAME", NAME).replace("TEXT", ESCAPES[:-4]) for w in line.split()))
    raw = [c for c in text if not c.isprintable() and c not in "\n\t\r"]
    assert text.strip() and not raw, (raw, text)
