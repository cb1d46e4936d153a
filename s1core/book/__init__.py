"""From a percent notebook to a page: execute, clean, stamp, render, check.

`notebooks` executes `notebooks/NN_x.py`, `cleaning` decides what the committed
`book/notebooks/NN_x.ipynb` keeps of it, and `site` renders those into a static site and checks it.
None of them knows what a notebook is about.
The command line is `python -m s1core.book`, which is what the Makefile calls.
"""

from s1core.book.cleaning import BookError, Stamp, clean
from s1core.book.notebooks import check_notebooks, execute, stale_notebooks
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
