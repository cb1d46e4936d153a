"""Budget forcing (Section 3.1): generate an answer within a budget of thinking tokens.

>>> from s1core.forcing import Budget, generate
>>> budget = Budget(max_thinking=4096, num_ignore=2)
>>> generations = generate(backend, problems, budget)          # doctest: +SKIP
"""

from s1core.forcing.budget import Budget, Machine
from s1core.forcing.drive import Failure, generate

__all__ = ["Budget", "Failure", "Machine", "generate"]
