r"""From a generation to a grade: offline, without a key, and never a bare boolean.

A grade is *correct*, *wrong*, *no_answer* (the model finished without one), *truncated* (it was cut
off before it gave one, so nothing is known) or *not_compared* (the grader itself failed: no gold
answer, or a comparison beyond its limits; never counted as wrong in silence). Only what comes after
the thinking is graded: a number inside a thought that was cut off is not an answer. The grade
records what was extracted and by which rule it was found and compared; a guess says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from s1core.errors import InputError
from s1core.grading.countdown import check
from s1core.grading.equivalence import equivalent
from s1core.grading.extraction import (
    ANY,
    extract_choice,
    extract_expression,
    extract_math,
    named,
    options,
)
from s1core.grading.verifier import Verdict
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
    if kind not in KINDS:
        raise InputError(f"unknown kind of grading {kind!r}; pick one of {', '.join(KINDS)}")
    gold, question = str(problem.answer).strip(), problem.question
    if len(question) > 20:  # an echo of the question is no answer
        text = text.replace(question, "\n")
    known = options(question) if kind == "multiple_choice" else {}
    if kind == "countdown":
        found = extract_expression(text, after_cue=after_cue)
    elif kind == "multiple_choice":
        found = extract_choice(text, known or ANY, after_cue=after_cue)
    else:
        found = extract_math(text, after_cue=after_cue)
    if found.answer is None:
        return TextGrade("truncated" if cut_off else "no_answer", "", found.method)
    if cut_off and (found.guess or not found.complete):
        return TextGrade("truncated", found.answer, f"{found.method}, cut off")
    if kind == "countdown":
        verdict = Verdict(check(question, found.answer), "expression checked")
    elif not gold:
        verdict = Verdict(None, "the problem has no gold answer")
    elif kind == "multiple_choice":
        verdict = _same_choice(gold, found.answer, known)
    else:
        verdict = equivalent(gold, found.answer)
    if verdict.same is None:
        method = f"{found.method}; could not be compared: {verdict.how}"
        return TextGrade("not_compared", found.answer, method)
    status: Status = "correct" if verdict.same else "wrong"
    return TextGrade(status, found.answer, f"{found.method}; {verdict.how}")


def _same_choice(gold: str, answer: str, known: dict[str, str]) -> Verdict:
    """A letter, or the words of an option when they are those of exactly one."""
    letter = gold.strip("(). :").upper()
    if len(letter) != 1 or known and letter not in known:
        letter = named(gold, known) or ""
    if not letter:
        return Verdict(None, f"the gold answer {gold[:40]!r} is no option")
    if len(answer) == 1 and answer.isalpha():
        return Verdict(answer.upper() == letter, "letter")
    said = named(answer, known)
    return Verdict(said == letter, "words of an option" if said else "neither letter nor option")


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
