"""Files of generations and grades: what `s1core grade` reads and writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from s1core.evaluation.grading import Kind, grade_all
from s1core.evaluation.logs import read_recoverable
from s1core.records import Generation, Grade, Problem, RecordError, from_dict, write_jsonl


def read_generations(path: str | Path) -> tuple[list[Generation], int | None]:
    """Generations of a JSONL file, and the number of a last line that a crash tore.

    Raises:
        FileNotFoundError: there is no such file.
        RecordError: a line other than a torn last one is damaged or no generation, or two lines
            are the same sample of the same problem; the message starts with `path:line`.
    """
    rows, torn = read_recoverable(path)
    generations: dict[tuple[str, int], Generation] = {}
    for number, row in rows:
        try:
            generation = from_dict(Generation, row)
        except (RecordError, TypeError, KeyError) as error:
            raise RecordError(f"{path}:{number}: {error}") from error
        identity = (generation.problem_key, generation.sample)
        if identity in generations:
            raise RecordError(
                f"{path}:{number}: problem {identity[0]} has sample {identity[1]} twice; "
                "a file holds one run"
            )
        generations[identity] = generation
    return list(generations.values()), torn


def grade_file(
    generations: str | Path,
    problems: Iterable[Problem],
    kind: Kind,
    out: str | Path | None = None,
) -> tuple[list[Grade], int | None]:
    """Grade a file of generations; write the grades to `out`, all or nothing, when it is given.

    Returns the grades and the number of a torn last line (see `read_generations`).
    """
    read, torn = read_generations(generations)
    grades = grade_all(problems, read, kind)
    if out is not None:
        write_jsonl(out, grades)
    return grades, torn
