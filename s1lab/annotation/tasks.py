"""What a chat model is asked of each question: a trace, its subject, a verdict on an attempt.

Any endpoint can take the place of the models that the paper asked: Gemini 2.0 Flash Thinking (for
s1K-1.1, DeepSeek r1) for traces, Claude for the others. The official prompts are not public.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from s1core.errors import InputError
from s1core.records import Example, Problem, Trace, read_jsonl
from s1lab import packaged
from s1lab.annotation.chat import Messages, Read, Reply

PROMPTS = packaged("annotation/prompts.yaml")


class Task(NamedTuple):
    """Conversations by the key of their problem, how a reply is read, and the row made of both."""

    questions: dict[str, Messages]
    read: Read
    row: Callable[[str, Any], Any]


def _shown(task: str, *parts: str) -> Messages:
    prompt = PROMPTS[task]
    return ("system", prompt["system"]), ("user", prompt["user"].format(*parts))


def distill(problems: Iterable[Problem], model: str) -> Task:
    """Ask each question as it is for a trace and an attempt (Section 2.1); rows are examples."""
    asked = {p.key: p for p in problems}
    questions = {key: (("user", p.question),) for key, p in asked.items()}
    return Task(questions, read_trace, lambda key, said: Example(asked[key], Trace(*said, model)))


def read_trace(reply: Reply) -> tuple[str, str]:
    """Thinking and attempt. The reasoning stands apart, or between `<think>` and `</think>`;
    ValueError where one of the two is missing or cut off."""
    thinking, attempt = reply.reasoning, reply.content
    if not thinking and "</think>" in attempt:
        thinking, _, attempt = attempt.partition("</think>")
        thinking = thinking.strip().removeprefix("<think>")
    thinking, attempt = thinking.strip(), attempt.strip()
    if reply.finish_reason == "length":
        raise ValueError("it was cut off at max_tokens")
    if not (thinking and attempt):
        raise ValueError("it has no reasoning, or nothing after it")
    return thinking, attempt


@dataclass(frozen=True, slots=True)
class Subject:
    """A row of a taxonomy (`s1k/msc_domains.jsonl` of a mirror), two digits, shown as `prompt`."""

    code: str
    title: str
    prompt: str
    descriptions: tuple[str, ...] = ()


def classify(problems: Iterable[Problem], taxonomy: Path) -> Task:
    """Ask for one of the 61 upper-level subjects of the Mathematics Subject Classification
    (Section 2.2, Diversity); rows have its title as `domain`. InputError: a row of the taxonomy is
    no `Subject`, or shares its code."""
    subjects = list(read_jsonl(taxonomy, Subject))
    titles = {subject.code: subject.title for subject in subjects}
    if not subjects or len(titles) < len(subjects) or {2} != {*map(len, titles)}:
        raise InputError(f"{taxonomy} must list subjects, each with its own code of two digits")
    listed = "\n\n".join(subject.prompt for subject in subjects)

    def read(reply: Reply) -> str:
        code = reply.content.strip().strip("*` .")[-2:]
        if code not in titles:
            raise ValueError(f"it ends in {code!r}, which is no code of the taxonomy")
        return titles[code]

    questions = {p.key: _shown("classify", p.question, listed) for p in problems}
    return Task(questions, read, lambda key, title: {"key": key, "domain": title})


def judge(examples: Iterable[Example]) -> Task:
    """Have the attempt of each example compared with its reference (Section 2.2, Appendix C.3);
    examples without one are left out. Where a question can be graded exactly, `s1core.grading` does
    it offline. InputError: one question has two attempts."""
    questions: dict[str, Messages] = {}
    for key, problem, attempt in ((e.key, e.problem, e.trace.attempt) for e in examples):
        if reference := problem.solution or problem.answer:
            asked = _shown("judge", problem.question, attempt, reference)
            if questions.setdefault(key, asked) != asked:
                raise InputError(f"there are several attempts at question {key}: judge them apart")
    return Task(questions, read_verdict, lambda key, right: {"key": key, "correct": right})


def read_verdict(reply: Reply) -> bool:
    """True for a last line of Yes, False for No, ValueError for anything else."""
    last = ([""] + reply.content.strip().splitlines())[-1].strip(" .*_`").lower()
    if last not in ("yes", "no"):
        raise ValueError(f"its last line is {last[:40]!r}, not Yes or No")
    return last == "yes"
