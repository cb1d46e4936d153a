"""From generations to a point of a figure: generate what is missing, grade, read, average.

Works on any journal of generations, a run's or a file's; knows nothing of profiles.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s1core.errors import BackendError, RunError
from s1core.forcing import Budget, Failure, controls, generate
from s1core.grading import grade
from s1core.records import Generation, Problem
from s1lab.evaluation import Interval, clustered_bootstrap, crossed_interval, paired_bootstrap
from s1lab.evaluation.statistics import Array
from s1lab.experiments import Condition
from s1lab.runs import Journal, Run

SIDE_BY_SIDE = 64
"""Samples of a question, or blocks of questions, that a server is asked for at one time."""
UNLIMITED = 1 << 30
"""Steps allowed where steps are counted but not limited."""


def resume(
    journal: Run | Journal,
    backend: Any,
    problems: Sequence[Problem],
    budget: Budget,
    *,
    samples: int,
    progress: bool = False,
    **options: Any,
) -> int:
    """Append the generations that a journal (or a run) still lacks; returns how many.

    `options` are those of `forcing.generate`. Blocks are the same on every attempt: one that was
    killed is computed again as a whole, so that resuming gives the very same tokens. A server,
    whose rows are `apart`, is asked for nothing twice, and for many samples side by side. Raises
    BackendError: the engine failed on some rows; all others are on disk.
    """
    from tqdm import tqdm

    done = {(row["problem_key"], row["sample"]) for row in journal.records()}
    apart, size = getattr(backend, "apart", False), backend.batch_size
    failures: list[Failure] = []
    options["on_failure"] = failures.append
    silent = None if progress else True  # None: where nobody looks
    shown = {"total": len(problems) * samples, "initial": len(done), "unit": "answer"}
    bar, writing = tqdm(**shown, leave=False, disable=silent), threading.Lock()

    def make(place: tuple[int, int]) -> int:
        sample, first = place
        block = problems[first : first + size]
        missing = {p.key for p in block if (p.key, sample) not in done}
        if not missing:
            return 0
        wanted = [p for p in block if p.key in missing] if apart else block
        made = list(generate(backend, wanted, budget, first_sample=sample, **options))
        with writing:
            bar.update(len(missing))
            return journal.append([g for g in made if g.problem_key in missing])

    places = product(range(samples), range(0, len(problems), size))
    with bar, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        added = sum(pool.map(make, places) if apart else map(make, places))
    if failures:
        first, told = failures[0], "The others are kept: run again to ask for these alone"
        which = f"problem {first.problem_key} sample {first.sample}: {first.error}"
        raise BackendError(f"{len(failures)} generations failed; the first, {which}. {told}")
    return added


def asked(condition: Condition, backend: Any) -> dict[str, Any]:
    """What `forcing.generate` needs for a condition beyond its budget (Appendix E.1)."""
    options: dict[str, Any] = {"thinking": condition.thinking}
    if condition.instruct:
        how, amount = condition.instruct
        options["ask"] = lambda problem: controls.instructed(problem.question, how, amount)
    if condition.counts_steps:
        options["machine"] = controls.step_machine(backend.tokenizer, condition.steps or UNLIMITED)
    return options


def tabulate(
    problems: Sequence[Problem], generations: Sequence[Generation], kind: str
) -> list[dict[str, Any]]:
    """Grade generations; one row each: what it cost, how it ended, what it gave."""
    by_key = {problem.key: problem for problem in problems}
    rows = []
    for made in generations:
        verdict = grade(by_key[made.problem_key], made, kind)
        row = {"problem_key": made.problem_key, "sample": made.sample, "status": verdict.status}
        for name in ("thinking_tokens", "answer_tokens", "outcome", "waits_used"):
            row[name] = getattr(made, name)
        rows.append(row | {"extracted": verdict.extracted, "method": verdict.method})
    return rows


@dataclass(frozen=True, eq=False)
class Samples:
    """The graded generations of a run, each array of shape (questions, samples), by key.

    `correct` and `ended` (thinking ended by itself) are 0 or 1; `thinking` and `answer` count
    tokens, ignore strings included, and `waits` those strings; `extracted` is the answer that was
    graded, "" where none was or it was cut off, `stated` the same, those cut off included.
    """

    keys: tuple[str, ...]
    correct: Array
    ended: Array
    thinking: Array
    answer: Array
    waits: Array
    extracted: NDArray[np.str_]
    stated: NDArray[np.str_]

    @property
    def tokens(self) -> Array:
        """Thinking and answer tokens together: what the generation cost."""
        return self.thinking + self.answer


def read_samples(run: Run) -> Samples:
    """The graded generations of a finished run, from its public table. Raises RunError: the table
    is empty, or some question has fewer samples than another."""
    rows = run.read_table("grades.csv")
    rows.sort(key=lambda row: (row["problem_key"], int(row["sample"])))
    counts = Counter(row["problem_key"] for row in rows)
    if len(set(counts.values())) != 1:
        raise RunError(f"run {run.id} has not equally many samples of every question")

    def array(name: str, value: str = "") -> NDArray[Any]:
        found = np.array([row[name] for row in rows]).reshape(len(counts), -1)
        return (found == value if value else found).astype(float)

    numbers = (array(name) for name in ("thinking_tokens", "answer_tokens", "waits_used"))
    stated = np.array([row["extracted"] for row in rows]).reshape(len(counts), -1)
    extracted = np.where(array("status", "truncated") == 1, "", stated)
    shares = (array("status", "correct"), array("outcome", "ended"))
    return Samples(tuple(counts), *shares, *numbers, extracted, stated)


MEASURES: dict[str, Callable[[Samples], Array]] = {
    "accuracy": lambda samples: samples.correct,
    "thinking_tokens": lambda samples: samples.thinking,
    "tokens": lambda samples: samples.tokens,
    "cut_short": lambda samples: 1 - samples.ended,
}
"""What is measured of graded generations, question by question; the first and last are shares."""


def mean(runs: Run | Sequence[Run], measure: str = "accuracy") -> Interval:
    """A measure of a run with its interval, by bootstrap over questions. Several runs are seeds of
    one training: the interval is over questions and seeds."""
    (table, about), share = _by_question(runs, measure), measure in ("accuracy", "cut_short")
    if share and (table.shape[1] == 1 or np.ptp(table) == 0):
        found = clustered_bootstrap(table)
    elif table.shape[1] == 1:
        found = paired_bootstrap(table, np.zeros(len(table)))
    else:
        found = crossed_interval(table).within(0.0, 1.0 if share else np.inf)
    return replace(found, about=f"{measure}: {about}")


def difference(
    a: Run | Sequence[Run], b: Run | Sequence[Run], measure: str = "accuracy"
) -> Interval:
    """A measure of `a` minus that of `b` on the same questions, by paired bootstrap over questions.
    Where both are as many seeds of a training, seeds are paired too, and the interval is over both
    (`crossed_interval`)."""
    (ours, first), (theirs, second) = (_by_question(side, measure) for side in (a, b))
    paired = ours.shape[1] == theirs.shape[1] > 1
    found = crossed_interval(ours - theirs) if paired else paired_bootstrap(ours, theirs)
    return replace(found, about=f"{measure}: {first} − {second}")


def _by_question(runs: Run | Sequence[Run], measure: str) -> tuple[Array, str]:
    """Means over samples, (questions, runs), and what the runs are called."""
    listed = [runs] if isinstance(runs, Run) else list(runs)
    found = [MEASURES[measure](read_samples(run)).mean(axis=1) for run in listed]
    return np.array(found).T, " ".join(run.id for run in listed)


@dataclass(frozen=True, slots=True)
class Point:
    """One condition of a figure: a budget, what it cost and what it gave.

    `kind` is "budget" (thinking capped at `budget` tokens), "natural" (the model stops) or "wait";
    `waits` ends of thinking may be replaced. `thinking_tokens` is a mean, ignore strings included,
    `accuracy` pass@1, `cut_short` the share with thinking cut.
    """

    label: str
    kind: str
    budget: int
    waits: int
    thinking_tokens: float
    accuracy: Interval
    cut_short: float
    run: str


def point(condition: Condition, run: Run) -> Point:
    """Summarise a generation run: mean cost, accuracy with its interval."""
    of, budget = read_samples(run), condition.budget
    allowed = (condition.label, condition.kind, budget.max_thinking, budget.num_ignore)
    cut = float((of.ended == 0).mean())
    return Point(*allowed, float(of.thinking.mean()), mean(run), cut, run.id)
