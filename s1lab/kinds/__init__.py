"""The kinds of run that results are made of, one module for each arrow of the flow.

A kind is a function that returns a `Step`; `Pipeline.steps` says which of them a profile wants, and
for which experiments.
"""
