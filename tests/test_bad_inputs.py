"""Whatever is wrong with an option or a file is one sentence, before any work, and loses nothing.

Options are found in the command lines themselves, so a new one is tried as soon as it exists.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from s1core import cli as core
from s1core.records import Example, Problem, Trace, to_json
from s1lab import cli as lab
from tests.helpers import cases

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


def commands() -> list[tuple[str, str, Any]]:
    return [
        (app, words, command)
        for app, module in APPS.items()
        for words, command in leaves(typer.main.get_command(module.app))
    ]


NOT_ZERO = (
    "--samples --limit --batch-size --max-answer --context-length --size --ngram --epochs --lr "
    "--rpm --max-seq-len --top-p --concurrency --max-tokens --jobs"
).split()
TOO_MUCH = {"--lr": "1.1", "--top-p": "1.1", "--temperature": "1e30", "--epochs": "10001"}


def bad_numbers() -> Iterator[tuple[str, str, str, str]]:
    """(app, command, option, value) for every option that takes a number."""
    for app, words, command in commands():
        for option in command.params:
            kind = option.type_descriptor.annotation
            if kind not in (int, float):
                continue
            values = ["-1", "nan", "inf", "-inf", "1e400", HUGE, f"-{HUGE}", "two", "", "0x10"]
            values += ["9" * 5000, *(["1.5"] if kind is int else [])]
            name = option.opts[0]
            values += ["0"] * (name in NOT_ZERO) + TOO_MUCH.get(name, "").split()
            for value in values:
                yield app, words, name, value


def arguments(words: str, command: Any) -> list[str]:
    """The least that a command needs, with names of files that are there."""
    given = words.split()
    for option in command.params:
        if not option.required:
            continue
        name = option.name
        value = {"data": "examples.jsonl", "output": "out.jsonl", "tokenizer": "."}.get(
            name, "problems.jsonl"
        )
        value = {"model": "pocket-small", "base_url": "http://127.0.0.1:9/v1"}.get(name, value)
        value = {"task": "distill", "name": "harness", "size": "small"}.get(name, value)
        given += [option.opts[0], value] if option.opts[0].startswith("-") else [value]
    return given


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S1CORE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("S1CORE_DATA_DIR", raising=False)
    for name, text in GOOD.items():
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def refused(app: str, given: list[str], capsys: pytest.CaptureFixture[str], place: Path) -> str:
    """Run a command line that must refuse; returns what it said."""
    before = files(place)
    with pytest.raises(SystemExit) as ended:
        core.run(APPS[app].app, app, given)
    said = capsys.readouterr()
    text = said.out + said.err
    if isinstance(ended.value.code, str):
        text += ended.value.code
    assert ended.value.code not in (0, None), text
    assert "Traceback" not in text and len(text) < 4_000
    assert {k: v for k, v in files(place).items() if k in before} == before
    return text


def test_every_command_has_help_with_an_example(capsys):
    for app, words, _ in commands():
        with pytest.raises(SystemExit) as ended:
            core.run(APPS[app].app, app, [*words.split(), "--help"])
        shown = capsys.readouterr().out
        assert ended.value.code == 0 and "Example" in shown and f"{app} {words}" in shown, words
    assert len(commands()) == 27


NUMBERS = sorted(set(bad_numbers()))


@pytest.mark.parametrize("app", APPS)
def test_every_number_out_of_its_range_is_refused_before_any_work(app, place, capsys):
    """Some hundreds of cases in one test a command line, so that they take seconds."""
    tried = 0
    known = {words: command for name, words, command in commands() if name == app}
    for name, words, option, value in NUMBERS:
        if name != app:
            continue
        given = [*arguments(words, known[words]), f"{option}={value}"]
        text = refused(app, given, capsys, place)
        assert f"Invalid value for '{option}'" in " ".join(text.split()), (given, text)
        tried += 1
    assert tried > 100, tried
    assert "torch" not in sys.modules or tried  # nothing is loaded for a number


FILES = {
    "missing": None,
    "a folder": "folder",
    "empty": b"",
    "blank lines": b"\n\n\n",
    "binary": bytes(range(256)) * 4,
    "not UTF-8": b'{"question": "\xff\xfe", "answer": "2"}\n',
    "not JSON": b"question,answer\n1,2\n",
    "a list": b'[{"question": "q", "answer": "1"}]\n',
    "a number": b"7\n",
    "null": b"null\n",
    "torn": b'{"question": "What is 1 + 1?", "ans',
    "no question": b'{"answer": "2"}\n',
    "a question that is a number": b'{"question": 7, "answer": "2"}\n',
    "a question that is null": b'{"question": null, "answer": "2"}\n',
    "an answer that is a list": b'{"question": "q", "answer": ["2"]}\n',
    "nested 100,000 deep": b'{"question": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "a number of 5,000 digits": b'{"question": "q", "answer": "2", "n": ' + b"9" * 5000 + b"}\n",
    "half a character": b'{"question": "\\ud800", "answer": "2"}\n',
    "NaN": b'{"question": NaN, "answer": "2"}\n',
    "an unknown field": b'{"question": "q", "answer": "2", "nonsense": 1}\n',
    "a field given twice": b'{"question": "q", "question": "r", "answer": "2"}\n',
}
READERS, WRITERS = CASES["readers"], CASES["writers"]
KNOWN = ("generate", "grade", "select", "sft", "annotate", "report", "regrade", "loop")
TASKS = ("distill", "judge", "harness")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", FILES)
def test_a_file_that_is_not_what_it_should_be_is_one_sentence(content, reader, place, capsys):
    app, *words = reader.split()
    if "against" in reader and content in ("an answer that is a list", "an unknown field"):
        pytest.skip("a benchmark's file may have any other columns")
    if FILES[content] == "folder":
        (place / "bad.jsonl").mkdir()
    elif FILES[content] is not None:
        (place / "bad.jsonl").write_bytes(FILES[content])
    given = [word for word in words if word in (*KNOWN, *TASKS)]
    given += READERS[reader].replace("FILE", "bad.jsonl").split()
    text = refused(app, given, capsys, place)
    assert "bad.jsonl" in text or "generations.jsonl" in text, text
    assert not (place / "out.jsonl").exists() and not (place / "o.jsonl").exists()


OUTPUTS = {
    **dict.fromkeys(("problems.jsonl", "./problems.jsonl", "link", "hard"), "is an input too"),
    **dict.fromkeys(("", ".", "/", "/dev/null", "folder", "pipe"), "is not a regular file"),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("output, said", OUTPUTS.items())
def test_an_output_is_a_regular_file_and_no_input(writer, output, said, place, capsys):
    Path("link").symlink_to("problems.jsonl")
    Path("hard").hardlink_to("problems.jsonl")
    os.mkfifo("pipe")
    Path("folder").mkdir()
    app, *words = writer.split()
    assert said in refused(
        app, [*words, *WRITERS[writer].split(), "--output", output], capsys, place
    )


PROFILES = ("", "..", "../victim", "/etc/passwd", "nope", "a/b", "missing.yaml", "CON\x00", "~")
BAD_PROFILES = {
    "empty": "",
    "a list": "- 1\n",
    "not YAML": "a: [1\n",
    "unknown settings": "nonsense: 1\n",
    "aliases": "a: &a [1, 1]\nb: &b [*a, *a]\n",
    "binary": "\x00\x01",
    "a name outside": None,
}
WITH_PROFILE = ("reproduce", "compare", "accept", "plan", "preflight", "fetch", "status")


@pytest.mark.parametrize("command", WITH_PROFILE)
@pytest.mark.parametrize("name", [*PROFILES, *BAD_PROFILES])
def test_a_profile_that_is_none_is_refused_by_every_command(name, command, place, capsys):
    given = name
    if name in BAD_PROFILES:
        text = BAD_PROFILES[name]
        if text is None:
            shipped = Path(lab.__file__).parents[1] / "profiles" / "smoke.yaml"
            text = shipped.read_text().replace("name: smoke", "name: ../../victim")
        (place / "p.yaml").write_text(text)
        given = "p.yaml"
    refused("s1lab", [command, given], capsys, place)
    assert not (place / "results").exists()


# ------------------------------------------------------------------------- hostile text, shown

ESCAPES = "\x1b]0;t\x07\x1b[2J\u202e\x9b31m\x00\r\x08"
NAME = "f\x1b[31m\u202e.jsonl"
LOG = {"question": f"q{ESCAPES}", "gold": f"7{ESCAPES}", "response": f"It is {ESCAPES} 8."}


def shown(app: str, given: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """All that a command line shows, whether it refuses or not."""
    code: Any = 0
    try:
        core.run(APPS[app].app, app, given)
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr()
    return said.out + said.err + (code if isinstance(code, str) else "")


@pytest.mark.parametrize("line", CASES["shown"])
def test_no_command_shows_a_raw_escape(line, place, capsys):
    Path(NAME).write_text(json.dumps(LOG) + "\n" + json.dumps({**LOG, "correct": True}) + "\n")
    words = [w.replace("NAME", NAME).replace("TEXT", ESCAPES[:-4]) for w in line.split()]
    text = shown(words[0], words[1:], capsys)
    assert text.strip()
    raw = [c for c in text if not c.isprintable() and c not in "\n\t\r"]
    assert not raw, (raw, text)
