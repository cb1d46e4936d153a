"""s1lab: the reproduction of the paper around `s1core`.

Profiles and what each measures (`profiles`, `experiments`), the run store (`runs`), one module for
each kind of run (`kinds`), who makes which (`steps`, `pipeline`), data sources and annotation,
statistics, the audit of the paper's own numbers, the official decoding loops, figures, planning,
the pocket world and the book. Imports go one way: `s1core` never imports from here.
"""
