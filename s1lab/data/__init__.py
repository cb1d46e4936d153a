"""What comes in: sources and benchmarks, from the Hub or a local mirror; and tables to go out."""

from s1lab.data.load import examples, problems  # noqa: F401
