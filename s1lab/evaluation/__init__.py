"""From generations to numbers one can believe (Sections 3.2 and 4 of the paper).

`statistics` has the measures and their intervals, `logs` reads what other tools generated, `report`
lays runs side by side, `measure` makes a point of a figure from a run, `voting` counts equivalent
answers as one vote.
"""

from s1lab.evaluation.statistics import (  # noqa: F401
    Interval,
    class_control,
    clustered_bootstrap,
    control,
    crossed_interval,
    detectable_difference,
    paired_bootstrap,
    questions_needed,
    scaling_per_doubling,
    wilson,
)  # fmt: skip
