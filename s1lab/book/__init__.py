"""From a percent notebook to a page: execute, clean, stamp, render, check.

`notebooks` executes `notebooks/NN_x.py` and decides what the committed `book/notebooks/NN_x.ipynb`
keeps of it, and `site` renders those into a static site and checks it.
"""
