"""The data sets of the paper: 16 pool sources (Table 7), benchmarks, and what was released; and
how a row of each becomes a `Problem` or an `Example`, as the official collection script has it.

`sources.yaml` lists them. A revision is a full commit that was seen on a public page; where none
could be seen, `main` is read, and the commit found there reported.
"""

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from s1core.errors import InputError
from s1core.grading.extraction import last_boxes
from s1core.records import Example, Problem, Trace
from s1lab import packaged

Row = Mapping[str, Any]
Converter = Callable[[Row], Problem | Example | None]


def column(row: Row, *names: str) -> Any:
    """The value of the first of these columns that the row has; InputError when it has none."""
    for name in names:
        if name in row:
            return row[name]
    wanted = " or ".join(map(repr, names))
    raise InputError(f"no column {wanted}; there are {', '.join(row) or 'none'}")


def text(value: Any) -> str:
    """A field as text: "" for None, the first of a list, `True` for a bool as Python prints it;
    InputError for an object or what is no finite number."""
    if isinstance(value, (list, tuple)):
        return text(value[0]) if value else ""
    number = isinstance(value, (int, float)) and math.isfinite(value)
    if not (number or value is None or isinstance(value, str)):
        raise InputError(f"{str(value)[:40]!r} stands where text belongs")
    return "" if value is None else str(value)


def asked_in(row: Row, *names: str) -> str:
    """The question, in the first of these columns that the row has; InputError if it is no text."""
    value = column(row, *names)
    if not isinstance(value, str):
        raise InputError(f"the question is {str(value)[:40]!r}, no text")
    return value


def boxed(solution: str) -> str:
    r"""The final answer in a written solution: the contents of its last `\boxed{}`, or ""."""
    return (last_boxes(solution)[0] or [""])[-1]


def by_columns(
    question: str,
    source: str,
    answer: str = "",
    solution: str = "",
    only: Mapping[str, Any] | None = None,
    until: Mapping[str, int] | None = None,
    given: Sequence[str] = (),
    edit: Mapping[str, Mapping[str, str]] | None = None,
) -> Converter:
    r"""A source whose columns are the fields of a `Problem`, as `sources.yaml` describes it.

    Question, answer and solution name a column, `a|b` one of them, `a?` one that may be missing,
    `a!` one whose value is written as Python does. No answer: what the solution has in `\boxed{}`;
    no solution: the answer. In `source`, which s1 records, `{subject}` stands for that column. Left
    out: rows unlike `only`, beyond `until`, or with nothing in a `given` column. `edit` has regular
    expressions for "question" and "answer", each with what is put for its matches, in this order.
    """

    def value(row: Row, name: str) -> str:
        if name.endswith("!"):
            return str(column(row, name[:-1]))
        return text(row.get(name[:-1]) if name.endswith("?") else column(row, *name.split("|")))

    def edited(field: str, value: str) -> str:
        for pattern, new in (edit or {}).get(field, {}).items():
            value = re.sub(pattern, new, value)
        return value

    def convert(row: Row) -> Problem | None:
        if any(column(row, name) != wanted for name, wanted in (only or {}).items()):
            return None
        if any(int(column(row, name)) > last for name, last in (until or {}).items()):
            return None
        if any(column(row, name) is None for name in given):
            return None
        asked = edited("question", asked_in(row, *question.split("|")))
        written = value(row, solution) if solution else ""
        right = edited("answer", value(row, answer)) if answer else boxed(written)
        recorded = re.sub(r"\{([\w|]+\??)\}", lambda name: value(row, name[1]), source)
        return Problem(asked, right, written if solution else right, recorded)

    return convert


def agieval(row: Row) -> Problem | None:
    """Passage, question and options in one text; of its MATH part only level 5. Both layouts are
    read, the original (`label`, `other`) and the Hub's (`solution`, `level`)."""
    other = row.get("other") or {}
    options = row.get("options") or ()
    level = row.get("level", other.get("level"))
    if not options and level is not None and int(level) != 5:
        return None
    question = (text(row.get("passage")) + "\n\n").strip() + asked_in(row, "question")
    part = text(row.get("part")) or ("" if options else "math_agieval")
    if options and part != "aqua_rat":
        question += "\n" + "\n".join(options)
    answer = text(row.get("label") or row.get("answer"))
    solution = text(row.get("solution") or other.get("solution") or answer)
    return Problem(question, answer, solution, f"baber/agieval/{part}".rstrip("/"))


def gpqa(row: Row) -> Problem:
    """A GPQA question with its four choices in an order fixed by the question itself, wherever it
    stands (the official script shuffles with one global seed). `answer` is the letter."""
    question = asked_in(row, "Question")
    right = text(column(row, "Correct Answer")).strip("\n")
    choices = [text(column(row, f"Incorrect Answer {i}")).strip("\n") for i in (1, 2, 3)] + [right]
    random.Random(question).shuffle(choices)
    letter = "ABCD"[choices.index(right)]
    listed = "\n".join(f"({name}) {choice}" for name, choice in zip("ABCD", choices, strict=True))
    solution = f"{text(row.get('Explanation'))}\n\nAnswer: {letter}"
    return Problem(f"{question}\nAnswer Choices:\n{listed}", letter, solution, "Idavidrein/gpqa")


def released(row: Row) -> Example:
    """A row of s1K, s1K-1.1 or the 59K pool with its trace, in s1K-1.1 that of DeepSeek r1."""
    solution = text(row.get("solution"))
    source = text(column(row, "source_type"))
    problem = Problem(asked_in(row, "question"), boxed(solution), solution, source)
    if "deepseek_thinking_trajectory" in row:
        thinking, attempt = row["deepseek_thinking_trajectory"], column(row, "deepseek_attempt")
        return Example(problem, Trace(text(thinking), text(attempt), "deepseek-r1"))
    thinking = column(row, "thinking_trajectories", "gemini_thinking_trajectory")
    attempt = column(row, "attempt", "gemini_attempt")
    return Example(problem, Trace(text(thinking), text(attempt), "gemini-2.0-flash-thinking-exp"))


@dataclass(frozen=True, slots=True)
class Source:
    """A data set, where it comes from and how its rows become problems. Where it is `gated`, the
    Hub asks for an account that accepted terms, and the text must not be spread."""

    name: str  # in the paper (Table 7 for the pool)
    hub_id: str
    convert: Converter  # row -> `Problem`, `Example` (releases), or None: it is left out
    kind: Literal["pool", "benchmark", "release", "questions"]  # the last: without traces
    rows: int  # after `convert`, in the pool (Table 7) or the benchmark; the Hub may hold more
    grading: str = ""  # of a benchmark: math, aime, multiple_choice
    revision: str = ""  # full commit to read
    licence: str = ""
    configs: tuple[str, ...] = ()  # all are read, in this order; () for the default one
    splits: tuple[str, ...] = ("train",)
    files: tuple[str, ...] = ()  # of the repository, to read instead of these
    mirror: tuple[str, ...] = ()  # files of a mirror; several: one for each of `configs`
    source_types: tuple[str, ...] = ()  # prefixes of what s1 recorded for it
    gated: bool = False


def _entry(row: dict[str, Any]) -> Source:
    row = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    how = row["convert"]
    row["convert"] = globals()[how] if isinstance(how, str) else by_columns(**how)
    if row["kind"] == "pool":
        row.setdefault("source_types", (row["hub_id"],))
    return Source(**row)


SOURCES = {row["name"]: _entry(row) for row in packaged("data/sources.yaml")}
"""Every data set by name, in the order of the paper's tables."""
POOL: tuple[Source, ...] = tuple(entry for entry in SOURCES.values() if entry.kind == "pool")
"""The 16 sources of Table 7."""

SUBSETS = {name: f"1K-{name}" for name in ("random", "diverse", "longest")} | {"full": "59K-full"}
"""The released selections behind the baselines of Table 2 (`s1lab.kinds.curation`)."""


def plain(name: str) -> str:
    """A name without what people write differently: case, spaces, "-" and "_"."""
    return "".join(char for char in name.lower() if char.isalnum() or char == ".")


def source(name: str) -> Source:
    """The data set of this name (`"gpqa-diamond"` will do); InputError lists them otherwise."""
    if found := [entry for known, entry in SOURCES.items() if plain(known) == plain(name)]:
        return found[0]
    raise InputError(f"no data set is called {name!r}: choose one of {', '.join(SOURCES)}")
