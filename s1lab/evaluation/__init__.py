"""From generations to numbers one can believe (Sections 3.2 and 4 of the paper).

`metrics` and `statistics` turn grades into measures with their intervals, `logs` reads what other
tools generated, `report` lays runs side by side, `measure` makes a point of a figure from a run,
`voting` counts equivalent answers as one vote.
"""

from s1lab.evaluation.metrics import class_control, control, scaling_per_doubling  # noqa: F401
from s1lab.evaluation.statistics import (  # noqa: F401
    Interval,
    clustered_bootstrap,
    crossed_interval,
    detectable_difference,
    paired_bootstrap,
    questions_needed,
    wilson,
)  # fmt: skip
