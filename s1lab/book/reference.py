"""The API reference: one page per part of the package, made by Sphinx's autodoc from docstrings.

Only the pages that ask for it are written here; nothing is imported. The parts are found on disk,
so a new module is on its part's page by itself.
"""

from __future__ import annotations

import ast
from pathlib import Path

from s1lab.book.cleaning import ROOT

PACKAGE = ROOT / "s1core"

# Folders and modules in the order in which data flows; "pipeline" has what else is at the top.
PARTS = {
    "records": "What passes between the parts",
    "templates": "Chat templates and thinking delimiters",
    "data": "Where questions and traces come from",
    "selection": "From 59K questions to 1K examples",
    "sft": "From 1K examples to a checkpoint",
    "forcing": "Budget forcing, and the other ways to spend tokens",
    "backends": "Who samples the tokens",
    "evaluation": "From generations to numbers",
    "figures": "From numbers to figures",
    "pipeline": "The whole flow under one profile, its runs and its results",
    "analysis": "From finished runs to the numbers of the chapters",
    "planning": "What a profile will take, before it starts",
    "pocket": "The world of the laptop profile",
}
# A class made by a decorator of lm-evaluation-harness, which the book does not install.
LEFT_OUT = {"harness"}


def write_reference(folder: Path) -> None:
    """Write `index.md` and one page per part into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, title in PARTS.items():
        (folder / f"{part}.md").write_text(_page(part, title), encoding="utf-8")
    rows = [f"{{doc}}`s1core.{part} <{part}>`\n: {title}.\n" for part, title in PARTS.items()]
    (folder / "index.md").write_text(INDEX + "\n".join(rows), encoding="utf-8")


INDEX = """# API reference

Written from the docstrings of the installed package, in the order in which data flows. What a
folder of the package exports (`from s1core.forcing import Budget`) is public.

"""


def modules(part: str) -> list[str]:
    """Dotted names of a part's modules, the one that introduces the part first."""
    if part == "pipeline":
        found = sorted(path.stem for path in PACKAGE.glob("*.py"))
        found.remove("pipeline")
        names = ["pipeline", *(name for name in found if name not in PARTS)]
        return [f"s1core.{name}" for name in names if not name.startswith("__")]
    names = sorted(path.stem for path in (PACKAGE / part).glob("*.py"))
    kept = [name for name in names if not name.startswith("__") and name not in LEFT_OUT]
    return [f"s1core.{part}", *(f"s1core.{part}.{name}" for name in kept)]


def public_names(module: str) -> list[str]:
    """`__all__` of a folder of the package, in its order; empty for a plain module."""
    path = PACKAGE.joinpath(*module.split(".")[1:], "__init__.py")
    if not path.is_file():
        return []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _page(part: str, title: str) -> str:
    first, *others = modules(part)
    names = public_names(first)
    lines = [f"# s1core.{part}", "", f"*{title}.*", "", *_directive(first, members=not names)]
    if names:
        listed = ", ".join(f"`{name}`" for name in names)
        lines += [f"Exported: {listed}.", ""]
    for module in others:
        lines += [f"## {module}", "", *_directive(module, members=True)]
    return "\n".join(lines)


def _directive(module: str, *, members: bool) -> list[str]:
    options = ["   :members:", "   :ignore-module-all:", "   :no-value:"] if members else []
    return ["```{eval-rst}", f".. automodule:: {module}", *options, "```", ""]
