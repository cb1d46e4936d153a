"""From generations to numbers one can believe (Sections 3.2 and 4 of the paper).

`grading` judges a generation, `metrics` and `statistics` turn grades into measures with their
intervals, `benchmarks` loads the questions, `logs` reads what other tools generated, `report` lays
runs side by side, and `audit` recomputes the paper's own figures.
"""

from s1core.evaluation.grading import GradingError, grade, grade_all, grade_text
from s1core.evaluation.metrics import (
    Accuracy,
    accuracy,
    class_control,
    control,
    maj_at_k,
    pass_at_k,
    performance,
    scaling_per_doubling,
    scaling_per_token,
)
from s1core.evaluation.statistics import (
    Interval,
    McNemar,
    clustered_bootstrap,
    detectable_difference,
    mcnemar,
    paired_bootstrap,
    questions_needed,
    seeds_needed,
    wilson,
)

__all__ = [
    "Accuracy",
    "GradingError",
    "Interval",
    "McNemar",
    "accuracy",
    "class_control",
    "clustered_bootstrap",
    "control",
    "detectable_difference",
    "grade",
    "grade_all",
    "grade_text",
    "maj_at_k",
    "mcnemar",
    "paired_bootstrap",
    "pass_at_k",
    "performance",
    "questions_needed",
    "scaling_per_doubling",
    "scaling_per_token",
    "seeds_needed",
    "wilson",
]
