"""What a chat model is asked of each question: a trace, its subject, a verdict on an attempt.

Any endpoint can take the place of the models that the paper asked: Gemini 2.0 Flash Thinking (for
s1K-1.1, DeepSeek r1) for traces, Claude for the others. The official prompts are not public.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from s1core.errors import InputError
from s1core.records import Example, Problem, Trace
from s1lab.annotation.batch import Answers, Parse, Question, Valid, annotate
from s1lab.annotation.chat import ChatConfig, ChatReply
from s1lab.data.mirror import read_rows

PROMPTS = yaml.safe_load(Path(__file__).with_name("prompts.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Task:
    """Questions, how replies are read, what a kept value must be, and stands for (by key)."""

    questions: list[Question]
    parse: Parse
    valid: Valid
    value: Callable[[str, Any], Any]
    lacks: Mapping[str, str] = field(default_factory=dict)

    def run(self, config: ChatConfig, path: str | Path) -> Answers:
        """Ask all; resumable at `path`. Raises as `batch.annotate` does."""
        done = annotate(self.questions, config, path, self.parse, self.valid)
        values = {key: self.value(key, kept) for key, kept in done.values.items()}
        return replace(done, values=values, errors=done.errors | self.lacks)


def _shown(task: str, key: str, *parts: str) -> Question:
    prompt = PROMPTS[task]
    return Question(key, (("system", prompt["system"]), ("user", prompt["user"].format(*parts))))


def distill(problems: Sequence[Problem], model: str) -> Task:
    """Ask each question as it is for a trace and an attempt (Section 2.1); values are examples. The
    teacher gives its reasoning apart, or between `<think>` and `</think>`; `model` names it."""
    asked, kinds = {p.key: p for p in problems}, {"thinking": str, "attempt": str}
    return Task(
        [Question(p.key, (("user", p.question),)) for p in problems],
        parse_trace,
        lambda v: isinstance(v, dict) and {name: type(part) for name, part in v.items()} == kinds,
        lambda key, kept: Example(asked[key], Trace(**kept, model=model)),
    )


def parse_trace(reply: ChatReply) -> dict[str, str]:
    """The thinking and the attempt of a reply; ValueError where one of them is missing or cut."""
    thinking, attempt = reply.reasoning, reply.content
    if not thinking and "</think>" in attempt:
        thinking, _, attempt = attempt.partition("</think>")
        thinking = thinking.strip().removeprefix("<think>")
    thinking, attempt = thinking.strip(), attempt.strip()
    if reply.finish_reason == "length":
        raise ValueError("it was cut off at max_tokens")
    if not thinking:
        raise ValueError("it holds no reasoning, neither apart nor in <think> tags")
    if not attempt:
        raise ValueError("nothing follows the reasoning")
    return {"thinking": thinking, "attempt": attempt}


class Subject(NamedTuple):
    """A subject of the classification: `Subject("Combinatorics", ["Graph theory", …])`."""

    title: str
    topics: list[str]


def read_taxonomy(path: str | Path) -> dict[str, Subject]:
    """Subjects by code from a JSONL file; InputError names the row that is none. The official one
    is `s1k/msc_domains.jsonl` of a data mirror (`data/msc.json` of s1)."""
    subjects: dict[str, Subject] = {}
    for number, row in enumerate(read_rows(path), start=1):
        code, title, topics = row.get("code"), row.get("title"), row.get("descriptions")
        texts = [code, title, *(topics if isinstance(topics, list) else [None])]
        if not all(isinstance(text, str) for text in texts) or len(code) != 2 or code in subjects:
            needs = "a code of two digits of its own, a title and descriptions"
            raise InputError(f"{path}, row {number}: not a subject, which has {needs}")
        subjects[code] = Subject(title, [topic.strip() for topic in topics])
    if not subjects:
        raise InputError(f"{path} lists no subject")
    return subjects


def classify(problems: Sequence[Problem], taxonomy: Mapping[str, Subject]) -> Task:
    """Ask for one of the 61 upper-level subjects of the Mathematics Subject Classification
    (Section 2.2, Diversity); values are their titles."""
    rubrics = "\n\n".join(
        f"### {subject.title}\n* Code: {code}\n* Description: {'; '.join(subject.topics)}"
        for code, subject in taxonomy.items()
    )
    return Task(
        [_shown("classify", p.key, p.question, rubrics) for p in problems],
        lambda reply: parse_code(reply, taxonomy),
        list(taxonomy).__contains__,
        lambda _, code: taxonomy[code].title,
    )


def parse_code(reply: ChatReply, taxonomy: Mapping[str, Subject]) -> str:
    """The code at the end of the last line; ValueError where it is none of the taxonomy."""
    code = reply.content.strip().strip("*` .")[-2:]
    if code not in taxonomy:
        raise ValueError(f"it ends in {code!r}, which is no code of the taxonomy")
    return code


def judge(problems: Sequence[Problem], attempts: Mapping[str, str]) -> Task:
    """Have one attempt per problem, by its key, compared with the reference (Section 2.2, Appendix
    C.3); values are booleans, `errors` says where a reference or attempt is missing. Where a
    question can be graded exactly, `s1core.grading` does it offline."""
    questions, lacks = {}, {}
    for p in problems:
        if p.key not in attempts:
            lacks[p.key] = "there is no attempt"
        elif not (reference := p.solution or p.answer):
            lacks[p.key] = "there is no reference solution"
        else:
            questions[p.key] = _shown("judge", p.key, p.question, attempts[p.key], reference)
    asked = list(questions.values())
    return Task(asked, parse_verdict, lambda v: isinstance(v, bool), lambda _, v: v, lacks)


def parse_verdict(reply: ChatReply) -> bool:
    """True for a last line of Yes, False for No, ValueError for anything else."""
    lines = reply.content.strip().splitlines()
    last = lines[-1].strip(" .*_`").lower() if lines else ""
    if last not in ("yes", "no"):
        raise ValueError(f"its last line is {last[:40]!r}, not Yes or No")
    return last == "yes"
