"""Docstrings are written for people: backticks are code, a bar is a bar, an indented block is code.

Sphinx reads them as reStructuredText, where a single backtick is a reference, bars enclose a
substitution, and an indented block is a quotation. This puts the difference right before Napoleon
reads the sections.
"""

import re

# ``code``, `code` (not the `text` of a role), or a plain bar.
TOKEN = re.compile(r"``.+?``|(?<![\w:`])`([^`]+)`(?!`)|\|", re.DOTALL)


def setup(app):
    app.connect("autodoc-process-docstring", _restate, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _restate(app, what, name, thing, options, lines):
    # Below modules, indentation belongs to the sections (Args:, Returns:).
    lines[:] = blocks(lines) if what == "module" else prose("\n".join(lines)).split("\n")


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
    done = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        if not paragraph.startswith(" "):
            done += [*prose(paragraph).split("\n"), ""]
            continue
        announced = [line for line in done if line][-1:]
        if not (announced and announced[0].endswith("::")) and not _goes_on(done):
            done += ["::", ""]
        done += [*paragraph.split("\n"), ""]
    return done


def _goes_on(done):
    """Whether the last paragraph was an indented block already."""
    last = [line for line in done if line][-1:]
    return bool(last) and last[0].startswith(" ")
