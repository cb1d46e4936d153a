"""What comes in: sources and benchmarks, from the Hub or a local mirror; and tables to go out."""

from s1lab.data.load import benchmark_questions, examples, problems
from s1lab.data.sources import SOURCES, source

__all__ = ["SOURCES", "benchmark_questions", "examples", "problems", "source"]
