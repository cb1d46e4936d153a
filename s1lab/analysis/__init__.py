"""What the chapters of the book compute from finished runs. Pure: nothing is sampled here.

`reading` alone makes a run of its own: answers and uncertainties along kept traces.
"""
