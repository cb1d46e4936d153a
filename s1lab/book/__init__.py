"""From a percent notebook to a page: execute, clean, stamp, render, check.

`notebooks` executes `notebooks/NN_x.py`, `cleaning` decides what the committed
`book/notebooks/NN_x.ipynb` keeps of it, and `site` renders those into a static site and checks it.
"""

from s1lab.book.cleaning import Stamp, clean
from s1lab.book.notebooks import check_notebooks, execute, stale_notebooks
from s1lab.book.site import build, site_problems

__all__ = [
    "Stamp",
    "build",
    "check_notebooks",
    "clean",
    "execute",
    "site_problems",
    "stale_notebooks",
]
