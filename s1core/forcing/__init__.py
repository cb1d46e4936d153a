"""Budget forcing (Section 3.1): `generate(backend, problems, Budget(4096, num_ignore=2))` answers
within a budget of thinking tokens."""

from s1core.forcing.budget import Budget, Machine
from s1core.forcing.drive import Failure, generate

__all__ = ["Budget", "Failure", "Machine", "generate"]
