"""From generations to points: what is on disk stays, whatever the engine does."""

from dataclasses import replace

import pytest

from s1core.backends.scripted import ScriptedBackend
from s1core.errors import BackendError
from s1core.forcing import Budget
from s1core.records import Generation, Problem
from s1lab.evaluation.measure import resume
from s1lab.runs import Journal
from tests.helpers import tiny_tokenizer

PROBLEMS = [Problem(f"Use {n} to make {n}", str(n)) for n in range(6)]
BUDGET = Budget(max_thinking=4, max_answer=3)


class Flaky(ScriptedBackend):
    """Fails on the rows whose prompt holds a given number, while it is told to."""

    batch_size = 4
    broken: str = ""

    def complete(self, prompts, params):
        made = super().complete(prompts, params)
        return [
            replace(done, token_ids=(), finish_reason="error", error="out of memory")
            if self.broken and self.broken in self.tokenizer.decode(prompt)
            else done
            for prompt, done in zip(prompts, made, strict=True)
        ]


def ask(backend, journal) -> int:
    return resume(
        journal, backend, PROBLEMS, BUDGET, samples=2, temperature=0.0, seed=0, template="s1"
    )


def test_rows_that_an_engine_fails_on_lose_no_others_and_are_asked_again(tmp_path):
    backend = Flaky(tiny_tokenizer(), lambda context: 7)
    undisturbed = Journal(tmp_path / "whole.jsonl")
    assert ask(backend, undisturbed) == 12

    journal, backend.broken = Journal(tmp_path / "out.jsonl"), "Use 2 to"
    with pytest.raises(BackendError, match=r"2 generations failed.*out of memory.*run again"):
        ask(backend, journal)
    kept = list(journal.records(Generation))
    assert len(kept) == 10 and PROBLEMS[2].key not in {g.problem_key for g in kept}

    backend.broken = ""
    assert ask(backend, journal) == 2
    assert ask(backend, journal) == 0

    def in_order(of: Journal) -> list[Generation]:
        return sorted(of.records(Generation), key=lambda g: (g.problem_key, g.sample))

    assert in_order(journal) == in_order(undisturbed)
