"""What comes in: sources and benchmarks, from the Hub or a local mirror, and their annotation.

`problems("AIME24")` and `examples("s1K")` load; `sources` says what there is, where and under which
licence; `distill`, `classify` and `judge` annotate over a chat endpoint; `export` writes tables.
"""

from s1core.errors import InputError
from s1lab.data.load import benchmark_questions, examples, problems
from s1lab.data.sources import SOURCES, Source, is_gated, source, table7_name

__all__ = [
    "SOURCES",
    "InputError",
    "Source",
    "benchmark_questions",
    "examples",
    "is_gated",
    "problems",
    "source",
    "table7_name",
]
