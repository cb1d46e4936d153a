"""From a percent notebook to a page: execute, clean, stamp, render, check.

`notebooks` turns `notebooks/NN_x.py` into a committed `book/notebooks/NN_x.ipynb`; `site` renders
those into a static site and checks it. Neither knows what a notebook is about.
The command line is `python -m s1core.book`, which is what the Makefile calls.
"""

from s1core.book.notebooks import BookError, Stamp, check_notebooks, clean, execute, stale_notebooks
from s1core.book.site import build, site_problems

__all__ = [
    "BookError",
    "Stamp",
    "build",
    "check_notebooks",
    "clean",
    "execute",
    "site_problems",
    "stale_notebooks",
]
