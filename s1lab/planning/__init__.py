"""Before, while and instead of paying for a large run.

`needs` says which data and models a profile reads, `fetch` brings them into a mirror, `preflight`
looks for what would fail later, `cost` says what it takes, `status` how far it is, and `rehearse`
runs all of it with the sizes cut. Nothing here is imported by the rest of the package.
"""
