"""Put a figure on a page: a light and a dark SVG, alternative text, and the PDF to download.

Both variants and the PDF are inside the notebook's output, so a downloaded notebook is complete
and nothing on disk can disagree with it. The bytes depend on the figure alone: no dates, no
random ids.
"""

from __future__ import annotations

import base64
import html
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.errors import InputError
from s1lab.figures.style import INKS, ink, settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEX = re.compile(r"#[0-9a-fA-F]{6}\b")
_DARK = {colour.light: colour.dark for colour in INKS.values()}

STAMP_VARIABLE = "S1CORE_STAMP"
"""Environment variable with a word that is written across every figure, such as "rehearsal"."""


def show(fig: Figure, name: str, alt: str, *, caption: str = "", runs: Iterable[Any] = ()) -> None:
    """Display `fig` in a notebook and close it.

    Args:
        fig: drawn with inks only (`s1lab.figures.ink`), so that a dark variant can be made.
        name: unique in the book; names the anchor and the PDF, e.g. `"introduction-scaling"`.
        alt: what a reader who cannot see the figure should be told, numbers included.
        caption: plain text under the figure.
        runs: what the figure shows: runs (anything with an `.id`), their ids, or paths of files
            below `results/<profile>/`. The book links them under the figure.

    Raises:
        InputError: no alternative text, a bad name, or a colour that is not an ink.
    """
    import matplotlib.pyplot as plt
    from IPython.display import HTML, display

    markup = figure_html(fig, name, alt, caption=caption, runs=runs)
    plt.close(fig)
    display(HTML(markup))


def figure_html(
    fig: Figure, name: str, alt: str, *, caption: str = "", runs: Iterable[Any] = ()
) -> str:
    """The markup that `show` displays."""
    if len(alt.split()) < 3:
        raise InputError(f"figure {name}: describe in `alt` what the figure shows.")
    light = to_svg(fig, name)
    described = html.escape(" ".join(alt.split()))
    width, height = (round(inches * 96) for inches in fig.get_size_inches())
    word = os.environ.get(STAMP_VARIABLE)
    if word:
        described = html.escape(f"{word}, not a result. ") + described
    images = "".join(
        f'<img class="s1-{theme}" alt="{described}" width="{width}" height="{height}"{hidden}'
        f' src="data:image/svg+xml;base64,{_base64(svg.encode())}">'
        for theme, svg, hidden in (
            ("light", light, ""),
            # Outside the book there is no style sheet to choose between them.
            ("dark", dark_svg(light), ' style="display:none"'),
        )
    )
    pdf = (
        f'<a download="{name}.pdf" href="data:application/pdf;base64,{_base64(to_pdf(fig))}">'
        "PDF</a>"
    )
    text = f"{html.escape(caption)} " if caption else ""
    return figure_frame(name, images, caption=f"{text}{pdf}", runs=runs)


def figure_frame(name: str, body: str, *, caption: str = "", runs: Iterable[Any] = ()) -> str:
    """What every figure stands in: an anchor, a caption, and the runs that the book links.

    `body` and `caption` are HTML.

    Raises:
        InputError: a bad name.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise InputError(f"figure name {name!r}: use lower-case words joined by hyphens.")
    links = html.escape(" ".join(_run_name(run) for run in runs))
    word = os.environ.get(STAMP_VARIABLE)
    if word:
        caption = f"<strong>{html.escape(word)}, not a result.</strong> {caption}"
    return (
        f'<figure class="s1-figure" id="fig-{name}" data-runs="{links}">{body}'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def to_svg(fig: Figure, name: str) -> str:
    """SVG text with a transparent background; equal figures give equal bytes.

    Raises:
        InputError: a colour is not the light value of an ink.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**_saving(), "svg.hashsalt": name}), _stamped(fig):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    unknown = sorted({c.lower() for c in _HEX.findall(svg)} - set(_DARK))
    if unknown:
        raise InputError(
            f"figure {name}: {', '.join(unknown)} would be wrong on a dark page; "
            "take colours from s1lab.figures.ink."
        )
    return svg


def dark_svg(light: str) -> str:
    """The same drawing with every ink's dark value."""
    return _HEX.sub(lambda match: _DARK[match.group().lower()], light)


def to_pdf(fig: Figure) -> bytes:
    """PDF bytes (light inks, fonts embedded); equal figures give equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(_saving()), _stamped(fig):
        fig.savefig(
            buffer, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}
        )
    return buffer.getvalue()


@contextmanager
def _stamped(fig: Figure) -> Iterator[None]:
    """Write the word of `S1CORE_STAMP`, if there is one, across the figure while it is saved."""
    word = os.environ.get(STAMP_VARIABLE)
    if not word:
        yield
        return
    size = 9 * fig.get_size_inches()[0]
    place = {"ha": "center", "va": "center", "rotation": 20, "zorder": 99, "gid": f"stamp-{word}"}
    text = fig.text(0.5, 0.5, word, fontsize=size, color=ink("wait"), alpha=0.35, **place)
    text.set_in_layout(False)
    try:
        yield
    finally:
        text.remove()


def _saving() -> dict[str, Any]:
    """The part of the style that acts while saving, wherever the figure was drawn."""
    keys = ("svg.fonttype", "pdf.fonttype", "savefig.facecolor", "font.family")
    return {key: settings()[key] for key in keys}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _run_name(run: Any) -> str:
    """A run's id, or the path of a result file as given."""
    return str(getattr(run, "id", None) or Path(run).as_posix())
