"""The API reference: a docstring for all that is public, and docstrings read as they are meant."""

import ast
import runpy
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
EXTENSION = runpy.run_path(str(CHECKOUT / "book" / "_ext" / "docstrings.py"))


def test_all_that_is_public_has_a_docstring():
    silent = []
    for path in sorted(p for name in ("s1core", "s1lab") for p in (CHECKOUT / name).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        public = [node for node in named if not node.name.startswith("_")]
        without = [node for node in [tree, *public] if tree.body and not ast.get_docstring(node)]
        silent += [f"{path.relative_to(CHECKOUT)}: {getattr(n, 'name', '')}" for n in without]
    assert silent == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a `name` here", "a ``name`` here"),
        ("``as it is``", "``as it is``"),
        ("two `Wait`s", "two ``Wait``\\ s"),
        ("`a\nb` over lines", "``a\nb`` over lines"),
        ("|A| of `x | y`", "\\|A\\| of ``x | y``"),
        (":class:`Role` stays", ":class:`Role` stays"),
    ],
)
def test_backticks_are_code_and_bars_are_bars(written, read):
    assert EXTENSION["prose"](written) == read


def test_an_indented_block_of_a_module_is_code():
    written = "A `text`.\n\n    a | b\n\n    c\n\nMore::\n\n    d"
    read = "A ``text``.\n\n::\n\n    a | b\n\n    c\n\nMore::\n\n    d\n"
    assert "\n".join(EXTENSION["blocks"](written.split("\n"))) == read


@pytest.mark.parametrize("what", ["attribute", "data", "property", "function", "class"])
def test_a_colon_in_a_first_line_makes_no_type(what):
    napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="the book extra is not installed")
    lines = ["One rule: never more than `n` tokens.", "", "And why."]
    EXTENSION["_restate"](None, what, "x", None, None, lines)
    text = str(napoleon.GoogleDocstring(lines, what=what, name="x"))
    assert ":type:" not in text and "Type" not in text
    assert "One rule: never more than ``n`` tokens." in text


def test_a_signature_shows_types_and_no_place_in_memory():
    beside = "<typer.models.OptionInfo object at 0x7f549f53e6d0>"
    raw = f"(out: ~types.Annotated[list[~pathlib.Path] | None, {beside}] = None, n: int = 1)"
    assert EXTENSION["types_alone"](raw) == "(out: list[~pathlib.Path] | None = None, n: int = 1)"
