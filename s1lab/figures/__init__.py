"""Figures of the book: tidy tables in, a matplotlib Figure out, and one way to show it on a page.

`style` holds the palette (one colour per thing, colour-blind safe, a light and a dark value),
`curves` and `forests` draw with seaborn, `display` makes the light and dark SVG with its
PDF; `trace` and `interactive` are HTML. No function here computes a result or reads a run.
"""
