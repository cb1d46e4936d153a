"""s1core: select 1,000 examples, fine-tune on them, force a thinking budget at test time.

The method of *s1: Simple test-time scaling* (Muennighoff et al., 2025), on data of one's own.

Read `forcing/budget.py` first (the state machine: what budget forcing is), then `forcing/drive.py`
(how an engine is asked for tokens). After these, each folder stands alone: `selection`, `sft`,
`backends`, `serving` (inside vLLM), `grading`. The paper's reproduction is the package `s1lab`,
which imports this one and is never imported by it.

Importing `s1core` loads neither torch nor an engine: those live at the edges (`s1core.sft`,
`s1core.backends.hf`) and are imported where used.
"""

from s1core.records import Example, Generation, Grade, Problem, Segment, Trace

__version__ = "0.1.0"

__all__ = ["Example", "Generation", "Grade", "Problem", "Segment", "Trace", "__version__"]
