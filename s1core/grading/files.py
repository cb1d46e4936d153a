"""Files of generations and grades: what `s1core grade` reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s1core.errors import InputError
from s1core.records import Generation, Grade, from_dict, read_recoverable


def read_generations(path: str | Path) -> tuple[list[Generation], int | None]:
    """Generations of a JSONL file, and the number of a last line that a crash tore.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a line other than a torn last one is damaged or no generation, or two lines
            are the same sample of the same problem; the message starts with `path:line`.
    """
    rows, torn = read_recoverable(path)
    generations: dict[tuple[str, int], Generation] = {}
    for number, row in rows:
        try:
            generation = from_dict(Generation, row)
        except (InputError, TypeError, KeyError) as error:
            raise InputError(f"{path}:{number}: {error}") from error
        identity = (generation.problem_key, generation.sample)
        if identity in generations:
            raise InputError(
                f"{path}:{number}: problem {identity[0]} has sample {identity[1]} twice; "
                "a file holds one run, so remove one"
            )
        generations[identity] = generation
    return list(generations.values()), torn


def accuracy(grades: Sequence[Grade], questions: int) -> str:
    """`"accuracy 56.8% [52.1, 61.4], n = 500"`, with what is missing or was cut off named.

    Wilson's interval for one sample a question; for several, that of the mean over questions.
    """
    from scipy import stats

    by_question: dict[str, list[bool]] = {}
    for verdict in grades:
        by_question.setdefault(verdict.problem_key, []).append(verdict.correct)
    n, right = len(by_question), sum(verdict.correct for verdict in grades)
    if len(grades) == n:
        mean = right / n
        low, high = stats.binomtest(right, n).proportion_ci(method="wilson")
    else:
        shares = [sum(row) / len(row) for row in by_question.values()]
        mean = sum(shares) / n
        half = stats.sem(shares) * stats.t.ppf(0.975, n - 1) if n > 1 else 1.0
        low, high = max(mean - half, 0.0), min(mean + half, 1.0)
    notes = [
        f"{count} {name}"
        for name, count in (
            ("questions not answered at all", questions - n),
            ("samples missing", n * max(map(len, by_question.values())) - len(grades)),
            ("cut off", sum(verdict.status == "truncated" for verdict in grades)),
            ("without an answer", sum(verdict.status == "no_answer" for verdict in grades)),
            ("that could not be compared", sum(v.status == "not_compared" for v in grades)),
        )
        if count
    ]
    samples = "" if len(grades) == n else f" ({len(grades)} generations)"
    return f"accuracy {mean:.1%} [{100 * low:.1f}, {100 * high:.1f}], n = {n}{samples}" + "".join(
        f", {note}" for note in notes
    )
