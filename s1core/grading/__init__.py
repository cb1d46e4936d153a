"""From a generation to a verdict: offline, without a key, and never a bare boolean.

`extraction` finds what a text states as its answer, `equivalence` decides whether two answers are
the same, `grades` joins them; `verifier` keeps math-verify behind a wall of limits.
"""

from s1core.grading.grades import grade, grade_all, grade_text

__all__ = ["grade", "grade_all", "grade_text"]
