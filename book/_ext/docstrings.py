"""Docstrings are written for people: backticks are code, a bar is a bar, an indented block is code.

A command's parameter is shown with its type; what the command line makes of it has no name to show.
Sphinx reads them as reStructuredText, where these are a reference, a substitution and a quotation.
This puts the difference right before Napoleon reads the sections.
"""

import re

# ``code``, `code` (not the `text` of a role), or a plain bar.
TOKEN = re.compile(r"``.+?``|(?<![\w:`])`([^`]+)`(?!`)|\|", re.DOTALL)

# A type with an object beside it that prints as its place in memory: typer's options.
ANNOTATED = re.compile(r"~?[\w.]*Annotated\[(.*?), <[^>]* object at 0x[0-9a-f]+>\]")


def setup(app):
    app.connect("autodoc-process-signature", _types_alone)
    app.connect("autodoc-process-docstring", _restate, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _restate(app, what, name, thing, options, lines):
    # Below modules, indentation belongs to the sections (Args:, Returns:).
    lines[:] = blocks(lines) if what == "module" else prose("\n".join(lines)).split("\n")
    if what in {"attribute", "data", "property"}:
        # Napoleon takes the first line of these up to a colon for a type: it gets an empty one.
        lines.insert(0, "\\ ")


def _types_alone(app, what, name, thing, options, signature, returned):
    """A signature without the objects that stand beside types in `Annotated`."""
    return signature and ANNOTATED.sub(r"\1", signature), returned


def prose(text):
    """`code` becomes ``code``, and bars outside of code are escaped."""

    def replace(match):
        if match.group() == "|":
            return r"\|"
        code = match.group() if match.group(1) is None else f"``{match.group(1)}``"
        # Code must end at a word's end: `Wait`s.
        return code + r"\ " if text[match.end() : match.end() + 1].isalnum() else code

    return TOKEN.sub(replace, text)


def blocks(lines):
    """Paragraphs as prose, indented blocks as they are, announced by `::`."""
    done, announced = [], False
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        block = paragraph.startswith(" ")
        done += ["::", ""] if block and not announced else []
        done += [*(paragraph if block else prose(paragraph)).split("\n"), ""]
        announced = block or paragraph.endswith("::")
    return done
