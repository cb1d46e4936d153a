"""Figures of the book: tidy data in, a matplotlib Figure out, and one way to show it on a page.

`style` holds the palette (one colour per thing, colour-blind safe, a light and a dark value),
`plots` the drawing functions, `display` the light and dark SVG with its PDF. No function here
computes a result or reads a run.
"""

from s1core.errors import InputError
from s1lab.figures.display import dark_svg, figure_html, show, to_pdf, to_svg
from s1lab.figures.plots import comparison, loss_curve, scaling_curve
from s1lab.figures.style import INKS, Ink, ink, styled

__all__ = [
    "INKS",
    "InputError",
    "Ink",
    "comparison",
    "dark_svg",
    "figure_html",
    "ink",
    "loss_curve",
    "scaling_curve",
    "show",
    "styled",
    "to_pdf",
    "to_svg",
]
