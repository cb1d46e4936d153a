"""From a dataset's own row to a `Problem` or an `Example`: one small function per source.

The mappings follow the official collection script: which columns make the question, which rows are
left out, and the `source` string that s1 records. They know nothing of files or of the Hub.
A function returns None for a row that the source's part of the pool leaves out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from s1core.errors import InputError
from s1core.grading.extraction import last_boxes
from s1core.records import Example, Problem, Trace

Row = Mapping[str, Any]
ToProblem = Callable[[Row], Problem | None]


def column(row: Row, *names: str) -> Any:
    """The value of the first of these columns that the row has.

    Raises:
        InputError: it has none of them.
    """
    for name in names:
        if name in row:
            return row[name]
    raise InputError(
        f"no column {' or '.join(map(repr, names))}; there are {', '.join(row) or 'none'}"
    )


def text(value: Any) -> str:
    """A field as text: "" for None, the first of a list, `True` for a bool as Python prints it."""
    if isinstance(value, (list, tuple)):
        return text(value[0]) if value else ""
    return "" if value is None else str(value)


def boxed(solution: str) -> str:
    r"""The final answer in a written solution: the contents of its last `\boxed{}`, or ""."""
    found = last_boxes(solution)
    return found[-1] if found else ""


# ------------------------------------------------------------------------- pool sources


def numinamath(row: Row) -> Problem | None:
    """Competition forum questions; other parts of NuminaMATH enter the pool by a list of 500."""
    part = text(column(row, "source"))
    solution = text(column(row, "solution"))
    if part != "aops_forum":
        return None
    source = f"AI-MO/NuminaMath-CoT/{part}"
    return Problem(text(column(row, "problem")), boxed(solution), solution, source)


def openaimath(row: Row) -> Problem:
    """MATH, as split by OpenAI: the training part is in the pool, the other 500 are MATH500."""
    source = f"qfq/openaimath/{text(column(row, 'subject'))}"
    return Problem(
        text(column(row, "problem")),
        text(column(row, "answer")),
        text(column(row, "solution")),
        source,
    )


def olympicarena(row: Row) -> Problem | None:
    """English questions without images."""
    if column(row, "language") != "EN" or column(row, "modality") != "text-only":
        return None
    source = f"GAIR/OlympicArena/{text(column(row, 'subject'))}"
    answer = text(row.get("answer"))
    return Problem(text(column(row, "problem")), answer, text(column(row, "solution")), source)


def omnimath(row: Row) -> Problem:
    """Every question of Omni-MATH."""
    answer, solution = text(row.get("answer")), text(column(row, "solution"))
    return Problem(text(column(row, "problem")), answer, solution, "KbsdJames/Omni-MATH")


def agieval(row: Row) -> Problem | None:
    """Passage, question and options in one text; of its MATH part only level 5.

    Rows of both layouts are read: the original files (`label`, `answer`, `other`) and the Hub's
    (`solution`, `level`).
    """
    other = row.get("other") or {}
    options = row.get("options") or ()
    level = row.get("level", other.get("level"))
    if not options and level is not None and int(level) != 5:
        return None
    passage = text(row.get("passage"))
    question = (passage + "\n\n").strip() + text(column(row, "question"))
    part = text(row.get("part")) or ("" if options else "math_agieval")
    if options and part != "aqua_rat":
        question += "\n" + "\n".join(options)
    answer = text(row.get("label") or row.get("answer"))
    solution = text(row.get("solution") or other.get("solution") or answer)
    return Problem(question, answer, solution, f"baber/agieval/{part}".rstrip("/"))


def xword(row: Row) -> Problem:
    """Cryptic crossword clues, with the number of letters in brackets."""
    clue = text(column(row, "input")).split("### Clue: ")[-1]
    question = (
        "Solve the crossword puzzle. You are presented with a clue as input and the number of "
        f"letters in brackets.\n\n{clue}"
    )
    answer = text(column(row, "output"))
    return Problem(question, answer, answer, "0xharib/xword1")


def olympiadbench(row: Row) -> Problem:
    """English text-only questions, open-ended and proofs (the configurations choose them)."""
    kind, subject = text(column(row, "question_type")), text(column(row, "subject"))
    return Problem(
        text(column(row, "question")),
        text(row.get("final_answer")),
        text(column(row, "solution")),
        f"Hothan/OlympiadBench/{kind}/{subject}",
    )


def aime_1983_2021(row: Row) -> Problem | None:
    """AIME up to 2021 (Table 7); 2022 to 2024 are held out. The official script reads `<= 2022`."""
    if int(column(row, "Year")) > 2021:
        return None
    answer = text(column(row, "Answer"))
    return Problem(text(column(row, "Question")), answer, answer, "qq8933/AIME_1983_2024")


def theoremqa(row: Row) -> Problem | None:
    """Questions without a picture."""
    if column(row, "Picture") is not None:
        return None
    answer = str(column(row, "Answer"))
    kind = text(column(row, "Answer_type"))
    return Problem(text(column(row, "Question")), answer, answer, f"TIGER-Lab/TheoremQA/{kind}")


def usaco(row: Row) -> Problem:
    """Programming contest problems; there is no reference solution."""
    return Problem(
        text(column(row, "question")).strip(), "", "", "codegenning/usacobench_formatted"
    )


def jeebench(row: Row) -> Problem:
    """Indian Institutes of Technology entrance examination."""
    answer = text(column(row, "gold"))
    source = f"daman1209arora/jeebench/{text(column(row, 'subject'))}"
    return Problem(text(column(row, "question")), answer, answer, source)


def gpqa(row: Row) -> Problem:
    """A GPQA question with its four choices in an order fixed by the question itself.

    The official script shuffles with one global seed; a generator seeded by the question gives the
    same order for a question wherever it stands. `answer` is the letter.
    """
    question = text(column(row, "Question"))
    right = text(column(row, "Correct Answer")).strip("\n")
    choices = [text(column(row, f"Incorrect Answer {i}")).strip("\n") for i in (1, 2, 3)] + [right]
    random.Random(question).shuffle(choices)
    letter = "ABCD"[choices.index(right)]
    listed = "\n".join(f"({name}) {choice}" for name, choice in zip("ABCD", choices, strict=True))
    return Problem(
        f"{question}\nAnswer Choices:\n{listed}",
        letter,
        f"{text(row.get('Explanation'))}\n\nAnswer: {letter}",
        "Idavidrein/gpqa",
    )


def scieval(row: Row) -> Problem | None:
    """Questions with a known answer; the pool takes about 250 of them, spread over its tasks."""
    if column(row, "answer") is None:
        return None
    question = text(column(row, "question")).split("\n\nAnswer:")[0]
    for thing in ("solvent", "ligand", "reactant"):
        question = question.replace(f"\nOptimal {thing}:", f"\nWhat is the optimal {thing}?")
    answer = text(row["answer"])
    parts = "/".join(text(column(row, name)) for name in ("category", "type", "task_name"))
    return Problem(question, answer, answer, f"OpenDFM/SciEval/{parts}")


def s1_prob(row: Row) -> Problem:
    """Probability questions of Stanford's statistics PhD qualifying examinations."""
    solution = text(column(row, "solution"))
    return Problem(text(column(row, "question")), boxed(solution), solution, "qfq/stats_qual")


def s1_teasers(row: Row) -> Problem:
    """Brain teasers used in interviews for quantitative trading."""
    answer = text(column(row, "Answer"))
    return Problem(text(column(row, "Question")).strip(), answer, answer, "qfq/quant")


def livecodebench(row: Row) -> Problem | None:
    """Hard programming problems; there is no reference solution."""
    if column(row, "difficulty") != "hard":
        return None
    return Problem(text(column(row, "question_content")).strip(), "", "", "LiveCodeBench")


# ------------------------------------------------------------------ benchmarks, releases


def aime(row: Row) -> Problem:
    """AIME 2024 or 2025, in any of the column layouts in circulation."""
    return Problem(
        text(column(row, "problem", "Problem", "question")),
        text(column(row, "answer", "Answer")),
        text(row.get("solution")),
        "AIME",
    )


def math500(row: Row) -> Problem:
    """The 500 held-out questions of MATH."""
    return Problem(
        text(column(row, "problem")),
        text(column(row, "answer")),
        text(row.get("solution")),
        f"MATH500/{text(row.get('subject'))}",
    )


def gsm8k(row: Row) -> Problem:
    """Grade-school word problems; the answer stands after `####`."""
    solution = text(column(row, "answer"))
    answer = solution.rpartition("####")[2].strip()
    return Problem(text(column(row, "question")), answer, solution, "GSM8K")


def released(row: Row) -> Example:
    """A row of s1K, s1K-1.1 or the 59K pool as published, with its trace.

    s1K-1.1 has a Gemini and a DeepSeek r1 trace; the r1 trace is the one it was made for.
    """
    solution = text(row.get("solution"))
    problem = Problem(
        text(column(row, "question")), boxed(solution), solution, text(column(row, "source_type"))
    )
    if "deepseek_thinking_trajectory" in row:
        thinking, attempt = row["deepseek_thinking_trajectory"], row["deepseek_attempt"]
        return Example(problem, Trace(text(thinking), text(attempt), "deepseek-r1"))
    thinking = text(column(row, "thinking_trajectories", "gemini_thinking_trajectory"))
    attempt = text(column(row, "attempt", "gemini_attempt"))
    return Example(problem, Trace(thinking, attempt, "gemini-2.0-flash-thinking-exp"))


def published_question(row: Row) -> Problem | None:
    """A row of the mirror's trace-free s1K; questions withheld there (GPQA) are left out."""
    if column(row, "question") is None:
        return None
    solution = text(row.get("solution"))
    source = text(row.get("source_type_if_in_notebook") or row.get("source_type"))
    return Problem(row["question"], boxed(solution), solution, source)
