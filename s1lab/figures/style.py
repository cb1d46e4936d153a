"""The one style of all figures: inks, type and lines.

An ink is a thing's colour on a light and on a dark page. The same thing has the same ink on every
page: what we measured with budget forcing is blue, Wait is vermilion, parallel scaling is green,
the paper is grey (and drawn hollow, so that colour is never the only difference).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

FONTS = Path(__file__).with_name("fonts")
FAMILY = "Source Sans Pro"
WIDTH = 6.5  # inches; 624 CSS pixels, the width of a page's text

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour with a value for each theme, as `#rrggbb`."""

    light: str
    dark: str


_OURS = Ink("#17549c", "#81a5d5")

INKS: dict[str, Ink] = {
    # things
    "ours": _OURS,
    "sequential": _OURS,
    "capping": _OURS,
    "wait": Ink("#c24a14", "#fe8e5f"),
    "parallel": Ink("#16856a", "#20c89d"),
    "rejection": Ink("#a94cc0", "#cb94ff"),
    "token": Ink("#a87900", "#e3b341"),
    "step": Ink("#0e8a9a", "#4fc4d4"),
    "class": Ink("#b03a73", "#f08ab8"),
    "base": Ink("#7d6a58", "#c4ae98"),
    "paper": Ink("#6b7280", "#a3adba"),
    # the page
    "text": Ink("#1d2530", "#dde3ea"),
    "muted": Ink("#566172", "#9ca8b7"),
    "rule": Ink("#dfe3e8", "#2c3440"),
    "page": Ink("#ffffff", "#12161c"),
}

# Shapes and names that go with an ink, so that a figure reads in greyscale too.
MARKERS = {"capping": "o", "sequential": "o", "wait": "^", "parallel": "s", "rejection": "D"}
NAMES = {
    "ours": "ours",
    "capping": "capping",
    "sequential": "sequential",
    "wait": "Wait",
    "parallel": "majority vote",
    "rejection": "rejection sampling",
    "token": "token-conditional",
    "step": "step-conditional",
    "class": "class-conditional",
    "base": "before fine-tuning",
    "paper": "paper",
}


def ink(name: str) -> str:
    """The light value of an ink; `s1lab.figures.show` derives the dark page from it.

    Raises:
        KeyError: no ink has this name; the message lists those that exist.
    """
    if name not in INKS:
        raise KeyError(f"no ink is called {name!r}; there are {', '.join(sorted(INKS))}")
    return INKS[name].light


def settings() -> dict[str, Any]:
    """matplotlib settings of the house style: quiet axes, text in the page's typeface."""
    return {
        "figure.figsize": (WIDTH, 3.9),
        "figure.dpi": 96,
        "figure.facecolor": "none",
        "figure.constrained_layout.use": True,
        "savefig.facecolor": "none",
        "axes.facecolor": "none",
        "axes.edgecolor": ink("muted"),
        "axes.labelcolor": ink("muted"),
        "axes.titlecolor": ink("text"),
        "axes.titlelocation": "left",
        "axes.titlesize": 12.5,
        "axes.titleweight": "semibold",
        "axes.titlepad": 10,
        "axes.labelsize": 11,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": ink("rule"),
        "grid.linewidth": 0.8,
        "xtick.color": ink("muted"),
        "ytick.color": ink("muted"),
        "xtick.labelsize": 10.5,
        "ytick.labelsize": 10.5,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "text.color": ink("text"),
        "lines.linewidth": 2.0,
        "lines.markersize": 6.5,
        "font.family": [FAMILY],
        "font.size": 11,
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorator: run a drawing function in the house style, whatever the caller's settings are."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib

        register_fonts()
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(settings())
            return draw(*args, **kwargs)

    return wrapper


@functools.lru_cache(maxsize=1)
def register_fonts() -> None:
    """Make the typeface that the package carries known to matplotlib."""
    from matplotlib import font_manager

    for path in sorted(FONTS.glob("*.ttf")):
        font_manager.fontManager.addfont(path)
