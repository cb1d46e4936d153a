"""The teacher of the `desk` profile is the model itself: from its attempts to a raw pool.

A question that it got right at once has that solution as its trace. One that it got wrong has the
wrong solution, "Wait", and then a right one: a thought that doubts and mends itself. Every trace
ends where the grader agrees; a question without any right solution has none, and is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from s1core.records import Example, Problem, Trace
from s1core.selection import BenchmarkIndex, Candidate, DiversityConfig, SelectionConfig

TURN = "\nWait, let me check that again.\n\n"
"""Between a wrong solution and a right one."""
OPERATIONS = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division"}

Attempt = tuple[str, str]
"""What the grader said of a solution, and the solution."""


def trace(problem: Problem, attempts: Sequence[Attempt], model: str) -> Trace | None:
    """The trace of a question out of the solutions so far, in order; None if none is right."""
    right = next((text for status, text in attempts if status == "correct"), None)
    if right is None:
        return None
    wrong = [text for status, text in attempts if status == "wrong"]
    thinking = TURN.join([*(text.strip() for text in wrong[:1]), right.strip()])
    return Trace(thinking, f"Final Answer: \\boxed{{{problem.answer}}}", model)


def domain(problem: Problem) -> str:
    """The kind of calculation, in place of a subject: all of GSM8K would be elementary arithmetic.

    Its solutions mark each calculation: `<<48/2=24>>` -> "division".
    """
    done = "".join(found.partition("=")[0] for found in re.findall(r"<<(.*?)>>", problem.solution))
    return ", ".join(name for sign, name in OPERATIONS.items() if sign in done) or "no calculation"


def material(
    pool: Iterable[Problem],
    attempts: Mapping[str, Sequence[Attempt]],
    solved: Mapping[str, Mapping[str, str]],
    held_out: Mapping[str, Sequence[str]],
    tokenizer: Any,
    model: str,
    selected: int,
) -> tuple[list[Candidate], BenchmarkIndex, SelectionConfig]:
    """What selection works on: the pool with its traces, annotated with what the rows of the
    difficulty run say of each key (`large`: "0" or "1"; there is no smaller grader); the questions
    of the benchmarks; the paper's settings, with no source that is taken whole."""
    candidates = []
    for problem in pool:
        known = replace(problem, domain=domain(problem))
        made = trace(problem, attempts[problem.key], model)
        example = Example(known, made or Trace("", "", model))
        length = len(tokenizer(example.trace.thinking, add_special_tokens=False).input_ids)
        verdicts = None, solved[problem.key]["large"] == "1", made is not None or None
        candidates.append(Candidate(example, length, *verdicts))
    diversity = DiversityConfig(target=selected, correct_sources=(), long_sources=())
    required = ("domain", "large_correct", "trace_correct")
    config = SelectionConfig(required=required, diversity=diversity)
    return candidates, BenchmarkIndex(held_out), config
