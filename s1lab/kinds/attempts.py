"""The pool answered by the model that is to be trained: its grades, and the traces it learns from.

Each round asks every part of the pool, so that processes share it and a killed one loses little.
The first, "greedy", is the grader of Section 2.2. In the second, "taught", the model solves what it
got wrong with the human solution before its eyes: so the words are its own, and half are right.

A question that it got right at once has that solution as its trace. One that it got wrong has the
wrong solution, "Wait", and then the right one: a thought that doubts and mends itself. A question
without a right solution has no trace, and is dropped; so is a solution that pretends to run code.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from s1core.checkpoints import load_tokenizer
from s1core.forcing import Budget
from s1core.records import Example, Generation, Problem, Trace
from s1core.selection import Candidate
from s1lab.data import problems
from s1lab.evaluation.measure import resume, tabulate
from s1lab.lab import Lab, Step
from s1lab.runs import Run

GREEDY, TAUGHT = "greedy", "taught"


@cache
def step(lab: Lab, asked: str, part: int) -> Step:
    """One round over one part; table `grades.csv`, the texts are the run's records."""
    profile, how = lab.profile, lab.profile.attempts
    settings = {name: getattr(profile, name) for name in ("pool", "batch_size", "seed")}
    settings |= {"model": lab.model_id, "part": [part, how.parts], "round": asked}
    settings |= {"system": how.reasoning, "max_answer": how.max_tokens, "temperature": 0.0}
    options: dict[str, Any] = {"template": profile.template, "system": how.reasoning}
    options |= {"seed": profile.seed, "samples": 1, "thinking": False, "progress": lab.progress}
    needs: tuple[Step, ...] = ()
    if asked == TAUGHT:
        settings["hint"], options["ask"] = how.hint, partial(hinted, how.hint)
        needs = (step(lab, GREEDY, part),)

    def compute(run: Run) -> dict[str, Any]:
        right = {row["problem_key"] for row in solved(needs) if row["right"]}
        pool = [*{problem.key: problem for problem in problems(profile.pool)}.values()]
        # Shortest first, for blocks of about one length.
        mine = sorted(pool[part :: how.parts], key=lambda one: len(one.question))
        wanted = [problem for problem in mine if problem.key not in right]
        lab.say(f"attempts: {len(wanted)} questions, {asked}, part {part + 1} of {how.parts}")
        budget = Budget(0, max_answer=how.max_tokens)
        resume(run, lab.backend(profile.model), wanted, budget, **options)
        said = {made.problem_key: made for made in run.records(Generation)}
        table = tabulate(wanted, [said[problem.key] for problem in wanted], "math")
        names = ("problem_key", "status", "answer_tokens")
        run.write_table("grades.csv", [{name: row[name] for name in names} for row in table])
        return {"asked": len(wanted), "right": sum(row["status"] == "correct" for row in table)}

    label = f"attempts, {asked}, part {part + 1}"
    return Step(label, lab.store.locate("attempts", settings), compute, needs=needs)


def every(lab: Lab) -> Iterator[Step]:
    """The first round over all parts, then the second over as many as the profile teaches."""
    how = lab.profile.attempts
    yield from (step(lab, GREEDY, part) for part in range(how.parts))
    yield from (step(lab, TAUGHT, part) for part in range(how.taught))


def hinted(hint: str, problem: Problem) -> str:
    """A question as the second round asks it, `hint` with its `question` and human `solution`."""
    plain = re.sub(r"<<.*?>>", "", problem.solution).strip()
    return hint.format(question=problem.question, solution=plain)


def solved(made: Iterable[Step]) -> list[dict[str, Any]]:
    """A row for each question of these attempts: which round got it right ("": none), and whether
    that was the model as a grader (`large`)."""
    right: dict[str, str] = {}
    for one in made:
        for row in one.make().read_table("grades.csv"):
            key, correct = row["problem_key"], row["status"] == "correct"
            right[key] = one.run.settings["round"] if correct else right.get(key, "")
    return [
        {"problem_key": key, "large": int(asked == GREEDY), "right": asked}
        for key, asked in right.items()
    ]


TURN = "\nWait, let me check that again.\n\n"
"""Between a wrong solution and a right one."""
CODE = "```"
OPERATIONS = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division"}


def trace(problem: Problem, attempts: Sequence[tuple[str, str]], model: str) -> Trace | None:
    """The trace of a question out of its graded solutions, (status, text) in order: the first wrong
    one, if any, and the first right one; None if none is right. Code that nobody ran is neither."""
    plain = [(said, text) for said, text in attempts if CODE not in text]
    right, wrong = ([t for said, t in plain if said == s] for s in ("correct", "wrong"))
    if not right:
        return None
    thinking = TURN.join(text.strip() for text in (*wrong[:1], right[0]))
    return Trace(thinking, f"Final Answer: \\boxed{{{problem.answer}}}", model)


def domain(problem: Problem) -> str:
    """The kind of calculation, in place of a subject: all of GSM8K would be elementary arithmetic,
    and its solutions mark each calculation: `<<48/2=24>>` -> "division"."""
    done = "".join(found.partition("=")[0] for found in re.findall(r"<<(.*?)>>", problem.solution))
    return ", ".join(name for sign, name in OPERATIONS.items() if sign in done) or "no calculation"


def candidates(lab: Lab) -> list[Candidate]:
    """The pool with its traces; a question without one has no verdict on it."""
    tokenizer, model, made = load_tokenizer(lab.profile.model), lab.model_id, defaultdict(list)
    for one in every(lab):
        run = one.make()
        said = {row["problem_key"]: row["status"] for row in run.read_table("grades.csv")}
        for answer in run.records(Generation):
            made[answer.problem_key].append((said[answer.problem_key], answer.answer))
    found = []
    for problem in problems(lab.profile.pool):
        thought = trace(problem, made[problem.key], model)
        example = Example(replace(problem, domain=domain(problem)), thought or Trace("", "", model))
        length = len(tokenizer(example.trace.thinking, add_special_tokens=False).input_ids)
        found.append(Candidate(example, length, trace_correct=thought is not None or None))
    return found
