"""From a generation to a grade: offline, without a key, and never a bare boolean.

A grade is *correct*, *wrong*, *no_answer* (the model finished without one), *truncated* (it was cut
off before it gave one, so nothing is known) or *not_compared* (the grader itself failed: no gold
answer, or a comparison beyond its limits). Only what comes after the thinking is graded.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from s1core.errors import InputError
from s1core.grading import extraction
from s1core.grading.countdown import check
from s1core.grading.equivalence import equivalent
from s1core.grading.verifier import Verdict
from s1core.records import Generation, Grade, Problem, read_recoverable

Kind = Literal["math", "aime", "multiple_choice", "countdown"]
KINDS: tuple[str, ...] = get_args(Kind)


def grade(problem: Problem, generation: Generation, kind: Kind = "math") -> Grade:
    """Grade one generation (Section 4.1 grades by extracted final answer).

    Args:
        kind: "math" (LaTeX answers), "aime" (integers 0-999), "multiple_choice" (a letter) or
            "countdown" (an expression, checked exactly against its question).

    InputError: the kind is unknown, or the generation answers another problem.
    """
    if (key := generation.problem_key) != problem.key:
        raise InputError(f"generation of problem {key} graded against {problem.key}; pair by key")
    cut_off, after_cue = generation.finish_reason == "length", generation.outcome != "ended"
    made = grade_text(problem, generation.answer, kind, cut_off=cut_off, after_cue=after_cue)
    return replace(made, sample=generation.sample)


def grade_text(
    problem: Problem, text: str, kind: Kind = "math", cut_off: bool = False, after_cue: bool = False
) -> Grade:
    """Grade an answer text (what follows the thinking), as sample 0. `cut_off` at a length limit,
    its last words may be incomplete; `after_cue`: see `extraction`."""
    if kind not in KINDS:
        raise InputError(f"unknown kind of grading {kind!r}; pick one of {', '.join(KINDS)}")
    gold, question = str(problem.answer).strip(), problem.question
    graded = partial(Grade, problem.key, 0)
    if len(question) > 20:  # an echo of the question is no answer
        text = text.replace(question, "\n")
    known = extraction.options(question) if kind == "multiple_choice" else {}
    if kind == "countdown":
        found = extraction.extract_cued(text, after_cue, first_line=True)
    elif kind == "multiple_choice":
        found = extraction.extract_choice(text, known or extraction.ANY, after_cue=after_cue)
    else:
        found = extraction.extract_math(text, after_cue=after_cue)
    if found.answer is None:
        return graded("truncated" if cut_off else "no_answer", "", found.method)
    if cut_off and (found.guess or not found.complete):
        return graded("truncated", found.answer, f"{found.method}, cut off")
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
        return graded("not_compared", found.answer, method)
    status = "correct" if verdict.same else "wrong"
    return graded(status, found.answer, f"{found.method}; {verdict.how}")


def _same_choice(gold: str, answer: str, known: dict[str, str]) -> Verdict:
    """A letter, or the words of an option when they are those of exactly one."""
    letter = gold.strip("(). :").upper()
    if len(letter) != 1 or known and letter not in known:
        letter = extraction.named(gold, known) or ""
    if not letter:
        return Verdict(None, f"the gold answer {gold[:40]!r} is no option")
    if len(answer) == 1 and answer.isalpha():
        return Verdict(answer.upper() == letter, "letter")
    said = extraction.named(answer, known)
    return Verdict(said == letter, "words of an option" if said else "neither letter nor option")


def grade_all(
    problems: Iterable[Problem], generations: Iterable[Generation], kind: Kind = "math"
) -> list[Grade]:
    """Grades in the order of the generations; InputError: one answers none of the problems."""
    by_key, made = {problem.key: problem for problem in problems}, list(generations)
    if unknown := [g.problem_key for g in made if g.problem_key not in by_key]:
        raise InputError(f"no problem with key {unknown[0]!r}; give the problems that were asked")
    return [grade(by_key[generation.problem_key], generation, kind) for generation in made]


def read_generations(path: str | Path) -> tuple[list[Generation], int | None]:
    """Generations of a JSONL file, and the number of a last line that a crash tore. InputError: any
    other line is damaged or no generation, or one sample of one problem is there twice."""
    rows, torn = read_recoverable(path, Generation)
    seen: set[tuple[str, int]] = set()
    for number, made in rows:
        if (key := (made.problem_key, made.sample)) in seen:
            twice = "problem {} has sample {} twice; a file holds one run".format(*key)
            raise InputError(f"{path}:{number}: {twice}, so remove one")
        seen.add(key)
    return [made for _, made in rows], torn


def accuracy(grades: Sequence[Grade], questions: int) -> str:
    """`"accuracy 56.8% [52.1, 61.4], n = 500"`, with what is missing or was cut off named. Wilson's
    interval for one sample a question; for several, that of the mean over questions."""
    from scipy import stats

    by_question: defaultdict[str, list[bool]] = defaultdict(list)
    for verdict in grades:
        by_question[verdict.problem_key].append(verdict.correct)
    n, total = len(by_question), len(grades)
    shares = [sum(row) / len(row) for row in by_question.values()]
    mean = sum(shares) / n
    if total == n:
        low, high = stats.binomtest(int(sum(shares)), n).proportion_ci(method="wilson")
    else:
        half = stats.sem(shares) * stats.t.ppf(0.975, n - 1) if n > 1 else 1.0
        low, high = max(mean - half, 0.0), min(mean + half, 1.0)
    status = [verdict.status for verdict in grades]
    notes = {
        "questions not answered at all": questions - n,
        "samples missing": n * max(map(len, by_question.values())) - total,
        "cut off": status.count("truncated"),
        "without an answer": status.count("no_answer"),
        "that could not be compared": status.count("not_compared"),
    }
    samples = "" if total == n else f" ({total} generations)"
    noted = "".join(f", {count} {name}" for name, count in notes.items() if count)
    return f"accuracy {mean:.1%} [{100 * low:.1f}, {100 * high:.1f}], n = {n}{samples}{noted}"
