"""From generations to numbers one can believe (Sections 3.2 and 4 of the paper).

`metrics` and `statistics` turn grades into measures with their intervals, `logs` reads what other
tools generated, `report` lays runs side by side, `measure` makes a point of a figure from a run.
"""

from s1lab.evaluation.metrics import (
    Accuracy,
    accuracy,
    class_control,
    control,
    pass_at_k,
    performance,
    scaling_per_doubling,
    scaling_per_token,
)
from s1lab.evaluation.statistics import (
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
    "Interval",
    "McNemar",
    "accuracy",
    "class_control",
    "clustered_bootstrap",
    "control",
    "detectable_difference",
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
