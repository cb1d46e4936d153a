"""From a generation to a verdict: `extraction` finds what a text states as its answer,
`equivalence` decides whether two answers are the same, `grades` joins them."""

from s1core.grading.grades import grade, grade_all, grade_text

__all__ = ["grade", "grade_all", "grade_text"]
