"""s1lab: the reproduction of the paper around `s1core`.

Profiles and what each measures (`profiles`, `experiments`), the run store (`runs`), the kinds of
run (`kinds`) and who makes which (`lab`, `pipeline`), data, statistics, the audit of the paper's
numbers, the official loops, figures, plans and the book. `s1core` never imports from here.
"""
