"""The one style of all figures: inks, type and lines, from `style.yaml`.

An ink is a thing's colour on a light and on a dark page. The same thing has the same ink on every
page: what we measured with budget forcing is blue, Wait is vermilion, parallel scaling is green,
the paper is grey (and drawn hollow, so that colour is never the only difference).
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib import font_manager

from s1lab import packaged

FONTS = Path(__file__).with_name("fonts")
PAGE, PHONE = 6.5, 3.7  # inches; 624 CSS pixels, the width of a page's text, and 355 of a phone's

for _font in sorted(FONTS.glob("*.ttf")):  # the typeface that the package carries
    font_manager.fontManager.addfont(_font)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour with a value for each theme, as `#rrggbb`, and how the thing is named and marked."""

    light: str
    dark: str
    name: str = ""
    marker: str = "o"


STYLE = packaged("figures/style.yaml")
INKS = {name: Ink(**values) for name, values in STYLE["inks"].items()}
SETTINGS = {
    key: INKS[value].light if isinstance(value, str) and value in INKS else value
    for key, value in STYLE["settings"].items()
}
"""matplotlib settings of the house style."""


def ink(name: str) -> str:
    """The light value of an ink; `display.figure_html` derives the dark page from it. KeyError: no
    ink has this name; the message lists those that exist."""
    if name not in INKS:
        raise KeyError(f"no ink is called {name!r}; there are {', '.join(sorted(INKS))}")
    return INKS[name].light


def thousands(value: float, _: Any = None) -> str:
    """Axis text: `0.5 -> "0.5"`, `512 -> "512"`, `4096 -> "4k"`, `48000 -> "48k"`."""
    if value >= 1000:
        return f"{value / 1024 if value % 1024 == 0 else value / 1000:g}k"
    return f"{value:g}"


def width() -> float:
    """Inches that the figure being drawn is wide."""
    return matplotlib.rcParams["figure.figsize"][0]


def on_phone() -> bool:
    """Whether the figure being drawn is the one for a phone, where panels are stacked."""
    return width() < PAGE


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorator: run a drawing function in the house style, whatever the caller's settings are.

    The figure's `for_phone` draws it once more, as wide as a phone.
    """

    def drawn(inches: float, *args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update({**SETTINGS, "figure.figsize": (inches, 3.9)})
            return draw(*args, **kwargs)

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        args = tuple(list(a) if isinstance(a, Iterator) else a for a in args)
        fig = drawn(PAGE, *args, **kwargs)
        if hasattr(fig, "savefig"):
            fig.for_phone = functools.partial(drawn, PHONE, *args, **kwargs)
        return fig

    return wrapper
