"""A real model on real problems, overnight on two cores: its weights, and what it needs."""
