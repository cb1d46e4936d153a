r"""From a generation to a grade: offline, without a key, and never a bare boolean.

A grade is one of four: *correct*, *wrong*, *no_answer* (the model finished without one) and
*truncated* (it was cut off before it gave one, so nothing is known). Only what comes after the
thinking is graded: a number inside a thought that was cut off is not an answer. The grade records
what was extracted and by which rule it was found and compared; a rule that guesses says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from s1core.errors import InputError
from s1core.grading.equivalence import equivalent, normalise, value
from s1core.grading.extraction import Extraction, extract_choice, extract_expression, extract_math
from s1core.records import Generation, Grade, Problem, Status

Kind = Literal["math", "aime", "multiple_choice", "countdown"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class TextGrade:
    """Verdict on a text: the fields of `Grade` without the identity of a generation."""

    status: Status
    extracted: str
    method: str


def grade(problem: Problem, generation: Generation, kind: Kind = "math") -> Grade:
    """Grade one generation (Section 4.1 grades by extracted final answer).

    Args:
        kind: "math" (LaTeX answers), "aime" (integers 0-999), "multiple_choice" (a letter) or
            "countdown" (an expression, checked exactly against its question).

    Raises:
        InputError: the kind is unknown, or the generation answers another problem.
    """
    if generation.problem_key != problem.key:
        raise InputError(
            f"generation of problem {generation.problem_key} graded against {problem.key}; "
            "pair them by problem key"
        )
    verdict = grade_text(
        problem,
        generation.answer,
        kind,
        cut_off=generation.finish_reason == "length",
        after_cue=generation.outcome != "ended",
    )
    status, extracted, method = verdict.status, verdict.extracted, verdict.method
    return Grade(problem.key, generation.sample, status, extracted, method)


def grade_text(
    problem: Problem,
    text: str,
    kind: Kind = "math",
    *,
    cut_off: bool = False,
    after_cue: bool = False,
) -> TextGrade:
    """Grade an answer text (what follows the thinking).

    Args:
        cut_off: the text ended at a length limit, so its last words may be incomplete.
        after_cue: the decoder forced "Final Answer:" right before the text.
    """
    found = _extract(problem, text, kind, after_cue)
    if found.answer is None:
        return TextGrade("truncated" if cut_off else "no_answer", "", found.method)
    if cut_off and (found.guess or not found.complete):
        return TextGrade("truncated", found.answer, f"{found.method}, cut off")
    same, how = _compare(problem, found.answer, kind)
    return TextGrade("correct" if same else "wrong", found.answer, f"{found.method}; {how}")


def grade_all(
    problems: Iterable[Problem], generations: Iterable[Generation], kind: Kind = "math"
) -> list[Grade]:
    """Grade generations in any order against their problems, matched by key.

    Raises:
        InputError: a generation answers none of the problems.
    """
    by_key = {problem.key: problem for problem in problems}
    grades = []
    for generation in generations:
        if generation.problem_key not in by_key:
            raise InputError(
                f"no problem with key {generation.problem_key}; grade with the questions "
                "that the generations were made from"
            )
        grades.append(grade(by_key[generation.problem_key], generation, kind))
    return grades


def options(question: str) -> dict[str, str]:
    """The options of a multiple-choice question: lines such as `(A) 3 m` or `B. 4 m`."""
    found = re.findall(r"^\s*\(?([A-J])[).:]\s*(\S.*?)\s*$", question, re.M)
    return dict(found)


def _extract(problem: Problem, text: str, kind: str, after_cue: bool) -> Extraction:
    if kind in ("math", "aime"):
        return extract_math(text, after_cue=after_cue)
    if kind == "multiple_choice":
        letters = "".join(options(problem.question)) or "ABCD"
        return extract_choice(text, letters, after_cue=after_cue)
    if kind == "countdown":
        return extract_expression(text, after_cue=after_cue)
    raise InputError(f"unknown kind of grading {kind!r}; pick one of {', '.join(KINDS)}")


def _compare(problem: Problem, answer: str, kind: str) -> tuple[bool, str]:
    if kind == "countdown":
        from s1core.grading.countdown import check

        return check(problem.question, answer), "expression checked"
    if kind == "multiple_choice":
        return _same_choice(problem, answer)
    if kind == "aime":
        return _same_integer(problem.answer, answer)
    verdict = equivalent(problem.answer, answer)
    return verdict.same, verdict.how


def _same_choice(problem: Problem, answer: str) -> tuple[bool, str]:
    """A letter, or the words of an option when they are those of exactly one."""
    gold = problem.answer.strip().strip("()").upper()
    if len(answer) == 1:
        return answer.upper() == gold, "letter"
    named = [k for k, words in options(problem.question).items() if _words(words) == _words(answer)]
    return named == [gold], "words of an option" if named else "neither letter nor option"


def _same_integer(gold: str, answer: str) -> tuple[bool, str]:
    """AIME: an integer from 0 to 999, leading zeros allowed (`"033"` is 33)."""
    plain = re.sub(r"^.*=", "", normalise(answer))
    integer = re.fullmatch(r"\d{1,3}", plain)
    if integer:
        return int(plain) == int(gold), "integer"
    number = value(plain)
    if number is not None:
        return number == int(gold), "value"
    verdict = equivalent(gold.lstrip("0") or "0", answer)
    return verdict.same, verdict.how


def _words(text: str) -> str:
    return normalise(text).lower().rstrip(".")


def shares(grades: Sequence[Grade]) -> dict[Status, float]:
    """Share of each status, the four always present: `{"correct": 0.5, "wrong": 0.5, ...}`."""
    total = max(len(grades), 1)
    names: tuple[Status, ...] = get_args(Status)
    return {name: sum(g.status == name for g in grades) / total for name in names}
