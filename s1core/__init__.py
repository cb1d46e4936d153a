"""s1core: select 1,000 examples, fine-tune on them, force a thinking budget at test time.

The package follows the flow of *s1: Simple test-time scaling* (Muennighoff et al., 2025)::

    59K pool -> select -> 1K examples -> fine-tune -> checkpoint -> force(budget) -> generations
             -> grade -> table

Importing it loads neither torch, nor an inference engine, nor a plotting library: those live at
the edges (`s1core.sft`, `s1core.backends.hf`) and are imported where used.
"""

from s1core.records import Example, Generation, Grade, Problem, Segment, Trace

__version__ = "0.1.0"

__all__ = ["Example", "Generation", "Grade", "Problem", "Segment", "Trace", "__version__"]
