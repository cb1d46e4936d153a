"""The kinds of run that results are made of, one module for each arrow of the flow.

A kind is a function that returns a `Step`: its settings, what it needs, how it is made, and what
it is called. `listed` of its module says which of them a profile wants, and for which experiments.
A new kind is one such module and its place in `s1lab.pipeline.KINDS`.
"""
