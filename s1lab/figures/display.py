"""Put a figure on a page: a light and a dark SVG, alternative text, and the PDF to download.

Both variants and the PDF are inside the notebook's output, so a downloaded notebook is complete
and nothing on disk can disagree with it. The bytes depend on the figure alone: no dates, no
random ids. Markup is made by templates, which escape whatever they are given.
"""

import base64
import html
import io
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from s1core.errors import InputError
from s1lab.evaluation.report import minus
from s1lab.figures.style import INKS, SETTINGS, ink
from s1lab.lab import STAMP_VARIABLE

_HEX = re.compile(r"#[0-9a-fA-F]{6}\b")
_DARK = {colour.light: colour.dark for colour in INKS.values()}


def figure_html(
    fig: Figure, name: str, alt: str, *, caption: str = "", runs: Iterable[Any] = ()
) -> str:
    """A figure as markup for a page; it is closed.

    Args:
        fig: drawn with inks only (`s1lab.figures.style.ink`), so that a dark variant can be made.
        name: unique in the book; names the anchor and the PDF, e.g. `"introduction-scaling"`.
        alt: what a reader who cannot see the figure is told; its numbers (`in_words`) follow.
        caption: plain text under the figure.
        runs: what the book links under it: runs (anything with an `.id`), or their ids.

    Raises:
        InputError: no alternative text, a bad name, or a colour that is not an ink.
    """
    if len(alt.split()) < 3:
        raise InputError(f"figure {name}: describe in `alt` what the figure shows.")
    told = " ".join(f"{alt} {getattr(fig, 'in_words', '')}".split())
    shown: dict[str, Any] = {"alt": told, "wide": _drawing(fig, name), "pdf": _base64(to_pdf(fig))}
    plt.close(fig)
    if for_phone := getattr(fig, "for_phone", None):
        shown["narrow"] = _drawing(narrow := for_phone(), f"{name}-phone")
        plt.close(narrow)
    return figure_frame(name, runs=runs, caption=caption, **shown)


def _drawing(fig: Figure, name: str) -> dict[str, Any]:
    """A figure's SVG for either theme, and its size in CSS pixels."""
    light, size = to_svg(fig, name), [round(inches * 96) for inches in fig.get_size_inches()]
    themes = {"light": light, "dark": dark_svg(light)}
    return {"size": size} | {theme: _base64(svg.encode()) for theme, svg in themes.items()}


def figure_frame(name: str, *, caption: str = "", runs: Iterable[Any] = (), **content: Any) -> str:
    """What every figure stands in: an anchor, a caption, and the runs that the book links.

    `content` is `body`, the markup of a template, or the images that `figure_html` makes.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise InputError(f"figure name {name!r}: use lower-case words joined by hyphens.")
    links = " ".join(getattr(run, "id", run) for run in runs)
    word = os.environ.get(STAMP_VARIABLE)
    values = {"name": name, "runs": links, "caption": caption, "word": word, **content}
    return str(render("figure", **values))


def render(template: str, **values: Any) -> Markup:
    """A template of this folder with values, each of them escaped."""
    return Markup(_TEMPLATES.get_template(f"{template}.jinja").render(**values))


def visible(text: str) -> Markup:
    """Text as HTML: `a<b` -> `a&lt;b`.

    Controls, terminal escapes, overrides of direction and half characters are named by code point.
    """

    def shown(c: str) -> str:
        if c.isprintable() or c in "\n\t" or unicodedata.category(c) == "Zs":
            return html.escape(c)
        name = unicodedata.name(c, "control character").lower()
        return f'<span class="s1-code-point" title="{name}">U+{ord(c):04X}</span>'

    return Markup("".join(map(shown, text.replace("\r\n", "\n"))))


def cell(text: str) -> Markup:
    """A table's text: `code` in backticks, else minus is minus; an interval's ends are one word."""
    parts = text.split("`") if text.count("`") % 2 == 0 else [text]
    code = Markup("<code>{}</code>")
    shown = (code.format(visible(p)) if n % 2 else visible(minus(p)) for n, p in enumerate(parts))
    ends, one_word = r"(?<=\d )(\[[^\[\]<>]*\])$", r'<span class="s1-ends">\1</span>'
    return Markup(re.sub(ends, one_word, "".join(shown)))


def own_waits(text: str) -> Markup:
    """Visible text, a Wait of the model's own pointed out."""
    return Markup(re.sub(r"\bWait\b", '<em class="s1-own">Wait</em>', visible(text)))


def first_line(text: str, most: int = 90) -> str:
    """The first line that holds anything, cut with an ellipsis."""
    line = text.strip().partition("\n")[0].rstrip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def ticks(total: int) -> list[int]:
    """Marks of a ruler: 0, a few round numbers, and the end."""
    step = next(s * 10**p for p in range(19) for s in (10, 20, 50) if total <= s * 10**p * 5)
    return [*(at for at in range(0, total, step) if total - at > step / 2), total]


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_TEMPLATES.filters |= {f.__name__: f for f in (visible, cell, own_waits, first_line, ticks)}


def to_svg(fig: Figure, name: str) -> str:
    """SVG text, transparent, equal bytes for equal figures. InputError: a colour is no ink."""
    svg = _saved(fig, "svg", ("Date", "Creator"), {"svg.hashsalt": name}).decode()
    unknown = sorted({c.lower() for c in _HEX.findall(svg)} - set(_DARK))
    if unknown:
        told = "would be wrong on a dark page; take colours from s1lab.figures.style.ink."
        raise InputError(f"figure {name}: {', '.join(unknown)} {told}")
    return svg


def dark_svg(light: str) -> str:
    """The same drawing with every ink's dark value."""
    return _HEX.sub(lambda match: _DARK[match.group().lower()], light)


def to_pdf(fig: Figure) -> bytes:
    """PDF bytes (light inks, fonts embedded); equal figures give equal bytes."""
    return _saved(fig, "pdf", ("CreationDate", "Creator", "Producer"), {})


def _saved(fig: Figure, kind: str, left_out: Iterable[str], options: dict[str, Any]) -> bytes:
    """A file's bytes, in the part of the style that acts while saving, the word of `S1CORE_STAMP`,
    if there is one, across it; without some metadata."""
    keys, stamp = ("svg.fonttype", "pdf.fonttype", "savefig.facecolor", "font.family"), None
    style, buffer = {key: SETTINGS[key] for key in keys}, io.BytesIO()
    with matplotlib.rc_context({**style, **options}):
        if word := os.environ.get(STAMP_VARIABLE):
            look = {"ha": "center", "va": "center", "rotation": 20, "zorder": 99, "alpha": 0.35}
            look |= {"fontsize": 9 * fig.get_size_inches()[0], "color": ink("wait")}
            stamp = fig.text(0.5, 0.5, word, gid=f"stamp-{word}", in_layout=False, **look)
        fig.savefig(buffer, format=kind, metadata=dict.fromkeys(left_out))
        if stamp:
            stamp.remove()
    return buffer.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
