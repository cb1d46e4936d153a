"""The API reference: every module on one page, a docstring for all that is public, code as code."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from s1lab.book.reference import LEFT_OUT, PACKAGE, PARTS, modules, public_names, write_reference

EXTENSION = Path(__file__).resolve().parents[1] / "book" / "_ext" / "docstrings.py"
NOT_OF_THE_REFERENCE = {"book", "cli"}  # tools of this repository; the command line helps itself


def sources() -> dict[str, Path]:
    """Every module of the package that a caller may import, by its dotted name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] in NOT_OF_THE_REFERENCE or path.stem in LEFT_OUT | {"__main__"}:
            continue
        parts = inside.parts[:-1] if path.stem == "__init__" else inside.with_suffix("").parts
        if parts:
            found[".".join(["s1core", *parts])] = path
    return found


def test_every_module_is_on_exactly_one_page() -> None:
    listed = [module for part in PARTS for module in modules(part)]
    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(sources())


def test_every_public_function_and_class_has_a_docstring() -> None:
    silent = []
    for module, path in sources().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            silent.append(module)
        silent += [
            f"{module}.{node.name}"
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert silent == []


def test_a_page_asks_for_its_modules_and_names_what_the_folder_exports(tmp_path: Path) -> None:
    write_reference(tmp_path)
    assert {path.stem for path in tmp_path.glob("*.md")} == {*PARTS, "index"}
    text = (tmp_path / "forcing.md").read_text()
    assert ".. automodule:: s1core.forcing.budget\n   :members:" in text
    assert public_names("s1core.forcing") and "`Budget`" in text


# ---------------------------------------------------------------- docstrings as reStructuredText


@pytest.fixture(scope="module")
def docstrings() -> object:
    spec = importlib.util.spec_from_file_location("docstrings", EXTENSION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def test_backticks_are_code_and_bars_are_bars(docstrings: object, written: str, read: str) -> None:
    assert docstrings.prose(written) == read


def test_an_indented_block_of_a_module_is_code(docstrings: object) -> None:
    written = "A `text`.\n\n    a | b\n\n    c\n\nMore::\n\n    d"
    read = "A ``text``.\n\n::\n\n    a | b\n\n    c\n\nMore::\n\n    d\n"
    assert "\n".join(docstrings.blocks(written.split("\n"))) == read
