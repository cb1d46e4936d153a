"""Two packages and one direction: what imports what, how long things are, what loads at
once; a docstring for all that is public, read as it is meant."""

import ast
import runpy
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers import CHECKOUT, cases

PACKAGES = ("s1core", "s1lab")


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of both packages, parsed, by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            parts = path.relative_to(CHECKOUT).with_suffix("").parts
            found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(name: str) -> set[str]:
    """The project's modules that a module imports: at its top, in a function, or for types only."""
    known = {module.removesuffix(".__init__"): module for module in modules()}
    names = set()
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports by a relative name"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            # `from package import module` is about the module alone.
            names |= {one if one in known else node.module for one in inner}
    return {known[one] for one in names if one in known} - {name}


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def test_the_method_knows_nothing_of_the_reproduction():
    core = [name for name in modules() if name.startswith("s1core")]
    assert not [(n, one) for n in core for one in imported(n) if one.startswith("s1lab")]
    texts = (path.read_text(encoding="utf-8") for path in (CHECKOUT / "s1core").rglob("*.py"))
    assert not [text for text in texts if 'import_module("s1lab' in text]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package):
    graph = {name: imported(name) for name in modules() if name.startswith(package)}
    order = [*TopologicalSorter(graph).static_order()]  # a CycleError names the circle
    assert len(order) >= len(graph) > 10


def test_imports_of_every_kind_are_seen():
    assert "s1lab.kinds.sft" in imported("s1lab.kinds.generate")
    assert "s1core.backends.base" in imported("s1lab.lab")  # for types only
    assert "s1core.backends.hf" in imported("s1lab.traces.reading")  # in a function


def test_no_module_is_longer_than_350_lines_and_no_folder_has_more_than_ten():
    paths = [p for package in PACKAGES for p in (CHECKOUT / package).rglob("*.py")]
    assert {str(p.relative_to(CHECKOUT)): lines(p) for p in paths if lines(p) > 350} == {}
    folders = Counter(name.rpartition(".")[0] for name in modules())
    assert {folder: n for folder, n in folders.items() if n > 10} == {}


def test_no_two_public_classes_have_one_name():
    places: dict[str, list[str]] = {}
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: of for name, of in places.items() if len(of) > 1} == {}


@pytest.mark.parametrize(
    ("folders", "most"),
    [(("s1core",), 6_496), (("s1lab", "book/_ext"), 12_000), (("tests",), 10_940)],
    ids=str,
)
def test_it_can_be_read(folders, most):
    """A ratchet: lower the numbers with the lines. The aim is 6,500, 12,000 and 11,000."""
    inside = [p for f in folders for p in (CHECKOUT / f).glob("*") if p.suffix in ("", ".py")]
    sizes = {p.name: sum(map(lines, p.rglob("*.py"))) if p.is_dir() else lines(p) for p in inside}
    assert sum(sizes.values()) <= most, sorted(sizes.items(), key=lambda one: -one[1])[:20]


HEAVY = ("torch", "transformers", "pandas", "matplotlib", "openai", "scipy", "numpy", "vllm")


def test_importing_the_method_loads_nothing_heavy_and_takes_no_time():
    script = (
        "import sys, time; began = time.process_time(); import s1core; "
        "took = time.process_time() - began; "
        f"print(min(took, 9), [name for name in {HEAVY} if name in sys.modules])"
    )
    done = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert all(one.stdout.split(maxsplit=1)[1].strip() == "[]" for one in done)
    assert min(float(one.stdout.split()[0]) for one in done) <= 0.1


EXTENSION = runpy.run_path(str(CHECKOUT / "book" / "_ext" / "docstrings.py"))


def test_all_that_is_public_has_a_docstring():
    silent = []
    for name, tree in modules().items():
        named = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        public = [node for node in named if not node.name.startswith("_")]
        without = [node for node in [tree, *public] if tree.body and not ast.get_docstring(node)]
        silent += [f"{name}: {getattr(n, 'name', '')}" for n in without]
    assert silent == []


def test_what_a_docstring_means_is_what_sphinx_reads():
    for written, read in cases("layout")["prose"].items():
        assert EXTENSION["prose"](written) == read
    beside = "<typer.models.OptionInfo object at 0x7f549f53e6d0>"
    raw = f"(out: ~types.Annotated[list[~pathlib.Path] | None, {beside}] = None, n: int = 1)"
    alone, _ = EXTENSION["_types_alone"](None, "function", "x", None, None, raw, "None")
    assert alone == "(out: list[~pathlib.Path] | None = None, n: int = 1)"
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
